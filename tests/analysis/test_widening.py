"""A unit that becomes finer in mid-tape changes no result: all that is remembered goes with it."""

import random
import re
from array import array
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.patterns.absorption import Absorption, Watch
from app.analysis.price_units import DEFAULT_DIGITS, UNITS_PER_ONE
from app.analysis.records import Batch, Quote, Record
from app.analysis.widening import set_digits, use_finer_unit
from app.storage.tick import codec
from tests.analysis.laws import Hearing, Records, Said, differences, ends_of, pieces, same
from tests.analysis.test_laws import feeds, law
from tests.strategies import Flavour
from tests.tapes import FOLDER, records_of

CLOSE = 1e-12
CLOSED_KEY = re.compile(r"state\.(last_sweep|context\.events\.closed\[\d+\])\.key")
SLACK = 1e-9
TAPES = {
    "AAPL_2012-06-21": 1_340_285_400_000 + 6 * 60_000,
    "BTCUSDT-PERP_2024-08-08": 1_723_161_255_000 + 8_000,
    "ESU4_2024-07-01": 1_719_878_281_000 + 240_000,
}
"""Slices of real tapes: each up to an instant."""


def in_unit(record: Record, digits: int) -> Record:
    """Write a record, given in 1e-8, in a finer unit."""
    factor = UNITS_PER_ONE[digits - DEFAULT_DIGITS]
    if isinstance(record, Quote):
        return replace(
            record, bid_price=record.bid_price * factor, ask_price=record.ask_price * factor
        )
    return replace(record, price=record.price * factor)


def finer_from(engine: Engine, digits: int) -> None:
    use_finer_unit(engine.state, engine.table, digits)


class Run:
    """A fold of a tape, whose unit becomes finer before some record of it."""

    def __init__(self, records: Records, ends: Sequence[int], changes: dict[int, int]) -> None:
        self.engine, heard = Engine.new("LAW"), Hearing()
        self.bars: list[bytes] = []
        folded, changes = 0, dict(changes)
        for batch, end in pieces(records, ends):
            while found := [
                place for place in range(len(batch.records)) if folded + place in changes
            ]:
                place = found[0]
                # As the engine does it: after the seconds that ended before the record.
                self._fold(batch.records[:place], batch.records[place].stamp)
                finer_from(self.engine, changes.pop(folded + place))
                batch.records = batch.records[place:]
                folded += place
            folded += len(batch.records)
            digits = self.engine.state.digits
            finer = [in_unit(one, digits) for one in batch.records]
            result = self.engine.advance(Batch(finer, [], digits), end)
            heard.hear(result)
            self.bars += [codec.encode_bar(bar) for bar in result.final_bars]
        self.said = heard.said()

    def _fold(self, records: list[Record], stamp: float) -> None:
        digits = self.engine.state.digits
        state = self.engine.state
        finer = [in_unit(one, digits) for one in records]
        # The seconds up to the record's own are closed; `as_of` goes on from there.
        self.engine.fold(Batch(finer, [], digits), max(state.as_of, int(stamp // 1000) * 1000))


def memory_of(engine: Engine) -> dict[str, Any]:
    """Return all that is remembered, by its path."""
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def walk(path: str, value: Any) -> None:
        if isinstance(value, (array, list, tuple, set)):
            found[f"{path}#"] = len(value)
            items = sorted(value) if isinstance(value, set) else value
            for place, one in enumerate(items):
                walk(f"{path}[{place}]", one)
        elif isinstance(value, dict):
            for key, one in value.items():
                walk(f"{path}[{key}]", one)
        elif is_dataclass(value) and id(value) not in seen:
            seen.add(id(value))
            for field in fields(value):
                # What is stored already, and by which name, depends on the way here.
                if field.name not in {"dropped_prices", "is_stored", "is_unsaved"}:
                    walk(f"{path}.{field.name}", getattr(value, field.name))
        elif isinstance(value, (int, float, str)) or value is None:
            found[path] = value

    walk("state", engine.state)
    # Closed events are looked for by no one: their keys are as they were.
    return {path: value for path, value in found.items() if not CLOSED_KEY.fullmatch(path)}


def memory_differences(one: Engine, other: Engine) -> list[str]:
    mine, theirs = memory_of(one), memory_of(other)
    found = []
    for path in sorted(mine.keys() | theirs.keys()):
        a, b = mine.get(path), theirs.get(path)
        is_float = isinstance(a, float) and isinstance(b, float)
        if a != b and not (is_float and abs(a - b) <= CLOSE * max(abs(a), abs(b), 1)):
            found.append(f"{path}: {a!r} against {b!r}")
    return found[:8]


def folded(records: Records, digits: int) -> Engine:
    """Fold records up to the last, whose second stays open."""
    engine = Engine.new("LAW")
    engine.state.digits = engine.table.digits = digits
    set_digits(engine.state)
    end = int(records[-1].stamp - 0.001) // 1000 * 1000
    engine.fold(Batch([in_unit(one, digits) for one in records], [], digits), end)
    return engine


def memory_left_behind(records: Records, places: Sequence[int]) -> list[str]:
    """Compare, at some moments, what is remembered with the memory of a finer unit throughout."""
    found: list[str] = []
    for place in places:
        changed, whole = folded(records[:place], 8), folded(records[:place], 10)
        finer_from(changed, 9)
        finer_from(changed, 10)
        found += [f"{place} {line}" for line in memory_differences(whole, changed)]
    return found


def broken_by_change(records: Records, changes: Sequence[dict[int, int]]) -> list[str]:
    """Compare tapes whose unit changes with one that has the last unit from the start."""
    ends = ends_of(records, 3)
    found: list[str] = []
    usual = Run(records, ends, {})
    for change in changes:
        digits = max(change.values())
        whole = Run(records, ends, {0: digits})
        changed = Run(records, ends, change)
        found += differences(same(usual.said), same(changed.said), CLOSE, SLACK)
        found += differences(same(whole.said), same(changed.said), CLOSE, SLACK)
        found += sorted(_ids(usual.said) - _ids(changed.said))
        found += memory_differences(whole.engine, changed.engine)
    return found


def _ids(said: Said) -> Any:
    return {str(event["id"]) for event in said.events}


@law
@given(feeds, st.integers(0, 10**6))
def test_a_change_of_the_unit_changes_no_result(records: Records, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    places = sorted(draw.sample(range(1, len(records)), 2))

    assert broken_by_change(records, [{places[0]: 9, places[1]: 12}]) == []


@pytest.mark.parametrize("seed", range(3))
def test_all_that_is_remembered_is_in_the_finer_unit_at_any_moment(seed: int) -> None:
    records = Flavour(seed, 700, 0.4, 0.8, 0.1, 0.0, 0.1, 0.6).stream()
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's

    assert memory_left_behind(records, draw.sample(range(1, len(records)), 25)) == []


@pytest.mark.parametrize("tape", TAPES)
def test_a_change_of_the_unit_changes_nothing_on_a_real_tape(tape: str) -> None:
    if not (FOLDER / f"{tape}.quotes.csv.gz").exists():
        pytest.skip("the tape is not here")
    records = records_of(tape, TAPES[tape])
    draw = random.Random(1)  # noqa: S311 - a test's, not a secret's
    places = sorted(draw.sample(range(1, len(records)), 4))

    assert memory_left_behind(records, places) == []
    assert broken_by_change(records, [{places[1]: 9, places[2]: 11}]) == []


def test_so_is_what_warm_detectors_remember() -> None:
    records = Flavour(1, 1500, 0.2, 0.8, 0.05, 0.0, 1.0, 0.4).stream()

    assert memory_left_behind(records, [884, 1128, 1307, 1500]) == []


def test_so_is_the_price_of_an_open_absorption() -> None:
    engine = Engine.new("LAW")
    [absorption] = [one for one in engine.state.detectors if isinstance(one, Absorption)]
    absorption.watches = [Watch(10_00000000, 1.0), None]

    finer_from(engine, 9)

    assert absorption.watches == [Watch(10_000000000, 1.0), None]
