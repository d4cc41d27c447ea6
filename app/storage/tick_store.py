"""A ticker's records in, its state and results in and out: a read and a write a tick."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec
import redis
import structlog

from app.analysis.bars import SECOND_MS
from app.analysis.engine import MAX_LATE_MS, Engine
from app.analysis.patterns.events import whole_second
from app.analysis.rolling_bars import RollingBars
from app.analysis.state import ENGINE, State
from app.analysis.windows import WINDOW_SECONDS
from app.core.errors import StateUnreadable
from app.core.settings import Settings
from app.storage import keys, tick_connection
from app.storage.data_loss import POSSIBLE_LOSS_MS, DataLossDetector
from app.storage.keys import Keys
from app.storage.redis_client import connect
from app.storage.takeover import StoredTicker, quarantine, read_stored_ticker, repair_keys
from app.storage.tick import codec
from app.storage.tick.fold import TickReport, analyse, fold
from app.storage.tick.journal import Journal
from app.storage.tick.read import (
    AHEAD_MS,
    OLDEST_MS,
    READ_COMMANDS,
    KeyCheck,
    TickRead,
    read_commands,
    read_pairs,
)
from app.storage.tick.resp import Command
from app.storage.tick.write import (
    CANDIDATES_PREFIX,
    LEVELS_PREFIX,
    PublishedKeys,
    RecordLimits,
    TickWrite,
    is_housekeeping_turn,
)
from app.storage.tick_connection import TickConnections

MAX_RECORDS_READ = 5_000
WARM_TICKERS = 5000

ReportCallback = Callable[[TickReport, Exception | None], None]
"""Hears what became of a tick, or the error of redis-py's that ended it."""

_log = structlog.stdlib.get_logger("orderflow.store")


class TickJob(msgspec.Struct):
    """One tick on its way: the line that it reads and writes by, and the ticker's keys."""

    ticker: str
    as_of: int
    connection: tick_connection.TickConnection
    names: list[str]
    report_to: ReportCallback


class WarmTicker(msgspec.Struct):
    """A ticker's engine as of a version of its state in Redis, and what its keys show.

    Until `possible_loss_until` (ms) another process may still report that earlier data were lost;
    `journal` is None where the state in Redis is not this worker's.
    """

    version: str
    engine: Engine
    published: PublishedKeys
    key_check: KeyCheck
    possible_loss_until: int = 0
    journal: Journal | None = None


class TickStore:
    """The tick's side of Redis; keeps engines warm and checks them by version at each read."""

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        self._settings = settings
        self._limits = RecordLimits(settings.retention_seconds, settings.max_records)
        self._redis: Any = client or connect(settings)
        self._keys = Keys(cluster=settings.cluster)
        self._connections = TickConnections(self._redis)
        self._warm: OrderedDict[str, WarmTicker] = OrderedDict()
        self._quarantined: set[str] = set()
        self._data_loss = DataLossDetector(self._redis)
        self._nonce, self._writes = uuid4().hex[:12], count(1)

    def run_tick(self, ticker: str, as_of: int) -> TickReport:
        """Do one tick and wait for what became of it.

        Raises redis-py's errors.
        """
        heard: list[tuple[TickReport, Exception | None]] = []
        self.begin_tick(ticker, as_of, lambda *outcome: heard.append(outcome))
        self.await_pending()
        [(report, error)] = heard
        if error is not None:
            raise error
        return report

    def begin_tick(self, ticker: str, as_of: int, told: ReportCallback) -> None:
        """Fold what `ticker` recorded up to `as_of` (epoch ms) and publish the result.

        What became of it is `told` once Redis has said so: by the next tick, or when all is
        settled. Where more waits than a tick's time allows, it folds up to an earlier whole second,
        says so in the quality, and the next tick goes on from there.
        """
        if not self._data_loss.has_checked:
            self._data_loss.check(as_of)
        with self._connections.connection_for(self._keys.state(ticker)) as line:
            self._begin(TickJob(ticker, as_of, line, self._keys.of_tick(ticker), told))

    def await_pending(self) -> None:
        """Hear what became of every tick so far."""
        self._connections.await_pending()

    def _begin(self, tick: TickJob) -> None:
        if tick.ticker not in self._warm:
            tick.connection.await_pending()  # what is to be heard yet may be this ticker's
        kept = self._warm.pop(tick.ticker, None)
        reading = None
        if kept is not None and not self._is_housekeeping_turn(tick.ticker, tick.as_of):
            reading = self._reading(tick, kept.engine.state.as_of, kept.key_check)
            if reading.version != kept.version or reading.is_malformed:
                reading = None
        warm = kept
        if reading is None:
            reading, warm = self._take_over(tick, kept)
        if warm is None:
            tick.report_to(TickReport("overtaken"), None)
        elif warm.engine.state.as_of >= tick.as_of:
            self._keep(tick.ticker, warm)
            tick.report_to(TickReport("overtaken"), None)
        elif not warm.engine.state.as_of and not reading.quotes and not reading.trades:
            tick.report_to(TickReport("idle"), None)
        else:
            self._run(tick, reading, warm)

    def _run(self, tick: TickJob, reading: TickRead, warm: WarmTicker) -> None:
        """Fold what was read into the engine that it belongs to, and write what is found."""
        engine, as_of = warm.engine, tick.as_of
        self._check_for_data_loss(warm, as_of)
        folded_to = engine.state.as_of or reading.second_before_oldest()
        if not self._has_all(tick, reading, folded_to):
            tick.report_to(TickReport("overtaken"), None)
            return
        is_plain = _is_told_by_a_journal(engine.state, reading)
        # Its own time: on a busy machine the clock runs while others do, and backlogs would stay.
        report = fold(engine, reading, as_of, time.thread_time)
        if not engine.state.bar_builder.end:  # what was read lies behind as_of, by under 1 ms
            report.outcome = "idle"
            tick.report_to(report, None)
            return
        analysis = analyse(engine, reading, report, folded_to)
        is_plain = is_plain and not report.failed_detectors
        keeps_house = self._is_housekeeping_due(warm, reading)
        journal = None if keeps_house or not is_plain else warm.journal
        if journal is not None:
            journal.append(folded_to, analysis.as_of, (reading.quotes, reading.trades))
        version = f"{analysis.as_of}-{self._nonce}-{next(self._writes)}"
        writing = TickWrite(tick.names, self._limits, reading, is_housekeeping=keeps_house)
        commands = writing.commands(engine.state, analysis, warm.published, version, journal)

        def told(is_written: bool, error: Exception | None) -> None:  # noqa: FBT001 - `lines.Told`
            if is_written:
                warm.version = version
                warm.journal = journal or Journal(analysis.as_of)
                self._keep(tick.ticker, warm)
            else:
                report.outcome = "overtaken"
            # What another overwrote with another type, the next tick sets aside.
            is_of_wrong_type = tick_connection.WRONG_TYPE in str(error)
            tick.report_to(report, None if is_of_wrong_type else error)

        self._write(tick, commands, told)

    def _check_for_data_loss(self, warm: WarmTicker, as_of: int) -> None:
        """Have a ticker say that it was rebuilt, where another process finds Redis emptied."""
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
        """Tell whether to keep house: at the ticker's turn, and where that was missed, by age.

        What is trimmed then may be what a journal needs: the state is stored whole in the same
        tick.
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
        tick: TickJob, commands: list[Command], told: tick_connection.OutcomeCallback
    ) -> None:
        """Take a tick's last step, before which fault plans stop it."""
        tick.connection.write(commands, told)

    def note_failure(self, ticker: str, as_of: int, error: Exception) -> None:
        """Count a tick that failed, for the ticker's answers."""
        name = self._keys.failures(ticker)
        pipe = self._redis.pipeline()
        pipe.hincrby(name, "count", 1)
        pipe.hset(name, mapping={"as_of": as_of, "error": type(error).__name__})
        pipe.expire(name, keys.FAILURES_LIFETIME_SECONDS)
        pipe.execute()

    def _keep(self, ticker: str, warm: WarmTicker) -> None:
        self._warm[ticker] = warm
        if len(self._warm) > WARM_TICKERS:
            self._warm.popitem(last=False)

    def _reading(self, tick: TickJob, folded_to: int, checked: KeyCheck) -> TickRead:
        """Read the records after `folded_to`, and watch whether another worker writes."""
        start = tick.as_of - self._settings.retention_seconds * SECOND_MS
        reading = self._read(tick, folded_to or start, tick.as_of, MAX_RECORDS_READ, start)
        reading.key_check = checked
        if reading.is_ahead_of(tick.as_of):
            ahead = (f"({tick.as_of + AHEAD_MS}", "+inf")
            counts = tick.connection.read([("ZCOUNT", name, *ahead) for name in tick.names[1:3]])
            reading.ahead_count = sum(count for count in counts if isinstance(count, int))
        if reading.version and reading.late_records:
            self._read_late_records(tick, reading, folded_to)
        return reading

    @staticmethod
    def _read(tick: TickJob, folded_to: int, as_of: int, most: int, start: int) -> TickRead:
        asked = read_commands(tick.names, folded_to, as_of, most)
        _, _, *replies = tick.connection.first_read([asked], READ_COMMANDS)
        return TickRead.from_replies(replies, start, most)

    def _read_late_records(self, tick: TickJob, reading: TickRead, folded_to: int) -> None:
        """Read the records of the last 2 s before the fold where there are others than before."""
        records, most = tick.names[1:3], self._settings.max_records
        recent = (f"({folded_to - MAX_LATE_MS}", folded_to)
        margins = (folded_to - MAX_LATE_MS - 1, folded_to + 1, "WITHSCORES", "LIMIT", 0, most)
        replies = tick.connection.read(
            [
                *(("ZCOUNT", name, OLDEST_MS, folded_to) for name in records),
                *(("ZCOUNT", name, *recent) for name in records),
                *(("ZRANGEBYSCORE", name, *margins) for name in records),
            ]
        )
        behind, others, recents = replies[:2], replies[2:4], replies[4:]
        now_behind = sum(count for count in behind if isinstance(count, int))
        reading.late_records += now_behind - reading.folded_count
        reading.folded_count = now_behind
        if sum(count for count in others if isinstance(count, int)) != reading.recent_count:
            reading.late_quotes, reading.late_trades = (
                [] if isinstance(found, Exception) else read_pairs(found) for found in recents
            )

    def _take_over(
        self, tick: TickJob, kept: WarmTicker | None
    ) -> tuple[TickRead, WarmTicker | None]:
        """Read what there is, put right; None where a newer engine owns the ticker."""
        righted = repair_keys(tick.connection, tick.names, self._settings.max_records)
        reading = self._reading(tick, righted.folded_to, righted.key_check)
        if kept is not None and kept.version == reading.version:
            kept.key_check = righted.key_check
            return reading, kept
        left = read_stored_ticker(tick.connection, tick.names)
        if _text(left.fields.get("version", b"")) != reading.version:
            return reading, None
        if not reading.version:
            is_loss = righted.had_unreadable_state or left.has_published_data
            return reading, self._start_fresh(tick, left, kept, righted.key_check, is_loss=is_loss)
        return reading, self._resume(tick, left, righted.key_check)

    def _start_fresh(
        self,
        tick: TickJob,
        left: StoredTicker,
        kept: WarmTicker | None,
        checked: KeyCheck,
        *,
        is_loss: bool,
    ) -> WarmTicker:
        """Begin with a ticker without a state; where one was lost, that is said."""
        engine = Engine.new(tick.ticker)
        if is_loss and tick.ticker not in self._quarantined:
            _log.warning("state missing or unreadable, rebuilding", ticker=tick.ticker)
        self._quarantined.discard(tick.ticker)
        if self._data_loss.check(tick.as_of) or kept is not None or is_loss:
            engine.state.rebuilt_at = -1
        shown, unsure_until = (
            PublishedKeys(as_of=left.published_as_of),
            tick.as_of + POSSIBLE_LOSS_MS,
        )
        return WarmTicker("", engine, shown, checked, possible_loss_until=unsure_until)

    def _resume(self, tick: TickJob, left: StoredTicker, checked: KeyCheck) -> WarmTicker | None:
        """Go on with another worker's state; None where it is a newer engine's, or unreadable."""
        try:
            theirs = _engine_of(left.fields)
            if theirs > _numbers(ENGINE):
                return None
            if theirs == _numbers(ENGINE):
                version = _text(left.fields["version"])
                engine = self._restore_engine(tick.ticker, left.fields)
                return WarmTicker(
                    version, engine, PublishedKeys(as_of=left.published_as_of), checked
                )
        except StateUnreadable as error:
            fault = str(error)[:200]
            _log.warning("state unreadable, rebuilding", ticker=tick.ticker, error=fault)
        self._quarantined.add(tick.ticker)
        quarantine(tick.connection, tick.names[:1])
        return None

    def _restore_engine(self, ticker: str, fields: Mapping[str, bytes]) -> Engine:
        packed = codec.PackedState(
            fields.get("blob", b""),
            _named(fields, CANDIDATES_PREFIX),
            _named(fields, LEVELS_PREFIX),
        )
        state = codec.decode_state(packed)
        self._replay(state, fields)
        state.recent = codec.decode_bars(fields.get("recent", b""))
        end = state.recent[0].end if state.recent else state.as_of
        oldest = end - (max(WINDOW_SECONDS) + 1) * SECOND_MS
        key = self._keys.bars(ticker)
        # What stood before a silence is told by the newest bar before it, however old.
        stored = self._redis.xrevrange(key, oldest - 1, "-", count=1)
        stored += self._redis.xrange(key, oldest, end - 1)
        bars = [codec.decode_bar(entry.get(b"b", b"")) for _, entry in stored]
        table = RollingBars.from_bars(
            [*bars, *state.recent], max(WINDOW_SECONDS), spans=WINDOW_SECONDS
        )
        table.first_quote = state.first_quote
        if state.recent or bars:
            # Silent ones: what was lost up to here is kept among the bars.
            table.fill_to(state.as_of)
        table.lost_to = whole_second(state.gap_end) - SECOND_MS
        return Engine(state, table)

    def _replay(self, state: State, fields: Mapping[str, bytes]) -> None:
        """Bring a state from when it was stored whole to the last tick."""
        journal = codec.decode_journal(fields.get("journal", b""))
        if journal is None or not journal.entries:
            return
        pipe = self._redis.pipeline()
        for key in (self._keys.quotes(state.ticker), self._keys.trades(state.ticker)):
            margins = state.as_of - 1, journal.entries[-1].as_of + 1
            pipe.zrangebyscore(key, *margins, withscores=True)
        quotes, trades = pipe.execute()
        table = RollingBars(max(WINDOW_SECONDS), spans=WINDOW_SECONDS)
        table.first_quote = state.first_quote
        journal.replay(Engine(state, table), quotes, trades)

    def _has_all(self, tick: TickJob, reading: TickRead, folded_to: int) -> bool:
        """Read what is missing of what the tick folds; False where another one wrote meanwhile.

        After a loss everything from the oldest record that is left; of one second that holds more
        records than a tick usually reads, all of it.
        """
        begins = folded_to
        if reading.gap_end is not None and reading.gap_end > folded_to:
            begins = whole_second(reading.gap_end) - SECOND_MS
            if not self._read_more(tick, reading, begins, tick.as_of, MAX_RECORDS_READ):
                return False
        if reading.truncated_at is None or reading.truncated_at > begins + SECOND_MS:
            return True
        end, most = (
            whole_second(max(reading.oldest_score(), begins + 1)),
            self._settings.max_records,
        )
        is_same = self._read_more(tick, reading, begins, end, most)
        reading.truncated_at = float(end + 1)
        return is_same

    def _read_more(self, tick: TickJob, reading: TickRead, begins: int, to: int, most: int) -> bool:
        """Read other records into a reading; tells whether the state is still the one it read."""
        more = self._read(tick, begins, to, most, reading.start)
        reading.replace_records(more)
        return more.version == reading.version


def _text(version: bytes) -> str:
    return version.decode(errors="replace")


def _is_told_by_a_journal(state: State, reading: TickRead) -> bool:
    """Tell whether a tick does nothing but fold records that came in time."""
    came_late = reading.late_records or reading.late_quotes or reading.late_trades
    return not (came_late or reading.gap_end is not None or state.rebuilt_at < 0)


def _named(fields: Mapping[str, bytes], kind: str) -> dict[str, bytes]:
    """Return the fields whose names begin with `kind`, by the rest of their names."""
    return {name[len(kind) :]: value for name, value in fields.items() if name.startswith(kind)}


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _engine_of(fields: Mapping[str, bytes]) -> list[int]:
    try:
        return _numbers(fields["engine"].decode())
    except (KeyError, ValueError):
        raise StateUnreadable("no version of an engine") from None
