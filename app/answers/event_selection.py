"""Select the events that an answer shows, and order them."""

from collections.abc import Iterable

from app.storage.published import EventRecord

MAX_EVENTS = 5


def top_events(events: Iterable[EventRecord]) -> list[EventRecord]:
    """Return the first `MAX_EVENTS` events by rank; see `event_rank`."""
    return sorted(events, key=event_rank, reverse=True)[:MAX_EVENTS]


def event_rank(event: EventRecord) -> tuple[bool, float, float]:
    """Return a sort key, greatest first: open before closed, then by strength, then the newest."""
    return (
        event.status == "open",
        -1.0 if event.strength is None else event.strength,
        event.opened_at,
    )
