"""When a tape began, and what its first records were, is forgotten: later events are the same."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import pytest

from app.analysis.engine import Engine
from app.analysis.records import Batch, Quote, Record
from app.feeds.simulation import profile_of, simulate
from tests.builders import START_MS
from tests.tapes import FOLDER, records_of

MINUTE_MS = 60_000
MOST_OTHERS = 0.02
MIN_OTHERS = 3
Identity = tuple[str, str, float]


@cache
def real(tape: str, minutes: int) -> tuple[Record, ...]:
    if not (FOLDER / f"{tape}.quotes.csv.gz").exists():
        pytest.skip("the tape is not here")
    first = records_of(tape)[0].stamp
    return tuple(records_of(tape, first + minutes * MINUTE_MS))


@cache
def simulated(ticker: str, minutes: int) -> tuple[Record, ...]:
    records: list[Record] = []
    for more, _ in simulate(ticker, 7, START_MS, 60 * minutes, profile_of(ticker)):
        records += more
    return tuple(sorted(records, key=lambda one: (one.stamp, one.seq)))


def events_of(records: Sequence[Record], from_ms: float) -> set[Identity]:
    """Return which events opened from an instant on."""
    engine, place = Engine.new("TAPE"), 0
    found: set[Identity] = set()
    for as_of in range(
        math.ceil(records[0].stamp / 1000) * 1000, int(records[-1].stamp) + 1000, 1000
    ):
        first = place
        while place < len(records) and records[place].stamp <= as_of:
            place += 1
        engine.fold(Batch(list(records[first:place]), []), as_of)
        changed = engine.state.context.events.take_changed()
        found |= {(one.type, one.side, one.opened_at) for one in changed}
    return {one for one in found if one[2] >= from_ms}


def begun_later(records: Sequence[Record], seconds: float) -> list[Record]:
    return [one for one in records if one.stamp >= records[0].stamp + seconds * 1000]


def with_first_sizes(records: Sequence[Record], sizes: Sequence[float]) -> list[Record]:
    """Give the first ten records other sizes."""
    changed: list[Record] = []
    for number, one in enumerate(records[:10]):
        size = sizes[number % len(sizes)]
        changed.append(
            replace(one, bid_size=size, ask_size=size + 1)
            if isinstance(one, Quote)
            else replace(one, size=size)
        )
    return [*changed, *records[10:]]


TAPES: dict[str, tuple[Callable[[], Sequence[Record]], int]] = {
    # In the first half hour after the first hour 4 of 197 events are others, later none.
    "AAPL": (lambda: real("AAPL_2012-06-21", 150), 60),
    # Six minutes have no first hour; by the fifth, all scales but q99 are known in each case.
    "bitcoin": (lambda: real("BTCUSDT-PERP_2024-08-08", 6), 5),
    "simulated": (lambda: simulated("NVDA", 75), 60),
}
CHANGES: dict[str, Callable[[Sequence[Record]], list[Record]]] = {
    "3 s later": lambda records: begun_later(records, 3),
    "8 s later": lambda records: begun_later(records, 8.25),
    "60 s later": lambda records: begun_later(records, 60),
    "first size 3": lambda records: with_first_sizes(records, [3]),
    "odd first sizes": lambda records: with_first_sizes(records, [1e-6, 77.7, 1e9]),
}


@cache
def usual(tape: str) -> set[Identity]:
    records_of_tape, minutes = TAPES[tape]
    records = records_of_tape()
    return events_of(records, records[0].stamp + minutes * MINUTE_MS)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("tape", TAPES)
def test_another_beginning_changes_next_to_no_later_event(tape: str, change: str) -> None:
    records_of_tape, minutes = TAPES[tape]
    records = records_of_tape()
    from_ms = records[0].stamp + minutes * MINUTE_MS

    found = events_of(CHANGES[change](records), from_ms)

    assert len(usual(tape)) > 50
    others = usual(tape) ^ found
    assert len(others) <= max(MIN_OTHERS, MOST_OTHERS * len(usual(tape))), sorted(others)
