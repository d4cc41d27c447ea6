"""Ranks: the share of a ticker's own earlier seconds whose same window had a smaller value."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.metric_table import RANKED
from app.analysis.ranks import MIN_PAST_SECONDS, unpack_ranks
from app.analysis.records import Batch, Quote, Trade
from app.analysis.results import TickResult
from app.analysis.windows import WINDOWS
from app.storage.tick.codec import encode_bar, encode_state
from tests.analysis.laws import pieces, thawed
from tests.builders import quote, second, stream, trade
from tests.engine_answers import Records, fold
from tests.reference import Reference
from tests.reference.past import ceil_second

MINUTES = 27
SIGNED = frozenset(["ofi", "log_ofi", "trade_imbalance", "signed_volume", "queue_imbalance"])
SIDES = {"avg_bid_size": "avg_ask_size", "avg_ask_size": "avg_bid_size"}
ROUNDING = 1.5e-4  # ranks are published with four digits

Shares = dict[str, dict[str, float]]


@cache
def market(
    seed: int = 1, minutes: int = MINUTES, *, with_trades: bool = True
) -> tuple[Quote | Trade, ...]:
    """Make a market of about a record a second, with calmer and busier minutes."""
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    made: Records = []
    bid = 1000
    for number in range(minutes * 60):
        for _ in range(draw.choice((0, 1, 1, 1 + number // 60 % 3))):
            at = number + draw.randrange(1, 8) / 8
            bid += draw.choice((-1, 0, 0, 0, 1))
            sizes = [float(draw.choice((1, 2, 4, 5, 8, 13))) for _ in range(2)]
            spread = draw.choice((1, 1, 2, 3))
            made.append(
                quote(
                    at=at,
                    bid=bid / 100,
                    bid_size=sizes[0],
                    ask=(bid + spread) / 100,
                    ask_size=sizes[1],
                )
            )
        if with_trades and draw.random() < 0.4:
            aggressor = draw.choice(("buy", "sell"))
            price = (bid + (1 if aggressor == "buy" else 0)) / 100
            made.append(
                trade(
                    at=number + 0.95,
                    price=price,
                    size=float(draw.randrange(1, 9)),
                    aggressor=aggressor,
                )
            )
    return tuple(stream(*made))


def results(records: Records, ends: list[int]) -> dict[int, TickResult]:
    """Fold to each end, and keep the results by it."""
    return {result.as_of: result for result in fold(list(records), ends)}


def shares_of(result: TickResult) -> Shares:
    return {window: dict(ranks.shares) for window, ranks in result.ranks.items()}


def ends_of(records: Records, step: int = 1) -> list[int]:
    first, last = ceil_second(records[0].stamp), ceil_second(records[-1].stamp)
    return [*range(first, last, step * SECOND_MS), last]


def with_a_silence(records: Records, start: int, seconds: int) -> Records:
    """Leave out what comes in some seconds."""
    return [r for r in records if not second(start) < r.stamp <= second(start + seconds)]


@pytest.mark.parametrize(
    "records",
    [
        list(market(1, 21)),
        [r for r in with_a_silence(list(market(3, 21)), 700, 350) if isinstance(r, Quote)],
    ],
    ids=["busy", "quotes only, with a sleep"],
)
def test_ranks_are_those_of_the_plain_definition(records: Records) -> None:
    reference = Reference(records)
    found = results(records, ends_of(records))

    compared = 0
    for as_of in [second(1203), second(1204), ceil_second(records[-1].stamp)]:
        for window, seconds in WINDOWS.items():
            theirs = reference.ranks(as_of, seconds)
            assert found[as_of].ranks[window].shares == pytest.approx(theirs, abs=ROUNDING)
            compared += len(theirs)
    assert compared >= 3 * 3 * 9


def test_each_metric_of_the_contract_is_ranked_once_it_has_20_minutes_of_past() -> None:
    records = list(market())
    first = records[0].stamp
    found = results(records, ends_of(records))

    for as_of, result in found.items():
        is_known = as_of - first >= MIN_PAST_SECONDS * SECOND_MS
        for ranks in result.ranks.values():
            assert ranks.status == ("known" if is_known else "warming")
            assert bool(ranks.shares) == is_known
            assert all(0 <= share <= 1 for share in ranks.shares.values())
    last = found[ceil_second(records[-1].stamp)]
    assert set(last.ranks["5min"].shares) == set(RANKED)


def test_what_never_changes_ranks_in_the_middle_of_its_past() -> None:
    """Edges of bins, where rounding would put the same value into either of two, are no matter."""
    records = stream(
        *(quote(at=n + 0.1 + n % 7 / 70, bid_size=64, ask_size=64) for n in range(1300))
    )

    last = results(records, ends_of(records))[ceil_second(records[-1].stamp)]

    for ranks in last.ranks.values():
        constant = {
            name: ranks.shares[name]
            for name in RANKED[:4] + RANKED[6:7] + RANKED[10:12]
            if name in ranks.shares
        }
        assert len(constant) == 7
        assert set(constant.values()) == {0.5}


def test_a_rank_tells_from_how_many_independent_windows_it_comes() -> None:
    records = list(market())
    last = results(records, ends_of(records))[ceil_second(records[-1].stamp)]

    past = {"10s": MINUTES * 60, "1min": MINUTES * 60 - 53, "5min": MINUTES * 60 - 269}
    for window, seconds in WINDOWS.items():
        mean_life = (7200 if window == "5min" else 1800) / math.log(2)
        decayed = mean_life * (1 - math.exp(-past[window] / mean_life))
        assert last.ranks[window].independent_windows == pytest.approx(decayed / seconds, rel=0.02)


def sized(records: Records, k: float) -> Records:
    return [
        replace(r, bid_size=r.bid_size * k, ask_size=r.ask_size * k)
        if isinstance(r, Quote)
        else replace(r, size=r.size * k)
        for r in records
    ]


def later(records: Records, ms: int) -> Records:
    return [replace(r, stamp=r.stamp + ms) for r in records]


def priced(records: Records, factor: int) -> Records:
    return [
        replace(r, bid_price=r.bid_price * factor, ask_price=r.ask_price * factor)
        if isinstance(r, Quote)
        else replace(r, price=r.price * factor)
        for r in records
    ]


@pytest.mark.parametrize(
    ("change", "shift_ms"),
    [
        (lambda records: sized(records, 0.25), 0),
        (lambda records: sized(records, 2.0**40), 0),
        (lambda records: priced(records, 1000), 0),
        (lambda records: later(records, 86_400_000), 86_400_000),
        (lambda records: later(records, 7000), 7000),
    ],
    ids=["sizes/4", "sizes x 2^40", "prices x 1000", "a day later", "7 s later"],
)
def test_units_and_the_clock_change_no_rank(
    change: Callable[[Records], Records], shift_ms: int
) -> None:
    records = list(market())
    ends = ends_of(records, 3)
    ours = results(records, ends)

    theirs = results(change(records), [end + shift_ms for end in ends])

    for end in ends:
        assert shares_of(theirs[end + shift_ms]) == shares_of(ours[end])


def test_mirrored_sides_mirror_the_ranks() -> None:
    records = list(market())
    about = 30_00000000
    mirrored: Records = [
        Quote(r.stamp, r.seq, about - r.ask_price, r.ask_size, about - r.bid_price, r.bid_size)
        if isinstance(r, Quote)
        else Trade(r.stamp, r.seq, about - r.price, r.size, -r.aggressor)
        for r in records
    ]
    end = ceil_second(records[-1].stamp)
    ours, theirs = (shares_of(results(it, ends_of(it))[end]) for it in (records, mirrored))

    relative_to_price = {"spread_bps", "effective_spread_bps", "realized_volatility_bps"}
    for window, shares in ours.items():
        for name in shares.keys() - relative_to_price:
            share = shares[SIDES.get(name, name)]
            expected = 1 - share if name in SIGNED else share
            assert theirs[window][name] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("step", [2, 7, 30, 10_000])
def test_however_many_seconds_a_fold_takes_each_is_sampled_once(step: int) -> None:
    records = list(market())
    every, some = ends_of(records), ends_of(records, step)
    ours, engine = results(records, every), Engine.new("LAW")

    for batch, end in pieces(records, some):
        assert shares_of(engine.advance(batch, end)) == shares_of(ours[end])

    whole = Engine.new("LAW")
    for batch, end in pieces(records, every):
        whole.advance(batch, end)
    assert engine.state.ranks.packed() == whole.state.ranks.packed()


def test_a_restart_changes_no_byte() -> None:
    records = list(market())
    ends = ends_of(records)
    whole, again = Engine.new("LAW"), Engine.new("LAW")
    bars: list[bytes] = []

    for number, (batch, end) in enumerate(pieces(records, ends)):
        ours = whole.advance(Batch(list(batch.records), []), end)
        theirs = again.advance(batch, end)
        assert shares_of(theirs) == shares_of(ours)
        bars += [encode_bar(bar) for bar in theirs.final_bars]
        if number % 13 == 0 and number > 1100:
            again = thawed(again, bars)
    assert encode_state(again.state) == encode_state(whole.state)


@pytest.mark.parametrize("days", [1, 30, 400])
def test_after_a_long_sleep_a_past_begins_anew(days: int) -> None:
    records = list(market(1, 21))
    engine = Engine.new("SPY")
    engine.advance(Batch(records, []), second(1260))
    assert engine.result().ranks["10s"].status == "known"
    day = 86_400

    asleep = engine.advance(Batch([], []), second(1260 + days * day))
    assert asleep.ranks["10s"].status == "warming"
    awake = later(list(market(2, 21)), days * day * SECOND_MS + 1_300_000)
    found = [engine.advance(batch, end) for batch, end in pieces(awake, ends_of(awake, 60))]

    assert [bool(it.ranks["10s"].shares) for it in found[:3]] == [False] * 3
    assert found[-1].ranks["10s"].status == "known"
    # What was before weighs nothing beside what is.
    fresh = Engine.new("SPY")
    expected = [fresh.advance(batch, end) for batch, end in pieces(awake, ends_of(awake, 60))][-1]
    shares = found[-1].ranks["10s"].shares
    # The depth by which log OFI divides is remembered through a sleep.
    for name in expected.ranks["10s"].shares.keys() - {"log_ofi"}:
        assert shares[name] == pytest.approx(expected.ranks["10s"].shares[name], abs=0.02), name


@pytest.mark.parametrize("damage", [b"", b"\0", b"abc"])
def test_bytes_that_are_no_ranks_are_refused(damage: bytes) -> None:
    packed = Engine.new("LAW").state.ranks.packed()

    with pytest.raises(ValueError, match="ranks"):
        unpack_ranks(packed[: len(packed) // 2] + damage)
