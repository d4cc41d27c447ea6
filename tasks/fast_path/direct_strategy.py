"""Run a tick straight from its message, in a solo worker."""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from celery import Celery, Task
from celery.concurrency.solo import TaskPool
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.strategy import default

from tasks.task_arguments import is_tick
from tasks.tick_sampler import sampler
from tasks.ticks import run_unwatched
from tasks.worker_context import claim_ticker

_log = structlog.stdlib.get_logger("tasks.fast_path.direct_strategy")
_body = msgspec.json.Decoder(tuple[tuple[str, int], dict[str, Any], dict[str, Any]]).decode

Handler = Callable[..., Any]


def run_directly(task: Task, app: Celery, consumer: Consumer, **options: object) -> Handler:
    """Return the function that handles the messages of ticks.

    Celery's own strategy makes a request of each message and traces its run: 140 of the 240 µs that
    a no-op task costs. That serves results, retries, revocations, time limits, events and whatever
    listens to Celery's hooks. A sample of ticks takes that way, so that monitoring tools see them;
    the others run here and now. In every pool but solo, all ticks take Celery's way.
    """
    by_celery: Handler = default(task, app, consumer, **options)
    if not isinstance(consumer.pool, TaskPool):
        return by_celery
    name, connection_errors = task.name, consumer.connection_errors
    count_by_name, total = state.total_count, state.all_total_count

    def handle(
        message: Any,  # noqa: ANN401 - kombu's
        payload: object,
        ack: Handler,
        *others: object,
    ) -> Any:  # noqa: ANN401 - Celery's
        try:
            (ticker, as_of_ms), named, _ = _body(message.body)
        except (ValueError, RecursionError):
            return by_celery(message, payload, ack, *others)  # the task refuses them
        if named or not is_tick(ticker, as_of_ms) or sampler.takes(ticker, as_of_ms):
            return by_celery(message, payload, ack, *others)
        ack(_log, connection_errors)
        count_by_name[name] += 1
        total[0] += 1
        if run_unwatched(ticker, as_of_ms):
            claim_ticker(ticker, message.delivery_info["routing_key"])
        return None

    return handle
