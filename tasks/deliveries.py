"""What lies in a queue: a message of ours, or anything that somebody else put there."""

import json
from base64 import b64decode
from typing import Any, Literal

import msgspec
import structlog
from kombu.transport import redis as transport

from tasks.queues import FAN_OUT_QUEUE, tick_queue

_log = structlog.stdlib.get_logger("tasks.deliveries")
_TICKS = tick_queue(0).removesuffix("0")


class _Headers(msgspec.Struct):
    """What Celery takes for granted of them; it ends the worker where that is wrong (5.7)."""

    task: Literal["tasks.discover", "tasks.fan_out", "tasks.tick"]
    id: str
    retries: int | None = None
    eta: None = None
    expires: str | None = None
    timelimit: tuple[None, None] | None = None
    compression: None = None


class _Info(msgspec.Struct):
    exchange: str
    routing_key: str


class _Properties(msgspec.Struct):
    delivery_tag: str
    delivery_info: _Info
    body_encoding: Literal["base64"]


class _Message(msgspec.Struct):
    body: str
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = msgspec.field(name="content-type")
    content_encoding: Literal["utf-8"] = msgspec.field(name="content-encoding")


_body = msgspec.json.Decoder(tuple[list[Any], dict[str, Any], dict[str, Any]]).decode


class Channel(transport.Channel):
    """Leaves out what is no JSON."""

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 - kombu's own
        try:
            return super()._brpop_read(**options)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            _log.error("message unreadable, left out", error=type(error).__name__)
            return True


class Transport(transport.Transport):
    """Leaves out what is JSON but no message of ours."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:  # noqa: ANN401 - whatever was there
        if queue == FAN_OUT_QUEUE or queue.startswith(_TICKS):
            try:
                _body(b64decode(msgspec.convert(message, _Message).body, validate=True))
            except (ValueError, RecursionError) as error:
                _log.error("message unreadable, left out", error=str(error)[:100], queue=queue)
                return
        super()._deliver(message, queue)
