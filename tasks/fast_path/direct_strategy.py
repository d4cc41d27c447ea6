"""How a solo worker runs a tick: straight from its message."""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from celery import Celery, Task
from celery.concurrency.solo import TaskPool
from celery.exceptions import InvalidTaskError
from celery.worker.consumer import Consumer
from celery.worker.strategy import default

from app.core.settings import settings
from tasks.queues import given_shard, tick_queue
from tasks.worker_context import reassign

_log = structlog.stdlib.get_logger("tasks.fast_path.direct_strategy")
_body = msgspec.json.Decoder(tuple[tuple[str, int], dict[str, Any], dict[str, Any]]).decode

Handler = Callable[..., Any]


def run_directly(task: Task, app: Celery, consumer: Consumer, **options: object) -> Handler:
    """Return what takes a tick's message: in a solo worker its function runs here and now.

    Celery's own strategy makes a request of each message and traces its run: 140 of the 240 µs that
    a task which does nothing costs. That serves results, retries, revocations, time limits and
    events, and a tick has none of them. In every other pool Celery's own strategy applies.
    """
    if not isinstance(consumer.pool, TaskPool):
        usual: Handler = default(task, app, consumer, **options)
        return usual
    run, connection_errors = task.run, consumer.connection_errors
    shard = given_shard(settings())
    own_queue = None if shard is None else tick_queue(shard)

    def take(message: Any, _: Any, ack: Handler, *__: Any, **___: Any) -> None:  # noqa: ANN401 - kombu's
        try:
            (ticker, as_of_ms), *_ = _body(message.body)
        except (ValueError, RecursionError) as error:
            raise InvalidTaskError(str(error)) from None
        ack(_log, connection_errors)
        is_held = run(ticker, as_of_ms)
        if is_held and shard is not None and message.delivery_info["routing_key"] != own_queue:
            reassign(ticker, shard)

    return take
