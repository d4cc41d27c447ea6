"""What was rarest is found in hindsight, and whether it was shown first is counted."""

from dataclasses import replace

from app.analysis.patterns.events import Event
from app.evaluation.relevance import (
    Hindsight,
    PastEvent,
    ShownFirst,
    SoonAnswered,
    fold_events,
    rarest_events,
    share_of_moments,
    share_shown,
    soon_answered,
)
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting import KINDS
from app.evaluation.scorecard.simulated_books import simulated_day
from app.feeds.tape import Tape
from benchmarks.relevance import Planted, report, shown_over

HOUR_MINUTES = 60.0
EVERY_SECONDS = 20


def past(
    name: str, noticed: int, *statistics: float, kind: str = "wall", side: str = "bid"
) -> PastEvent:
    """Return an event noticed at a second, whose statistic grew each second from then on."""
    changed = [(noticed + i) * 1000 for i in range(len(statistics))]
    event = Event(
        id=name,
        type=kind,
        side=side,
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
    return PastEvent(event, changed, [*statistics], [None for _ in statistics])


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

    rarest = [*rarest_events(answers, found)]
    assert [it.event.id for it in rarest] == ["rare", "later"]
    counted = share_shown(soon_answered(answers, found, rarest))
    assert (counted.hits, counted.of) == (1, 2)
    assert str(counted) == "1 of 2, 50.0%"
    moments = share_of_moments(answers, found)
    assert (moments.hits, moments.of) == (1, 4)


def test_an_event_shown_later_than_ten_seconds_does_not_count() -> None:
    answers = [ShownFirst(100_000, []), ShownFirst(111_000, ["a"])]

    assert not soon(answers, past("a", 100, 1.0)).is_shown
    assert soon(answers, past("a", 101, 1.0)).is_shown
    assert not [*soon_answered(answers, hindsight(), [past("a", 112, 1.0)])]


def soon(answers: list[ShownFirst], it: PastEvent, *others: PastEvent) -> SoonAnswered:
    [found] = soon_answered(answers, hindsight(it, *others), [it])
    return found


def test_an_event_counts_by_what_an_answer_within_ten_seconds_knew_of_it() -> None:
    growing = past("a", 10, 1.0)
    for second, statistic, minutes in ((14, 2.0, 9.0), (19, 5.0, 12.0), (21, 9.0, 90.0)):
        grown = replace(growing.event, statistic=statistic, return_minutes=minutes)
        growing.add(grown, second * 1000)
    greater = past("b", 0, 3.0)

    each_second = [ShownFirst(second * 1000, []) for second in range(10, 30)]
    assert soon(each_second, growing, greater).known_minutes == 12.0
    assert soon(each_second, growing, greater).return_minutes == 60 / 0.5
    # Of what it grew to between the last answer in time and its tenth second, no answer can tell.
    each_fifth = [ShownFirst(second * 1000, []) for second in (13, 18, 23)]
    assert soon(each_fifth, growing, greater).known_minutes == 9.0
    assert soon(each_fifth, growing, greater).return_minutes == 60 / 1.5


def test_an_event_that_three_rarer_ones_stand_before_can_not_be_first() -> None:
    rarer = [past(f"rarer{i}", 100 + i, 9.0 + i) for i in range(3)]
    usual = past("usual", 110, 1.0)

    assert not soon([ShownFirst(111_000, [])], usual, *rarer).is_among_rarest
    assert soon([ShownFirst(111_000, [])], usual, *rarer[:2]).is_among_rarest
    # At 400 s the first of them was noticed five minutes before.
    later = past("later", 400, 1.0)
    assert not soon([ShownFirst(400_000, [])], later, *rarer, past("d", 399, 2.0)).is_among_rarest
    assert soon([ShownFirst(400_000, [])], later, *rarer).is_among_rarest


def test_planted_events_are_reported_by_whether_they_can_be_first_and_are_rare() -> None:
    rarer = [past(f"rarer{i}", 100 + i, 9.0 + i) for i in range(3)]
    usual, growing = past("usual", 110, 1.0, side="ask"), past("growing", 111, 2.0, side="both")
    growing.add(replace(growing.event, statistic=9.5, return_minutes=30.0), 112_000)
    wall = next(kind for kind in KINDS if kind.pattern == "wall")
    planted = [
        Planted(wall, "large", TrueEvent("wall", side, 110_000.0, 112_000.0))
        for side in ("ask", "both")
    ]

    def lines(*shown: str) -> list[str]:
        answers = [ShownFirst(115_000, shown)]
        found = hindsight(*rarer, usual, growing)
        return [line for line in report(found, answers, planted, 0) if line.startswith(("p", " "))]

    assert lines("growing", "usual") == [
        "planted: 2",
        "planted and found: 2 of 2, 100.0%",
        "planted and found, rare in hindsight: 2 of 2, 100.0%",
        "planted and found, known rare: 1 of 1, 100.0%",
        "planted, can be first: 1 of 1, 100.0%",
        "planted, can be first, rare in hindsight: 1 of 1, 100.0%",
        "planted, can be first, known rare: 1 of 1, 100.0%",
    ]
    assert lines("usual", "rarer1")[-2:] == [
        "planted, can be first, known rare: 0 of 1, 0.0%",
        "  not shown: wall both, 24.0 min, then 30.0; before it wall ask 0.0, wall bid 0.0",
    ]


def test_what_is_selected_along_a_tape_is_what_answers_show_first() -> None:
    tape = Tape(simulated_day("AAPL", 1, 400), [])

    shown, found = fold_events("AAPL", tape, EVERY_SECONDS)

    assert shown == [*shown_over("AAPL", tape, EVERY_SECONDS)]
    told = {name for one in shown for name in one.ids}
    assert len(told) > 3
    assert told <= {it.event.id for it in found.events}
