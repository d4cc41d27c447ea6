"""How the system fares, in a few numbers for people who watch."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec
import redis

from app.answers.session_facts import count_feeds
from app.core.settings import Settings
from app.operations.status import HealthInspector, Status
from app.storage import keys
from app.storage.counters import LAG_BOUNDS_SECONDS, LAG_COUNTERS
from app.storage.published import read_number
from app.storage.store_errors import store_errors

MAX_NAMES: Final = 20


class LiveHealth(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The state of the system; `troubles` is empty while nothing is wrong.

    Lags are of the ticks since the last look, from `as_of` to their write, as the upper bound of
    the bucket that they fall into; None where there were none, or they were longer than any bound.
    """

    now: int
    redis: str
    redis_memory_bytes: int | None = None
    workers: int
    fanout_at: int | None = None
    tick_at: int | None = None
    active: int
    stale: int
    lag_p50_seconds: float | None = None
    lag_p95_seconds: float | None = None
    ticks_done: int | None = None
    ticks_failed: int | None = None
    ticks_skipped: int | None = None
    feeds: dict[str, int]
    feeds_down: list[str]
    troubles: list[str]


class HealthWatch:
    """Looks at the system's health, and remembers the totals of its last look."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._inspector = HealthInspector(client, settings)
        self._lags: list[int] | None = None

    def look(self) -> LiveHealth:
        """Return the state of the system now.

        Raises `StoreUnavailable` without Redis.
        """
        status = self._inspector.status()
        before, self._lags = self._lags, self._counted_lags()
        return _live_health(status, [] if before is None else _grown(before, self._lags))

    def _counted_lags(self) -> list[int]:
        """Return how many ticks there were so far, by their lag."""
        # `Any`: redis-py's return types include an awaitable.
        store: Any = self._client
        with store_errors(self._client):
            texts = store.hmget(keys.COUNTERS, LAG_COUNTERS)
        return [int(read_number(text) or 0) for text in texts]


def _live_health(status: Status, lags: Sequence[int]) -> LiveHealth:
    pulse = status.pulse
    # What was never counted, beside what was, is none.
    none = 0 if status.counters else None
    return LiveHealth(
        now=round(pulse.now_ms),
        redis=status.redis,
        redis_memory_bytes=status.memory_bytes,
        workers=status.workers,
        fanout_at=None if pulse.fanout_ms is None else round(pulse.fanout_ms),
        tick_at=None if pulse.tick_ms is None else round(pulse.tick_ms),
        active=status.active,
        stale=len(status.behind),
        lag_p50_seconds=_quantile(lags, 0.5),
        lag_p95_seconds=_quantile(lags, 0.95),
        ticks_done=status.counters.get("ticks_done"),
        ticks_failed=status.counters.get("ticks_failed", none),
        ticks_skipped=status.counters.get("ticks_skipped", none),
        feeds=count_feeds(status.feeds.values(), pulse.now_ms),
        feeds_down=list(status.feeds_down[:MAX_NAMES]),
        troubles=list(status.troubles),
    )


def _grown(before: Sequence[int], now: Sequence[int]) -> list[int]:
    """Return by how much totals grew; they begin anew when Redis does."""
    return [max(0, new - old) for old, new in zip(before, now, strict=True)]


def _quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the upper bound of the bucket in which a share of the ticks is reached.

    >>> _quantile([0, 90, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.95), _quantile([], 0.5)
    (0.5, None)
    """
    total = sum(counts)
    if not total:
        return None
    reached = next(
        place for place, below in enumerate(accumulate(counts)) if below >= share * total
    )
    return LAG_BOUNDS_SECONDS[reached] if reached < len(LAG_BOUNDS_SECONDS) else None
