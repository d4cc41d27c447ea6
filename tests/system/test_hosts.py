"""Workers on two hosts share the work; one host is cut off and comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from app.operations.embedded_redis import server_binary
from tests.processes import ROOT, Environment, wait_until
from tests.system.hosts import DATA, Hosts, is_possible
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

PORT = 6379
TICKERS = [f"T{number}" for number in range(8)]
FRESH_SECONDS = 3.0
TAKEOVER_SECONDS = 8.0
LOUD = "NOT TESTED: many hosts; network namespaces are not allowed here"


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Give a data host and two worker hosts."""
    reason = is_possible()
    if reason:
        print(f"\n{LOUD}: {reason}", file=sys.__stderr__)
        pytest.skip(f"{LOUD}: {reason}")
    with Hosts("one", "two") as made:
        yield made


class System:
    """The processes, each on its host."""

    def __init__(self, hosts: Hosts, environment: Environment, folder: Path) -> None:
        self._hosts, self._folder = hosts, folder
        settings = {"REDIS_HOST": hosts.address(DATA), "REDIS_PORT": str(PORT)}
        self._environment = environment | settings | {"ORDERFLOW_SHARDS": "2"}
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, host: str, *command: str, **settings: str) -> Path:
        """Start a process on a host; returns its log."""
        log = self._folder / f"{host}-{len(self.running)}.log"
        with log.open("wb") as output:
            self.running.append(
                subprocess.Popen(
                    self._hosts.command(host, *command),
                    cwd=ROOT,
                    env=self._environment | settings,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
            )
        return log

    def end(self) -> None:
        """Kill what is left."""
        for one in self.running:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()


@pytest.fixture
def system(hosts: Hosts, environment: Environment, tmp_path: Path) -> Iterator[System]:
    """Run nothing yet, and leave nothing running."""
    made = System(hosts, environment, tmp_path)
    yield made
    made.end()


@pytest.fixture
def client(hosts: Hosts) -> Iterator[redis.Redis]:
    """Reach the data host from outside."""
    made = redis.Redis(hosts.address(DATA), PORT, socket_timeout=20.0)
    yield made
    made.close()


def answers(client: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(client.ping())
    return False


def add_quotes(client: redis.Redis) -> None:
    now_ms = int(time.time() * 1000)
    quote = {"timestamp": now_ms, "bid_price": 10, "bid_size": 3, "ask_price": 11, "ask_size": 4}
    for ticker in TICKERS:
        client.zadd(f"orderflow:quotes:{ticker}", {json.dumps(quote): now_ms})


def ticks(client: redis.Redis) -> list[int]:
    """Return the newest tick of each ticker, 0 for none."""
    pipe = client.pipeline(transaction=False)
    for ticker in TICKERS:
        pipe.hget(f"orderflow:metrics:{ticker}:10s", "as_of")
    return [int(as_of or 0) for as_of in pipe.execute()]


def all_fresh(client: redis.Redis) -> bool:
    return time.time() * 1000 - min(ticks(client)) < FRESH_SECONDS * 1000


def commands_from(client: redis.Redis, address: str) -> int:
    """Count what the connections of one host have asked so far."""
    theirs = [one for one in client.client_list() if one["addr"].startswith(f"{address}:")]
    return sum(int(one["tot-cmds"]) for one in theirs)


def asks(client: redis.Redis, address: str) -> bool:
    """Tell whether a host asks more than what an idle worker does, over a second."""
    before = commands_from(client, address)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        time.sleep(0.1)
    return commands_from(client, address) - before > len(TICKERS)


@pytest.mark.usefixtures("mode")
def test_two_worker_hosts_share_the_tickers_and_one_goes_on_when_the_other_is_cut_off(
    hosts: Hosts, system: System, client: redis.Redis, assert_within: AssertWithin
) -> None:
    system.start(DATA, server_binary(), "--port", str(PORT), "--protected-mode", "no", "--save", "")
    wait_until(lambda: answers(client), "Redis answers")
    worker = (sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", "solo")
    quiet = ("--without-mingle", "--without-gossip")
    names = ("one", "two")
    logs = [
        system.start(name, *worker, *quiet, "-n", name, ORDERFLOW_SHARD=str(shard))
        for shard, name in enumerate(names)
    ]
    system.start(DATA, sys.executable, "-m", "celery", "-A", "tasks", "beat")
    wait_until(lambda: all(" ready." in log.read_text() for log in logs), "both are ready")
    add_quotes(client)
    wait_until(lambda: all_fresh(client), "all tickers are ticked")
    wait_until(lambda: all(asks(client, hosts.address(name)) for name in names), "both work")

    hosts.cut_off("two")
    at_ms = int(time.time() * 1000)
    taken_over = wait_until(lambda: min(ticks(client)) > at_ms, "the other host takes all tickers")
    assert_within(TAKEOVER_SECONDS, taken_over)
    before = ticks(client)
    wait_until(lambda: min(ticks(client)) > max(before) + 3000, "and goes on")
    wait_until(lambda: all_fresh(client), "all tickers are fresh")

    hosts.connect_again("two")
    wait_until(lambda: asks(client, hosts.address("two")), "the host is back at work")
    wait_until(lambda: all_fresh(client), "all tickers are fresh again")
    assert all(now > then for now, then in zip(ticks(client), before, strict=True))
    assert all(process.poll() is None for process in system.running)
    assert all("Traceback" not in log.read_text() for log in logs)
