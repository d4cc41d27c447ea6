"""What must not matter does not matter: units, tick prices, sides, clocks, cuts, restarts."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.record_parser import parse_batch
from app.analysis.records import PRICE_UNITS, Quote, Trade
from tests.analysis.laws import (
    NEGATED,
    PRICES,
    RELATIVE_TO_PRICE,
    STAMPS,
    Named,
    Records,
    Said,
    changed,
    differences,
    differences_but_for_bins,
    ends_of,
    restarted,
    said_of,
    same,
    scaled,
    without,
)
from tests.strategies import flavours
from tests.tapes import FOLDER, records_of

CLOSE = 1e-9
CENT = PRICE_UNITS // 100
AAPL = "AAPL_2012-06-21"
AAPL_MINUTES = 20
law = settings(
    max_examples=4,
    phases=(Phase.explicit, Phase.generate),  # to shrink a feed takes minutes and says no more
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
feeds = flavours(records=600).map(lambda flavour: flavour.stream())
needs_aapl = pytest.mark.skipif(
    not (FOLDER / f"{AAPL}.quotes.csv.gz").exists(), reason="the tape is not here"
)


@cache
def aapl() -> Records:
    """Return the first minutes of a real day."""
    first = records_of(AAPL, until_ms=1_340_285_400_000 + AAPL_MINUTES * 60_000)
    assert len(first) > 5_000
    return first


def sized(records: Records, k: float) -> Records:
    return [
        replace(r, bid_size=r.bid_size * k, ask_size=r.ask_size * k)
        if isinstance(r, Quote)
        else replace(r, size=r.size * k)
        for r in records
    ]


def jittered(records: Records, seed: int) -> Records:
    """Sizes that are no round multiples of each other, so that none is on a threshold."""
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    sizes: dict[float, float] = {0.0: 0.0}

    def size(old: float) -> float:
        return sizes.setdefault(old, old * (1 + draw.random() / 100))

    return [
        replace(r, bid_size=size(r.bid_size), ask_size=size(r.ask_size))
        if isinstance(r, Quote)
        else replace(r, size=size(r.size))
        for r in records
    ]


def raised(records: Records, units: int) -> Records:
    return [
        replace(r, bid_price=r.bid_price + units, ask_price=r.ask_price + units)
        if isinstance(r, Quote)
        else replace(r, price=r.price + units)
        for r in records
    ]


def mirrored(records: Records, about: int) -> Records:
    """Bids become asks, buyers sellers, and up down, about a price."""
    return [
        Quote(r.stamp, r.seq, about - r.ask_price, r.ask_size, about - r.bid_price, r.bid_size)
        if isinstance(r, Quote)
        else Trade(r.stamp, r.seq, about - r.price, r.size, -r.aggressor)
        for r in records
    ]


def later(records: Records, ms: int) -> Records:
    return [replace(r, stamp=r.stamp + ms) for r in records]


def said(records: Records, step_seconds: int = 7) -> Said:
    return said_of(records, ends_of(records, step_seconds))


def greatest_size(records: Records) -> float:
    return max(max(r.bid_size, r.ask_size) if isinstance(r, Quote) else r.size for r in records)


# --- the laws, each as what differs ------------------------------------------------------------


def broken_by_doubling(records: Records, k: float) -> list[str]:
    theirs = changed(said(sized(records, k)), lambda fields: scaled(fields, 1 / k))
    return differences(same(said(records)), theirs)


def broken_by_units(records: Records, k: float) -> list[str]:
    odd = jittered(records, seed=1)
    theirs = changed(said(sized(odd, k)), lambda fields: scaled(fields, 1 / k))
    slack = CLOSE * greatest_size(odd)
    return differences_but_for_bins(same(said(odd)), theirs, CLOSE, slack)


def broken_by_price(records: Records, ticks: int) -> list[str]:
    units = ticks * CENT

    def back(fields: Named) -> Named:
        return {
            n: round(v * PRICE_UNITS - units) / PRICE_UNITS if n in PRICES and v is not None else v
            for n, v in fields.items()
        }

    def rounded(fields: Named) -> Named:
        return {
            n: round(v * PRICE_UNITS) / PRICE_UNITS if n in PRICES and v is not None else v
            for n, v in fields.items()
        }

    ours = without(changed(said(records), rounded), RELATIVE_TO_PRICE)
    theirs = without(changed(said(raised(records, units)), back), RELATIVE_TO_PRICE)
    return differences(ours, theirs, CLOSE, 2e-8)


WORDS = {"bid": "ask", "ask": "bid", "up": "down", "down": "up"}
PARTS = {
    "bid": "ask",
    "ask": "bid",
    "bids": "asks",
    "asks": "bids",
    "lift": "drop",
    "drop": "lift",
    "buy": "sell",
    "sell": "buy",
    "buying": "selling",
    "selling": "buying",
}
IN_PRICE = PRICES | {
    "bid_price_movement",
    "ask_price_movement",
    "avg_spread",
    "min_spread",
    "max_spread",
    "price_velocity",
    "evidence.mid_move",
    "evidence.median_spread",
}
MOVES = frozenset({"bid_price_movement", "ask_price_movement"})
SIGNED_EVIDENCE = frozenset(
    f"evidence.{name}" for name in ("flow_shares", "mean_before", "mean_after", "mid_move")
)
CANCELLING = RELATIVE_TO_PRICE
"""Divided by the price, which a mirror changes."""


def broken_by_scale(records: Records, power: int) -> list[str]:
    """Multiply all prices by a power of ten: downwards, the unit is as much finer."""
    factor = 10.0**power
    digits = DEFAULT_DIGITS + max(0, -power)
    theirs = changed(_said_at_scale(records, power, digits), lambda f: _at_scale(f, 1 / factor))
    slack = CLOSE * greatest_size(records)
    return differences_but_for_bins(same(said(records)), theirs, CLOSE, slack)


def _said_at_scale(records: Records, power: int, digits: int) -> Said:
    if power < 0:  # the same numbers, of a finer unit
        return said_of(records, ends_of(records, 7), digits=digits)
    units = 10**power
    scaled_up = [
        replace(r, bid_price=r.bid_price * units, ask_price=r.ask_price * units)
        if isinstance(r, Quote)
        else replace(r, price=r.price * units)
        for r in records
    ]
    return said(scaled_up)


def _at_scale(fields: Named, factor: float) -> Named:
    return {n: v * factor if n in IN_PRICE and v is not None else v for n, v in fields.items()}  # type: ignore[operator]


def broken_by_mirror(records: Records) -> list[str]:
    highest = max(
        max(r.bid_price, r.ask_price) if isinstance(r, Quote) else r.price for r in records
    )
    about = 2 * highest + 100 * CENT

    def back(fields: Named) -> Named:
        mirror = {_mirror_name(n): _mirror_value(n, v, about) for n, v in fields.items()}
        if "price_low" in mirror:
            mirror["price_low"], mirror["price_high"] = mirror["price_high"], mirror["price_low"]
        return mirror

    ours = without(changed(said(records), lambda f: f), CANCELLING)
    theirs = without(changed(said(mirrored(records, about)), back), CANCELLING)
    return differences(ours, theirs, CLOSE, CLOSE * max(20.0, greatest_size(records)))


def _mirror_name(name: str) -> str:
    if name.startswith("evidence."):
        return name
    return "_".join(PARTS.get(part, part) for part in name.split("_"))


def _mirror_value(name: str, value: object, about: int) -> object:
    if isinstance(value, str):
        return WORDS.get(value, value) if name == "side" or name.endswith("direction") else value
    if value is None:
        return None
    assert isinstance(value, (int, float))
    if name in PRICES:
        return (about - value * PRICE_UNITS) / PRICE_UNITS
    return -value if name in NEGATED | MOVES | SIGNED_EVIDENCE else value


def broken_by_time(records: Records, ms: int) -> list[str]:
    def back(fields: Named) -> Named:
        return {n: v - ms if n in STAMPS and v is not None else v for n, v in fields.items()}  # type: ignore[operator]

    # Windows add up whole tens of seconds first: shifted by other than tens, they round otherwise.
    rel = 0.0 if ms % 10_000 == 0 else CLOSE
    records = jittered(records, seed=1) if rel else records
    theirs = changed(said(later(records, ms)), back, shift_ms=-ms)
    return differences(same(said(records)), theirs, rel, rel * greatest_size(records))


def broken_by_cuts(records: Records, seed: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    every = ends_of(records)
    some = sorted({*draw.sample(every, max(1, len(every) // 9)), every[-1]})
    return differences(same(said_of(records, every, some)), same(said_of(records, some)))


def broken_by_restarts(records: Records, seed: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    ends = ends_of(records, 3)
    at = set(draw.sample(ends, max(1, len(ends) // 20)))
    whole, again = said_of(records, ends), restarted(records, ends, at)
    encode = msgspec.json.encode
    return (
        [] if encode(vars(whole)) == encode(vars(again)) else differences(whole, again) or ["bytes"]
    )


# --- over generated feeds ----------------------------------------------------------------------


@law
@given(feeds, st.sampled_from((0.25, 0.5, 2.0, 1024.0)))
def test_sizes_times_a_power_of_two_change_nothing_but_sizes(records: Records, k: float) -> None:
    assert broken_by_doubling(records, k) == []


@law
@given(feeds, st.sampled_from((3.0, 0.1, 7.3)))
def test_sizes_times_any_other_number_change_nothing_but_sizes(records: Records, k: float) -> None:
    assert broken_by_units(records, k) == []


@law
@given(feeds, st.sampled_from((-300, 1, 12_345)))
def test_prices_plus_ticks_change_nothing_but_prices(records: Records, ticks: int) -> None:
    assert broken_by_price(records, ticks) == []


@law
@given(feeds, st.sampled_from((-7, -3, 5)))
def test_prices_times_a_power_of_ten_change_nothing_but_prices(
    records: Records, power: int
) -> None:
    assert broken_by_scale(records, power) == []


@law
@given(feeds)
def test_mirrored_sides_change_nothing_but_sides(records: Records) -> None:
    assert broken_by_mirror(records) == []


@law
@given(feeds, st.sampled_from((1000, 7000, 10_000, 86_400_000, 31_536_000_000)))
def test_time_plus_whole_seconds_changes_nothing_but_stamps(records: Records, ms: int) -> None:
    assert broken_by_time(records, ms) == []


@law
@given(feeds, st.integers(0, 1000))
def test_any_cutting_into_calls_says_the_same_at_the_same_seconds(
    records: Records, seed: int
) -> None:
    assert broken_by_cuts(records, seed) == []


@law
@given(feeds, st.integers(0, 1000))
def test_restarts_from_saved_state_say_the_same_byte_for_byte(records: Records, seed: int) -> None:
    assert broken_by_restarts(records, seed) == []


def _member(record: Quote | Trade) -> tuple[bytes, float]:
    fields = {"timestamp": record.stamp, "seq": record.seq}
    if isinstance(record, Quote):
        fields |= {
            "bid_price": record.bid_price / PRICE_UNITS,
            "bid_size": record.bid_size,
            "ask_price": record.ask_price / PRICE_UNITS,
            "ask_size": record.ask_size,
        }
    else:
        side = {1: "buy", -1: "sell", 0: None}[record.aggressor]
        fields |= {"price": record.price / PRICE_UNITS, "size": record.size, "aggressor": side}
    return msgspec.json.encode(fields), record.stamp


@law
@given(feeds, st.integers(0, 1000))
def test_duplicates_and_the_order_within_a_stamp_change_nothing(
    records: Records, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    twice = [*records, *draw.sample(records, len(records) // 3)]
    draw.shuffle(twice)
    quotes = [_member(r) for r in twice if isinstance(r, Quote)]
    trades = [_member(r) for r in twice if isinstance(r, Trade)]

    assert parse_batch(quotes, trades).records == [_without_empty_sides(r) for r in records]


def _without_empty_sides(record: Quote | Trade) -> Quote | Trade:
    """Return a record as the parser gives it: a side of size 0 has no price."""
    if isinstance(record, Trade):
        return record
    bid_price = record.bid_price if record.bid_size else 0
    ask_price = record.ask_price if record.ask_size else 0
    return replace(record, bid_price=bid_price, ask_price=ask_price)


# --- over a real tape --------------------------------------------------------------------------

REAL: dict[str, Callable[[], list[str]]] = {
    "sizes x 4": lambda: broken_by_doubling(aapl(), 4.0),
    "sizes x 3": lambda: broken_by_units(aapl(), 3.0),
    "prices + 7 ticks": lambda: broken_by_price(aapl(), 7),
    "prices x 1e-7": lambda: broken_by_scale(aapl(), -7),
    "prices x 1e5": lambda: broken_by_scale(aapl(), 5),
    "sides mirrored": lambda: broken_by_mirror(aapl()),
    "a day later": lambda: broken_by_time(aapl(), 86_400_000),
    "cut anywhere": lambda: broken_by_cuts(aapl(), 1),
    "restarted": lambda: broken_by_restarts(aapl(), 1),
}


@needs_aapl
@pytest.mark.parametrize("name", REAL)
def test_the_laws_hold_on_a_real_tape(name: str) -> None:
    assert REAL[name]() == []
