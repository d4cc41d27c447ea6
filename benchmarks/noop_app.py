"""The app of no-op ticks with all else Celery's own: its ceiling.

kombu's transport takes the messages, one by one, and kombu's batches publish them.
"""

from collections.abc import Sequence
from typing import Any

import kombu
from kombu import Producer

from benchmarks.noop_ours_app import app
from tasks import fanout
from tasks.fast_path import connection
from tasks.fast_path.messages import TICK_TASK

__all__ = ["app"]

_BATCH_SIZE = 200


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
# Our transport hands several ticks out at once; Celery's own tasks come one by one.
connection.Connection.get_transport_cls = kombu.Connection.get_transport_cls  # type: ignore[method-assign]
