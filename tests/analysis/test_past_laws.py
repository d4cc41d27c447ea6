"""The laws of test_laws.py, for the session and for what followed events."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.outcomes import BASELINE_SUMS, EVENT_SUMS, SUM
from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.rolling_bars import RollingBars
from app.analysis.session import SessionFields
from app.analysis.trading_hours import TradingHours
from app.analysis.windows import WINDOW_SECONDS
from app.storage.tick.codec import decode_bars, decode_state, encode_bar, encode_state, join_bars
from tests.analysis.laws import Records, ends_of, pieces
from tests.analysis.test_laws import (
    AAPL,
    CENT,
    FOLDER,
    aapl,
    feeds,
    jittered,
    later,
    law,
    mirrored,
    needs_aapl,
    raised,
    sized,
)

MINUTE_MS = 60_000
RANGES = frozenset(["value_area_low", "value_area_high", "opening_range_low", "opening_range_high"])
PRICES = RANGES | {"open", "high", "low", "vwap", "poc"}
SIZES = frozenset(["volume", "cvd", "cvd_large"])
STAMPS = frozenset(["as_of", "opened_at", "closes_at", "since", "cvd_large_since"])
MIRROR_NAMES = {
    "low": "high",
    "high": "low",
    "value_area_low": "value_area_high",
    "value_area_high": "value_area_low",
    "opening_range_low": "opening_range_high",
    "opening_range_high": "opening_range_low",
}
MIRROR_SIDES = {"bid": "ask", "ask": "bid", "up": "down", "down": "up"}
# Places of sums that change sign with the moves, and of ups that change places with downs.
NEGATED = (1, 6)
SWAPPED = {2: 3, 3: 2, 8: 10, 10: 8, 9: 11, 11: 9}
Change = Callable[[SessionFields], SessionFields]


@dataclass
class Past:
    """What an engine says of the session at some seconds, and of the outcomes at the end."""

    sessions: dict[int, SessionFields]
    events: dict[str, list[float]]
    baseline: list[list[float]]


def hours_of(records: Records) -> TradingHours:
    """Return sessions of 9 minutes with a pause of one, the first with a part unseen."""
    start = int(records[0].stamp) // MINUTE_MS * MINUTE_MS - 4 * MINUTE_MS
    opens = [start + number * 10 * MINUTE_MS for number in range(200)]
    return TradingHours("LAW", opens, [at + 9 * MINUTE_MS for at in opens])


def past_of(  # noqa: PLR0913 - as the engine is used
    records: Records,
    hours: TradingHours,
    ends: Sequence[int],
    asked: Iterable[int] = (),
    *,
    digits: int = DEFAULT_DIGITS,
    restarts: Iterable[int] = (),
) -> Past:
    engine, wanted, again = Engine.new("LAW", hours), set(asked or ends), set(restarts)
    found = Past({}, {}, [])
    for batch, end in pieces(records, ends, digits):
        engine.advance(batch, end)
        if end in wanted:
            found.sessions[end] = engine.state.session.fields(end, engine.state.digits)
        if end in again:
            engine = thawed(engine)
    engine.state.outcomes.close_blocks()
    totals = engine.state.outcomes.totals
    found.events = {key: list(sums.sums) for key, sums in totals.events.items()}
    found.baseline = [list(one.sums) for one in totals.baseline]
    return found


def thawed(engine: Engine) -> Engine:
    """Return the engine that another worker would make of the stored state."""
    state = decode_state(encode_state(engine.state))
    state.recent = decode_bars(join_bars(map(encode_bar, engine.state.recent)))
    table = RollingBars.from_bars(state.recent, max(WINDOW_SECONDS))
    table.first_quote = state.first_quote
    if table.end:
        table.fill_to(state.as_of)
    return Engine(state, table, engine.hours)


def said(records: Records, **given: int) -> Past:
    return past_of(records, hours_of(records), ends_of(records, 7), **given)


def changed(past: Past, change: Change, shift_ms: int = 0) -> Past:
    sessions = {end + shift_ms: change(fields) for end, fields in past.sessions.items()}
    return Past(sessions, past.events, past.baseline)


def times(fields: SessionFields, names: Iterable[str], factor: float) -> SessionFields:
    return {n: v * factor if n in names else v for n, v in fields.items()}  # type: ignore[operator,misc]


def assert_fields_close(one: SessionFields, other: SessionFields, rel: float, slack: float) -> None:
    words = {name: value for name, value in one.items() if isinstance(value, str)}
    assert words == {name: value for name, value in other.items() if isinstance(value, str)}
    ours = {name: value for name, value in one.items() if name not in words}
    theirs = {name: value for name, value in other.items() if name not in words}
    assert ours == pytest.approx(theirs, rel=rel, abs=slack)


def assert_close(one: Past, other: Past, rel: float, slack: float) -> None:
    assert one.sessions.keys() == other.sessions.keys()
    for end, fields in one.sessions.items():
        assert_fields_close(fields, other.sessions[end], rel, slack)
    assert one.events.keys() == other.events.keys()
    for key, sums in one.events.items():
        assert sums == pytest.approx(other.events[key], rel=rel, abs=1e-6), key


def counts(past: Past) -> dict[str, list[float]]:
    """Return the events' sums without those of the moves' sizes, which depend on the price."""
    moves = {SUM, 5, 6}
    return {
        key: [it for place, it in enumerate(sums) if place % EVENT_SUMS not in moves]
        for key, sums in past.events.items()
    }


def check_doubling(records: Records, k: float) -> None:
    theirs = changed(said(sized(records, k)), lambda f: times(f, SIZES, 1 / k))
    assert theirs == said(records)


def check_units(records: Records, k: float) -> None:
    """Check the session only: sizes fall into other bins, and a few events are others then."""
    odd = jittered(records, seed=1)
    theirs = changed(said(sized(odd, k)), lambda f: times(f, SIZES, 1 / k))
    ours = said(odd)
    assert ours.sessions.keys() == theirs.sessions.keys()
    for end, fields in ours.sessions.items():
        assert_fields_close(fields, theirs.sessions[end], 1e-9, 1e-6)


def check_price(records: Records, ticks: int) -> None:
    def back(fields: SessionFields) -> SessionFields:
        return {n: v - ticks / 100 if n in PRICES else v for n, v in fields.items()}  # type: ignore[operator,misc]

    ours, theirs = said(records), changed(said(raised(records, ticks * CENT)), back)
    for end, fields in ours.sessions.items():
        assert_fields_close(fields, theirs.sessions[end], 1e-9, 1e-7)
    assert counts(ours) == counts(theirs)


def check_scale(records: Records, power: int) -> None:
    digits, factor = DEFAULT_DIGITS - power, 10.0**power
    theirs = said(records, digits=digits)  # the same numbers, of a finer unit

    def back(fields: SessionFields) -> SessionFields:
        return times(fields, {*PRICES, "vwap_sd"}, 1 / factor)

    assert_close(said(records), changed(theirs, back), 1e-9, 1e-9)


def check_mirror(records: Records) -> None:
    about = 40_000 * CENT * 100

    def back(fields: SessionFields) -> SessionFields:
        found = {MIRROR_NAMES.get(n, n): v for n, v in fields.items()}
        for name in PRICES & found.keys():
            found[name] = about / 100_000_000 - found[name]  # type: ignore[operator]
        for name in SIZES & found.keys() - {"volume"}:
            found[name] = -found[name]  # type: ignore[operator]
        return found

    ours, theirs = said(records), said(mirrored(records, about))
    for end, fields in ours.sessions.items():
        assert_fields_close(fields, back(theirs.sessions[end]), 1e-6, 1e-6)
    swapped = {}
    for key, sums in counts(theirs).items():
        kind, _, side = key.partition("|")
        swapped[f"{kind}|{MIRROR_SIDES.get(side, side)}"] = sums
    assert {key: _swap(sums) for key, sums in counts(ours).items()} == swapped


def _swap(sums: list[float]) -> list[float]:
    """Let ups and downs change places in what `counts` leaves: n, up, down, blocks, nn, uu …."""
    size = EVENT_SUMS - 3
    order = [0, 2, 1, 3, 4, 7, 8, 5, 6, 9]
    return [sums[first + place] for first in range(0, len(sums), size) for place in order]


def check_time(records: Records, ms: int) -> None:
    shifted = later(records, ms)
    theirs = past_of(shifted, hours_of(records).later(ms), ends_of(shifted, 7))

    def back(fields: SessionFields) -> SessionFields:
        return {n: v - ms if n in STAMPS else v for n, v in fields.items()}  # type: ignore[operator,misc]

    assert changed(theirs, back, -ms) == said(records)


def check_cuts(records: Records, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    every = ends_of(records)
    some = sorted({*draw.sample(every, max(1, len(every) // 9)), every[-1]})
    hours = hours_of(records)
    assert past_of(records, hours, every, some) == past_of(records, hours, some)


def check_restarts(records: Records, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    ends, hours = ends_of(records, 3), hours_of(records)
    at = draw.sample(ends, max(1, len(ends) // 20))
    assert past_of(records, hours, ends, restarts=at) == past_of(records, hours, ends)


LAWS: dict[str, Callable[[Records, int], None]] = {
    "sizes x a power of two": lambda records, seed: check_doubling(records, (0.25, 8.0)[seed % 2]),
    "sizes x another number": lambda records, seed: check_units(records, (3.0, 7.3)[seed % 2]),
    "prices + ticks": lambda records, seed: check_price(records, (-300, 12_345)[seed % 2]),
    "prices x a power of ten": lambda records, seed: check_scale(records, (-3, -7)[seed % 2]),
    "mirrored": lambda records, _: check_mirror(records),
    "later": lambda records, seed: check_time(records, (7000, 86_400_000)[seed % 2]),
    "cut": check_cuts,
    "restarted": check_restarts,
}


@pytest.mark.parametrize("name", LAWS)
@law
@given(records=feeds, seed=st.integers(0, 1000))
def test_the_laws_hold_on_generated_feeds(name: str, records: Records, seed: int) -> None:
    LAWS[name](records, seed)


# Prices x a power of ten fall into other bins of their scales: a few events are others then.
@needs_aapl
@pytest.mark.parametrize("name", sorted(LAWS.keys() - {"prices x a power of ten"}))
def test_the_laws_hold_on_a_real_tape(name: str) -> None:
    assert (FOLDER / f"{AAPL}.quotes.csv.gz").exists()
    LAWS[name](aapl(), 1)


def test_the_sums_of_the_baseline_are_the_first_of_the_events() -> None:
    assert SUM < BASELINE_SUMS < EVENT_SUMS
