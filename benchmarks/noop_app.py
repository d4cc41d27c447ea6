"""The app of no-op ticks with all else Celery's own: its ceiling.

It runs with `ORDERFLOW_FAST_PATH=0`: kombu's transport takes the messages, one by one. Kombu's
batches publish them, as cheaply as they can.
"""

from collections.abc import Sequence
from typing import Any

from kombu import Producer

from benchmarks.noop_ours_app import app
from tasks import TICK_TASK, fanout
from tasks.publishing import BATCH_SIZE
from tasks.queues import tick_id

__all__ = ["app"]


def publish_by_kombu(producer: Producer, queue: str, tickers: Sequence[str], as_of_ms: int) -> None:
    """Publish by kombu's batches, with what differs between messages alone made anew."""
    message: Any = app.amqp.as_task_v2(
        "", TICK_TASK, ignore_result=True, argsrepr="", kwargsrepr=""
    )
    _, no_kwargs, embedded = message.body
    with producer.batch(max_size=BATCH_SIZE):
        for ticker in tickers:
            task_id = tick_id(ticker, as_of_ms)
            producer.publish(
                ((ticker, as_of_ms), no_kwargs, embedded),
                routing_key=queue,
                serializer="json",
                headers={**message.headers, "id": task_id, "root_id": task_id},
                correlation_id=task_id,
            )


fanout.publish_ticks = publish_by_kombu
