"""Let a worker connect again at most once a second, however often its connection ends."""

import time

from celery.bootsteps import RUN, StartStopStep
from celery.worker.consumer import Consumer

_PERIOD_SECONDS = 1.0


class PacedRestart(StartStopStep):
    """Wait before a worker connects again that did so only just before.

    What connecting does not show, such as a queue's key of the wrong type, ends each attempt at
    once: Celery alone tries again at once, and logs a traceback after five times in a second.
    """

    def __init__(self, parent: Consumer, **options: object) -> None:
        super().__init__(parent, **options)
        self._stopped_at = -_PERIOD_SECONDS

    def stop(self, parent: Consumer) -> None:
        """Wait until a second after the last stop, unless the worker ends."""
        if parent.blueprint.state == RUN:
            time.sleep(max(0.0, self._stopped_at + _PERIOD_SECONDS - time.monotonic()))
        self._stopped_at = time.monotonic()
