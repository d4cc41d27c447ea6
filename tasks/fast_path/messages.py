"""Publish ticks with one message per fan-out, varied by ticker."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from kombu import Producer

from tasks import TICK_TASK, app
from tasks.publishing import BATCH_SIZE
from tasks.queues import tick_id

_PERSISTENT = 2

_json = msgspec.json.Encoder().encode


def publish_ticks(producer: Producer, queue: str, tickers: Sequence[str], as_of_ms: int) -> None:
    """Publish a tick for each ticker, 200 messages per LPUSH.

    The messages are those that `apply_async` publishes, at 10 µs each; within kombu's batches
    `apply_async` takes 140 to 200.
    """
    message = _Message(producer, queue).of_tick
    with producer.channel.conn_or_acquire() as client:
        for first in range(0, len(tickers), BATCH_SIZE):
            batch = tickers[first : first + BATCH_SIZE]
            client.lpush(queue, *[message(ticker, as_of_ms) for ticker in batch])


class _Message:
    """One message, of which only id and arguments differ between tickers."""

    def __init__(self, producer: Producer, queue: str) -> None:
        task: Any = app.amqp.as_task_v2(
            "", TICK_TASK, ignore_result=True, argsrepr="", kwargsrepr="{}"
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
        """Return the message of a tick."""
        task_id, args = tick_id(ticker, as_of_ms), (ticker, as_of_ms)
        self._headers["id"] = self._headers["root_id"] = task_id
        self._headers["argsrepr"] = repr(args)
        self._properties["correlation_id"] = self._properties["delivery_tag"] = task_id
        body = _json((args, self._no_kwargs, self._embedded))
        self._whole["body"] = b64encode(body).decode()
        return _json(self._whole)
