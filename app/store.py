"""A ticker's records in, its state and results in and out: one round trip each way a tick."""

import time
from collections import OrderedDict
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec
import redis
import structlog

from app import codec, keys
from app.bar_tables import BarTable
from app.bars import SECOND_MS
from app.connect import connect
from app.emptied import UNSURE_MS, Emptied
from app.engine import SPANS, Engine
from app.errors import StateUnreadable
from app.folding import TickReport, fold, found
from app.journal import Journal
from app.keys import Keys
from app.lines import Command, Line, Lines
from app.patterns.events import whole_second
from app.reading import Reading
from app.scripts import READ
from app.settings import Settings
from app.state import ENGINE, State
from app.writing import CANDIDATES, LEVELS, Shown, Writing, is_turn

MOST_RECORDS_READ = 5_000
WARM_TICKERS = 5000

_log = structlog.stdlib.get_logger("orderflow.store")


class Tick(msgspec.Struct):
    """One tick on its way: the line that it reads and writes by, and the ticker's keys."""

    ticker: str
    as_of: int
    line: Line
    names: list[str]


class Warm(msgspec.Struct):
    """A ticker's engine as of a version of its state in Redis, and what its keys show.

    Up to `unsure_until` another process may yet say that what was before is lost; `journal` is None
    where the state in Redis is not this worker's.
    """

    version: str
    engine: Engine
    shown: Shown
    unsure_until: int = 0
    journal: Journal | None = None


class Store:
    """The tick's side of Redis; keeps engines warm and checks them by version at each read."""

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        self._settings = settings
        self._redis: Any = client or connect(settings)
        self._keys = Keys(cluster=settings.cluster)
        self._lines = Lines(self._redis)
        self._warm: OrderedDict[str, Warm] = OrderedDict()
        self._set_aside_by_us: set[str] = set()
        self._emptied = Emptied(self._redis)
        self._nonce, self._writes = uuid4().hex[:12], count(1)

    def advance(self, ticker: str, as_of: int) -> TickReport:
        """Fold what `ticker` recorded up to `as_of` (epoch ms) and publish the result.

        Where more waits than a tick's time allows, it folds up to an earlier whole second, says
        so in the quality, and the next tick goes on from there.
        """
        if not self._emptied.knows:
            self._emptied.of_late(as_of)
        with self._lines.to(self._keys.state(ticker)) as line:
            return self._advanced(Tick(ticker, as_of, line, self._keys.of_tick(ticker)))

    def _advanced(self, tick: Tick) -> TickReport:
        kept = self._warm.pop(tick.ticker, None)
        reading = self._reading(tick, tick.as_of, kept.version if kept else "", MOST_RECORDS_READ)
        warm = self._current(tick, reading, kept) if reading else None
        if reading is None or warm is None:
            return TickReport("overtaken")
        if warm.engine.state.as_of >= tick.as_of:
            self._keep(tick.ticker, warm)
            return TickReport("overtaken", newest_quote_ms=reading.newest_quote_ms)
        if not warm.engine.state.as_of and not reading.quotes and not reading.trades:
            return TickReport("idle", newest_quote_ms=reading.newest_quote_ms)
        return self._ticked(tick, reading, warm)

    def _ticked(self, tick: Tick, reading: Reading, warm: Warm) -> TickReport:
        """Fold what was read into the engine that it belongs to, and write what is found."""
        engine, as_of = warm.engine, tick.as_of
        if (
            as_of <= warm.unsure_until
            and not engine.state.rebuilt_at
            and self._emptied.of_late(as_of)
        ):
            engine.state.rebuilt_at = -1
        folded_to = engine.state.as_of or reading.before_all()
        if reading.is_cut_at is not None and reading.is_cut_at <= folded_to + SECOND_MS:
            self._whole_second(tick, reading, folded_to)
        is_told = _is_told_by_a_journal(engine.state, reading)
        # Its own time: on a busy machine the clock runs while others do, and backlogs would stay.
        report = fold(engine, reading, as_of, time.thread_time)
        if not engine.state.fold.end:  # what was read lies behind as_of, by under 1 ms
            report.outcome = "idle"
            return report
        analysis = found(engine, reading, report, folded_to)
        is_told = is_told and not report.failed_detectors
        journal = self._journal(warm, reading, folded_to) if is_told else None
        version = f"{analysis.as_of}-{self._nonce}-{next(self._writes)}"
        writing = Writing(tick.names, self._settings, reading)
        commands = writing.commands(engine.state, analysis, warm.shown, version, journal)
        if not self._written(tick, commands):
            report.outcome = "overtaken"
            return report
        warm.version = version
        warm.journal = journal or Journal(analysis.as_of)
        self._keep(tick.ticker, warm)
        return report

    @staticmethod
    def _journal(warm: Warm, reading: Reading, folded_to: int) -> Journal | None:
        """Note the tick in the ticker's journal; None where the state is to be stored whole."""
        journal, state = warm.journal, warm.engine.state
        if journal is None or is_turn(state.ticker, state.as_of, 5) or journal.is_full(state.as_of):
            return None
        journal.note(folded_to, state.as_of, (reading.quotes, reading.trades))
        return journal

    @staticmethod
    def _written(tick: Tick, commands: list[Command]) -> bool:
        return tick.line.write(commands)

    def note_failure(self, ticker: str, as_of: int, error: Exception) -> None:
        """Count a tick that failed, for the ticker's answers."""
        name = self._keys.failures(ticker)
        pipe = self._redis.pipeline()
        pipe.hincrby(name, "count", 1)
        pipe.hset(name, mapping={"as_of": as_of, "error": type(error).__name__})
        pipe.expire(name, keys.FAILURES_LIFETIME_SECONDS)
        pipe.execute()

    def _keep(self, ticker: str, warm: Warm) -> None:
        self._warm[ticker] = warm
        if len(self._warm) > WARM_TICKERS:
            self._warm.popitem(last=False)

    def _reading(self, tick: Tick, as_of: int, version: str, most: int) -> Reading | None:
        """Read up to `as_of` and watch what will be written; None where another was quicker."""
        start = as_of - self._settings.retention_seconds * SECOND_MS
        bounds = (self._settings.max_records, keys.BAD_LIFETIME_SECONDS)
        state, _, _, *results = tick.names
        reply, *_, watched = tick.line.read(
            READ,
            (len(tick.names), *tick.names, version, as_of, start, most, *bounds),
            [("UNWATCH",), ("WATCH", state, *results), ("HGET", state, "version")],
        )
        return Reading.of(reply, start, most) if reply[0] == (watched or b"") else None

    def _current(self, tick: Tick, reading: Reading, kept: Warm | None) -> Warm | None:
        """Return the engine of the state that was read; None where a newer engine owns it."""
        ticker = tick.ticker
        if kept is not None and kept.version == reading.version:
            return kept
        shown = Shown(as_of=reading.shown)
        if not reading.version:
            engine = Engine.new(ticker)
            if reading.residue and ticker not in self._set_aside_by_us:
                _log.warning("state missing or unreadable, rebuilding", ticker=ticker)
            self._set_aside_by_us.discard(ticker)
            if self._emptied.of_late(tick.as_of) or kept is not None or reading.residue:
                engine.state.rebuilt_at = -1
            return Warm("", engine, shown, unsure_until=tick.as_of + UNSURE_MS)
        try:
            theirs = _engine_of(reading.fields)
            if theirs > _numbers(ENGINE):
                return None
            if theirs == _numbers(ENGINE):
                return Warm(reading.version, self._thawed(ticker, reading.fields), shown)
        except StateUnreadable as error:
            _log.warning("state unreadable, rebuilding", ticker=ticker, error=str(error)[:200])
        self._set_aside(ticker)
        return None

    def _thawed(self, ticker: str, fields: dict[str, bytes]) -> Engine:
        packed = codec.Packed(
            fields.get("blob", b""), _named(fields, CANDIDATES), _named(fields, LEVELS)
        )
        state = codec.decode_state(packed)
        self._replay(state, fields)
        state.recent = codec.decode_bars(fields.get("recent", b""))
        end = state.recent[0].end if state.recent else state.as_of
        oldest = end - (max(SPANS) + 1) * SECOND_MS
        stored = self._redis.xrange(self._keys.bars(ticker), oldest, end - 1)
        bars = [codec.decode_bar(entry.get(b"b", b"")) for _, entry in stored]
        table = BarTable.of([*bars, *state.recent], max(SPANS))
        table.first_quote = state.first_quote
        if state.recent or bars:
            table.fill_to(state.as_of)
        return Engine(state, table)

    def _replay(self, state: State, fields: dict[str, bytes]) -> None:
        """Bring a state from when it was stored whole to the last tick."""
        journal = codec.decode_journal(fields.get("journal", b""))
        if journal is None or not journal.entries:
            return
        pipe = self._redis.pipeline()
        for key in (self._keys.quotes(state.ticker), self._keys.trades(state.ticker)):
            margins = state.as_of - 1, journal.entries[-1].as_of + 1
            pipe.zrangebyscore(key, *margins, withscores=True)
        quotes, trades = pipe.execute()
        table = BarTable(max(SPANS))
        table.first_quote = state.first_quote
        journal.replay(Engine(state, table), quotes, trades)

    def _set_aside(self, ticker: str) -> None:
        """Move a state that can't be gone on from out of the way; the next tick rebuilds it."""
        self._set_aside_by_us.add(ticker)
        name = self._keys.state(ticker)
        pipe = self._redis.pipeline()
        pipe.rename(name, keys.bad(name))
        pipe.expire(keys.bad(name), keys.BAD_LIFETIME_SECONDS)
        pipe.execute()

    def _whole_second(self, tick: Tick, reading: Reading, folded_to: int) -> None:
        """Read all of one second that holds more records than a tick usually reads."""
        end = whole_second(max(reading.oldest(), folded_to + 1))
        whole = self._reading(tick, end, reading.version, self._settings.max_records)
        if whole is not None:
            reading.quotes, reading.trades = whole.quotes, whole.trades
            reading.is_cut_at = float(end + 1)


def _is_told_by_a_journal(state: State, reading: Reading) -> bool:
    """Tell whether a tick does nothing but fold records that came in time."""
    came_late = reading.unknown or reading.late_quotes or reading.late_trades
    return not (came_late or reading.lost_to is not None or state.rebuilt_at < 0)


def _named(fields: dict[str, bytes], kind: str) -> dict[str, bytes]:
    """Return the fields whose names begin with `kind`, by the rest of their names."""
    return {name[len(kind) :]: value for name, value in fields.items() if name.startswith(kind)}


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _engine_of(fields: dict[str, bytes]) -> list[int]:
    try:
        return _numbers(fields["engine"].decode())
    except (KeyError, ValueError):
        raise StateUnreadable("no version of an engine") from None
