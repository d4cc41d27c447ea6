"""Record tapes from Redis: what a broker writes, without a gap or a double over restarts.

A ticker's keys are read every few seconds from somewhat before the newest record that is on tape,
so that late records are found too; what is there already is left out.
"""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import structlog
from redis import Redis

from app.analysis.record_parser import ScoredMembers, parse_batch
from app.analysis.record_schemas import MIN_EPOCH_MS
from app.core.clock import now_ms
from app.core.outage_log import OutageLog
from app.core.settings import Settings
from app.feeds.record import (
    DAY_MS,
    KINDS,
    WRITE_SECONDS,
    TapeEnd,
    TapeRecorder,
    files_of,
    gap_row,
    path_of,
    read_end,
)
from app.feeds.tape_rows import kind_of, row_of
from app.storage.keys import Keys

OVERLAP_MS = 60_000.0
"""How far behind the newest record others may arrive; ticks leave later ones out as well."""
PAGE_RECORDS = 20_000

log = structlog.get_logger()


class _DeclaredGap(msgspec.Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """A gap as a feed declares it."""

    from_ms: float
    to_ms: float
    reason: str


_decode_gap = msgspec.json.Decoder(_DeclaredGap).decode


class RecordKey:
    """One key of records: which of them are on tape."""

    def __init__(self, key: str, end: TapeEnd) -> None:
        self._key = key
        self.newest_ms = end.newest_ms
        self._polled_ms = end.written_ms
        self._on_tape: set[tuple[bytes, float]] = set()
        self.has_lost = False
        """Whether records on tape are gone that should still be there, and others with them."""

    def read(self, redis: Redis, to_ms: float) -> ScoredMembers:
        """Return the members from somewhat before the newest one on tape to `to_ms`."""
        return _read_pages(redis, self._key, max(self.newest_ms - OVERLAP_MS, MIN_EPOCH_MS), to_ms)

    def take_new(self, found: ScoredMembers, to_ms: float, retention_ms: float) -> ScoredMembers:
        """Return those of the members read that were not returned before; note if some were lost.

        Members that are on tape since before this process are among them at the first call.
        """
        newest_ms = self.newest_ms
        is_gone = newest_ms > 0 and not any(score < newest_ms + 1 for _, score in found)
        was_trimmed_when_old = newest_ms < to_ms - retention_ms <= self._polled_ms
        self.has_lost |= is_gone and not was_trimmed_when_old
        self._polled_ms = to_ms
        self.newest_ms = max([newest_ms, *(score for _, score in found)])
        new = [pair for pair in found if pair not in self._on_tape]
        oldest_ms = self.newest_ms - OVERLAP_MS
        self._on_tape = {pair for pair in found if pair[1] >= oldest_ms}
        return new


def _read_pages(redis: Redis, key: str, low_ms: float, high_ms: float) -> ScoredMembers:
    """Read the members of a range page by page, from score to score: the oldest may be trimmed."""
    store: Any = redis
    found: dict[tuple[bytes, float], None] = {}
    size = PAGE_RECORDS
    while True:
        page = store.zrangebyscore(key, repr(low_ms), repr(high_ms), 0, size, withscores=True)
        found |= dict.fromkeys(page)
        if len(page) < size:
            return list(found)
        # A whole page of one stamp would be read again and again.
        size = 2 * size if page[-1][1] == low_ms else PAGE_RECORDS
        low_ms = page[-1][1]


class TickerRecorder:
    """Records one ticker's keys."""

    def __init__(self, ticker: str, folder: Path, recorder: TapeRecorder, keys: Keys) -> None:
        self._ticker = ticker
        self._folder = folder
        self._recorder = recorder
        self._gaps_key = keys.gaps(ticker)
        self._gaps = {row for path in files_of(folder, ticker, "gaps") for row in _lines(path)}
        ends = {kind: read_end(folder, ticker, kind, OVERLAP_MS) for kind in KINDS}
        self._known = sum((end.rows for end in ends.values()), Counter[str]())
        self._is_first = True
        self._keys = {
            "quotes": RecordKey(keys.quotes(ticker), ends["quotes"]),
            "trades": RecordKey(keys.trades(ticker), ends["trades"]),
        }

    def poll(self, redis: Redis, retention_ms: float) -> None:
        """Queue what is new in Redis for the next write.

        A poll that fails has taken nothing.
        """
        to_ms = now_ms()
        found = {kind: key.read(redis, to_ms) for kind, key in self._keys.items()}
        # A feed declares a gap before the first record behind it.
        store: Any = redis
        gaps = store.zrange(self._gaps_key, 0, -1)
        newest_ms = max(key.newest_ms for key in self._keys.values())
        new = {
            kind: key.take_new(found[kind], to_ms, retention_ms) for kind, key in self._keys.items()
        }
        self._copy_gaps(gaps, to_ms)
        batch = parse_batch(new["quotes"], new["trades"])
        rows = [(kind_of(one), row_of(one, batch.digits), one.stamp) for one in batch.records]
        if self._is_first:
            rows = [row for row in rows if not self._is_on_tape(row[1])]
            self._known.clear()
        if rows:
            self._declare_loss(newest_ms, min(stamp for _, _, stamp in rows))
        self._is_first = False
        for kind, row, stamp in rows:
            self._recorder.add_row(self._ticker, kind, row, stamp)

    def _is_on_tape(self, row: str) -> bool:
        """Tell whether a row is on tape once more than it was asked for."""
        if not self._known[row]:
            return False
        self._known[row] -= 1
        return True

    def _declare_loss(self, newest_ms: float, first_ms: float) -> None:
        """Declare a gap where records were lost between those on tape and the new ones."""
        if any(one.has_lost for one in self._keys.values()) and first_ms > newest_ms:
            reason = "resumed" if self._is_first else "unknown"
            self._recorder.add_gap(self._ticker, newest_ms, first_ms, reason)
        for one in self._keys.values():
            one.has_lost = False

    def _copy_gaps(self, members: Sequence[bytes], to_ms: float) -> None:
        """Queue the gaps that the feed declared and that are not on tape yet."""
        for member in members:
            try:
                gap = _decode_gap(member)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            row = gap_row(gap.from_ms, gap.to_ms, gap.reason)
            is_gap = 0 < gap.to_ms - gap.from_ms <= DAY_MS and gap.to_ms <= to_ms
            if is_gap and row not in self._gaps:
                self._gaps.add(row)
                self._recorder.add_gap(self._ticker, gap.from_ms, gap.to_ms, gap.reason)

    def note_complete(self) -> None:
        """Keep as the time of the newest files that the tape is complete until now."""
        for kind, key in self._keys.items():
            with suppress(FileNotFoundError):
                os.utime(path_of(self._folder, self._ticker, kind, int(key.newest_ms // DAY_MS)))


def _lines(path: Path) -> Sequence[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def record_tickers(
    redis: Redis, config: Settings, tickers: Sequence[str], folder: Path, stop: Event
) -> int:
    """Record until `stop` is set, whatever Redis does meanwhile; return how many records.

    Raises `TapeError` where there can be no tapes.
    """
    recorder = TapeRecorder(folder, declares_restarts=False)
    keys = Keys(cluster=config.cluster)
    outage = OutageLog(log, database=config.redis_database)
    recorders = [TickerRecorder(ticker, folder, recorder, keys) for ticker in tickers]
    is_last = False
    while True:
        polled = [one for one in recorders if _poll(one, redis, config, outage)]
        if recorder.write():
            for one in polled:
                one.note_complete()
        if is_last:
            recorder.close()
            return recorder.recorded_count
        is_last = stop.wait(WRITE_SECONDS)


def _poll(one: TickerRecorder, redis: Redis, config: Settings, outage: OutageLog) -> bool:
    """Poll one ticker and tell whether Redis answered."""
    with outage.attempt():
        one.poll(redis, config.retention_seconds * 1000.0)
        return True
    return False
