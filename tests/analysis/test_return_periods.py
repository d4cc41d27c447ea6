"""Return periods: minutes from one event of a type to the next of at least its statistic."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.analysis.engine import Engine
from app.analysis.patterns.events import Event, Events, Opening
from app.analysis.records import Quote
from app.analysis.return_periods import (
    MAX_PEAKS,
    MAX_WAITING,
    Noticed,
    ObservedTime,
    PastEvents,
    RecentEvents,
    unpack_past_events,
)
from app.storage.tick.codec import encode_bar, encode_state, published_event
from tests.analysis.laws import ends_of, pieces, thawed
from tests.builders import START_MS
from tests.engine_answers import Records, fold
from tests.reference import Reference
from tests.strategies import Flavour

MINUTE_MS = 60_000
HALF_LIFE_MS = 180 * MINUTE_MS
EXACT_FROM_MINUTES = 5
"""Shorter ones come from statistics that were put together."""

Periods = dict[str, tuple[float, bool]]


def long_feed(seed: int, records: int = 3000, silence_share: float = 0.0) -> Records:
    """Make a feed of about two hours with many events."""
    return Flavour(seed, records, 0.35, 0.7, 0.03, silence_share, 1.5, 0.4).stream()


def final_events(records: Records, ends: list[int]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    for result in fold(records, ends):
        found |= {event.id: replace(event) for event in result.changed_events}
    return found


def periods_of(events: dict[str, Event]) -> Periods:
    return {
        name: (event.return_minutes, event.at_least)
        for name, event in events.items()
        if event.return_minutes is not None
    }


@pytest.mark.parametrize(("seed", "silence_share"), [(1, 0.0), (2, 0.004)])
def test_return_periods_are_those_of_the_plain_definition(seed: int, silence_share: float) -> None:
    records = long_feed(seed, silence_share=silence_share)
    ends = ends_of(records)

    ours = periods_of(final_events(records, ends))

    theirs = Reference(records).return_periods(ends[-1])
    assert len(ours) > 100
    assert ours.keys() == theirs.keys()
    for name, (minutes, at_least) in theirs.items():
        rel = 1e-9 if minutes >= EXACT_FROM_MINUTES else 0.1
        assert ours[name] == (pytest.approx(minutes, rel=rel), at_least)


def opened(events: Events, at_minutes: float, statistic: float, key: str = "") -> Event:
    at = START_MS + at_minutes * MINUTE_MS
    return events.open_or_extend(
        Opening("wall", "bid", at, at, statistic, 1.0, "A", {"n": statistic}, key=key or repr(at))
    )


def closed(events: Events, event: Event, after_minutes: float = 0.5) -> None:
    at = event.noticed_at + after_minutes * MINUTE_MS
    events.schedule_close(event, at, "faded")
    events.close_due(int(at) + 6000)


def observing() -> Events:
    events = Events("SPY")
    events.observed.begin(float(START_MS))
    return events


def decayed(minutes: float) -> float:
    return 180 / math.log(2) * (1 - 2 ** (-minutes / 180))


@pytest.mark.parametrize(("at_minutes", "is_known"), [(29.9, False), (30.0, True), (300.0, True)])
def test_the_first_event_is_as_rare_as_the_past_is_long(at_minutes: float, is_known: bool) -> None:  # noqa: FBT001 - a parameter
    event = opened(observing(), at_minutes, 2.0)

    assert event.return_minutes == (pytest.approx(at_minutes) if is_known else None)
    assert event.at_least == is_known
    assert published_event(event).get("at_least") == (True if is_known else None)
    assert ("return_minutes" in published_event(event)) == is_known


@pytest.mark.parametrize(
    ("earlier", "statistic", "k"),
    [
        ([3.0], 2.0, 1.0),
        ([2.0], 2.0, 0.5),
        ([1.0], 2.0, 0.0),
        ([1.0, 2.0, 2.0, 2.0, 5.0], 2.0, 2.5),
        ([0.1 + 0.2], 0.3, 0.5),  # equal as 32-bit floats
    ],
)
def test_greater_ones_count_whole_and_equal_ones_half(
    earlier: list[float], statistic: float, k: float
) -> None:
    events = observing()
    for number, other in enumerate(earlier):
        closed(events, opened(events, 60 + number / 100, other))

    event = opened(events, 240 + 60, statistic)

    weights = 2 ** (-(300 - 60) / 180)
    expected = min(decayed(300) / (k * weights + 0.5), 300)
    assert event.return_minutes == pytest.approx(expected, rel=1e-3)
    assert event.at_least == (k == 0)


def test_an_event_of_the_first_half_hour_is_ranked_only_where_it_grows_after_it() -> None:
    events = observing()
    still = opened(events, 29.9, 2.0)
    grown = opened(events, 29.9, 2.0, key="grown")

    events.update(grown, START_MS + 30.5 * MINUTE_MS, 3.0, {})
    closed(events, still)

    assert still.return_minutes is None
    assert grown.return_minutes == pytest.approx(30.5, abs=0.02)


def test_it_is_taken_again_when_the_peak_grows_and_counts_only_what_was_noticed_before() -> None:
    events = observing()
    closed(events, opened(events, 40, 9.0))
    event = opened(events, 100, 1.0)
    first = event.return_minutes
    closed(events, opened(events, 110, 4.0))  # noticed later, and over sooner
    at = START_MS + 120.0 * MINUTE_MS

    events.update(event, at, 3.0, {"n": 3.0})

    assert first == pytest.approx(decayed(100) / (2 ** (-60 / 180) + 0.5))
    assert event.return_minutes == pytest.approx(decayed(120) / (2 ** (-80 / 180) + 0.5))

    events.update(event, at + MINUTE_MS, 2.0, {"n": 2.0})  # no new peak
    assert event.return_minutes == pytest.approx(decayed(120) / (2 ** (-80 / 180) + 0.5))

    closed(events, event, 30)
    newest = opened(events, 200, 3.5)
    k = 2 ** (-160 / 180) + 2 ** (-90 / 180)
    assert newest.return_minutes == pytest.approx(decayed(200) / (k + 0.5))


def test_an_event_that_still_lives_counts_with_its_peak() -> None:
    events = observing()
    opened(events, 60, 5.0)

    event = opened(events, 120, 2.0)

    assert event.return_minutes == pytest.approx(decayed(120) / (2 ** (-60 / 180) + 0.5))


def test_events_of_one_second_count_what_became_of_the_earlier_ones_meanwhile() -> None:
    events, second = observing(), 1 / 60
    lasting = opened(events, 60, 5.0)

    first = opened(events, 120 - second / 2, 6.0)
    alike = opened(events, 120 - second / 3, 6.0)
    events.update(lasting, START_MS + 120.0 * MINUTE_MS, 9.0, {"n": 9.0})
    after = opened(events, 120 - second / 4, 6.0)
    next_second = opened(events, 120 + second / 2, 6.0)

    assert {first.noticed_at, alike.noticed_at} == {after.noticed_at}
    assert (first.at_least, alike.at_least) == (True, True)
    hour = 2 ** (-60 / 180)
    assert after.return_minutes == pytest.approx(decayed(120) / (hour + 0.5))
    # Three of the second before are equal: half each.
    assert next_second.return_minutes == pytest.approx(decayed(120) / (hour + 1.5 + 0.5), rel=1e-3)


def test_time_in_which_a_ticker_slept_was_not_observed() -> None:
    observed = ObservedTime()
    observed.begin(0.0 + START_MS)
    observed.end(START_MS + 60.0 * MINUTE_MS)
    observed.begin(START_MS + 180.0 * MINUTE_MS)

    at = START_MS + 210.0 * MINUTE_MS
    assert observed.minutes(at) == pytest.approx(90)
    assert observed.decayed_minutes(at) == pytest.approx(
        decayed(60) * 2 ** (-150 / 180) + decayed(30)
    )


def test_a_type_of_many_events_keeps_few_numbers_and_its_rare_ones_exactly() -> None:
    draw = random.Random(1)  # noqa: S311 - a test's, not a secret's
    past, peaks = PastEvents(), []
    for number in range(20_000):
        peaks.append((START_MS + number * 1000, draw.paretovariate(1.5)))
        # Now and then one lives for long, so that the others wait.
        living = START_MS + number // 500 * 500_000
        past.add(Noticed(*peaks[-1]), living)
    at = START_MS + 20_001 * 1000

    assert len(past.peaks) <= MAX_PEAKS
    assert len(past.waiting_peaks) <= MAX_WAITING
    assert len(past.packed()) < 2500
    ordered = sorted((peak for _, peak in peaks), reverse=True)
    for rank in (3, 10, 20, 40, 300, 1000, 5000):
        statistic = ordered[rank] * 1.0001
        k = sum(2 ** ((since - at) / HALF_LIFE_MS) for since, peak in peaks if peak > statistic)
        found = past.count_greater(statistic, at, RecentEvents(at, at, [], past))
        assert found == pytest.approx(k, rel=1e-9 if rank < 10 else 0.1)


@pytest.mark.parametrize("step", [2, 30, 600])
def test_however_the_records_are_cut_the_events_tell_the_same(step: int) -> None:
    records = long_feed(3, 2000)
    whole = periods_of(final_events(records, ends_of(records)))

    assert whole
    assert periods_of(final_events(records, ends_of(records, step))) == whole


def test_a_restart_changes_no_byte() -> None:
    records = long_feed(4, 2000)
    ends = ends_of(records)
    whole, again = Engine.new("LAW"), Engine.new("LAW")
    bars: list[bytes] = []

    for number, (batch, end) in enumerate(pieces(records, ends)):
        ours = whole.advance(batch, end)
        theirs = again.advance(batch, end)
        assert [published_event(event) for event in theirs.changed_events] == [
            published_event(event) for event in ours.changed_events
        ]
        bars += [encode_bar(bar) for bar in theirs.final_bars]
        if number % 101 == 0:
            again = thawed(again, bars)
    stored = encode_state(whole.state)
    assert encode_state(again.state) == stored
    assert sum(map(len, stored.past_events.values())) > 500


def halved(records: Records) -> Records:
    return [
        replace(r, bid_size=r.bid_size / 2, ask_size=r.ask_size / 2)
        if isinstance(r, Quote)
        else replace(r, size=r.size / 2)
        for r in records
    ]


def delayed(records: Records) -> Records:
    return [replace(r, stamp=r.stamp + 3_600_000) for r in records]


@pytest.mark.parametrize("change", [halved, delayed])
def test_units_and_the_clock_change_no_return_period(change: Callable[[Records], Records]) -> None:
    records = long_feed(5, 2000)
    other = change(records)

    def told(of: Records) -> list[tuple[object, ...]]:
        shift = of[0].stamp - records[0].stamp
        events = final_events(of, ends_of(of)).values()
        return sorted(
            (e.type, e.side, e.opened_at - shift, e.return_minutes or 0, e.at_least) for e in events
        )

    assert told(other) == told(records)


@pytest.mark.parametrize("damage", [b"", b"\0"])
def test_bytes_that_are_no_past_events_are_refused(damage: bytes) -> None:
    past = PastEvents()
    past.add(Noticed(START_MS, 2.0), 0)

    with pytest.raises(ValueError, match="past events"):
        unpack_past_events(past.packed()[:-3] + damage)
