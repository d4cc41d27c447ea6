"""A tick's message: Celery's and kombu's own, made once a fan-out and varied by ticker."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from kombu import Producer

from tasks import app

TICK_TASK = "tasks.tick"
_BATCH_SIZE = 200
_PERSISTENT = 2

_json = msgspec.json.Encoder().encode


def publish_ticks(producer: Producer, queue: str, tickers: Sequence[str], as_of_ms: int) -> None:
    """Publish a tick for each ticker in batches of 200, a command and a round trip each.

    The messages are what `apply_async` publishes, at 10 µs instead of 280; batches of kombu's take
    40. They have no `expires`: a tick knows by its `as_of` when it is stale, and Celery would spend
    65 µs a task on reading it.
    """
    vary = _Message(producer, queue).of_tick
    with producer.channel.conn_or_acquire() as client:
        for start in range(0, len(tickers), _BATCH_SIZE):
            some = tickers[start : start + _BATCH_SIZE]
            client.lpush(queue, *[vary(ticker, as_of_ms) for ticker in some])


class _Message:
    """One message, of which only id and arguments differ between tickers."""

    def __init__(self, producer: Producer, queue: str) -> None:
        task: Any = app.amqp.as_task_v2(
            "", TICK_TASK, ignore_result=True, argsrepr="", kwargsrepr=""
        )
        _, self._no_kwargs, self._embedded = task.body
        self._headers = task.headers
        self._properties = {
            **task.properties,
            "delivery_mode": _PERSISTENT,
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": queue},
        }
        self._whole = producer.channel.prepare_message(
            "", 0, "application/json", "utf-8", self._headers, self._properties
        )

    def of_tick(self, ticker: str, as_of_ms: int) -> bytes:
        """Write it as a tick's."""
        task_id = f"{ticker}@{as_of_ms}"
        self._headers["id"] = self._headers["root_id"] = task_id
        self._properties["correlation_id"] = self._properties["delivery_tag"] = task_id
        body = _json(((ticker, as_of_ms), self._no_kwargs, self._embedded))
        self._whole["body"] = b64encode(body).decode()
        return _json(self._whole)
