"""Select the events that an answer shows, rarest first, and count the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from app.answers.event_words import over_threshold
from app.core.arguments import check_range
from app.storage.published import EventRecord

MAX_EVENTS: Final = 5
MIN_RETURN_MINUTES: Final = 10.0
"""Events that come more often are routine: they are counted, not shown."""
MAX_RETURN_MINUTES: Final = 1440
CURRENT_FACTOR: Final = 2.0
"""A current event stands before a past one that is up to this much rarer."""
RECENT_MS: Final = 10_000
"""How recently a closed event was noticed to be current: points, such as sweeps, last 1 s."""


class Selection(NamedTuple):
    """The events that an answer shows, in their order, and all others."""

    shown: tuple[EventRecord, ...]
    others: tuple[EventRecord, ...]


class HistoryBounds(NamedTuple):
    """The start and the end of an answer's history in epoch ms."""

    start_ms: float
    end_ms: float

    @property
    def middle_ms(self) -> float:
        """Return the instant at which the newer half of the history begins."""
        return (self.start_ms + self.end_ms) / 2


def select_events(
    events: Iterable[EventRecord],
    history: HistoryBounds,
    min_return_minutes: float = MIN_RETURN_MINUTES,
    most: int = MAX_EVENTS,
) -> Selection:
    """Return the events to show: see `rarity` for their order.

    Routine events are never shown. One that ended in the older half of the history is shown only if
    it is rarer than all that are current or newer.
    """
    events = tuple(events)
    rare = (event for event in events if not is_routine(event, min_return_minutes))
    ranked = by_rarity(rare, history.end_ms, min_return_minutes)
    newer = [event for event in ranked if _ended_after(event, history.middle_ms)]
    rarest = rarity(newer[0], history.end_ms) if newer else _LEAST
    older = [
        event
        for event in ranked
        if not _ended_after(event, history.middle_ms) and rarity(event, history.end_ms) > rarest
    ]
    shown = tuple([*older, *newer][:most])
    others = (event for event in events if not any(event is one for one in shown))
    return Selection(shown, tuple(others))


def check_return_minutes(minutes: float) -> None:
    """Raise `BadQuestion` unless `min_return_minutes`, as asked, lies within its bounds."""
    check_range("min_return_minutes", minutes, 0, MAX_RETURN_MINUTES)


def is_routine(event: EventRecord, min_return_minutes: float = MIN_RETURN_MINUTES) -> bool:
    """Return whether an event is known to come more often than every `min_return_minutes`."""
    return event.return_minutes is not None and event.return_minutes < min_return_minutes


def by_rarity(
    events: Iterable[EventRecord], now_ms: float, min_return_minutes: float = MIN_RETURN_MINUTES
) -> list[EventRecord]:
    """Return events rarest first, routine ones last, also behind unranked ones; see `rarity`."""

    def place(event: EventRecord) -> tuple[bool, Rarity]:
        return not is_routine(event, min_return_minutes), rarity(event, now_ms)

    return sorted(events, key=place, reverse=True)


Rarity = tuple[bool, float, float, float]
_LEAST: Final[Rarity] = (False, 0.0, 0.0, 0.0)


def rarity(event: EventRecord, now_ms: float) -> Rarity:
    """Return a sort key: return period, doubled while current, then statistic over threshold.

    An event without a return period, as of a young ticker, ranks behind those with one and by its
    statistic over its threshold; of equal ones the newest is first.
    """
    factor = CURRENT_FACTOR if is_current(event, now_ms) else 1.0
    ratio = over_threshold(event) or 0.0
    if event.return_minutes is None:
        return False, factor * ratio, 0.0, event.noticed_at
    return True, factor * event.return_minutes, ratio, event.noticed_at


def is_current(event: EventRecord, now_ms: float) -> bool:
    """Return whether an event is open or was noticed in the last 10 s."""
    return event.status == "open" or event.noticed_at > now_ms - RECENT_MS


def _ended_after(event: EventRecord, at_ms: float) -> bool:
    return event.closed_at is None or event.closed_at > at_ms


def count_by_kind(events: Sequence[EventRecord]) -> Mapping[tuple[str, str], int]:
    """Return how many events there are of each type and side, most first."""
    counts: dict[tuple[str, str], int] = {}
    for event in events:
        kind = event.type, event.side
        counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
