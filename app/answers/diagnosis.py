"""Why a ticker has no fresh tick, in sentences that say what is known and what to check."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from app.answers.durations import since
from app.core.settings import Settings
from app.storage.published import Number, read_error_name, read_number

MAX_TICKERS_NAMED = 8
MIN_PATIENCE_MS = 5000
RECENT_FAILURE_MS = 60_000
TICKS_FAIL = "its ticks fail"
BEHIND = "its tick is late: the workers are behind"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When fan-out and ticks were last seen, epoch ms; None where never within a day."""

    now_ms: float
    fanout_ms: Number | None
    tick_ms: Number | None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], now_ms: float) -> "Heartbeat":
        """Read the pulse key."""
        return cls(now_ms, read_number(fields.get(b"fanout")), read_number(fields.get(b"tick")))

    def has(self, stamp_ms: Number | None, settings: Settings) -> bool:
        """Tell whether a sign of life is recent enough."""
        patience_ms = max(MIN_PATIENCE_MS, 3 * settings.interval_ms)
        return stamp_ms is not None and self.now_ms - stamp_ms <= patience_ms

    def seen(self, stamp_ms: Number | None) -> str:
        """Say when a sign of life was last seen."""
        return "never seen" if stamp_ms is None else f"last seen {since(stamp_ms, self.now_ms)}"


@dataclass(frozen=True, slots=True)
class TickFailures:
    """A ticker's failed ticks: how many, the newest one's time and error."""

    count: int = 0
    last_ms: Number | None = None
    error: str | None = None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> "TickFailures":
        """Read a ticker's failures key."""
        count = read_number(fields.get(b"count"))
        if not count:
            return cls()
        return cls(
            int(count), read_number(fields.get(b"as_of")), read_error_name(fields.get(b"error"))
        )


def why_no_tick(pulse: Heartbeat, failures: TickFailures, settings: Settings) -> str | None:
    """Name what keeps a ticker with fresh quotes from being analysed, None where nothing does."""
    if not pulse.has(pulse.fanout_ms, settings):
        return (
            f"the analysis is not running: its fan-out was {pulse.seen(pulse.fanout_ms)}; start "
            "`celery -A tasks beat` and `celery -A tasks worker`"
        )
    if (
        failures.count
        and failures.last_ms is not None
        and failures.last_ms > pulse.now_ms - RECENT_FAILURE_MS
    ):
        return (
            f"{TICKS_FAIL}: {failures.count} so far, "
            f"the last {since(failures.last_ms, pulse.now_ms)} with {failures.error}; "
            "see the workers' log"
        )
    if not pulse.has(pulse.tick_ms, settings):
        return (
            f"no worker finishes ticks: they were {pulse.seen(pulse.tick_ms)}; start "
            "`celery -A tasks worker` or look at its log"
        )
    return None


def nearest(ticker: str, active: list[str]) -> list[str]:
    """Return the active tickers with the closest names first, at most eight.

    >>> nearest("spy", ["AAPL", "QQQ", "SPY", "SPYG"])
    ['SPY', 'SPYG', 'AAPL', 'QQQ']
    """
    wanted = ticker.casefold()
    closeness = {
        name: difflib.SequenceMatcher(None, wanted, name.casefold()).ratio() for name in active
    }
    return sorted(active, key=lambda name: (-closeness[name], name))[:MAX_TICKERS_NAMED]


def who_is_active(ticker: str, active: list[str]) -> str:
    """Say which tickers there are instead."""
    if not active:
        return "no ticker is active"
    names = nearest(ticker, active)
    more = len(active) - len(names)
    return f"active, nearest first: {', '.join(names)}" + (f" and {more} more" if more else "")
