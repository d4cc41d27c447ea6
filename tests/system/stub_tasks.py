"""The Celery app with a store that only notes which ticks ran."""

from typing import Any

from app.core.settings import settings
from app.storage.redis_client import connect
from app.storage.tick.fold import TickReport
from app.storage.tick_job import ReportCallback
from tasks import app, ticks
from tests.system.names import BROKEN_TICKER, FAILED, RAN, REFUSED_TICKER

__all__ = ["app"]


class StubStore:
    """Notes each tick once it ran; one ticker's folds fail, another's writes are refused later."""

    def __init__(self) -> None:
        self._redis: Any = connect(settings())
        self._pending: list[ReportCallback] = []

    def begin_tick(self, ticker: str, as_of_ms: int, report_to: ReportCallback) -> None:
        """Count the tick under its name."""
        self.await_pending()
        if ticker == BROKEN_TICKER:
            raise ValueError("no sense in these records")
        self._redis.hincrby(RAN, f"{ticker}@{as_of_ms}", 1)
        if ticker == REFUSED_TICKER:
            self._pending.append(report_to)
        else:
            report_to(TickReport("written"), None)

    def await_pending(self) -> None:
        """Report the outcomes of the writes so far."""
        pending, self._pending = self._pending, []
        for report_to in pending:
            report_to(TickReport("written"), _refusal())

    def note_failure(self, ticker: str, as_of_ms: int, error: Exception) -> None:
        """Keep the failure where the test finds it."""
        self._redis.hset(FAILED, f"{ticker}@{as_of_ms}", repr(error))


def _refusal() -> Exception:
    """Return an error that was raised, as the store's errors were."""
    try:
        int("this write was refused")
    except ValueError as error:
        return error
    raise AssertionError


_store = StubStore()
ticks.store = lambda: _store  # type: ignore[assignment]
