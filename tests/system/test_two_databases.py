"""Two deployments in two databases of one server take no notice of each other."""

import json
import re

import pytest
import redis

from app.core.clock import now_ms
from tests.processes import Running, Start, wait_until
from tests.system.test_ticks import BEAT, ready

pytestmark = pytest.mark.system

PRICES = {0: 10.0, 1: 20.0}
BELONGS_TO = re.compile(r"(/|orderflow:ticked:)[0-9]+[.:]")
# The same in both deployments, as on one host with one Procfile.
WORKER = ("celery", "-A", "tasks", "worker", "-P", "solo", "-n", "worker1@%h")


def in_database(client: redis.Redis, number: int) -> redis.Redis:
    return redis.Redis(port=client.get_connection_kwargs()["port"], db=number)


def add_quote(client: redis.Redis, number: int) -> None:
    bid = PRICES[number]
    fields = {"bid_price": bid, "bid_size": 1, "ask_price": bid + 1, "ask_size": 1}
    at = now_ms()
    client.zadd("orderflow:quotes:SPY", {json.dumps(fields | {"seq": int(at)}): at})


def deploy(start: Start, client: redis.Redis, number: int) -> Running:
    database = {"REDIS_DB": str(number)}
    add_quote(client, number)
    start(*BEAT, **database)
    return start(*WORKER, **database)


def bid_of(client: redis.Redis) -> float:
    return float(client.hget("orderflow:metrics:SPY:10s", "bid_price") or 0)


def process_ids(start: Start, number: int) -> list[int]:
    """Return the processes of the workers that answer `celery inspect`."""
    asked = start(
        *("celery", "-A", "tasks", "inspect", "stats", "--json", "-t", "2"), REDIS_DB=str(number)
    )
    asked.wait()
    said = asked.said()
    if "{" not in said:  # no worker answered in time
        return []
    stats = json.loads(said[said.index("{") :])
    return [found["pid"] for found in stats.values()]


def answering(start: Start, number: int) -> list[int]:
    """Return the same, once a worker has answered in time."""
    found: list[int] = []

    def has_answered() -> bool:
        found[:] = process_ids(start, number)
        return found != []

    wait_until(has_answered, "a worker answers")
    return found


def channels_heard(heard: redis.client.PubSub) -> set[str]:
    """Return what the names of the channels begin with that anything was published on."""
    names = set()
    while message := heard.get_message():
        if message["type"] != "pmessage":
            continue
        found = BELONGS_TO.match(message["channel"].decode())
        names.add(found[0] if found else message["channel"])
    return names


def test_they_are_independent(redis_client: redis.Redis, start: Start) -> None:
    heard = redis_client.pubsub()
    heard.psubscribe("*")
    clients = {number: in_database(redis_client, number) for number in PRICES}
    workers = {number: deploy(start, client, number) for number, client in clients.items()}

    for worker in workers.values():
        wait_until(lambda worker=worker: ready(worker), "the worker is ready")
    for number, client in clients.items():
        wait_until(lambda n=number, c=client: bid_of(c) == PRICES[n], "each has its own numbers")
        assert answering(start, number) == [workers[number].pid]
    # Channels belong to the server: those of commands, of what Flower shows, and of ticks.
    assert channels_heard(heard) == {"/0.", "/1.", "orderflow:ticked:0:", "orderflow:ticked:1:"}

    workers[0].end()
    before = float(clients[0].hget("orderflow:state:SPY", "as_of") or 0)
    began = now_ms()
    as_of = "orderflow:state:SPY", "as_of"
    wait_until(lambda: float(clients[1].hget(*as_of) or 0) > began + 2000, "the other goes on")
    assert float(clients[0].hget(*as_of) or 0) == before
