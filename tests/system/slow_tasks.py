"""The Celery app with ticks that take their time: a small load is more than a worker holds."""

import time

from app.settings import settings
from app.store import Store, TickReport
from tasks import app, ticks

__all__ = ["app"]

TICK_SECONDS = 0.02


class SlowStore(Store):
    """A store whose every tick takes at least 20 ms, on any machine."""

    def advance(self, ticker: str, as_of: int) -> TickReport:
        """Wait, and tick as usual."""
        time.sleep(TICK_SECONDS)
        return super().advance(ticker, as_of)


_store = SlowStore(settings())
ticks.store = lambda: _store  # type: ignore[assignment]
