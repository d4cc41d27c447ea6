"""What lies in a queue: a message of ours, or anything that somebody else put there."""

import time
from base64 import b64decode
from queue import Empty
from typing import Annotated, Any, Literal

import msgspec
import structlog
from kombu.transport import redis as transport
from kombu.utils.encoding import bytes_to_str
from kombu.utils.scheduling import priority_cycle

from app.core import clock
from app.core.settings import settings
from tasks.fast_path.queue_monitor import LOOK_EACH_MS, QueueMonitor
from tasks.queues import FAN_OUT_QUEUE, given_shard, tick_queue
from tasks.schedule import ms_until_next_ticks

_log = structlog.stdlib.get_logger("tasks.fast_path.transport")
_TICKS = tick_queue(0).removesuffix("0")
# Ours are under 250; so short, none is nested too deeply for one of those who read it.
_LONGEST_BODY = 1000
# Ticks that one worker has in hand beside the one that runs: no idle worker can take these, they
# are lost with it, and a fan-out waits for them. So there are none while ticks take long.
_MORE_IN_HAND = 3
_LONG_SECONDS = 0.01


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
    body: Annotated[str, msgspec.Meta(max_length=_LONGEST_BODY)]
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = msgspec.field(name="content-type")
    content_encoding: Literal["utf-8"] = msgspec.field(name="content-encoding")


_json = msgspec.json.Decoder().decode
_body = msgspec.json.Decoder(tuple[list[Any], dict[str, Any], dict[str, Any]]).decode


class ShardQueueOrder(priority_cycle):
    """The queues that a worker of a shard takes from: its own, and others' that it helps with."""

    def __init__(self, own: str) -> None:
        super().__init__()
        self.own = own
        self.monitor = QueueMonitor()

    def others(self) -> list[str]:
        """Name the ticks' queues that are other workers'."""
        return [name for name in self.items if name.startswith(_TICKS) and name != self.own]

    def consume(self, n: int) -> list[str]:
        """Return the queues to take from now, in that order."""
        left_alone = {*self.others()} - {*self.monitor.helped}
        return [name for name in self.items[:n] if name not in left_alone] or self.items[:n]

    def rotate(self, last_used: str) -> None:
        """Hear where the newest message came from."""
        if last_used == self.own:
            self.monitor.pause()


class Channel(transport.Channel):
    """Leaves out what is no JSON; in a worker of a shard, takes others' ticks where they are late.

    A plain worker takes all ticks at all times.
    """

    def __init__(self, *words: Any, **named: Any) -> None:  # noqa: ANN401 - kombu's own
        super().__init__(*words, **named)
        shard = given_shard(settings())
        self._queue_order = None if shard is None else ShardQueueOrder(tick_queue(shard))
        self._are_long = False
        if self._queue_order is not None:
            self._queue_cycle = self._queue_order

    def _brpop_start(self, timeout: float | None = None) -> None:
        if self._queue_order is not None:
            timeout = timeout or LOOK_EACH_MS / 1000
        super()._brpop_start(timeout)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401 - kombu's own
        """Do as kombu does, with a decoder that takes less than half of the time: 2 % of a tick."""
        try:
            taken = self._reply(options)
            if taken:
                self._take(bytes_to_str(taken[0]).rsplit(self.sep, 1)[0], taken[1], options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not taken:
            self._check_other_queues()
            raise Empty
        return True

    def _take(self, queue: str, item: bytes, options: dict[str, Any]) -> None:
        """Deliver a message; where a worker's own ticks are short, also the next few of them.

        Those are asked for before the first one runs, and are there when it has: to wait for each
        by itself, through Celery's loop, costs 150 of 920 µs a tick.
        """
        began, taken = time.monotonic(), 1
        if self._queue_order is None or queue != self._queue_order.own or self._are_long:
            self._deliver_from(queue, item)
        else:
            more = self._delivered_while_more_come(queue, item, options)
            for following in more:
                self._deliver_from(queue, following)
            taken += len(more)
        self._are_long = time.monotonic() - began > _LONG_SECONDS * taken

    def _delivered_while_more_come(
        self, queue: str, item: bytes, options: dict[str, Any]
    ) -> list[bytes]:
        connection = self.client.connection
        try:
            connection.send_command("RPOP", queue, _MORE_IN_HAND)
        except self.connection_errors:
            self._deliver_from(queue, item)
            raise
        more = None
        try:
            self._deliver_from(queue, item)
            more = self._reply(options) or []
        finally:
            if more is None:  # what comes yet must not be taken for the next answer
                connection.disconnect()
        return more

    def _reply(self, options: dict[str, Any]) -> list[bytes] | None:
        connection = self.client.connection
        try:
            reply: list[bytes] | None = self.client.parse_response(connection, "BRPOP", **options)
        except self.connection_errors:
            connection.disconnect()
            raise
        return reply

    def _deliver_from(self, queue: str, item: bytes) -> None:
        self._queue_cycle.rotate(queue)
        try:
            message = _json(item)
        except (ValueError, RecursionError) as error:
            _log.error("message unreadable, left out", error=type(error).__name__)
        else:
            self.connection._deliver(message, queue)  # noqa: SLF001 - as kombu does

    def _check_other_queues(self) -> None:
        """See how the others fare, while there is nothing to do."""
        if self._queue_order is None:
            return
        names, now_ms = self._queue_order.others(), clock.now_ms()
        with self.conn_or_acquire() as client:
            pipe = client.pipeline(transaction=False)
            for name in names:
                pipe.llen(name)
            found = pipe.execute(raise_on_error=False)
        # A queue that is none, or not readable now, has nothing to help with.
        lengths = {n: it for n, it in zip(names, found, strict=True) if isinstance(it, int)}
        left_ms = ms_until_next_ticks(now_ms, settings().interval_ms, settings().settle_ms)
        self._queue_order.monitor.check(lengths, now_ms, left_ms)


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
