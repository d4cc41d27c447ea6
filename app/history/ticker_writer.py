"""Take what is final of one ticker out of Redis, and write it to its files.

All that is remembered between two visits can be found again in the files and in Redis, so that a
writer that is killed goes on where it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.core.errors import HistoryFileNewer, HistoryFileUnreadable
from app.history.event_rows import KeptEvent
from app.history.moves import LONGEST_MS, moves_after
from app.history.session_row import KeptSession
from app.history.source import (
    SETTLED_MS,
    HistorySource,
    TickerState,
    id_of_member,
    new_events,
)
from app.history.ticker_files import Lost, NewSeconds, TickerFiles
from app.storage.keys import BARS_LIFETIME_SECONDS, PATTERNS_LIFETIME_SECONDS
from app.storage.published import EventRecord, Value

SECONDS_EVERY_MS: Final = 900_000
"""Seconds are written this often: Redis holds them for two hours, and a file is written whole."""
WEAK_EVENTS_MS: Final = 600_000
"""Closed events below the median strength are in Redis this long."""
MAX_WAITING: Final = 20_000
"""So many events of a ticker wait for a disk that takes nothing, then the oldest are lost."""
_WATCHED_AGE_MS: Final = (PATTERNS_LIFETIME_SECONDS - 600) * SECOND_MS
"""An event open for longer may leave Redis seconds after it closes."""


@dataclass(slots=True)
class Totals:
    """What a writer did since it began."""

    seconds: int = 0
    events: int = 0
    sessions: int = 0
    lost_seconds: float = 0.0
    lost_bars: int = 0
    lost_events: int = 0
    newest_ms: int = 0


@dataclass(slots=True)
class _Progress:
    """How far a ticker is written; times in epoch ms.

    `written` are the ids of events that are in the files and may still be in Redis; `waiting` are
    events in their final form that wait for what follows them, or for a disk, by id; `watched` when
    the events were opened that have been open for long. `lost_events` are times of which events may
    be missing, which no file tells yet. `final_sessions` are the opens of sessions
    that are in the files as of their end.
    """

    newest_ms: int = 0
    corrected_at: int = 0
    written: set[str] = field(default_factory=set)
    waiting: dict[str, EventRecord] = field(default_factory=dict)
    watched: dict[str, float] = field(default_factory=dict)
    lost_events: list[Lost] = field(default_factory=list)
    final_sessions: set[Value] = field(default_factory=set)
    is_session_due: bool = True


class TickerWriter:
    """Writes one ticker; `read_to_ms` is up to when a former writer had read, 0 where unknown."""

    def __init__(
        self, files: TickerFiles, source: HistorySource, totals: Totals, read_to_ms: float
    ) -> None:
        self._files, self._source, self._totals = files, source, totals
        self._read_to_ms = self._events_read_to_ms = read_to_ms
        self._progress = _Progress()
        self._is_begun = False

    @property
    def ticker(self) -> str:
        """Return the ticker's name."""
        return self._files.ticker

    @property
    def files(self) -> TickerFiles:
        """Return the ticker's files."""
        return self._files

    def visit(self, now_ms: float) -> None:
        """Write what is new and final as of now, by Redis's clock.

        Raises `OSError`, `HistoryFileNewer`, or redis-py's errors; then nothing is forgotten.
        """
        while True:
            try:
                self._write_new(now_ms)
            except HistoryFileNewer:
                raise
            except HistoryFileUnreadable:
                self._begin_anew()  # one file less each time
            else:
                return

    def _begin_anew(self) -> None:
        """Forget what was in a file that is set aside: what Redis still holds is written again."""
        self._is_begun, self._read_to_ms = False, 0.0
        self._progress.written.clear()
        self._progress.final_sessions.clear()

    def _write_new(self, now_ms: float) -> None:
        progress = self._progress
        if not self._is_begun:
            progress.newest_ms, progress.corrected_at = self._files.newest_second()
            self._is_begun = True
        settled_ms = int(now_ms) - SETTLED_MS
        state = self._source.read_state(self.ticker)
        is_corrected = state.corrected_at > progress.corrected_at
        after_ms = 0 if is_corrected else progress.newest_ms
        progress.lost_events += self._lost_events(now_ms)
        events = self._final_events(state, progress, now_ms)
        self._events_read_to_ms = now_ms
        first_ms = min([after_ms, *(int(event.noticed_at) - 1 for event in events)])
        stored = self._source.read_bars(self.ticker, first_ms, settled_ms)
        new = [bar for bar in stored.bars if bar.end > after_ms]
        has_seconds = bool(new) and (is_corrected or _is_due(new, settled_ms))
        if has_seconds:
            lost = self._lost_before(new, progress.newest_ms, now_ms, state.gaps)
            unreadable = sum(end > after_ms for end in stored.unreadable)
            self._files.add_bars(
                NewSeconds(new, state.gaps, lost, state.corrected_at, unreadable), settled_ms
            )
            progress.newest_ms, progress.corrected_at = new[-1].end, state.corrected_at
            progress.is_session_due = True
            self._totals.seconds += len(new)
            self._totals.lost_seconds += sum(end - start for start, end in lost) / SECOND_MS
            self._totals.lost_bars += unreadable
        self._totals.newest_ms = max(self._totals.newest_ms, progress.newest_ms)
        if state.gaps:
            self._files.add_gaps(state.gaps)
        self._write_events(events, stored.bars, state, now_ms - WEAK_EVENTS_MS)
        self._write_sessions(state, progress, now_ms)
        progress.is_session_due = False
        self._read_to_ms = settled_ms

    def _lost_before(
        self, new: Sequence[Bar], newest_ms: int, now_ms: float, gaps: Sequence[Gap]
    ) -> list[Lost]:
        """Return the time before new bars whose seconds are nowhere any more."""
        first = new[0]
        if not newest_ms or first.end <= newest_ms + SECOND_MS:
            return []
        begun = next((bar for bar in new if bar.stood), None)
        if begun is not None and begun.first_quote is not None:
            quoted_at = begun.first_quote.stamp
            if not any(gap.end > newest_ms and gap.start < quoted_at for gap in gaps):
                return [(float(newest_ms), quoted_at)]  # Redis was emptied
        oldest_ms = now_ms - BARS_LIFETIME_SECONDS * SECOND_MS
        read_to_ms = max(float(newest_ms), self._read_to_ms)
        lost_to_ms = min(float(first.end - SECOND_MS), oldest_ms)
        return [(read_to_ms, lost_to_ms)] if read_to_ms < lost_to_ms else []

    def _final_events(
        self, state: TickerState, progress: _Progress, now_ms: float
    ) -> list[EventRecord]:
        """Return the events in their final form whose outcomes are complete.

        Closed ones are remembered from a minute after on: a weak one may be gone by the time that
        what followed it is known.
        """
        settled_ms = int(now_ms) - SETTLED_MS
        progress.written &= {id_of_member(member) for member in state.members}
        found = new_events(state.members, self.ticker, progress.written)
        self._watch(found, progress, settled_ms)
        for event in found:
            if event.status == "closed" and event.updated_at <= settled_ms:
                progress.waiting[event.id] = event
        while len(progress.waiting) > MAX_WAITING:
            del progress.waiting[next(iter(progress.waiting))]
            self._totals.lost_events += 1
        return [
            event
            for event in progress.waiting.values()
            if event.noticed_at + LONGEST_MS <= settled_ms
        ]

    def _watch(self, events: Iterable[EventRecord], progress: _Progress, now_ms: int) -> None:
        """Note which events have been open for so long that they are to be watched."""
        progress.watched = {
            event.id: event.opened_at
            for event in events
            if event.status == "open" and event.opened_at < now_ms - _WATCHED_AGE_MS
        }

    @property
    def watches(self) -> bool:
        """Return whether an event has been open for long: it leaves Redis soon after it closes."""
        return bool(self._progress.watched)

    def look_at_watched(self) -> bool:
        """Look whether watched events have closed, and keep those; return whether any has.

        Raises redis-py's errors.
        """
        progress = self._progress
        if not progress.watched:
            return False
        opened_at = sorted({*progress.watched.values()})
        members = self._source.read_events_at(self.ticker, opened_at)
        found = {event.id: event for event in new_events(members, self.ticker, progress.written)}
        gone = [name for name in progress.watched if name not in found]
        closed = {
            name: found[name]
            for name in progress.watched
            if name in found and found[name].status == "closed"
        }
        progress.waiting |= closed
        self._totals.lost_events += len(gone)
        for name in (*gone, *closed):
            del progress.watched[name]
        return bool(closed)

    def _write_events(
        self,
        events: Sequence[EventRecord],
        bars: Sequence[Bar],
        state: TickerState,
        held_from_ms: float,
    ) -> None:
        if not events:
            return
        progress = self._progress
        by_end = {bar.end: bar for bar in bars}
        kept = [
            KeptEvent(event, moves_after(int(event.noticed_at), by_end, state.gaps))
            for event in events
        ]
        self._files.add_events(kept, progress.lost_events, held_from_ms)
        progress.lost_events = []
        progress.written |= {event.id for event in events}
        progress.waiting = {
            name: event for name, event in progress.waiting.items() if name not in progress.written
        }
        self._totals.events += len(events)

    def _lost_events(self, now_ms: float) -> list[Lost]:
        """Return the time of which weak events may have left Redis before they were read."""
        if not self._events_read_to_ms:
            return []
        lost = self._events_read_to_ms - LONGEST_MS - SETTLED_MS, now_ms - WEAK_EVENTS_MS
        return [lost] if lost[0] < lost[1] else []

    def _write_sessions(self, state: TickerState, progress: _Progress, now_ms: float) -> None:
        """Write sessions as of their end, and the running one with its seconds."""
        for fields in (state.ended, state.session):
            opened_at, closes_at = fields.get("opened_at"), fields.get("closes_at")
            as_of = fields.get("as_of")
            if not isinstance(closes_at, (int, float)) or not isinstance(as_of, (int, float)):
                continue
            is_final = as_of >= closes_at
            if opened_at is None or opened_at in progress.final_sessions:
                continue
            if fields.get("covered_seconds") is None or as_of > now_ms:
                continue
            if not is_final and not progress.is_session_due:
                continue
            if self._files.keep_session(KeptSession(fields, is_final)):
                progress.final_sessions.add(opened_at)
                self._totals.sessions += 1


def _is_due(new: Sequence[Bar], settled_ms: int) -> bool:
    """Return whether seconds are to be written: enough of them, or the last for a while."""
    is_enough = settled_ms - new[0].end >= SECONDS_EVERY_MS
    return is_enough or settled_ms - new[-1].end >= SETTLED_MS
