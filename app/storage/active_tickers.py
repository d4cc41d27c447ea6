"""Discover active tickers from the quote keys alone: a broker only has to ZADD."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import redis

from app.analysis.bars import SECOND_MS
from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.arrivals import ArrivalDetector
from app.storage.first_lag import FirstLags, Seen
from app.storage.key_scan import KeyScan
from app.storage.keys import Keys
from app.storage.newcomers import Newcomers
from app.storage.scripts import SHORTEN_RECORDS
from app.storage.tick.score_bounds import AHEAD_MS, OLDEST_MS

ACTIVE_MS = 300_000

# A slice each second covers 50,000 keys (7 ms of this process, 17 ms of Redis), so that a pass over
# 100,000 keys takes two seconds. One SCAN of 1,000 blocks Redis for a third of a millisecond.
SLICE_KEYS = 50_000
SCAN_COUNT = 1_000

# Returns the newest quote of each key that is at most 5 s ahead. As a pipeline this would cost this
# process 15 µs a key instead of 0.6 (25,000 keys: 380 ms against 15 ms; Redis 55 ms either way).
# `pcall`: a key whose type changed meanwhile is skipped.
NEWEST_SCRIPT = (
    SHORTEN_RECORDS
    + """
local found = {}
for i, key in ipairs(KEYS) do
  local newest = redis.pcall('ZREVRANGEBYSCORE', key, ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', 0, 1)
  if newest[2] then
    shorten(key, newest[1], newest[2])
    found[#found + 1] = i
    found[#found + 1] = newest[2]
  end
end
return found
"""
)
KEYS_PER_SCRIPT = 500  # block Redis for a millisecond

_KEY_TYPES = {
    keys.TICKERS: b"zset",
    keys.HEARTBEAT: b"hash",
    keys.WORKERS: b"zset",
    keys.COUNTERS: b"hash",
    keys.MOVED_SHARDS: b"hash",
    keys.LAGS: b"hash",
    keys.WITHHELD: b"hash",
    keys.SIGHTINGS: b"hash",
    keys.NEWCOMERS: b"zset",
    keys.ENTERED: b"zset",
    keys.WAITING: b"zset",
    keys.SCAN: b"string",
    keys.TRIMMING: b"string",
}


class _ScanPass(msgspec.Struct):
    """Progress of the pass over all keys: cursor, number of foreign key names, cluster node.

    `old` is the number of tickers whose newest quote is old.
    """

    cursor: int = 0
    foreign: int = 0
    node: int = 0
    old: int = 0

    @property
    def is_over(self) -> bool:
        """Return whether all keys of all nodes were scanned."""
        return not self.cursor and not self.node


class ActiveTickers:
    """Finds and stores the active tickers, each with when it was last known to be active.

    That is the stamp of its newest quote or, where that is old, when its records last arrived.
    """

    def __init__(
        self,
        client: redis.Redis,
        names: Keys,
        stopwatch_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        # `Any`: redis-py annotates every reply as possibly awaitable.
        self._redis: Any = client
        self._stopwatch_seconds = stopwatch_seconds
        self._is_cluster = not isinstance(client, redis.Redis)
        self._names = names
        self._scan = KeyScan(client)
        self._newest_script = self._redis.register_script(NEWEST_SCRIPT)
        self._arrivals = ArrivalDetector(self._redis, names, is_cluster=self._is_cluster)
        self._first_lags = FirstLags(self._redis)
        self.newcomers = Newcomers(self._redis, names)

    def scan_slice(self, now_ms: float) -> int:
        """Scan the next slice of the keys, and store and count the active tickers in it."""
        began_seconds = self._stopwatch_seconds()
        self._repair_keys()
        scan = self._load_scan()
        is_first_slice = scan.is_over
        tickers = self._tickers(scan)
        newest = self._active_among(tickers, now_ms)
        seen = {ticker: Seen(stamp, stamp) for ticker, stamp in newest.items()}
        seen.update(self._arriving([it for it in tickers if it not in newest], scan, now_ms))
        is_whole_pass = is_first_slice and scan.is_over
        admitted = self.newcomers.admitted(seen, now_ms, ACTIVE_MS, is_whole_pass=is_whole_pass)
        seen = {ticker: it for ticker, it in seen.items() if ticker in admitted}
        reading_ms = (self._stopwatch_seconds() - began_seconds) * SECOND_MS
        active = self._first_lags.release(seen, now_ms, ACTIVE_MS, reading_ms)
        self._save(scan, active, now_ms)
        return len(active)

    def active(self, as_of_ms: int) -> list[str]:
        """Return the tickers that were active in the 300 s before `as_of_ms`."""
        found = self._redis.zrangebyscore(keys.TICKERS, as_of_ms - ACTIVE_MS, "+inf")
        names = (name.decode(errors="replace") for name in found)
        return [name for name in names if is_ticker(name)]

    def _repair_keys(self) -> None:
        """Quarantine keys of the wrong type; in a cluster, delete them."""
        pipe = self._redis.pipeline(transaction=False)
        for name in _KEY_TYPES:
            pipe.type(name)
        for (name, expected), actual in zip(_KEY_TYPES.items(), pipe.execute(), strict=True):
            if actual in {expected, b"none"}:
                continue
            if self._is_cluster:  # a key can't be renamed into another slot
                self._redis.unlink(name)
            else:
                self._redis.rename(name, keys.quarantined(name))
                self._redis.expire(keys.quarantined(name), keys.QUARANTINE_LIFETIME_SECONDS)

    def _load_scan(self) -> _ScanPass:
        """Return the stored progress of the pass, a new pass if there is none."""
        stored = self._redis.get(keys.SCAN)
        if stored is None:
            return _ScanPass()
        try:
            return msgspec.json.decode(stored, type=_ScanPass)
        except (msgspec.DecodeError, RecursionError):
            return _ScanPass()

    def _tickers(self, scan: _ScanPass) -> list[str]:
        """Return the tickers in the next slice of the keys; count foreign key names."""
        tickers: set[str] = set()
        for _ in range(SLICE_KEYS // SCAN_COUNT):
            for name in self._scan.step(scan, self._names.quotes_pattern, SCAN_COUNT):
                ticker = self._names.ticker_of_quotes(name.decode(errors="replace"))
                if ticker is None:
                    scan.foreign += 1
                else:
                    tickers.add(ticker)
            if scan.is_over:
                break
        return list(tickers)

    def _active_among(self, tickers: list[str], now_ms: float) -> dict[str, float]:
        """Return the active ones of some tickers, with the stamps of their newest quotes."""
        if self._is_cluster:
            return self._active_in_cluster(tickers, now_ms)
        active: dict[str, float] = {}
        for start in range(0, len(tickers), KEYS_PER_SCRIPT):
            batch = tickers[start : start + KEYS_PER_SCRIPT]
            found = self._newest_script(
                keys=[self._names.quotes(ticker) for ticker in batch],
                args=[now_ms + AHEAD_MS, now_ms - ACTIVE_MS],
            )
            active.update(_newest_stamps(batch, found))
        return active

    def _active_in_cluster(self, tickers: list[str], now_ms: float) -> dict[str, float]:
        """Query each ticker by a command of its own: a script's keys must share a slot."""
        pipe = self._redis.pipeline(transaction=False)
        for ticker in tickers:
            bounds = now_ms + AHEAD_MS, now_ms - ACTIVE_MS
            name = self._names.quotes(ticker)
            pipe.zrevrangebyscore(name, *bounds, start=0, num=1, withscores=True)
        found = zip(tickers, pipe.execute(raise_on_error=False), strict=True)
        return {
            ticker: newest[0][1] for ticker, newest in found if isinstance(newest, list) and newest
        }

    def _arriving(
        self, old: list[str], scan: _ScanPass, now_ms: float
    ) -> Iterator[tuple[str, Seen]]:
        """Yield the tickers whose newest quote is old, but whose records arrive now."""
        scan.old += len(old)
        changes = [it for it in self._arrivals.changes(old, now_ms) if it.is_arrival]
        if scan.is_over:
            self._arrivals.forget_gone(scan.old)
            scan.old = 0
        if not changes:
            return
        scores = self._redis.zmscore(keys.TICKERS, [change.ticker for change in changes])
        for change, score in zip(changes, scores, strict=True):
            # What discovery had seen before the ticker fell silent, after an older sighting.
            if score == change.after.quotes.newest > change.before.quotes.newest:
                continue
            newest = change.newest_arrived
            is_usable = OLDEST_MS <= newest <= now_ms + AHEAD_MS
            yield change.ticker, Seen(newest if is_usable else 0.0, now_ms, has_arrived=is_usable)

    def _save(self, scan: _ScanPass, active: dict[str, float], now_ms: float) -> None:
        """Store the active tickers and the progress; drop tickers not seen for long."""
        forgotten_ms = now_ms - keys.TICKERS_LIFETIME_SECONDS * 1000
        pipe = self._redis.pipeline(transaction=False)
        if active:
            pipe.zadd(keys.TICKERS, active)
            pipe.zremrangebyscore(keys.TICKERS, "-inf", forgotten_ms)
            pipe.expire(keys.TICKERS, keys.TICKERS_LIFETIME_SECONDS)
        if scan.is_over:
            pipe.hset(keys.COUNTERS, "foreign_names", scan.foreign)
            pipe.expire(keys.COUNTERS, keys.COUNTERS_LIFETIME_SECONDS)
            scan.foreign = 0
        pipe.set(keys.SCAN, msgspec.json.encode(scan), ex=keys.SCAN_LIFETIME_SECONDS)
        pipe.execute()


def newest_active(client: redis.Redis, now_ms: float) -> list[str]:
    """Return the tickers that were active in the last 300 s, the newest first."""
    store: Any = client
    found = store.zrevrangebyscore(keys.TICKERS, "+inf", now_ms - ACTIVE_MS)
    names = (name.decode("ascii", "replace") for name in found)
    return [name for name in names if is_ticker(name)]


def _newest_stamps(tickers: list[str], found: Iterable[Any]) -> Iterable[tuple[str, float]]:
    """Parse the script's flat reply of positions (from 1), each followed by its stamp."""
    answer = iter(found)
    pairs = zip(answer, answer, strict=True)
    return ((tickers[position - 1], float(stamp)) for position, stamp in pairs)
