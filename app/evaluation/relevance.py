"""How often answers show first what was rarest, by a ranking that is made in hindsight.

An event's rarity at a moment is by the statistic that it had by then, among the peaks of all
events of its type on the whole tape: tape's minutes/(greater ones + half the equal ones + ½).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.results import TickResult
from app.answers.event_selection import HistoryBounds, select_events
from app.evaluation.analyze_tape import Ticks, tick_results
from app.feeds.tape import Tape
from app.storage.published import EventRecord, read_event
from app.storage.tick.codec import event_json

SHOWN = 3
WINDOW_MS = 300 * SECOND_MS
SOON_MS = 10 * SECOND_MS
_MINUTE_MS = 60 * SECOND_MS


@dataclass(slots=True)
class PastEvent:
    """An event in its final form, and what it was known to be from each tick on that changed it."""

    event: Event
    changed_at: list[int] = field(default_factory=list)
    statistics: list[float] = field(default_factory=list)
    return_minutes: list[float | None] = field(default_factory=list)

    def add(self, event: Event, as_of_ms: int) -> None:
        """Add what a tick changed."""
        self.event = event
        self.changed_at.append(as_of_ms)
        self.statistics.append(event.statistic)
        self.return_minutes.append(event.return_minutes)

    def known_minutes(self, moment_ms: int) -> float:
        """Return the return period as known at a moment, 0 where none was."""
        return self.return_minutes[self._place(moment_ms)] or 0.0

    def statistic_at(self, moment_ms: int) -> float:
        """Return the statistic as known at a moment at or after its noticing."""
        return self.statistics[self._place(moment_ms)]

    def _place(self, moment_ms: int) -> int:
        return max(0, bisect_right(self.changed_at, moment_ms) - 1)


class Hindsight:
    """All events of a tape."""

    def __init__(self, events: Mapping[str, PastEvent], minutes: float) -> None:
        self.events = sorted(events.values(), key=lambda it: it.event.noticed_at)
        self._noticed = [it.event.noticed_at for it in self.events]
        self._minutes = minutes
        self._peaks: dict[str, list[float]] = {}
        for it in self.events:
            self._peaks.setdefault(it.event.type, []).append(it.event.statistic)
        for peaks in self._peaks.values():
            peaks.sort()

    def return_minutes(self, it: PastEvent, moment_ms: int) -> float:
        """Return an event's rarity by the statistic that it had at a moment."""
        peaks, statistic = self._peaks[it.event.type], it.statistic_at(moment_ms)
        equal = bisect_right(peaks, statistic) - bisect_left(peaks, statistic)
        greater = len(peaks) - bisect_right(peaks, statistic)
        # Itself is one of them.
        is_equal = it.event.statistic == statistic
        others = greater + (equal - 1) / 2 if is_equal else greater - 1 + equal / 2
        return self._minutes / (others + 0.5)

    def noticed_between(self, after_ms: float, until_ms: float) -> Sequence[PastEvent]:
        """Return the events noticed in (after, until]."""
        return self.events[
            bisect_right(self._noticed, after_ms) : bisect_right(self._noticed, until_ms)
        ]

    def rarest(self, moment_ms: int) -> PastEvent | None:
        """Return the rarest event noticed in the five minutes up to a moment."""
        found = self.noticed_between(moment_ms - WINDOW_MS, moment_ms)
        return max(found, key=lambda it: self.return_minutes(it, moment_ms), default=None)

    def is_among_rarest(self, it: PastEvent, moment_ms: int) -> bool:
        """Return whether fewer than `SHOWN` events of its last five minutes were rarer."""
        minutes = self.return_minutes(it, moment_ms)
        others = self.noticed_between(moment_ms - WINDOW_MS, moment_ms)
        return sum(self.return_minutes(one, moment_ms) > minutes for one in others) < SHOWN


@dataclass(frozen=True, slots=True)
class ShownFirst:
    """The ids of the events that an answer showed first."""

    as_of_ms: int
    ids: Sequence[str]


class PublishedEvents:
    """A ticker's events as a reader finds them: open, or closed within the history of an answer."""

    def __init__(self, ticker: str) -> None:
        self._ticker = ticker
        self._events: dict[str, EventRecord] = {}

    def publish(self, result: TickResult) -> None:
        """Publish what a tick changed."""
        for event in result.changed_events:
            published = read_event(event_json(event).encode(), self._ticker)
            if published is not None:
                self._events[event.id] = published

    def first_shown(self, as_of_ms: int) -> ShownFirst:
        """Return which events an answer would show first."""
        history = HistoryBounds(as_of_ms - WINDOW_MS, as_of_ms)
        self._events = {
            name: event
            for name, event in self._events.items()
            if event.closed_at is None or event.closed_at > history.start_ms
        }
        newest_first = sorted(self._events.values(), key=lambda event: -event.opened_at)
        shown = select_events(newest_first, history).shown
        return ShownFirst(as_of_ms, [event.id for event in shown[:SHOWN]])


def fold_events(ticker: str, tape: Tape, every_seconds: int) -> tuple[list[ShownFirst], Hindsight]:
    """Fold a tape: return what answers would show first along it, and all of its events."""
    events: dict[str, PastEvent] = {}
    published, shown = PublishedEvents(ticker), []
    ticks = Ticks.of(tape, SECOND_MS)
    for result in tick_results(Engine.new(ticker), tape, ticks):
        for event in result.changed_events:
            events.setdefault(event.id, PastEvent(event)).add(event, result.as_of)
        published.publish(result)
        if result.as_of // SECOND_MS % every_seconds == 0:
            shown.append(published.first_shown(result.as_of))
    return shown, Hindsight(events, (ticks.last - ticks.first) / _MINUTE_MS)


@dataclass(slots=True)
class Share:
    """So many of so many."""

    hits: int = 0
    of: int = 0

    def count(self, *, is_hit: bool) -> None:
        """Count one."""
        self.hits += is_hit
        self.of += 1

    def __str__(self) -> str:
        return f"{self.hits} of {self.of}" + (f", {self.hits / self.of:.1%}" if self.of else "")


class SoonAnswered(NamedTuple):
    """An event at the answers that were given within 10 s of its noticing."""

    event: Event
    is_shown: bool
    """Whether any showed it first."""
    is_among_rarest: bool
    """Whether it was among the three rarest at any: else none that goes by rarity can show it."""
    return_minutes: float
    """Its greatest rarity at any, in hindsight."""
    known_minutes: float
    """The greatest return period that any knew, 0 without one."""
    last: ShownFirst


def soon_answered(
    shown: Sequence[ShownFirst], hindsight: Hindsight, events: Iterable[PastEvent]
) -> Iterator[SoonAnswered]:
    """Yield what the answers soon after each event's noticing showed, and knew of it."""
    moments = [one.as_of_ms for one in shown]
    for it in events:
        noticed = it.event.noticed_at
        soon = shown[bisect_left(moments, noticed) : bisect_right(moments, noticed + SOON_MS)]
        if soon:
            at_ms = [one.as_of_ms for one in soon]
            yield SoonAnswered(
                it.event,
                any(it.event.id in one.ids for one in soon),
                any(hindsight.is_among_rarest(it, moment) for moment in at_ms),
                max(hindsight.return_minutes(it, moment) for moment in at_ms),
                max(it.known_minutes(moment) for moment in at_ms),
                soon[-1],
            )


def share_shown(events: Iterable[SoonAnswered]) -> Share:
    """Count the events that were shown first."""
    share = Share()
    for one in events:
        share.count(is_hit=one.is_shown)
    return share


def rarest_events(
    shown: Sequence[ShownFirst], hindsight: Hindsight, from_ms: float = 0
) -> Iterator[PastEvent]:
    """Yield the events that were the rarest of five minutes within 10 s of their noticing."""
    told: set[str] = set()
    for one in shown:
        found = hindsight.rarest(one.as_of_ms)
        if found is None or found.event.id in told or one.as_of_ms <= from_ms:
            continue
        if one.as_of_ms - found.event.noticed_at <= SOON_MS:
            told.add(found.event.id)
            yield found


def share_of_moments(
    shown: Sequence[ShownFirst], hindsight: Hindsight, from_ms: float = 0
) -> Share:
    """Count the answers that show first the rarest event noticed in their last five minutes."""
    share = Share()
    for one in shown:
        found = hindsight.rarest(one.as_of_ms)
        if found is not None and one.as_of_ms > from_ms:
            share.count(is_hit=found.event.id in one.ids)
    return share
