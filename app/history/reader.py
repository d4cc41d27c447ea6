"""Read what is kept of tickers: their seconds as columns, events and sessions of any kept time."""

import functools
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import pyarrow as pa
from numpy.typing import NDArray

from app.analysis.bars import SECOND_MS
from app.analysis.gaps import Gap
from app.analysis.outcomes import OutcomeTotals
from app.analysis.trading_hours import TradingHours
from app.core.calendar_setting import CalendarRule
from app.core.errors import HistoryUnavailable
from app.history.event_rows import KeptEvent, events_of_table
from app.history.parquet_file import read_file
from app.history.paths import Kind, dates_of_ticker, file_path, kept_dates, tickers_of_date
from app.history.query import find_event, gaps_of, read_events, read_outcomes, read_session
from app.history.second_columns import seconds_of_table
from app.history.session_dates import session_date
from app.history.window_table import StoredSeconds
from app.storage.published import EventRecord, EvidenceClass, Value
from app.storage.session_calendars import hours_of

NO_SECONDS: Final = StoredSeconds.from_bars(())
# A second is stored for each in which a ticker is awake, so the one before a time is mostly here.
_BEFORE_MS: Final = 60 * SECOND_MS
_SESSIONS_HELD: Final = 400
"""Sessions whose sums of outcomes are held, of about 50 kB each."""


class KeptSeconds(NamedTuple):
    """Seconds as they are kept, and the times of which nothing is known.

    `engine` is the version of the definitions that the newest of them were computed by.
    """

    stored: StoredSeconds = NO_SECONDS
    gaps: tuple[Gap, ...] = ()
    engine: str | None = None

    def followed_by(self, later: "KeptSeconds") -> "KeptSeconds":
        """Return these seconds and those of `later` that are newer."""
        return KeptSeconds(
            self.stored.followed_by(later.stored),
            (*self.gaps, *(gap for gap in later.gaps if gap not in self.gaps)),
            later.engine or self.engine,
        )


_Read = TypeVar("_Read", bound=Callable[..., Any])


def _named_errors(read: _Read) -> _Read:
    """Let a method raise the system's errors as `HistoryUnavailable`, which names the folder."""

    @functools.wraps(read)
    def read_or_name(reader: "HistoryReader", *args: object) -> object:
        try:
            return read(reader, *args)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise HistoryUnavailable(
                f"the history in {reader.folder} can't be read: {reason}"
            ) from error

    return cast("_Read", read_or_name)


class HistoryReader:
    """Reads one folder of history; holds nothing open.

    Raises `HistoryUnavailable`, or `HistoryFileUnreadable` where rows are read.
    """

    def __init__(self, folder: Path, calendars: Sequence[CalendarRule] = ()) -> None:
        self.folder = folder
        self._calendars = calendars
        # A file that was written since is read again.
        self._outcomes = functools.lru_cache(_SESSIONS_HELD)(self._read_outcomes)

    @_named_errors
    def dates(self, ticker: str) -> list[date]:
        """Return the session dates that are kept of a ticker, in order."""
        return dates_of_ticker(self.folder, "seconds", ticker)

    @_named_errors
    def all_dates(self) -> list[date]:
        """Return the session dates that anything is kept of, in order."""
        return kept_dates(self.folder)

    def hours(self, ticker: str) -> TradingHours:
        """Return the sessions of a ticker's market."""
        return hours_of(ticker, self._calendars)

    def date_at(self, ticker: str, instant_ms: float) -> date:
        """Return the session date of an instant."""
        return session_date(instant_ms, self.hours(ticker))

    @_named_errors
    def tickers(self, days: Sequence[date]) -> list[str]:
        """Return the tickers that something is kept of on some session dates."""
        return sorted({it for day in days for it in tickers_of_date(self.folder, "seconds", day)})

    @_named_errors
    def seconds(self, ticker: str, after_ms: float, until_ms: float) -> KeptSeconds:
        """Return the seconds that end in (after, until], and the newest one before them."""
        found = KeptSeconds()
        first, last = self.date_at(ticker, after_ms), self.date_at(ticker, until_ms)
        days = self.dates(ticker)
        for day in (it for it in days if first <= it <= last):
            since_ms = after_ms - _BEFORE_MS if day == first else None
            found = found.followed_by(self._seconds_of(ticker, day, since_ms, until_ms))
        if not len(found.stored.ends) or int(found.stored.ends[0]) > after_ms:
            # The ticker was silent for long, or what was stored before is of an earlier session.
            for day in reversed([it for it in days if it <= first]):
                earlier = self._seconds_of(ticker, day, None, after_ms)
                if len(earlier.stored.ends):
                    found = earlier.followed_by(found)
                    break
        return found._replace(stored=found.stored.between(after_ms, until_ms))

    @_named_errors
    def newest_second(self, ticker: str, until_ms: float) -> int | None:
        """Return when the newest kept second up to an instant ends, None if none is kept."""
        last = self.date_at(ticker, until_ms)
        for day in reversed([it for it in self.dates(ticker) if it <= last]):
            ends = self._ends(ticker, day)
            ends = ends[ends <= until_ms]
            if len(ends):
                return int(ends[-1])
        return None

    @_named_errors
    def events(self, ticker: str, day: date) -> list[EventRecord]:
        """Return a ticker's events of a session date, in the order they were noticed."""
        return [kept.record for kept in read_events(self.folder, ticker, day)]

    @_named_errors
    def events_between(self, ticker: str, after_ms: float, until_ms: float) -> list[EventRecord]:
        """Return the events that were noticed up to `until` and did not end by `after`."""
        first = self.date_at(ticker, after_ms)
        # What was noticed in the session before may have lasted: over a weekend, too.
        first = max((day for day in self.dates(ticker) if day < first), default=first)
        last = self.date_at(ticker, until_ms)
        bounds = [("noticed_at", "<=", _timestamp(until_ms)), ("closed_at", ">", after_ms)]
        return [
            kept.record
            for day in self.dates(ticker)
            if first <= day <= last
            for kept in self._events_of(ticker, day, bounds)
        ]

    @_named_errors
    def evidence_class_at(self, ticker: str, until_ms: float) -> EvidenceClass | None:
        """Return the class of the newest event of a session that is made of trades.

        None where there was none up to the instant.
        """
        # What is noticed at the end of a session's last second is in that session's file.
        path = file_path(self.folder, "events", self.date_at(ticker, until_ms - 1), ticker)
        bounds = [("noticed_at", "<=", _timestamp(until_ms)), ("evidence_class", "!=", "C")]
        try:
            found = read_file(path, "events", ["evidence_class"], bounds).table
        except FileNotFoundError:
            return None
        return found["evidence_class"][-1].as_py() if found.num_rows else None

    @_named_errors
    def event(self, event_id: str) -> KeptEvent | None:
        """Return an event by its id, None if it is not kept."""
        return find_event(self.folder, event_id)

    @_named_errors
    def session(self, ticker: str, day: date) -> dict[str, Value]:
        """Return what is kept of a session: as of its end, or as of when it was last written."""
        found = read_session(self.folder, ticker, day)
        return {} if found is None else dict(found.fields)

    @_named_errors
    def outcomes(self, ticker: str, day: date) -> OutcomeTotals:
        """Return what followed the events of a session date, nothing where it is not kept."""
        kinds: tuple[Kind, ...] = ("seconds", "events")
        try:
            changed_at = tuple(
                file_path(self.folder, kind, day, ticker).stat().st_mtime_ns for kind in kinds
            )
            return self._outcomes(ticker, day, changed_at)
        except FileNotFoundError:
            return OutcomeTotals()

    def _read_outcomes(self, ticker: str, day: date, _changed_at: tuple[int, ...]) -> OutcomeTotals:
        return read_outcomes(self.folder, ticker, self.hours(ticker), day)

    def _events_of(self, ticker: str, day: date, bounds: list[Any]) -> list[KeptEvent]:
        try:
            path = file_path(self.folder, "events", day, ticker)
            return events_of_table(read_file(path, "events", filters=bounds).table)
        except FileNotFoundError:
            return []

    def _seconds_of(
        self, ticker: str, day: date, since_ms: float | None, until_ms: float
    ) -> KeptSeconds:
        bounds = [("end", "<=", _timestamp(until_ms))]
        if since_ms is not None:
            bounds.append(("end", ">=", _timestamp(since_ms)))
        path = file_path(self.folder, "seconds", day, ticker)
        try:
            file = read_file(path, "seconds", filters=bounds)
        except FileNotFoundError:
            return KeptSeconds()  # the oldest files are deleted meanwhile
        engines = file.facts.engines
        # A gap was told when it had ended; what was lost is not known of any time in it.
        lost = file.facts.lost
        told = [
            gap
            for gap in gaps_of(file.facts)
            if gap.end <= until_ms or (gap.start, gap.end) in lost
        ]
        return KeptSeconds(
            seconds_of_table(file.table),
            tuple(told),
            engines[-1] if engines else None,
        )

    def _ends(self, ticker: str, day: date) -> NDArray[Any]:
        path = file_path(self.folder, "seconds", day, ticker)
        ends: NDArray[Any] = (
            read_file(path, "seconds", ["end"]).table["end"].cast(pa.int64()).to_numpy()
        )
        return ends


def _timestamp(ms: float) -> pa.Scalar:
    return pa.scalar(int(ms), pa.timestamp("ms", tz="UTC"))
