"""The Celery app with the same settings and queues, and ticks that do nothing.

All of it is Celery's own: the way in which a worker runs a task, and kombu's batches, by which the
fan-out publishes. `noop_published_app` publishes as the real one does.
"""

from collections.abc import Sequence
from typing import Any

from kombu import Producer

from app.settings import settings
from tasks import app, fanout, ticks
from tasks.edge import tally
from tasks.messages import TICK_TASK

__all__ = ["app", "settings", "ticks"]

_BATCH_SIZE = 200

app.tasks.unregister(TICK_TASK)


@app.task(name=TICK_TASK, bind=True, typing=False, send_events=False)
def tick(_task: object, _ticker: str, as_of_ms: int) -> None:
    """Count itself, as a tick does."""
    tally.count("ticks_done")
    tally.beat("tick", as_of_ms)
    tally.flush_when_due()


def publish_by_kombu(producer: Producer, queue: str, tickers: Sequence[str], as_of_ms: int) -> None:
    """Publish by kombu's batches, with what differs between messages alone made anew."""
    message: Any = app.amqp.as_task_v2(
        "", TICK_TASK, ignore_result=True, argsrepr="", kwargsrepr=""
    )
    _, no_kwargs, embedded = message.body
    with producer.batch(max_size=_BATCH_SIZE):
        for ticker in tickers:
            task_id = f"{ticker}@{as_of_ms}"
            producer.publish(
                ((ticker, as_of_ms), no_kwargs, embedded),
                routing_key=queue,
                serializer="json",
                headers={**message.headers, "id": task_id, "root_id": task_id},
                correlation_id=task_id,
            )


fanout.publish_ticks = publish_by_kombu
