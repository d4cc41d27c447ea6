"""State that the tasks of one process share: the connection to Redis, its outages, and counts."""

import functools
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis
import structlog
from redis.exceptions import RedisError

from app.core import clock
from app.core.outage_log import OutageLog
from app.core.settings import settings
from app.storage import keys
from app.storage.active_tickers import ActiveTickers
from app.storage.feeds import Feeds
from app.storage.keys import Keys
from app.storage.memory_use import ASKED_EACH_SECONDS, used_memory_bytes
from app.storage.redis_client import connect
from app.storage.scripts import CLAIM_AGAIN
from app.storage.server_clock import ServerClock
from app.storage.trimming import RecordTrimmer
from app.storage.worker_presence import add_presence
from tasks.queues import given_shard, tick_queue

log = structlog.stdlib.get_logger("tasks")
outage = OutageLog(log, database=settings().redis_database)
broker_outage = outage if settings().is_broker_the_data else OutageLog(log, name="broker")
"""The outages of Celery's broker: those of the data's Redis, where one serves as both."""

_FLUSH_INTERVAL_SECONDS = 1.0
# A fan-out is let through at the earliest one interval, of up to 30 s, before its `as_of`.
_CLAIMED_AHEAD_INTERVALS = 2


@functools.cache
def client() -> redis.Redis:
    """Return this process's connection to the data's Redis, opened at its first use."""
    return connect(settings())


@functools.cache
def active_tickers() -> ActiveTickers:
    """Return this process's reader of the active tickers."""
    return ActiveTickers(client(), Keys(cluster=settings().cluster))


@functools.cache
def record_trimmer() -> RecordTrimmer:
    """Return this process's trimmer of the records that no tick trims."""
    return RecordTrimmer(client(), Keys(cluster=settings().cluster), settings())


@functools.cache
def feeds() -> Feeds:
    """Return this process's reader of what feeds say of themselves."""
    return Feeds(client(), Keys(cluster=settings().cluster))


@functools.cache
def server_clock() -> ServerClock:
    """Return this process's reader of Redis's clock."""
    return ServerClock(client())


def agreed_now_ms() -> float:
    """Return this host's time, or Redis's where they are over two intervals apart, and note it."""
    here_ms, server_ms = clock.now_ms(), server_clock().now_ms()
    if abs(here_ms - server_ms) <= clock.BELIEVED_AHEAD_INTERVALS * settings().interval_ms:
        return here_ms
    counters.heartbeat(keys.WRONG_CLOCKS["worker"], int(server_ms))
    return server_ms


def claim(as_of_ms: int, shard: int) -> bool:
    """Claim a shard's fan-out of `as_of`; return False if it was claimed before.

    A claim that was made while `as_of` lay ahead, by a clock that was wrong, does not count.
    """
    guard, lifetime_ms = keys.guard(as_of_ms, shard), keys.GUARD_LIFETIME_SECONDS * 1000
    if client().set(guard, 1, nx=True, px=lifetime_ms):
        return True
    ahead_ms = _CLAIMED_AHEAD_INTERVALS * settings().interval_ms
    return bool(client().eval(CLAIM_AGAIN, 1, guard, as_of_ms, lifetime_ms, ahead_ms))


@functools.cache
def own_shard() -> int | None:
    """Return the shard whose ticks this process serves first; None for a plain worker."""
    return given_shard(settings())


def claim_ticker(ticker: str, queue: str) -> None:
    """Move a ticker to this worker's shard if its tick came from another shard's queue."""
    shard = own_shard()
    if shard is not None and queue != tick_queue(shard):
        reassign(ticker, shard)


def moved_shards() -> dict[str, int]:
    """Return the shards of the tickers that have moved."""
    found: Any = client().hgetall(keys.MOVED_SHARDS)
    return {
        ticker.decode(errors="replace"): int(shard)
        for ticker, shard in found.items()
        if shard.isdigit()
    }


def reassign(ticker: str, shard: int) -> None:
    """Assign a ticker to the shard whose worker holds its state now."""
    pipe: Any = client().pipeline(transaction=False)
    pipe.hset(keys.MOVED_SHARDS, ticker, shard)
    pipe.expire(keys.MOVED_SHARDS, keys.MOVED_SHARDS_LIFETIME_SECONDS)
    try:
        pipe.execute()
    except RedisError as error:
        outage.note_error(error)


def forget_moved(tickers: Iterable[str]) -> None:
    """Assign tickers that are no longer active to their own shards again."""
    client().hdel(keys.MOVED_SHARDS, *tickers)


class CounterBuffer:
    """Counts of this process, written once a second: a round trip per tick would cost 100 µs."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._heartbeats: dict[str, int] = {}
        self._flushed_at = 0.0
        self._asked_memory_at = 0.0

    def count(self, name: str, number: int = 1) -> None:
        """Add to a total."""
        self._counts[name] += number

    def heartbeat(self, name: str, as_of_ms: int) -> None:
        """Note the newest `as_of` that a component has worked on."""
        self._heartbeats[name] = max(as_of_ms, self._heartbeats.get(name, 0))

    def flush_when_due(self) -> None:
        """Write the counts if the last time was a second ago; keep them if Redis takes none."""
        if time.monotonic() - self._flushed_at >= _FLUSH_INTERVAL_SECONDS:
            try:
                self.flush()
            except RedisError as error:
                outage.note_error(error)

    def flush(self) -> None:
        """Write the counts; keep them if Redis takes none, and raise its error."""
        self._flushed_at = time.monotonic()
        self._ask_memory_when_due()
        pipe: Any = client().pipeline(transaction=False)
        for name, number in self._counts.items():
            pipe.hincrby(keys.COUNTERS, name, number)
        if self._counts:
            pipe.expire(keys.COUNTERS, keys.COUNTERS_LIFETIME_SECONDS)
        if self._heartbeats:
            pipe.hset(keys.HEARTBEAT, mapping=self._heartbeats)
            pipe.expire(keys.HEARTBEAT, keys.HEARTBEAT_LIFETIME_SECONDS)
        add_presence(pipe, _own_name(), clock.now_ms())
        pipe.execute()
        self._counts.clear()
        self._heartbeats.clear()

    def _ask_memory_when_due(self) -> None:
        if self._flushed_at - self._asked_memory_at < ASKED_EACH_SECONDS:
            return
        used = used_memory_bytes(client())
        self._asked_memory_at = self._flushed_at
        if used is not None:
            self._heartbeats[keys.USED_MEMORY] = used


def _own_name() -> str:
    """Return a name that no other worker process has; a pool's process is forked."""
    return f"{socket.gethostname()}:{os.getpid()}"


counters = CounterBuffer()
