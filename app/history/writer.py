"""Write the history of all tickers: one process, beside the ticks and without any part in them."""

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import redis
import structlog

from app.core.errors import HistoryFileNewer
from app.core.outage_log import OutageLog
from app.core.settings import Settings
from app.history.answers import AnswerKeeper
from app.history.bounds import Bounds, keep_within
from app.history.folder import HistoryFolder, problem_of
from app.history.problems import Problems
from app.history.source import HistorySource
from app.history.ticker_files import TickerFiles
from app.history.ticker_writer import TickerWriter, Totals
from app.storage.history_report import HistoryReport, write_report
from app.storage.keys import BARS_LIFETIME_SECONDS, Keys
from app.storage.session_calendars import hours_of

_log = structlog.get_logger()

VISIT_EVERY_MS: Final = 120_000
"""Weak events leave Redis 10 min after they close, and what follows them is complete after 6 min:
a writer that is started again within 2 min finds them all."""
_TICKERS_EVERY_MS: Final = 10_000
_WATCH_EVERY_MS: Final = 2_000
_BOUNDS_EVERY_MS: Final = 3_600_000
_REPORT_EVERY_MS: Final = 5_000
_TRY_AGAIN_MS: Final = 10_000
_SPREAD_MS: Final = 60_000
_ANSWERS_EVERY_MS: Final = 60_000
_BYTES_A_MB: Final = 1_000_000
_FOLDER, _READ_TO, _BOUNDS, _ANSWERS = " folder", " read_to", " bounds", " answers"
_SIZE: Final = " size"
"""Who has a problem that is no ticker's; no ticker begins with a space."""


class HistoryWriter:
    """Visits each ticker every few minutes; `now_ms` is Redis's clock."""

    def __init__(
        self,
        folder: HistoryFolder,
        client: redis.Redis,
        settings: Settings,
        now_ms: Callable[[], float],
    ) -> None:
        self._folder, self._client, self._settings = folder, client, settings
        self._now_ms = now_ms
        self._source = HistorySource(client, Keys(cluster=settings.cluster))
        self._bounds = Bounds(settings.history_days, settings.history_mb * _BYTES_A_MB)
        self._outage = OutageLog(_log, database=settings.redis_database)
        self._answers = AnswerKeeper(folder.path, client)
        self.totals = Totals()
        self._writers: dict[str, TickerWriter] = {}
        self._due: dict[str, float] = {}
        self._read_to: dict[str, float] = {}
        self._next: dict[str, float] = {}
        self._problems = Problems()
        self._is_begun = False
        self._bytes = self._removed_days = 0
        self._tickers_read_to = 0.0
        self._left_at: dict[str, float] = {}

    def step(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Do what is due, ticker by ticker, until `is_stopping`.

        Raises `HistoryUnavailable` where another writer has the folder.
        """
        with self._outage.attempt():
            now_ms = self._now_ms()
            if self._is_open(now_ms):
                self._keep_bounds(now_ms)
                self._see_tickers(now_ms)
                self._look_at_watched(now_ms)
                self._visit_due(now_ms, is_stopping)
                self._keep_answers(now_ms)
                self._note_read_to(now_ms)
            self._report(now_ms)

    def _visit_due(self, now_ms: float, is_stopping: Callable[[], bool]) -> None:
        """Visit the tickers that are due, the longest due first; none where no space is left."""
        if self._problems.has(_SIZE):
            return
        for ticker in sorted(self._due, key=self._due.__getitem__):
            # One that is due later than that was noted while the clock was ahead.
            if now_ms < self._due[ticker] <= now_ms + VISIT_EVERY_MS:
                continue
            if is_stopping():
                break
            self._visit(ticker, self._now_ms())

    def _is_open(self, now_ms: float) -> bool:
        """Return whether the folder can be used now."""
        if self._problems.has(_FOLDER) and not self._is_time("open", now_ms, _TRY_AGAIN_MS):
            return False
        try:
            if self._folder.open():
                self._is_begun = False
            if not self._is_begun:
                self._begin(now_ms)
                self._is_begun = True
        except OSError as error:
            self._problems.note(_FOLDER, problem_of(error), now_ms, error)
            return False
        self._problems.end(_FOLDER)
        return True

    def _begin(self, now_ms: float) -> None:
        """Go by what the folder holds: another disk may have taken its place. Raises `OSError`."""
        self._folder.remove_unfinished()
        self._tickers_read_to = min(self._folder.read_to_ms(), now_ms)
        for table in (self._writers, self._due, self._read_to, self._left_at):
            table.clear()
        self._next.pop("tickers", None)

    def _is_time(self, what: str, now_ms: float, every_ms: float) -> bool:
        """Return whether something is due, and note when it will be next."""
        if now_ms < self._next.get(what, 0.0) <= now_ms + every_ms:
            return False
        self._next[what] = now_ms + every_ms
        return True

    def _see_tickers(self, now_ms: float) -> None:
        if not self._is_time("tickers", now_ms, _TICKERS_EVERY_MS):
            return
        held_ms = BARS_LIFETIME_SECONDS * 1000
        known = self._source.tickers(now_ms - held_ms)
        for ticker in known:
            if ticker not in self._writers:
                files = TickerFiles(
                    self._folder.path, ticker, hours_of(ticker, self._settings.calendars)
                )
                self._writers[ticker] = TickerWriter(
                    files,
                    self._source,
                    self.totals,
                    self._left_at.pop(ticker, self._tickers_read_to),
                )
                self._due[ticker] = now_ms
        for ticker in self._writers.keys() - known:  # Redis holds no second of them any more
            self._forget(ticker, now_ms)
        # Of other tickers that come later, Redis holds nothing at present.
        self._tickers_read_to = now_ms

    def _forget(self, ticker: str, now_ms: float) -> None:
        read_to = self._read_to.get(ticker, 0.0)
        if now_ms - read_to > 2 * VISIT_EVERY_MS:  # what it had left was not written
            self._left_at[ticker] = read_to
        for table in (self._writers, self._due, self._read_to):
            table.pop(ticker, None)
        self._problems.end(ticker)

    def _look_at_watched(self, now_ms: float) -> None:
        """Visit at once the tickers of which an event has closed that was open for long."""
        if not self._is_time("watched", now_ms, _WATCH_EVERY_MS):
            return
        for ticker, writer in self._writers.items():
            if writer.watches and writer.look_at_watched():
                self._due[ticker] = now_ms

    def _visit(self, ticker: str, now_ms: float) -> None:
        self._due[ticker] = now_ms + _TRY_AGAIN_MS
        try:
            self._writers[ticker].visit(now_ms)
        except HistoryFileNewer as error:
            self._problems.note(ticker, "newer_file", now_ms, error)
        except OSError as error:
            self._problems.note(ticker, problem_of(error), now_ms, error)
        else:
            self._problems.end(ticker)
            spread = zlib.crc32(ticker.encode()) % _SPREAD_MS if ticker not in self._read_to else 0
            self._read_to[ticker] = now_ms
            self._due[ticker] = now_ms + VISIT_EVERY_MS - spread

    def _keep_answers(self, now_ms: float) -> None:
        """Write the answers that were told since the last time; Redis has each for an hour."""
        if self._problems.has(_SIZE) or not self._is_time("answers", now_ms, _ANSWERS_EVERY_MS):
            return
        try:
            self._answers.keep_new()
        except OSError as error:
            self._problems.note(_ANSWERS, problem_of(error), now_ms, error)
        else:
            self._problems.end(_ANSWERS)

    def _note_read_to(self, now_ms: float) -> None:
        """Store up to when all tickers are read, for the writer after this one."""
        if self._read_to.keys() != self._writers.keys() or not self._writers:
            return
        if self._is_time("read_to", now_ms, _TICKERS_EVERY_MS):
            try:
                self._folder.note_read_to(min(self._read_to.values()))
            except OSError as error:
                self._problems.note(_READ_TO, problem_of(error), now_ms, error)
            else:
                self._problems.end(_READ_TO)

    def _keep_bounds(self, now_ms: float) -> None:
        is_wrong = self._problems.has(_BOUNDS) or self._problems.has(_SIZE)
        every_ms = _TRY_AGAIN_MS if is_wrong else _BOUNDS_EVERY_MS
        if not self._is_time("bounds", now_ms, every_ms):
            return
        today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        try:
            removed, self._bytes = keep_within(self._folder.path, self._bounds, today)
        except OSError as error:
            self._problems.note(_BOUNDS, problem_of(error), now_ms, error)
            return
        self._problems.end(_BOUNDS)
        if removed:
            self._removed_days += len(removed)
            days = ", ".join(day.isoformat() for day in removed)
            _log.info("history: oldest days removed", days=days, bytes_left=self._bytes)
        if self._bytes > self._bounds.max_bytes:
            self._problems.note(_SIZE, "over_size", now_ms, f"{self._bytes} bytes")
        else:
            self._problems.end(_SIZE)

    def _report(self, now_ms: float) -> None:
        if self._is_time("report", now_ms, _REPORT_EVERY_MS):
            write_report(self._client, self.report(now_ms))

    def report(self, now_ms: float) -> HistoryReport:
        """Return what the writer tells of itself."""
        problem, since_ms = self._problems.oldest
        return HistoryReport(
            alive_at=now_ms,
            problem=problem,
            problem_since=since_ms,
            newest_ms=self.totals.newest_ms,
            tickers=len(self._writers),
            bytes=self._bytes,
            seconds=self.totals.seconds,
            events=self.totals.events,
            lost_seconds=self.totals.lost_seconds,
            lost_events=self.totals.lost_events,
            set_aside=sum(writer.files.set_aside for writer in self._writers.values()),
            removed_days=self._removed_days,
        )
