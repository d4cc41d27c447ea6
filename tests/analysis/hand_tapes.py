"""Tapes whose answers are worked out by hand, and how both readings are asked about them."""

from collections.abc import Callable
from typing import Any

from tests.builders import quote, trade
from tests.engine_answers import EngineAnswers, Records
from tests.reference import Reference

Answers = Reference | EngineAnswers
Analyse = Callable[[Records], Answers]
Event = dict[str, Any]


def calm(seconds: int, start: int = 0) -> Records:
    """Make one unchanged quote a second: every size is 100, the spread five ticks."""
    return [quote(at=start + number) for number in range(seconds)]


def many_prices() -> Records:
    """Quote twenty prices of whole cents within a second, so that the tick is known."""
    return [quote(at=0.01 * k, bid=9 + k / 100, ask=10.05) for k in range(21)]


def swaying(seconds: int) -> Records:
    """Move ten shares a second from one side to the other; at even seconds the bid has fallen."""
    return [
        quote(at=k, bid_size=90 + 10 * (k % 2), ask_size=100 - 10 * (k % 2)) for k in range(seconds)
    ]


def bought_at_ask(size: float, price: float = 10.05) -> Records:
    """Buy so much 44 times within five seconds: the q75 of market orders is known after 40."""
    return [trade(at=0.1 + k / 10, price=price, size=size, aggressor="buy") for k in range(44)]


def all_of(answers: Answers, event_type: str, until: int) -> list[Event]:
    """Return the events of a type."""
    return [event for event in answers.events(until) if event["type"] == event_type]


def only(answers: Answers, event_type: str, until: int) -> Event:
    """Return the one event of its type."""
    found = all_of(answers, event_type, until)
    assert len(found) == 1
    return found[0]
