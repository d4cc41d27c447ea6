"""What the tasks of one process share: Redis, what was said of it, and counts not yet written."""

import functools
import time
from collections import Counter
from typing import Any

import redis
import structlog

from app import keys
from app.activity import Activity
from app.connect import connect
from app.keys import Keys
from app.outage import Outage
from app.settings import settings

log = structlog.stdlib.get_logger("tasks")
outage = Outage(log)

_FLUSH_EACH_SECONDS = 1.0


@functools.cache
def client() -> redis.Redis:
    """Return this process's connection to the data's Redis, opened at its first use."""
    return connect(settings())


@functools.cache
def activity() -> Activity:
    """Return what finds the active tickers."""
    return Activity(client(), Keys(cluster=settings().cluster))


def won(as_of_ms: int, shard: int) -> bool:
    """Tell whether this process is the first to fan out a shard's `as_of`; there is no second."""
    lifetime_ms = keys.GUARD_LIFETIME_SECONDS * 1000
    return bool(client().set(keys.guard(as_of_ms, shard), 1, nx=True, px=lifetime_ms))


class Tally:
    """Counts of this process, written once a second: a round trip a tick would cost 100 µs."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._pulse: dict[str, int] = {}
        self._flushed = 0.0

    def count(self, name: str, number: int = 1) -> None:
        """Add to a total."""
        self._counts[name] += number

    def beat(self, name: str, as_of_ms: int) -> None:
        """Note a sign of life."""
        self._pulse[name] = max(as_of_ms, self._pulse.get(name, 0))

    def flush_when_due(self) -> None:
        """Write what has gathered, where the last time is a second ago."""
        if time.monotonic() - self._flushed >= _FLUSH_EACH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered; it stays where Redis is away."""
        self._flushed = time.monotonic()
        pipe: Any = client().pipeline(transaction=False)
        for name, number in self._counts.items():
            pipe.hincrby(keys.COUNTERS, name, number)
        if self._counts:
            pipe.expire(keys.COUNTERS, keys.COUNTERS_LIFETIME_SECONDS)
        if self._pulse:
            pipe.hset(keys.PULSE, mapping=self._pulse)
            pipe.expire(keys.PULSE, keys.PULSE_LIFETIME_SECONDS)
        pipe.execute()
        self._counts.clear()
        self._pulse.clear()


tally = Tally()
