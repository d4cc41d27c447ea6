"""The Celery app with ticks that take their time while a key says so: a small load is too much."""

import time

from app.core.settings import settings
from app.storage.tick_job import ReportCallback
from app.storage.tick_store import TickStore
from tasks import app, ticks
from tests.system.names import LOAD, TICK_SECONDS

__all__ = ["app"]


class SlowStore(TickStore):
    """A store whose every tick takes at least 20 ms, on any machine, as long as there is `LOAD`."""

    def begin_tick(self, ticker: str, as_of: int, told: ReportCallback) -> None:
        """Wait, and tick as usual."""
        if self._redis.exists(LOAD):
            time.sleep(TICK_SECONDS)
        super().begin_tick(ticker, as_of, told)


_store = SlowStore(settings())
ticks.store = lambda: _store  # type: ignore[assignment]
