"""Declared gaps: what the plain definitions say, and what must not matter does not."""

import random
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.gaps import Gap, left_of
from app.analysis.records import BUY, PRICE_UNITS, SELL, Batch, Quote, Span, Trade
from app.analysis.windows import WINDOWS
from tests.analysis.laws import Records, Said, differences, ends_of, pieces, restarted
from tests.analysis.test_engine import events_differ, metrics_differ, slack_of
from tests.analysis.test_laws import law
from tests.builders import quote, second, stream, trade
from tests.engine_answers import PublishedSoFar, fold
from tests.reference import Reference
from tests.strategies import Flavour, flavours
from tests.venues.market import Event, Market, Print

LENGTHS_MS = (0.25, 100.0, 700.0, 1300.0, 5000.0, 20_000.0, 400_000.0)
feeds = flavours(records=200)


def gapped(flavour: Flavour) -> tuple[Records, list[Span]]:
    """Draw gaps that don't overlap, and leave out what lies inside, at their ends nothing."""
    records, draw = flavour.stream(), random.Random(flavour.seed)  # noqa: S311 - a test's
    gaps: list[Span] = []
    for _ in range(4):
        start = draw.choice(records).stamp + draw.choice((0.0, 0.0, draw.random() * 1500))
        end = start + draw.choice(LENGTHS_MS)
        if all(end < begun or ended < start for begun, ended in gaps):
            gaps.append((start, end))
    kept = [it for it in records if not any(start < it.stamp < end for start, end in gaps)]
    return kept, sorted(gaps)


def ends(records: Records) -> list[int]:
    return ends_of(records)[:900]


def at_ends(said: Said, chosen: list[int]) -> Said:
    """Keep what was said at some ends; events are those of the whole feed."""
    windows = {end: said.windows[end] for end in chosen if end in said.windows}
    return Said([], windows, {end: said.behaviors[end] for end in windows})


# Its first record is a trade: before the first quote no flow is known.
TRADE_FIRST = Flavour(1333, 200, 0.1, 0.8, 0.3, 0.0, 1.0, 0.3)


@example(TRADE_FIRST)
@given(feeds)
@law
def test_windows_are_those_of_the_plain_definitions(flavour: Flavour) -> None:
    records, gaps = gapped(flavour)
    reference = Reference(records, gaps=gaps)
    chosen = set(random.Random(flavour.seed).sample(ends(records), min(40, len(ends(records)))))  # noqa: S311
    found: list[str] = []
    for result in fold(records, ends(records), gaps=gaps):
        if result.as_of in chosen:
            found += metrics_differ(result, reference, slack_of(records))

    assert found == []


@given(feeds)
@law
def test_events_are_those_of_the_plain_definitions(flavour: Flavour) -> None:
    records, gaps = gapped(flavour)
    published = PublishedSoFar()
    until = ends(records)
    for result in fold(records, until, gaps=gaps):
        published.add(result)

    expected = Reference(records, gaps=gaps).events(until[-1])
    assert events_differ(published.events, expected, slack_of(records)) == []


def test_events_of_a_feed_that_is_cut_again_and_again_are_those_of_the_plain_definitions() -> None:
    """Each of its gaps ends events of several types, and some that would have gone on."""
    records, gaps = _busy_feed(seconds=100, seed=22)
    published = PublishedSoFar()
    until = ends(records)
    for result in fold(records, until, gaps=gaps):
        published.add(result)

    expected = Reference(records, gaps=gaps).events(until[-1])
    assert events_differ(published.events, expected, slack_of(records)) == []
    assert sum(event["close_reason"] == "gap" for event in expected) > len(gaps)


def _busy_feed(seconds: int, seed: int) -> tuple[Records, list[Span]]:
    """Return a feed of some 20 records a second that is cut every few seconds."""
    draw = random.Random(seed)  # noqa: S311 - a test's
    market, gaps = Market(("X",), seed, Decimal("0.001"), 0), list[Span]()
    records: Records = []
    at_ms, cut_ms = 1000.0, 3000.0
    while at_ms < seconds * 1000:
        event = market.next_event("X", round(at_ms * 1e6))
        records.append(_record(event, at_ms, len(records)))
        at_ms = round(at_ms + draw.expovariate(0.02), 3)
        if at_ms > cut_ms:
            gaps.append((at_ms, at_ms + draw.choice((300.0, 1000.25, 4300.5))))
            at_ms = gaps[-1][1]
            cut_ms = at_ms + draw.uniform(200, 6000)
    return records, gaps


def _record(event: Event, at_ms: float, seq: int) -> Quote | Trade:
    if isinstance(event, Print):
        aggressor = BUY if event.aggressor == "buy" else SELL
        return Trade(at_ms, seq, _units(event.price), float(event.size), aggressor)
    sides = (_units(event.bid), float(event.bid_size), _units(event.ask), float(event.ask_size))
    return Quote(at_ms, seq, *sides)


def _units(price: Decimal) -> int:
    return int(price * PRICE_UNITS)


@given(feeds)
@law
def test_neither_steps_nor_restarts_matter(flavour: Flavour) -> None:
    records, gaps = gapped(flavour)
    every = ends(records)
    one = restarted(records, every, set(), gaps)
    restarts = set(random.Random(flavour.seed).sample(every, min(25, len(every))))  # noqa: S311

    assert differences(one, restarted(records, every, restarts, gaps)) == []
    seventh = every[6::7]
    steps = restarted(records, seventh, set(), gaps)
    assert differences(at_ends(one, seventh), at_ends(steps, seventh)) == []


@given(feeds)
@law
def test_a_gap_that_is_declared_twice_or_in_parts_covers_the_same(flavour: Flavour) -> None:
    records, gaps = gapped(flavour)
    again = [(max(start, end - 50.0), end) for start, end in gaps for _ in range(2)]
    twice = sorted([*gaps, *again], key=lambda gap: (gap[1], gap[0]))
    every = ends(records)

    one = restarted(records, every, set(), gaps)
    assert differences(one, restarted(records, every, set(), twice)) == []


def covered(records: Records, gaps: list[Span], until: int) -> dict[str, float]:
    result = [*fold(records, range(second(1), second(until) + 1, 1000), gaps=gaps)][-1]
    return {name: float(result.metrics[name]["covered_seconds"]) for name in WINDOWS}


@pytest.mark.parametrize(("start", "end"), [(20, 21), (20.5, 29.5), (20.25, 20.75), (19.99, 25)])
def test_covered_time_is_exact(start: float, end: float) -> None:
    at = [n / 4 for n in range(160) if not start < n / 4 < end]
    records = stream(*(quote(at=it, bid_size=100 + round(it)) for it in at))

    found = covered(records, [(second(start), second(end))], 30)

    inside = max(0.0, end - max(start, 20))
    assert found["10s"] == pytest.approx(10 - inside, abs=1e-9)
    assert found["5min"] == pytest.approx(30 - (end - start), abs=1e-9)


def test_a_print_after_a_gap_has_no_quote_before_it_and_no_print() -> None:
    records = stream(
        quote(at=0.5, bid=10.0, ask=10.02),
        trade(at=1.5, price=10.0),
        trade(at=5.5, price=10.01),
        trade(at=5.6, price=10.02),
        quote(at=6.5, bid=10.0, ask=10.02),
        trade(at=6.7, price=10.02),
    )
    result = [*fold(records, range(second(1), second(8), 1000), gaps=[(second(2), second(5.5))])][
        -1
    ]

    ten = result.metrics["10s"]
    assert ten["sell_volume"] == 100
    assert ten["unsigned_volume"] == 100
    assert ten["buy_volume"] == 200
    assert ten["inside_volume"] == 0


def test_trimmed_records_that_are_found_twice_are_one_gap() -> None:
    engine = Engine.new("TEST")
    engine.advance(Batch([quote(at=0.5)], []), second(5))

    for end in (8, 8, 10):
        engine.skip_gap(float(second(end)))
    result = engine.advance(Batch([quote(at=10)], []), second(12))

    assert result.quality["10s"]["gaps"] == [[second(5), second(8)], [second(8), second(10)]]
    assert result.metrics["10s"]["covered_seconds"] == pytest.approx(5)


def test_gaps_before_the_first_record_are_none() -> None:
    records: list[Quote] = [quote(at=5)]
    [(batch, end)] = pieces(records, [second(6)], gaps=[(second(1), second(3))])

    assert isinstance(batch, Batch)
    [result] = fold(records, [end], gaps=batch.gaps)
    assert result.quality["10s"] == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=6), st.integers(0, 30))
def test_what_is_left_of_a_time_lies_in_no_gap(spans: list[tuple[int, int]], start: int) -> None:
    gaps = [Gap(float(at), float(at + length)) for at, length in spans]

    parts = left_of(gaps, float(start), start + 8.0)

    def is_lost(moment: float) -> bool:
        return any(gap.start < moment < gap.end for gap in gaps)

    moments = [start + 0.5 + n for n in range(8)]
    inside = [m for m in moments if any(begun < m < ended for begun, ended in parts)]
    assert inside == [m for m in moments if not is_lost(m)]
