"""Run ticks: read a ticker's records, fold them, and write its state and results."""

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import redis
import structlog

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.results import TickResult
from app.analysis.state import State
from app.core import clock
from app.core.clock import BELIEVED_AHEAD_INTERVALS
from app.core.errors import StateUnreadable
from app.core.settings import Settings
from app.storage import keys, tick_connection
from app.storage.data_loss import POSSIBLE_LOSS_MS, DataLossDetector
from app.storage.engine_restore import EngineRestorer
from app.storage.keys import Keys
from app.storage.newer_states import NewerStates
from app.storage.published import read_stamp, read_ticked_at
from app.storage.redis_client import connect
from app.storage.scripts import KEEP_STATE, STEP_BACK
from app.storage.server_clock import ServerClock
from app.storage.settle_times import SettleTimes
from app.storage.takeover import StoredTicker, quarantine, read_stored_ticker, repair_keys
from app.storage.tick.arrival_lag import ArrivalLag
from app.storage.tick.fold import TickReport, analyse, fold
from app.storage.tick.journal import Journal
from app.storage.tick.read import KeyCheck, TickRead
from app.storage.tick.resp import Command
from app.storage.tick.write import PublishedKeys, RecordLimits, TickWrite, is_housekeeping_turn
from app.storage.tick_connection import TickConnections
from app.storage.tick_job import ReportCallback, TickJob, WarmTicker
from app.storage.tick_reads import TickReads

WARM_TICKERS = 5000
OUTDATED = "outdated"
# How long answers tell of it: as long as an event that it took back would have been kept.
CORRECTION_SHOWN_MS = keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS

_log = structlog.stdlib.get_logger("orderflow.store")


class _Folded(NamedTuple):
    """What a tick folded: from when on, and what is to be written of it."""

    folded_to: int
    report: TickReport
    result: TickResult
    is_replayable: bool


class TickStore:
    """Runs ticks against Redis; keeps engines warm, and checks their versions at each read."""

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        self._settings = settings
        self._believed_ahead_ms = BELIEVED_AHEAD_INTERVALS * settings.interval_ms
        self._limits = RecordLimits(settings.retention_seconds, settings.max_records)
        self._redis: Any = client or connect(settings)
        self._keys = Keys(cluster=settings.cluster)
        self._channels = keys.ticked_channels(settings.redis_database)
        self._connections = TickConnections(self._redis)
        self._warm: OrderedDict[str, WarmTicker] = OrderedDict()
        self._quarantined: set[str] = set()
        self._newer_states = NewerStates(settings.interval_ms)
        self._data_loss = DataLossDetector(self._redis)
        self._server_clock = ServerClock(self._redis)
        self._settle_times = SettleTimes(self._redis, self._server_clock, settings)
        self.reads = TickReads(settings)
        self._engines = EngineRestorer(self._redis, self._keys, settings)
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
        lag = self._settle_times.lag_of(tick, known)
        tick.as_of = lag.as_of(tick.clock_as_of)
        reading = None
        if known is not None and not self._is_housekeeping_turn(tick.ticker, tick.as_of):
            reading = self.reads.read_new(
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
            self._settle_times.follow(tick, reading, warm, lag)
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

    def _fold_and_write(self, tick: TickJob, reading: TickRead, warm: WarmTicker) -> None:
        """Fold the records that were read into the engine, and send the write of the results."""
        state = warm.engine.state
        warm.plain_reads.note(reading, tick.clock_as_of)
        self._check_for_data_loss(warm, tick.clock_as_of)
        folded_to = state.as_of or reading.second_before_oldest()
        if not self.reads.read_missing(tick, reading, folded_to):
            tick.report_to(TickReport("overtaken"), None)
            return
        self.reads.read_gaps(tick, reading, warm)
        # Before the first usable record the whole state is small, and stored each time.
        is_replayable = state.has_records and _is_replayable(state, reading)
        report = self._fold(tick, reading, warm)
        if not (state.has_records or state.has_rejections):
            # All records are stamped after as_of, by under 1 ms.
            report.outcome = "idle"
            tick.report_to(report, None)
            return
        result = analyse(warm.engine, reading, report, folded_to)
        is_replayable = is_replayable and not report.failed_detectors
        self._write_results(tick, reading, warm, _Folded(folded_to, report, result, is_replayable))

    def _fold(self, tick: TickJob, reading: TickRead, warm: WarmTicker) -> TickReport:
        """Fold the records into the engine, and note which gaps it has seen by now."""
        # Thread time: by the clock, ticks on a busy machine would be cut short and backlogs grow.
        report = fold(
            warm.engine, reading, tick.as_of, time.thread_time, self._settings.interval_seconds
        )
        if reading.gaps is not None:
            warm.gap_count = -1 if reading.gaps.unseen else reading.gap_count
        if warm.corrected_at > tick.clock_as_of - CORRECTION_SHOWN_MS:
            reading.clock_corrected_at = warm.corrected_at
        return report

    def _write_results(
        self, tick: TickJob, reading: TickRead, warm: WarmTicker, folded: _Folded
    ) -> None:
        """Send the write of a tick's results, with the whole state or its journal."""
        result = folded.result
        is_housekeeping = self._is_housekeeping_due(warm, reading)
        journal = None if is_housekeeping or not folded.is_replayable else warm.journal
        if journal is not None:
            journal.append(folded.folded_to, result.as_of, (reading.quotes, reading.trades))
        version = self._new_version(tick.clock_as_of)
        tick_write = TickWrite(
            tick.names,
            self._limits,
            reading,
            self._channels,
            self._trimmed_as_of(tick.as_of) if is_housekeeping else None,
        )
        state = warm.engine.state
        commands = tick_write.commands(state, result, warm.published, version, journal)
        most_ms = self._believed_ahead_ms + self._settings.interval_ms
        is_leap = tick.as_of - folded.folded_to > most_ms
        if is_leap and reading.version:
            commands[1:1] = [self._keep_state(tick)]
        if journal is None and warm.corrected_at:
            commands[-1:-1] = [("HSET", tick.names[0], keys.CORRECTED_AT, warm.corrected_at)]

        def note_written() -> None:
            warm.version, warm.ticked_at = version, tick.clock_as_of
            warm.journal = journal or Journal(result.as_of)
            self._store_warm(tick.ticker, warm)

        self._write(tick, commands, _outcome_callback(tick, folded.report, note_written))

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

    def _take_over(
        self, tick: TickJob, known: WarmTicker | None
    ) -> tuple[TickRead, WarmTicker | None]:
        """Repair and read a ticker; no engine if its state is newer, unreadable or changed."""
        repair = repair_keys(tick.connection, tick.names, self._settings.max_records)
        plain_reads = None if known is None else known.plain_reads
        reading = self.reads.read_new(tick, repair.folded_to, repair.key_check, plain_reads)
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
        engine = Engine.new(tick.ticker, self._engines.hours_of(tick.ticker))
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
            engine = self._engines.restore(tick.ticker, stored_ticker.fields)
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
