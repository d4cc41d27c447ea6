"""What was rarest is found in hindsight, and whether it was shown first is counted."""

from dataclasses import replace

from app.analysis.patterns.events import Event
from app.evaluation.relevance import (
    Hindsight,
    PastEvent,
    ShownFirst,
    fold_events,
    rarest_events,
    share_of_events,
    share_of_moments,
)
from app.evaluation.scorecard.simulated_books import simulated_day
from app.feeds.tape import Tape
from benchmarks.relevance import shown_over

HOUR_MINUTES = 60.0
EVERY_SECONDS = 20


def past(name: str, noticed: int, *statistics: float, kind: str = "wall") -> PastEvent:
    """Return an event noticed at a second, whose statistic grew each second from then on."""
    changed = [(noticed + i) * 1000 for i in range(len(statistics))]
    event = Event(
        id=name,
        type=kind,
        side="bid",
        status="open",
        opened_at=noticed * 1000.0,
        noticed_at=noticed * 1000,
        updated_at=changed[-1],
        closed_at=None,
        close_reason=None,
        price_low=None,
        price_high=None,
        strength=None,
        evidence_class="A",
        statistic=statistics[-1],
        threshold=1.0,
        evidence={},
    )
    return PastEvent(event, changed, [*statistics])


def hindsight(*events: PastEvent) -> Hindsight:
    return Hindsight({it.event.id: it for it in events}, HOUR_MINUTES)


def test_rarity_counts_greater_peaks_and_half_the_equal_ones() -> None:
    one, two, three = past("a", 10, 1.0), past("b", 20, 2.0), past("c", 30, 2.0)
    found = hindsight(one, two, three)

    assert found.return_minutes(one, 10_000) == 60 / 2.5
    assert found.return_minutes(two, 20_000) == 60 / 1.0
    assert hindsight(two, past("d", 5, 9.0, kind="sweep")).return_minutes(two, 20_000) == 60 / 0.5


def test_rarity_is_by_what_was_known_at_the_moment() -> None:
    growing = past("a", 10, 1.0, 2.0, 5.0)
    found = hindsight(growing, past("b", 0, 3.0))

    # Its own later peak is no other event.
    assert found.return_minutes(growing, 10_000) == 60 / 1.5
    assert found.return_minutes(growing, 12_000) == 60 / 0.5
    assert found.return_minutes(growing, 99_000) == 60 / 0.5


def test_the_rarest_of_five_minutes_is_shown_first_or_not() -> None:
    rare, usual, later = past("rare", 100, 9.0), past("usual", 105, 1.0), past("later", 500, 2.0)
    found = hindsight(rare, usual, later)
    answers = [
        ShownFirst(102_000, ["usual"]),
        ShownFirst(107_000, ["usual", "rare"]),
        ShownFirst(300_000, ["usual"]),
        ShownFirst(505_000, []),
    ]

    assert [event.id for event in rarest_events(answers, found)] == ["rare", "later"]
    counted = share_of_events(answers, rarest_events(answers, found))
    assert (counted.hits, counted.of) == (1, 2)
    assert str(counted) == "1 of 2, 50.0%"
    moments = share_of_moments(answers, found)
    assert (moments.hits, moments.of) == (1, 4)


def test_an_event_shown_later_than_ten_seconds_does_not_count() -> None:
    answers = [ShownFirst(100_000, []), ShownFirst(111_000, ["a"])]

    assert share_of_events(answers, [past("a", 100, 1.0).event]).hits == 0
    assert share_of_events(answers, [past("a", 101, 1.0).event]).hits == 1


def test_what_was_known_within_ten_seconds_is_not_what_came_later() -> None:
    growing = past("a", 10, 1.0)
    growing.return_minutes.append(5.0)
    growing.add(replace(growing.event, statistic=2.0, return_minutes=12.0), 19_000)
    growing.add(replace(growing.event, statistic=9.0, return_minutes=90.0), 21_000)

    assert growing.soon_known_minutes() == 12.0
    assert hindsight(growing, past("b", 0, 3.0)).soon_return_minutes(growing) == 60 / 1.5


def test_what_is_selected_along_a_tape_is_what_answers_show_first() -> None:
    tape = Tape(simulated_day("AAPL", 1, 400), [])

    shown, found = fold_events("AAPL", tape, EVERY_SECONDS)

    assert shown == [*shown_over("AAPL", tape, EVERY_SECONDS)]
    told = {name for one in shown for name in one.ids}
    assert len(told) > 3
    assert told <= {it.event.id for it in found.events}
