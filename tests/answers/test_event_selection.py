"""Which events an answer shows, against plain statements of what it may not do."""

from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.answers.event_selection import (
    HistoryBounds,
    Selection,
    by_rarity,
    count_by_kind,
    select_events,
)
from app.storage.published import EventRecord

END = 1_340_285_400_000.0
HISTORY = HistoryBounds(END - 300_000, END)
MOST = 5


def event(
    number: int = 0,
    *,
    return_minutes: float | None = None,
    closed_ago: float | None = None,
    noticed_ago: float = 60,
    statistic: float = 2.0,
) -> EventRecord:
    closed_at = None if closed_ago is None else END - closed_ago * 1000
    return EventRecord(
        id=f"SPY~{number:08}",
        type="wall" if number % 2 else "sweep",
        side="bid",
        status="open" if closed_ago is None else "closed",
        opened_at=END - noticed_ago * 1000,
        noticed_at=END - noticed_ago * 1000,
        updated_at=END,
        closed_at=closed_at,
        close_reason=None if closed_ago is None else "faded",
        evidence_class="A",
        statistic=statistic,
        threshold=1.0,
        return_minutes=return_minutes,
    )


@dataclass
class Drawn:
    """What is drawn of one event."""

    return_minutes: float | None
    closed_ago: float | None
    noticed_ago: float
    statistic: float

    def event(self, number: int) -> EventRecord:
        """Make it, with a number for its id."""
        closed = None if self.closed_ago is None else min(self.closed_ago, self.noticed_ago)
        return event(
            number,
            return_minutes=self.return_minutes,
            closed_ago=closed,
            noticed_ago=self.noticed_ago,
            statistic=self.statistic,
        )


events = st.lists(
    st.builds(
        Drawn,
        return_minutes=st.none() | st.floats(0.1, 400),
        closed_ago=st.none() | st.floats(0, 299),
        noticed_ago=st.floats(0, 299),
        statistic=st.floats(1, 50),
    ),
    max_size=14,
).map(lambda drawn: tuple(one.event(number) for number, one in enumerate(drawn)))


def is_current(one: EventRecord) -> bool:
    return one.closed_at is None or END - one.noticed_at < 10_000


def is_old(one: EventRecord) -> bool:
    return one.closed_at is not None and END - one.closed_at >= 150_000


def could_stand_before(shown: EventRecord, other: EventRecord) -> bool:
    """Return whether `shown` may take a place that `other` did not get."""
    if other.return_minutes is None:
        return True
    if shown.return_minutes is None:
        return False
    factor = 2 if is_current(shown) and not is_current(other) else 1
    return factor * shown.return_minutes >= other.return_minutes


@given(events, st.floats(1, 60))
def test_routine_events_take_no_place_of_a_rarer_one(
    found: tuple[EventRecord, ...], min_return_minutes: float
) -> None:
    shown, others = select_events(found, HISTORY, min_return_minutes)

    for one in shown:
        assert one.return_minutes is None or one.return_minutes >= min_return_minutes
        for other in others:
            is_routine = (other.return_minutes or min_return_minutes) < min_return_minutes
            assert is_routine or is_old(other) or could_stand_before(one, other)


@given(events)
def test_places_are_filled_with_what_is_not_routine_and_not_old(
    found: tuple[EventRecord, ...],
) -> None:
    shown, _ = select_events(found, HISTORY)

    newer = [e for e in found if not is_old(e) and (e.return_minutes or 10) >= 10]
    assert len(shown) >= min(MOST, len(newer))


@given(events)
def test_each_event_is_shown_or_counted_once(found: tuple[EventRecord, ...]) -> None:
    shown, others = select_events(found, HISTORY)

    assert sorted(e.id for e in (*shown, *others)) == sorted(e.id for e in found)
    assert sum(count_by_kind(others).values()) == len(others)


@given(events)
def test_an_old_event_is_shown_only_if_it_is_rarer_than_all_newer_ones(
    found: tuple[EventRecord, ...],
) -> None:
    shown, _ = select_events(found, HISTORY)

    newer = [e for e in found if not is_old(e) and (e.return_minutes or 10) >= 10]
    for one in filter(is_old, shown):
        for other in newer:
            factor = 2 if is_current(other) else 1
            assert (one.return_minutes or 0) >= factor * (other.return_minutes or 0)


@given(events)
def test_a_longer_history_shows_no_fewer_events(found: tuple[EventRecord, ...]) -> None:
    long = HistoryBounds(END - 3_600_000, END)
    short = HistoryBounds(END - 150_000, END)
    within = [e for e in found if e.closed_at is None or e.closed_at > short.start_ms]

    assert len(select_events(found, long).shown) >= len(select_events(within, short).shown)


def ids(selected: Selection) -> list[str]:
    return [e.id[-1] for e in selected.shown]


def test_open_events_stand_before_closed_ones_up_to_twice_as_rare() -> None:
    open_one = event(1, return_minutes=20)
    alike, rarer = (
        event(2, return_minutes=39, closed_ago=30),
        event(3, return_minutes=41, closed_ago=30),
    )

    assert ids(select_events((alike, open_one), HISTORY)) == ["1", "2"]
    assert ids(select_events((open_one, rarer), HISTORY)) == ["3", "1"]


def test_a_sweep_is_current_for_ten_seconds_after_it_was_noticed() -> None:
    just_now = event(2, return_minutes=20, noticed_ago=4, closed_ago=4)
    before = event(4, return_minutes=39, noticed_ago=40, closed_ago=40)

    assert ids(select_events((before, just_now), HISTORY)) == ["2", "4"]


def test_unranked_events_stand_between_rare_and_routine_ones() -> None:
    small, great = event(1, statistic=1.5), event(2, statistic=9.0)
    routine, rare = event(3, return_minutes=2), event(4, return_minutes=12)

    selected = select_events((small, routine, great, rare), HISTORY)

    assert ids(selected) == ["4", "2", "1"]


def test_a_type_with_many_events_of_a_young_ticker_leaves_places_to_others() -> None:
    def of_type(kind: Any, number: int, statistic: float) -> EventRecord:
        one = event(number, statistic=statistic, closed_ago=60 - number)
        return msgspec.structs.replace(one, type=kind)

    sweeps = [of_type("sweep", i, 10.0 + i) for i in range(5)]
    wall = of_type("wall", 5, 1.2)
    icebergs = [of_type("iceberg", 6, 3.0), of_type("iceberg", 7, 4.0)]

    selected = select_events((*sweeps, wall, *icebergs), HISTORY)

    assert ids(selected) == ["5", "7", "4", "6", "3"]


def greater_of_its_type(one: EventRecord, found: tuple[EventRecord, ...]) -> float:
    alike = [e.statistic or 0 for e in found if e.type == one.type and e is not one]
    size = one.statistic or 0
    return sum(it > size for it in alike) + sum(it == size for it in alike) / 2


@given(events.map(lambda found: tuple(e for e in found if e.return_minutes is None)))
def test_an_unranked_event_takes_no_place_of_one_that_fewer_of_its_type_exceed(
    found: tuple[EventRecord, ...],
) -> None:
    shown, others = select_events(found, HISTORY)

    for one in shown:
        for other in others:
            factor = 2 if is_current(one) and not is_current(other) else 1
            rarer = greater_of_its_type(other, found) + 0.5
            assert is_old(other) or greater_of_its_type(one, found) + 0.5 <= factor * rarer


@given(events)
def test_no_list_sinks_an_unranked_event_below_a_routine_one(
    found: tuple[EventRecord, ...],
) -> None:
    listed = [one.return_minutes for one in by_rarity(found, END)]

    routine = [minutes is not None and minutes < 10 for minutes in listed]
    assert routine == sorted(routine)
