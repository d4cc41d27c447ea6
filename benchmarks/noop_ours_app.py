"""The Celery app with the same settings, queues and messages, and ticks that do nothing.

With the fast path messages are published and taken as those of ticks, but run by Celery itself.
"""

from app.core.settings import settings
from tasks import TICK_TASK, app, ticks
from tasks.worker_context import counters

__all__ = ["app", "settings", "ticks"]

app.tasks.unregister(TICK_TASK)


@app.task(name=TICK_TASK, bind=True, typing=False, send_events=False)
def tick(_task: object, _ticker: str, as_of_ms: int) -> None:
    """Count itself, as a tick does."""
    counters.count("ticks_done")
    counters.heartbeat("tick", as_of_ms)
    counters.flush_when_due()
