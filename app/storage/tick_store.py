"""Run ticks: read a ticker's records, fold them, and write its state and results."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec
import redis
import structlog
from redis.exceptions import NoScriptError

from app.analysis.bars import SECOND_MS, Bar, whole_second
from app.analysis.engine import Engine
from app.analysis.late_records import MAX_LATE_MS
from app.analysis.rolling_bars import RollingBars
from app.analysis.state import State
from app.analysis.trading_hours import TradingHours
from app.analysis.windows import WINDOW_SECONDS
from app.core import clock
from app.core.clock import BELIEVED_AHEAD_INTERVALS
from app.core.errors import RecordsTooLong, StateUnreadable
from app.core.settings import Settings
from app.storage import keys, tick_connection
from app.storage.data_loss import POSSIBLE_LOSS_MS, DataLossDetector
from app.storage.feed_lags import FeedLags
from app.storage.keys import Keys
from app.storage.newer_states import NewerStates
from app.storage.published import read_stamp, read_ticked_at
from app.storage.record_reads import read_all
from app.storage.redis_client import connect
from app.storage.scripts import COUNT_RECORDS, KEEP_STATE, READ_RECORDS, STEP_BACK
from app.storage.server_clock import ServerClock
from app.storage.session_calendars import hours_of
from app.storage.takeover import StoredTicker, quarantine, read_stored_ticker, repair_keys
from app.storage.tick import codec
from app.storage.tick.arrival_lag import COUNTED_SECONDS, ArrivalLag
from app.storage.tick.declared_gaps import find_unseen
from app.storage.tick.fold import TickReport, analyse, fold
from app.storage.tick.journal import Journal
from app.storage.tick.read import (
    GAPS_PLACE,
    MARGIN_MS,
    MAX_RECORDS_READ,
    PLAIN_READ_COMMAND_COUNT,
    READ_COMMAND_COUNT,
    KeyCheck,
    PlainReads,
    ReadRange,
    TickRead,
    plain_read_commands,
    read_commands,
)
from app.storage.tick.resp import Command
from app.storage.tick.score_bounds import NEWEST_MS, OLDEST_MS
from app.storage.tick.write import (
    CANDIDATES_PREFIX,
    LEVELS_PREFIX,
    OUTCOMES_FIELD,
    PAST_EVENTS_PREFIX,
    RANKS,
    PublishedKeys,
    RecordLimits,
    TickWrite,
    is_housekeeping_turn,
)
from app.storage.tick_connection import TickConnections

MOST_RECORDS_READ = 50_000
"""`MAX_RECORDS_READ` for each second of the interval, but no more: no busy ticker falls behind."""
WARM_TICKERS = 5000
# Each time, 16 MB of too long records are cut: what a broker can't write in a second or two.
MAX_REPEATED_READS = 100
# After a longer pause a ticker's feed may be another one: its settle time is read again.
LAG_KEPT_MS = 10_000
OUTDATED = "outdated"
# How long answers tell of it: as long as an event that it took back would have been kept.
CORRECTION_SHOWN_MS = keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS

ReportCallback = Callable[[TickReport, Exception | None], None]
"""Called with a tick's report, and redis-py's error if one ended the tick."""

_log = structlog.stdlib.get_logger("orderflow.store")


class TickJob(msgspec.Struct):
    """One tick: its connection, the ticker's keys, and the callback for its report.

    `clock_as_of` is the tick's time; it folds up to `as_of`, which is earlier by the settle time of
    a ticker whose feed is behind. `outcome` is that of a tick which gets no engine.
    """

    ticker: str
    clock_as_of: int
    connection: tick_connection.TickConnection
    names: list[str]
    report_to: ReportCallback
    as_of: int = 0
    outcome: str = "overtaken"


class WarmTicker(msgspec.Struct):
    """A ticker's engine as of a version of its stored state, and what its keys publish.

    `ticked_at` is the time of the tick that wrote the version, by its clock: `as_of` is earlier
    where the feed is behind.
    Until `possible_loss_until` (ms) another process may still report that earlier data were lost.
    `journal` is None if this worker did not write the stored state. `corrected_at` is when ticks
    ahead were last taken back, 0 if never. `gap_count` is the number of declared gaps, all of which
    the engine has seen.
    """

    version: str
    engine: Engine
    published: PublishedKeys
    key_check: KeyCheck
    ticked_at: int = 0
    possible_loss_until: int = 0
    journal: Journal | None = None
    lag: ArrivalLag | None = None
    corrected_at: int = 0
    plain_reads: PlainReads = msgspec.field(default_factory=PlainReads)
    gap_count: int = 0


class TickStore:
    """Runs ticks against Redis; keeps engines warm, and checks their versions at each read."""

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        self._settings = settings
        self._records_read = min(MAX_RECORDS_READ * settings.interval_seconds, MOST_RECORDS_READ)
        self._believed_ahead_ms = BELIEVED_AHEAD_INTERVALS * settings.interval_ms
        self._limits = RecordLimits(settings.retention_seconds, settings.max_records)
        self._redis: Any = client or connect(settings)
        self._keys = Keys(cluster=settings.cluster)
        self._channels = keys.ticked_channels(settings.redis_database)
        self._calendars = settings.calendars
        self._connections = TickConnections(self._redis)
        self._warm: OrderedDict[str, WarmTicker] = OrderedDict()
        self._quarantined: set[str] = set()
        self._newer_states = NewerStates(settings.interval_ms)
        self._data_loss = DataLossDetector(self._redis)
        self._lags = FeedLags(self._redis)
        self._server_clock = ServerClock(self._redis)
        self._nonce, self._writes = uuid4().hex[:12], count(1)

    def run_tick(self, ticker: str, as_of: int) -> TickReport:
        """Run one tick, wait for its outcome, and return its report.

        Raises redis-py's errors.
        """
        outcomes: list[tuple[TickReport, Exception | None]] = []
        self.begin_tick(ticker, as_of, lambda *outcome: outcomes.append(outcome))
        self.await_pending()
        [(report, error)] = outcomes
        if error is not None:
            raise error
        return report

    def begin_tick(self, ticker: str, as_of: int, report_to: ReportCallback) -> None:
        """Fold the records of `ticker` up to `as_of` (epoch ms) and write the result.

        If the ticker's feed is behind, the tick folds to an `as_of` earlier by its settle time.
        `report_to` is called once Redis has replied: during the next tick, or in `await_pending`.
        If there are more records than a tick's time allows, the tick folds up to an earlier whole
        second, publishes the lag in the quality, and the next tick continues there.
        """
        if not self._data_loss.has_checked:
            self._data_loss.check(as_of)
        with self._connections.connection_for(self._keys.state(ticker)) as connection:
            self._process(TickJob(ticker, as_of, connection, self._keys.of_tick(ticker), report_to))

    def await_pending(self) -> None:
        """Wait for the outcomes of all ticks so far."""
        self._connections.await_pending()

    def _process(self, tick: TickJob) -> None:
        """Read a tick's records, by the warm engine or after a takeover, and fold them if any."""
        if tick.ticker not in self._warm:
            tick.connection.await_pending()  # a pending outcome may be this ticker's
        known = self._warm.pop(tick.ticker, None)
        lag = self._lag_of(tick, known)
        tick.as_of = lag.as_of(tick.clock_as_of)
        reading = None
        if known is not None and not self._is_housekeeping_turn(tick.ticker, tick.as_of):
            reading = self._read_new_records(
                tick, known.engine.state.as_of, known.key_check, known.plain_reads
            )
            if reading.version != known.version or reading.is_malformed:
                reading = None
        warm = known
        if reading is None:
            reading, warm = self._take_over(tick, known)
        if warm is not None and self._is_ahead(warm.ticked_at, tick):
            reading, warm = self._step_back(tick, reading, warm, lag)
        if warm is not None:
            self._follow_lag(tick, reading, warm, lag)
        if warm is None:
            tick.report_to(TickReport(tick.outcome), None)
        elif warm.engine.state.as_of >= tick.as_of:
            self._store_warm(tick.ticker, warm)
            is_waiting = warm.engine.state.as_of < tick.clock_as_of
            tick.report_to(TickReport("waiting" if is_waiting else "overtaken"), None)
        elif not warm.engine.state.as_of and not reading.quotes and not reading.trades:
            tick.report_to(TickReport("idle"), None)
        else:
            self._fold_and_write(tick, reading, warm)

    def _is_ahead(self, ticked_at: int, tick: TickJob) -> bool:
        """Return whether the time of an earlier tick is ahead of the clock by over two intervals.

        Redis's clock has to bear that out: by a host's clock that is behind, all is ahead.
        """
        if ticked_at <= tick.clock_as_of:
            return False
        believed_ms = ticked_at - self._believed_ahead_ms
        return clock.now_ms() < believed_ms and self._server_clock.now_ms() < believed_ms

    def _step_back(
        self, tick: TickJob, reading: TickRead, warm: WarmTicker, lag: ArrivalLag
    ) -> tuple[TickRead, WarmTicker | None]:
        """Take back the ticks that were ahead, and go on from the state before them, if it is kept.

        Returns the ticker as it was if it is not ahead, or another worker came first.
        """
        ahead_as_of = warm.engine.state.as_of
        ticker_keys = (*tick.names[:1], self._keys.kept_state(tick.ticker), *tick.names[3:5])
        words = (
            reading.version,
            tick.as_of,
            self._believed_ahead_ms,
            reading.start,
            keys.STATE_LIFETIME_SECONDS,
            self._new_version(tick.clock_as_of),
        )
        script = ("EVAL", STEP_BACK, len(ticker_keys), *ticker_keys, *words)
        [is_done] = tick.connection.read([script])
        if not is_done:
            return reading, warm
        _log.warning("ticks ahead of the clock taken back", ticker=tick.ticker, ahead=ahead_as_of)
        reading, corrected = self._take_over(tick, None)
        if corrected is not None:
            corrected.corrected_at = tick.clock_as_of
            corrected.lag = lag
            # What the keys hold is that of the ticks ahead, and to be replaced.
            corrected.published = PublishedKeys()
        return reading, corrected

    def _new_version(self, ticked_at: int) -> str:
        return f"{ticked_at}-{self._nonce}-{next(self._writes)}"

    def _lag_of(self, tick: TickJob, known: WarmTicker | None) -> ArrivalLag:
        """Return how far a ticker's feed is behind, as this worker or another one measured it."""
        lag = None if known is None else known.lag
        if lag is None:
            lag = ArrivalLag(self._settings.interval_ms)
        if tick.clock_as_of - lag.ticked_at > LAG_KEPT_MS + self._settings.interval_ms:
            stored_seconds = self._lags.seconds_of(tick.ticker, tick.clock_as_of)
            lag.adopt(stored_seconds, tick.clock_as_of)
        if self._is_behind(tick, lag.ticked_at):
            lag.distrust(lag.ticked_at)
        else:
            lag.follow_clock(tick.clock_as_of, int(time.monotonic() * SECOND_MS))
        return lag

    def _is_behind(self, tick: TickJob, ticked_at: int) -> bool:
        """Return whether a tick's clock went back to a time that is over for Redis's clock."""
        if ticked_at - tick.clock_as_of <= self._believed_ahead_ms:
            return False
        over_ms = self._believed_ahead_ms + self._settings.interval_ms
        return self._server_clock.now_ms() - tick.clock_as_of > over_ms

    def _follow_lag(
        self, tick: TickJob, reading: TickRead, warm: WarmTicker, lag: ArrivalLag
    ) -> None:
        """Measure how late the records arrive, where some do, and store a changed settle time."""
        if warm.lag is not lag:
            warm.lag = lag
            if warm.version:  # of another worker, which may have changed the settle time
                now = tick.clock_as_of
                lag.adopt(self._lags.seconds_of(tick.ticker, now), now)
        if reading.late_records <= 0 and not lag.is_watching(tick.clock_as_of):
            return
        if tick.clock_as_of - self._believed_ahead_ms > self._server_clock.now_ms():
            lag.distrust(tick.clock_as_of)
            return
        newest_counted = lag.newest_counted(tick.clock_as_of)
        words = (*tick.names[1:3], tick.clock_as_of, newest_counted, COUNTED_SECONDS)
        [found] = tick.connection.read([("EVAL", COUNT_RECORDS, 2, *words)])
        *counts, newest = found
        lag.observe(tick.clock_as_of, counts, reading.late_records, float(newest or 0))
        settle = lag.settle_seconds
        # Once in a while, what is stored is renewed, with its lifetime.
        is_due = settle and self._is_housekeeping_turn(tick.ticker, tick.clock_as_of)
        if settle != lag.stored_seconds or is_due:
            is_stored = self._lags.store(tick.ticker, settle)
            lag.stored_seconds = settle if is_stored else lag.stored_seconds
        tick.as_of = min(tick.as_of, lag.as_of(tick.clock_as_of))

    def _fold_and_write(self, tick: TickJob, reading: TickRead, warm: WarmTicker) -> None:
        """Fold the records that were read into the engine, and send the write of the results."""
        engine, as_of = warm.engine, tick.as_of
        warm.plain_reads.note(reading, tick.clock_as_of)
        self._check_for_data_loss(warm, tick.clock_as_of)
        folded_to = engine.state.as_of or reading.second_before_oldest()
        if not self._read_missing(tick, reading, folded_to):
            tick.report_to(TickReport("overtaken"), None)
            return
        self._read_gaps(tick, reading, warm)
        is_leap = as_of - folded_to > self._believed_ahead_ms + self._settings.interval_ms
        # Before the first usable record the whole state is small, and stored each time.
        is_replayable = engine.state.has_records and _is_replayable(engine.state, reading)
        # Thread time: by the clock, ticks on a busy machine would be cut short and backlogs grow.
        report = fold(engine, reading, as_of, time.thread_time, self._settings.interval_seconds)
        if reading.gaps is not None:
            warm.gap_count = -1 if reading.gaps.unseen else reading.gap_count
        if not (engine.state.has_records or engine.state.has_rejections):
            # All records are stamped after as_of, by under 1 ms.
            report.outcome = "idle"
            tick.report_to(report, None)
            return
        if warm.corrected_at > tick.clock_as_of - CORRECTION_SHOWN_MS:
            reading.clock_corrected_at = warm.corrected_at
        result = analyse(engine, reading, report, folded_to)
        is_replayable = is_replayable and not report.failed_detectors
        is_housekeeping = self._is_housekeeping_due(warm, reading)
        journal = None if is_housekeeping or not is_replayable else warm.journal
        if journal is not None:
            journal.append(folded_to, result.as_of, (reading.quotes, reading.trades))
        version = self._new_version(tick.clock_as_of)
        tick_write = TickWrite(
            tick.names,
            self._limits,
            reading,
            self._channels,
            self._trimmed_as_of(as_of) if is_housekeeping else None,
        )
        commands = tick_write.commands(engine.state, result, warm.published, version, journal)
        if is_leap and reading.version:
            commands[1:1] = [self._keep_state(tick)]
        if journal is None and warm.corrected_at:
            commands[-1:-1] = [("HSET", tick.names[0], keys.CORRECTED_AT, warm.corrected_at)]

        def note_written() -> None:
            warm.version, warm.ticked_at = version, tick.clock_as_of
            warm.journal = journal or Journal(result.as_of)
            self._store_warm(tick.ticker, warm)

        self._write(tick, commands, _outcome_callback(tick, report, note_written))

    def _read_gaps(self, tick: TickJob, reading: TickRead, warm: WarmTicker) -> None:
        """Read the declared gaps if their number changed; keep those that the engine has not seen.

        Gaps are few: most ticks only see that there are as many as before.
        """
        if reading.gap_count == warm.gap_count:
            return
        name, limit = tick.names[GAPS_PLACE], MAX_RECORDS_READ
        members = read_all(tick.connection.read_one, name, (reading.start, NEWEST_MS), limit)
        now_ms = max(tick.clock_as_of, clock.now_ms())
        gaps = find_unseen(members, warm.engine.state.seen_gaps, now_ms)
        warm.gap_count = reading.gap_count
        reading.gaps = gaps if gaps.unseen else None

    def _trimmed_as_of(self, as_of: int) -> int:
        """Return by when a tick trims: by its own time, but not by one ahead of Redis's clock."""
        return min(as_of, int(self._server_clock.now_ms()))

    def _keep_state(self, tick: TickJob) -> Command:
        """Return the command that keeps the state: this tick may be that of a clock set ahead."""
        names = tick.names[0], self._keys.kept_state(tick.ticker)
        return ("EVAL", KEEP_STATE, len(names), *names, keys.KEPT_STATE_LIFETIME_SECONDS)

    def _check_for_data_loss(self, warm: WarmTicker, as_of: int) -> None:
        """Mark a new state as rebuilt if another process found Redis emptied."""
        state = warm.engine.state
        if (
            as_of <= warm.possible_loss_until
            and not state.rebuilt_at
            and self._data_loss.check(as_of)
        ):
            state.rebuilt_at = -1

    def _is_housekeeping_turn(self, ticker: str, as_of: int) -> bool:
        return is_housekeeping_turn(ticker, as_of, self._settings.interval_seconds)

    def _is_housekeeping_due(self, warm: WarmTicker, reading: TickRead) -> bool:
        """Return whether housekeeping is due: at the ticker's turn, or with a full journal.

        Housekeeping may trim records that the journal needs: the same tick stores the whole state.
        """
        journal, state = warm.journal, warm.engine.state
        return (
            journal is None
            or bool(reading.key_check.oversized_keys)
            or self._is_housekeeping_turn(state.ticker, state.as_of)
            or journal.is_full(state.as_of)
        )

    @staticmethod
    def _write(
        tick: TickJob, commands: list[Command], on_outcome: tick_connection.OutcomeCallback
    ) -> None:
        """Send a tick's write; a separate method, so that fault tests can stop a tick here."""
        tick.connection.write(commands, on_outcome)

    def note_failure(self, ticker: str, as_of: int, error: Exception) -> None:
        """Count a failed tick in the ticker's failures key."""
        name = self._keys.failures(ticker)
        pipe = self._redis.pipeline()
        pipe.hincrby(name, "count", 1)
        pipe.hset(name, mapping={"as_of": as_of, "error": type(error).__name__})
        pipe.expire(name, keys.FAILURES_LIFETIME_SECONDS)
        pipe.execute()

    def _store_warm(self, ticker: str, warm: WarmTicker) -> None:
        """Keep a ticker warm, and drop the one unused for longest beyond `WARM_TICKERS`."""
        self._warm[ticker] = warm
        if len(self._warm) > WARM_TICKERS:
            self._warm.popitem(last=False)

    def _read_new_records(
        self, tick: TickJob, folded_to: int, key_check: KeyCheck, plain_reads: PlainReads | None
    ) -> TickRead:
        """Read the records after `folded_to`, and WATCH the state for other workers' writes."""
        start = tick.as_of - self._settings.retention_seconds * SECOND_MS
        first = folded_to or start
        limit = 0 if plain_reads is None else plain_reads.limit(tick.clock_as_of)
        reading = self._read_plainly(tick, first, limit, start) if limit else None
        if reading is None:
            reading = self._read_records(tick, first, tick.as_of, self._records_read, start)
        reading.key_check = key_check
        if reading.ahead_count:
            counts = tick.connection.read(
                [("ZCOUNT", name, f"({NEWEST_MS}", "+inf") for name in tick.names[1:3]]
            )
            reading.not_ms_count = sum(count for count in counts if isinstance(count, int))
            reading.ahead_count = max(0, reading.ahead_count - reading.not_ms_count)
        if reading.version and reading.late_records:
            self._read_late_records(tick, reading, folded_to)
        return reading

    @staticmethod
    def _read_records(
        tick: TickJob, folded_to: int, as_of: int, limit: int, start: int
    ) -> TickRead:
        """Read the records in (folded_to, as_of], at most `limit` of a kind, fewer of long ones."""
        wanted = ReadRange(folded_to, as_of, tick.clock_as_of)
        packed = read_commands(tick.names, wanted, limit)
        for _ in range(MAX_REPEATED_READS):
            try:
                _, _, *replies = tick.connection.first_read([packed], READ_COMMAND_COUNT)
            except NoScriptError:
                tick.connection.read([("SCRIPT", "LOAD", READ_RECORDS)])
                continue
            reading = TickRead.from_replies(replies, start)
            if not reading.is_cut_short:
                return reading
        raise RecordsTooLong(f"{tick.ticker}: too long records come faster than they can be cut")

    @staticmethod
    def _read_plainly(tick: TickJob, folded_to: int, limit: int, start: int) -> TickRead | None:
        """Read by plain commands; None where there are too many or too long records for them."""
        wanted = ReadRange(folded_to, tick.as_of, tick.clock_as_of)
        packed = plain_read_commands(tick.names, wanted, limit)
        _, _, *replies = tick.connection.first_read([packed], PLAIN_READ_COMMAND_COUNT)
        return TickRead.from_plain_replies(replies, start, limit)

    def _read_late_records(self, tick: TickJob, reading: TickRead, folded_to: int) -> None:
        """Read the last 2 s of folded records again, if their number changed."""
        records, limit = tick.names[1:3], self._settings.max_records
        recent = (f"({folded_to - MAX_LATE_MS}", folded_to)
        replies = tick.connection.read(
            [
                *(("ZCOUNT", name, OLDEST_MS, folded_to) for name in records),
                *(("ZCOUNT", name, *recent) for name in records),
            ]
        )
        folded_counts, recent_counts = replies[:2], replies[2:4]
        folded_count = sum(count for count in folded_counts if isinstance(count, int))
        reading.late_records += folded_count - reading.folded_count
        reading.folded_count = folded_count
        if sum(count for count in recent_counts if isinstance(count, int)) != reading.recent_count:
            margins = folded_to - MAX_LATE_MS - 1, folded_to + 1
            run = tick.connection.read_one
            reading.late_quotes, reading.late_trades = (
                read_all(run, name, margins, limit) for name in records
            )

    def _take_over(
        self, tick: TickJob, known: WarmTicker | None
    ) -> tuple[TickRead, WarmTicker | None]:
        """Repair and read a ticker; no engine if its state is newer, unreadable or changed."""
        repair = repair_keys(tick.connection, tick.names, self._settings.max_records)
        plain_reads = None if known is None else known.plain_reads
        reading = self._read_new_records(tick, repair.folded_to, repair.key_check, plain_reads)
        if known is not None and known.version == reading.version:
            known.key_check = repair.key_check
            return reading, known
        stored_ticker = read_stored_ticker(tick.connection, tick.names)
        if _decode_version(stored_ticker.fields.get("version", b"")) != reading.version:
            return reading, None
        if not reading.version:
            is_loss = repair.had_unreadable_state or stored_ticker.has_published_data
            return reading, self._start_fresh(
                tick, stored_ticker, known, repair.key_check, is_loss=is_loss
            )
        return reading, self._resume(tick, stored_ticker, repair.key_check)

    def _start_fresh(
        self,
        tick: TickJob,
        stored_ticker: StoredTicker,
        known: WarmTicker | None,
        key_check: KeyCheck,
        *,
        is_loss: bool,
    ) -> WarmTicker:
        """Return a new engine, marked as rebuilt and logged if a state was lost."""
        engine = Engine.new(tick.ticker, self._hours_of(tick.ticker))
        is_aside = tick.ticker in self._quarantined
        if is_loss and not is_aside:
            _log.warning("state missing or unreadable, rebuilding", ticker=tick.ticker)
        self._quarantined.discard(tick.ticker)
        if self._data_loss.check(tick.clock_as_of) or known is not None or is_loss or is_aside:
            engine.state.rebuilt_at = -1
        published = PublishedKeys(as_of=self._believed(tick, stored_ticker))
        loss_until = tick.clock_as_of + max(POSSIBLE_LOSS_MS, 2 * self._settings.interval_ms)
        return WarmTicker("", engine, published, key_check, possible_loss_until=loss_until)

    def _believed(self, tick: TickJob, stored_ticker: StoredTicker) -> list[int]:
        """Return the published times of the windows, 0 for one ahead: it is to be replaced."""
        return [0 if self._is_ahead(it, tick) else it for it in stored_ticker.published_as_of]

    def _resume(
        self, tick: TickJob, stored_ticker: StoredTicker, key_check: KeyCheck
    ) -> WarmTicker | None:
        """Restore a stored state; None if a newer worker wrote it or it is unreadable."""
        try:
            version = _decode_version(stored_ticker.fields["version"])
            written_by = stored_ticker.fields.get("engine", b"")
            if self._newer_states.owns(tick.ticker, written_by, version, tick.clock_as_of):
                tick.outcome = OUTDATED
                return None
            engine = self._restore_engine(tick.ticker, stored_ticker.fields)
            published = PublishedKeys(as_of=self._believed(tick, stored_ticker))
            corrected_at = int(read_stamp(stored_ticker.fields.get(keys.CORRECTED_AT)) or 0)
            return WarmTicker(
                version,
                engine,
                published,
                key_check,
                ticked_at=int(read_ticked_at(stored_ticker.fields["version"]) or 0),
                corrected_at=corrected_at,
            )
        except StateUnreadable as error:
            fault = str(error)[:200]
            _log.warning("state unreadable, rebuilding", ticker=tick.ticker, error=fault)
        self._quarantined.add(tick.ticker)
        quarantine(tick.connection, tick.names[:1])
        return None

    def _restore_engine(self, ticker: str, fields: Mapping[str, bytes]) -> Engine:
        """Rebuild an engine from the stored state, journal and bars.

        If records of the journal are gone, the engine continues after a gap from the last tick that
        could be folded again to the last one of the journal. Raises `StateUnreadable`.
        """
        packed = codec.PackedState(
            fields.get("blob", b""),
            _fields_with_prefix(fields, CANDIDATES_PREFIX),
            _fields_with_prefix(fields, LEVELS_PREFIX),
            ranks=fields.get(RANKS, b""),
            past_events=_fields_with_prefix(fields, PAST_EVENTS_PREFIX),
            outcomes=fields.get(OUTCOMES_FIELD, b""),
        )
        state = codec.decode_state(packed)
        as_of = self._replay(state, fields)
        state.recent = codec.decode_bars(fields.get("recent", b""))
        table = self._table_of(state, state.recent, as_of)
        engine = Engine(state, table, self._hours_of(ticker))
        if state.as_of < as_of:
            _log.warning("records of a journal are gone", ticker=ticker, since=state.as_of)
            engine.skip_gap(float(as_of))
            state.as_of = as_of
        return engine

    def _table_of(self, state: State, recent: Sequence[Bar], as_of: int) -> RollingBars:
        """Return a table of the seconds up to `as_of`: those stored as bars, and the `recent`."""
        end = recent[0].end if recent else as_of
        oldest = end - (max(WINDOW_SECONDS) + 1) * SECOND_MS
        key = self._keys.bars(state.ticker)
        # After a silence the newest bar before it, however old, holds the standing quote.
        stored = self._redis.xrevrange(key, oldest - 1, "-", count=1)
        stored += self._redis.xrange(key, oldest, end - 1 if recent else end)
        bars = [codec.decode_bar(entry.get(b"b", b"")) for _, entry in stored]
        table = RollingBars.from_bars(
            [*bars, *recent], max(WINDOW_SECONDS), spans=WINDOW_SECONDS, gaps=state.gaps
        )
        table.first_quote = state.first_quote
        if recent or bars:
            # Only silent seconds are missing: lost ones are stored as bars.
            table.fill_to(as_of)
        table.lost_to = whole_second(state.gap_end) - SECOND_MS
        return table

    def _hours_of(self, ticker: str) -> TradingHours:
        return hours_of(ticker, self._calendars)

    def _replay(self, state: State, fields: Mapping[str, bytes]) -> int:
        """Advance a state from when it was stored whole to the last tick, by its journal.

        Returns the time of that tick; the state stays behind it if records are gone.
        """
        journal = codec.decode_journal(fields.get("journal", b""))
        if journal is None or not journal.entries:
            return state.as_of
        margins = state.as_of - 1, journal.entries[-1].as_of + 1
        quotes, trades = (
            read_all(self._run, key, margins, self._settings.max_records)
            for key in (self._keys.quotes(state.ticker), self._keys.trades(state.ticker))
        )
        # The ranks of the seconds to be folded again depend on those before them. Some of these are
        # not final and stored with the newest; late ones among them were there at `state.as_of`.
        recent = codec.decode_bars(fields.get("recent", b""))
        table = self._table_of(
            state, [bar for bar in recent if bar.end <= state.as_of], state.as_of
        )
        engine = Engine(state, table, self._hours_of(state.ticker))
        if not journal.replay(engine, quotes, trades):
            return journal.entries[-1].as_of
        return state.as_of

    def _run(self, command: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any reply
        return self._redis.execute_command(*command)

    def _read_missing(self, tick: TickJob, reading: TickRead, folded_to: int) -> bool:
        """Read records that the tick needs and the first read lacks; False if another worker wrote.

        After a gap: the records from its end on. If the first second has more records than one
        read may return: all of that second.
        """
        start = folded_to
        if reading.gap_end is not None and reading.gap_end > folded_to:
            start = whole_second(reading.gap_end) - SECOND_MS
            if not self._read_more(tick, reading, start, tick.as_of, self._records_read):
                return False
        if reading.truncated_at is None or reading.truncated_at > start + SECOND_MS + MARGIN_MS:
            return True
        end = whole_second(max(reading.oldest_score(), start + 1))
        is_same = self._read_more(tick, reading, start, end, MAX_RECORDS_READ)
        if reading.truncated_at is not None:
            self._read_rest(tick, reading, start, end)
        reading.truncated_at = float(end + 1)
        return is_same

    def _read_rest(self, tick: TickJob, reading: TickRead, start: int, end: int) -> None:
        """Add the records in (start, end] that follow those of a reading."""
        for name, found in zip(tick.names[1:3], (reading.quotes, reading.trades), strict=True):
            limit = self._settings.max_records - len(found)
            if limit > 0:
                scores, run = (f"({start - 1}", end + 1), tick.connection.read_one
                found.extend(read_all(run, name, scores, limit, leave_out=len(found)))

    def _read_more(self, tick: TickJob, reading: TickRead, start: int, to: int, limit: int) -> bool:
        """Replace a reading's records; return whether the state's version is still the same."""
        more = self._read_records(tick, start, to, limit, reading.start)
        reading.replace_records(more)
        return more.version == reading.version


def _outcome_callback(
    tick: TickJob, report: TickReport, note_written: Callable[[], None]
) -> tick_connection.OutcomeCallback:
    """Return the callback that reports a tick once the outcome of its write is known."""

    def report_outcome(is_written: bool, error: Exception | None) -> None:  # noqa: FBT001 - `OutcomeCallback`
        if is_written:
            note_written()
        else:
            report.outcome = "overtaken"
        # A key whose type another process changed is quarantined by the next tick.
        is_of_wrong_type = tick_connection.WRONG_TYPE in str(error)
        tick.report_to(report, None if is_of_wrong_type else error)

    return report_outcome


def _decode_version(version: bytes) -> str:
    return version.decode(errors="replace")


def _is_replayable(state: State, reading: TickRead) -> bool:
    """Return whether a journal can describe the tick: it only folds records that came in time."""
    came_late = reading.late_records or reading.late_quotes or reading.late_trades or reading.gaps
    return not (came_late or reading.gap_end is not None or state.rebuilt_at < 0)


def _fields_with_prefix(fields: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    """Return the fields whose names start with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in fields.items() if name.startswith(prefix)}
