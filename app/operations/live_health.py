"""How the system fares, in a few numbers for people who watch."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Final

import msgspec

from app.answers.session_facts import count_feeds
from app.operations.status import HealthInspector, Status
from app.storage.counters import LAG_BOUNDS_SECONDS, LAG_COUNTERS

MAX_NAMES: Final = 20
_TICKS: Final = ("ticks_done", "ticks_failed", "ticks_skipped")
_NEVER: Final[Mapping[str, int]] = {}


class LiveHealth(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The state of the system; `troubles` is empty while nothing is wrong.

    Lags are of the ticks since the last look, from `as_of` to their write, as the upper bound of
    the bucket that they fall into; None where there were none, or they were longer than any bound.
    """

    now: int
    redis: str
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
    """Looks at the system's health; remembers the totals of its last look."""

    def __init__(self, inspector: HealthInspector) -> None:
        self._inspector = inspector
        self._counted = _NEVER

    def look(self) -> LiveHealth:
        """Return the state of the system now.

        Raises `StoreUnavailable` without Redis.
        """
        status = self._inspector.status()
        before, self._counted = self._counted, status.counters
        return _live_health(status, before)


def _live_health(status: Status, before: Mapping[str, int]) -> LiveHealth:
    pulse = status.pulse
    lags = [_grown(name, before, status.counters) for name in LAG_COUNTERS] if before else []
    return LiveHealth(
        now=round(pulse.now_ms),
        redis=status.redis,
        fanout_at=None if pulse.fanout_ms is None else round(pulse.fanout_ms),
        tick_at=None if pulse.tick_ms is None else round(pulse.tick_ms),
        active=status.active,
        stale=len(status.behind),
        lag_p50_seconds=_quantile(lags, 0.5),
        lag_p95_seconds=_quantile(lags, 0.95),
        **{name: status.counters[name] for name in _TICKS if name in status.counters},
        feeds=count_feeds(status.feeds.values(), pulse.now_ms),
        feeds_down=list(status.feeds_down[:MAX_NAMES]),
        troubles=list(status.troubles),
    )


def _grown(name: str, before: Mapping[str, int], now: Mapping[str, int]) -> int:
    """Return by how much a total grew; totals begin anew when Redis does."""
    return max(0, now.get(name, 0) - before.get(name, 0))


def _quantile(counts: list[int], share: float) -> float | None:
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
