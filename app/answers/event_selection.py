"""Select the events that an answer shows, rarest first, and count the others."""

from bisect import bisect_left, bisect_right
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
LONGEST_NOTICE_MS: Final = 120_000
"""The most time from an event's opening to its notice."""


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
    *,
    has_old: bool = False,
) -> Selection:
    """Return the events to show, the first `most` of `rank_events`, and all others."""
    events = tuple(events)
    return first_of(rank_events(events, history, min_return_minutes, has_old=has_old), events, most)


def first_of(ranked: Sequence[EventRecord], events: Sequence[EventRecord], most: int) -> Selection:
    """Return the first `most` of the ranked events, and all other events."""
    shown = tuple(ranked[:most])
    taken = {id(event) for event in shown}
    return Selection(shown, tuple(event for event in events if id(event) not in taken))


def rank_events(
    events: Sequence[EventRecord],
    history: HistoryBounds,
    min_return_minutes: float = MIN_RETURN_MINUTES,
    *,
    has_old: bool = False,
) -> list[EventRecord]:
    """Return the events that may be shown: see `Ranking.rarity` for their order.

    Routine events are none. Unless `has_old`, one that ended in the older half of the history is
    one only if it is rarer than all that are current or newer.
    """
    rarity = Ranking.of(events, history.end_ms).rarity
    rare = (event for event in events if not is_routine(event, min_return_minutes))
    ranked = sorted(((rarity(event), event) for event in rare), key=_first, reverse=True)
    if not has_old:
        ranked = _without_outshone(ranked, history)
    return [event for _, event in ranked]


def _first(ranked: "tuple[Rarity, EventRecord]") -> "Rarity":
    return ranked[0]


def _without_outshone(
    ranked: "Sequence[tuple[Rarity, EventRecord]]", history: HistoryBounds
) -> "list[tuple[Rarity, EventRecord]]":
    """Leave out what ended in the older half of the history, unless rarer than all newer events."""
    middle_ms = history.middle_ms
    newer = [one for one in ranked if _ended_after(one[1], middle_ms)]
    rarest = newer[0][0] if newer else _LEAST
    older = [one for one in ranked if one[0] > rarest and not _ended_after(one[1], middle_ms)]
    return [*older, *newer]


def check_return_minutes(minutes: float) -> None:
    """Raise `BadQuestion` unless `min_return_minutes`, as asked, lies within its bounds."""
    check_range("min_return_minutes", minutes, 0, MAX_RETURN_MINUTES)


def is_routine(event: EventRecord, min_return_minutes: float = MIN_RETURN_MINUTES) -> bool:
    """Return whether an event is known to come more often than every `min_return_minutes`."""
    return event.return_minutes is not None and event.return_minutes < min_return_minutes


def by_rarity(
    events: Iterable[EventRecord], now_ms: float, min_return_minutes: float = MIN_RETURN_MINUTES
) -> list[EventRecord]:
    """Return events rarest first, routine ones last, also behind unranked ones."""
    events = tuple(events)
    ranking = Ranking.of(events, now_ms)

    def place(event: EventRecord) -> tuple[bool, Rarity]:
        return not is_routine(event, min_return_minutes), ranking.rarity(event)

    return sorted(events, key=place, reverse=True)


Rarity = tuple[bool, float, float, float]


class Ranked(NamedTuple):
    """An event, and how rare it is among others."""

    rarity: Rarity
    event: EventRecord


def rank_current(events: Iterable[EventRecord], at_ms: float) -> list[Ranked]:
    """Return the events that are current at a moment, the rarest among themselves first.

    The board and an answer's first line both ask as of a ticker's newest tick, and so name the same
    event first. A scan asks as of now, less what the ticker's feed is behind.
    """
    current = [event for event in events if is_current(event, at_ms)]
    rarity = Ranking.of(current, at_ms).rarity
    ranked = [Ranked(rarity(event), event) for event in current]
    # By id where all else is equal: events are read in any order.
    return sorted(ranked, key=lambda it: (it.rarity, it.event.id), reverse=True)


def rarest_current(
    events: Iterable[EventRecord], at_ms: float, min_return_minutes: float = MIN_RETURN_MINUTES
) -> Ranked | None:
    """Return the rarest current event that is not routine, None where there is none."""
    ranked = rank_current(events, at_ms)
    return next((it for it in ranked if not is_routine(it.event, min_return_minutes)), None)


_LEAST: Final[Rarity] = (False, 0.0, 0.0, 0.0)


class Ranking(NamedTuple):
    """The order of one ticker's events by rarity, as of a moment.

    `statistics` are those of its events by type, in their order; empty where all have a return
    period.
    """

    now_ms: float
    statistics: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, events: Sequence[EventRecord], now_ms: float) -> "Ranking":
        """Return the ranking of some events among themselves."""
        if all(event.return_minutes is not None for event in events):
            return cls(now_ms, {})
        statistics: dict[str, list[float]] = {}
        for event in events:
            if event.statistic is not None:
                statistics.setdefault(event.type, []).append(event.statistic)
        return cls(now_ms, {kind: sorted(found) for kind, found in statistics.items()})

    def rarity(self, event: EventRecord) -> Rarity:
        """Return a sort key: return period, doubled while current; of equal ones the newest first.

        Events without a return period, as of a young ticker, rank behind those with one. As return
        periods are, theirs is by how many of their type are greater, among the events at hand: so
        the greatest of each type stand before the second of any, of rare types first.
        """
        factor = CURRENT_FACTOR if is_current(event, self.now_ms) else 1.0
        if event.return_minutes is not None:
            return (
                True,
                factor * event.return_minutes,
                over_threshold(event) or 0.0,
                event.noticed_at,
            )
        if event.statistic is None:
            return False, 0.0, 0.0, event.noticed_at
        alike = self.statistics[event.type]
        greater = len(alike) - bisect_right(alike, event.statistic)
        equal = len(alike) - greater - bisect_left(alike, event.statistic) - 1
        return False, factor / (greater + equal / 2 + 0.5), -float(len(alike)), event.noticed_at


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
