"""The Celery app with a store that only notes which ticks ran."""

from typing import Any, ClassVar

from app.connect import connect
from app.settings import settings
from tasks import app, ticks

__all__ = ["app"]

RAN = "stub:ran"
BROKEN_TICKER = "BROKEN"


class Report:
    """What the stub's tick did."""

    outcome = "written"
    failed_detectors: ClassVar[dict[str, Exception]] = {}


class StubStore:
    """Notes each tick once it ran; fails for one ticker."""

    def __init__(self) -> None:
        self._redis: Any = connect(settings())

    def advance(self, ticker: str, as_of_ms: int) -> Report:
        """Count the tick under its name."""
        if ticker == BROKEN_TICKER:
            raise ValueError("no sense in these records")
        self._redis.hincrby(RAN, f"{ticker}@{as_of_ms}", 1)
        return Report()

    def note_failure(self, ticker: str, as_of_ms: int, error: Exception) -> None:
        """Keep the failure where the test finds it."""
        self._redis.hset("stub:failed", f"{ticker}@{as_of_ms}", repr(error))


_store = StubStore()
ticks.store = lambda: _store  # type: ignore[assignment]
