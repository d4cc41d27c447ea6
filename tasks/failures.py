"""Report ticks that fail outside Celery's own trace: to `task_failure` and as events."""

from typing import Any

from billiard.einfo import ExceptionInfo
from celery.signals import celeryd_init, task_failure
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks import TICK_TASK, app
from tasks.queues import tick_id
from tasks.worker_context import outage


class _Worker:
    """The worker that this process is or belongs to."""

    node_name: str | None = None


@celeryd_init.connect
def _remember_node_name(sender: str, **_: object) -> None:
    _Worker.node_name = sender


def report_failure(ticker: str, as_of_ms: int, error: Exception) -> None:
    """Tell all listeners of `task_failure` about a failed tick, and show it in Flower.

    Celery does both for a tick that fails within its trace. It can't for a tick that the fast path
    runs, and for one whose write turns out to have failed when the next tick reads.
    """
    einfo = ExceptionInfo((type(error), error, error.__traceback__))
    args = (ticker, as_of_ms)
    task_failure.send(
        sender=app.tasks[TICK_TASK],
        task_id=tick_id(ticker, as_of_ms),
        exception=error,
        args=args,
        kwargs={},
        traceback=error.__traceback__,
        einfo=einfo,
    )
    if app.conf.worker_send_task_events:
        _send_events(tick_id(ticker, as_of_ms), args, error, einfo.traceback)


def _send_events(task_id: str, args: tuple[str, int], error: Exception, traceback: str) -> None:
    fields: dict[str, Any] = {"uuid": task_id, "name": TICK_TASK, "args": repr(args)}
    try:
        with app.events.default_dispatcher(hostname=_Worker.node_name) as dispatcher:
            dispatcher.send("task-received", kwargs="{}", **fields)
            dispatcher.send("task-failed", exception=repr(error), traceback=traceback, **fields)
    except (RedisError, OperationalError) as away:
        outage.note_error(away)
