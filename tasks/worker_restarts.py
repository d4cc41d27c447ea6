"""Let a worker connect again at most once a second, and keep nothing of its ended connections."""

import gc
import time

from celery.bootsteps import RUN, StartStopStep
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.asynchronous import Hub
from kombu.transport import redis

_PERIOD_SECONDS = 1.0
_MOST_EXPIRED_IDS = 1000


class PacedRestart(StartStopStep):
    """Wait before a worker connects again that did so only just before.

    What connecting does not show, such as a queue's key of the wrong type, ends each attempt at
    once: Celery alone tries again at once, and logs a traceback after five times in a second.
    """

    def __init__(self, parent: Consumer, **options: object) -> None:
        super().__init__(parent, **options)
        self._stopped_at = -_PERIOD_SECONDS
        bound_expired_ids()

    def start(self, parent: Consumer) -> None:  # noqa: ARG002 - Celery's form
        """Free what the ended connection left in reference cycles, some 90 KB.

        Python itself searches for cycles too rarely in a worker (`tasks.ticks.store`).
        """
        gc.collect()

    def stop(self, parent: Consumer) -> None:
        """Wait until a second after the last stop, unless the worker ends."""
        if parent.blueprint.state == RUN:
            forget_ended_connections(parent.hub)
            time.sleep(max(0.0, self._stopped_at + _PERIOD_SECONDS - time.monotonic()))
        self._stopped_at = time.monotonic()


def forget_ended_connections(hub: Hub | None) -> None:
    """Remove the callbacks by which the event loop keeps, and calls, transports of Redis.

    kombu adds one with each connection and never removes it (5.7.0): 10 KB of objects a restart
    of Redis, and a call in each turn of the loop. A worker's next connection adds its own.
    """
    if hub is not None:
        ours = [it for it in hub.on_tick if getattr(it, "__module__", "") == redis.__name__]
        hub.on_tick.difference_update(ours)


def bound_expired_ids() -> None:
    """Keep the ids of the newest expired messages only.

    Celery keeps those of 50,000 for three hours, with revoked ones: up to 12 MB. No id here is used
    for longer than an interval.
    """
    state.revoked.maxlen = _MOST_EXPIRED_IDS
