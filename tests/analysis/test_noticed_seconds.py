"""The first second of the living events is known, however many open and close."""

import random
import time

from app.analysis.patterns.events import Event, Events, Opening
from app.analysis.patterns.noticed_seconds import NoticedSeconds
from tests.builders import START_MS
from tests.timing import AssertWithin

MANY = 30_000


def test_the_first_second_is_that_of_a_plain_search() -> None:
    draw = random.Random(5)  # noqa: S311 - a test's, not a secret's
    living = [draw.randrange(1, 40) for _ in range(10)]
    noticed = NoticedSeconds(living)

    for _ in range(2000):
        if living and draw.random() < 0.5:
            noticed.remove(living.pop(draw.randrange(len(living))))
        else:
            living.append(draw.randrange(1, 40))
            noticed.add(living[-1])
        assert noticed.first() == min(living, default=0)


def gap(number: int) -> Opening:
    at = float(START_MS + number % 1000)
    return Opening("price_gap", "ask", at, at, 1.0, 1.0, "A", {}, number, number, f"{number}")


def test_many_events_close_in_one_second_in_a_time_that_their_number_bounds(
    assert_within: AssertWithin,
) -> None:
    events = Events("SPY")
    opened: list[Event] = [events.open_or_extend(gap(number)) for number in range(MANY)]
    for event in opened:
        events.schedule_close(event, event.opened_at, "elapsed")

    began = time.thread_time()
    events.close_due(START_MS + 10_000)

    # Compared with each other, they would take several seconds.
    assert_within(1, time.thread_time() - began)
    assert not events.live
    assert len(events.take_changed()) == MANY
    assert not events.past_of("price_gap").waiting_since
