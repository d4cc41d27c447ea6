"""The Celery app with a store that only notes which ticks ran."""

from typing import Any

from app.core.settings import settings
from app.storage.redis_client import connect
from app.storage.tick.fold import TickReport
from app.storage.tick_store import ReportCallback
from tasks import app, ticks
from tests.system.names import BROKEN_TICKER, RAN

__all__ = ["app"]


class StubStore:
    """Notes each tick once it ran; fails for one ticker."""

    def __init__(self) -> None:
        self._redis: Any = connect(settings())

    def begin_tick(self, ticker: str, as_of_ms: int, told: ReportCallback) -> None:
        """Count the tick under its name."""
        if ticker == BROKEN_TICKER:
            raise ValueError("no sense in these records")
        self._redis.hincrby(RAN, f"{ticker}@{as_of_ms}", 1)
        told(TickReport("written"), None)

    def await_pending(self) -> None:
        """Have nothing left to hear."""

    def note_failure(self, ticker: str, as_of_ms: int, error: Exception) -> None:
        """Keep the failure where the test finds it."""
        self._redis.hset("stub:failed", f"{ticker}@{as_of_ms}", repr(error))


_store = StubStore()
ticks.store = lambda: _store  # type: ignore[assignment]
