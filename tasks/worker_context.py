"""What the tasks of one process share: Redis, what was said of it, and counts not yet written."""

import functools
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis
import structlog
from redis.exceptions import RedisError

from app.core.outage_log import OutageLog
from app.core.settings import settings
from app.storage import keys
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from app.storage.redis_client import connect

log = structlog.stdlib.get_logger("tasks")
outage = OutageLog(log)

_FLUSH_EACH_SECONDS = 1.0


@functools.cache
def client() -> redis.Redis:
    """Return this process's connection to the data's Redis, opened at its first use."""
    return connect(settings())


@functools.cache
def active_tickers() -> ActiveTickers:
    """Return what finds the active tickers."""
    return ActiveTickers(client(), Keys(cluster=settings().cluster))


def claim(as_of_ms: int, shard: int) -> bool:
    """Tell whether this process is the first to fan out a shard's `as_of`; there is no second."""
    lifetime_ms = keys.GUARD_LIFETIME_SECONDS * 1000
    return bool(client().set(keys.guard(as_of_ms, shard), 1, nx=True, px=lifetime_ms))


def moved_shards() -> dict[str, int]:
    """Return the shards of the tickers that have moved."""
    found: Any = client().hgetall(keys.MOVED_SHARDS)
    return {
        ticker.decode(errors="replace"): int(shard)
        for ticker, shard in found.items()
        if shard.isdigit()
    }


def reassign(ticker: str, shard: int) -> None:
    """Let a ticker belong to the shard whose worker holds its state by now."""
    pipe: Any = client().pipeline(transaction=False)
    pipe.hset(keys.MOVED_SHARDS, ticker, shard)
    pipe.expire(keys.MOVED_SHARDS, keys.MOVED_SHARDS_LIFETIME_SECONDS)
    try:
        pipe.execute()
    except RedisError as error:
        outage.note_error(error)


def forget_moved(tickers: Iterable[str]) -> None:
    """Let tickers that are no longer active belong to their own shards again."""
    client().hdel(keys.MOVED_SHARDS, *tickers)


class CounterBuffer:
    """Counts of this process, written once a second: a round trip a tick would cost 100 µs."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._pulse: dict[str, int] = {}
        self._flushed = 0.0

    def count(self, name: str, number: int = 1) -> None:
        """Add to a total."""
        self._counts[name] += number

    def heartbeat(self, name: str, as_of_ms: int) -> None:
        """Note a sign of life."""
        self._pulse[name] = max(as_of_ms, self._pulse.get(name, 0))

    def flush_when_due(self) -> None:
        """Write what has gathered, where the last time is a second ago; not written, it stays."""
        if time.monotonic() - self._flushed >= _FLUSH_EACH_SECONDS:
            try:
                self.flush()
            except RedisError as error:
                outage.note_error(error)

    def flush(self) -> None:
        """Write what has gathered; it stays where Redis does not take it."""
        self._flushed = time.monotonic()
        pipe: Any = client().pipeline(transaction=False)
        for name, number in self._counts.items():
            pipe.hincrby(keys.COUNTERS, name, number)
        if self._counts:
            pipe.expire(keys.COUNTERS, keys.COUNTERS_LIFETIME_SECONDS)
        if self._pulse:
            pipe.hset(keys.HEARTBEAT, mapping=self._pulse)
            pipe.expire(keys.HEARTBEAT, keys.HEARTBEAT_LIFETIME_SECONDS)
        pipe.execute()
        self._counts.clear()
        self._pulse.clear()


counters = CounterBuffer()
