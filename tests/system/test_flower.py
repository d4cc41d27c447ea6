"""Flower: on loopback, read-only, and nowhere else without credentials; it shows the ticks."""

import base64
from typing import Any

import httpx2
import pytest
import redis

from tests.processes import Running, Start, free_port, http_get, http_post, wait_until
from tests.system.names import BROKEN_TICKER
from tests.system.test_ticks import BEAT, add_quote, has_ticks, start_worker

pytestmark = pytest.mark.system

UNAUTHENTICATED = {"FLOWER_UNAUTHENTICATED_API": "true"}


def begin(start: Start, *options: str, **settings: str) -> tuple[Running, str]:
    port = free_port()
    ports = {"ORDERFLOW_FLOWER_PORT": str(port)}
    running = start("celery", "-A", "tasks", "flower", *options, **ports, **settings)
    return running, f"http://127.0.0.1:{port}"


def up(running: Running, address: str) -> None:
    wait_until(lambda: listens(running, address), "Flower answers")


def listens(running: Running, address: str) -> bool:
    assert running.process.poll() is None, running.said()
    try:
        return http_get(f"{address}/healthcheck").status_code == 200
    except httpx2.TransportError:
        return False


OPEN = [
    ((), {"ORDERFLOW_FLOWER_HOST": "0.0.0.0"}),  # noqa: S104 - the attack's
    ((), {"FLOWER_ADDRESS": ""}),
    (("--address=10.0.0.5",), {}),
    (("--address=0.0.0.0",), {"FLOWER_BASIC_AUTH": ""}),
    (("--address=0.0.0.0",), {"FLOWER_BASIC_AUTH": "someone:"}),
    (("--address=0.0.0.0", "--basic-auth=a:b,:c"), {}),
]


@pytest.mark.parametrize(("options", "settings"), OPEN)
def test_it_listens_nowhere_else_without_credentials(
    start: Start, options: tuple[str, ...], settings: dict[str, str]
) -> None:
    running, _ = begin(start, *options, **settings)

    assert running.wait() == 1
    assert "would be open to other machines; set FLOWER_BASIC_AUTH" in running.said()
    assert "Traceback" not in running.said()


def test_with_credentials_it_listens_elsewhere_and_asks_for_them(start: Start) -> None:
    running, address = begin(
        start,
        ORDERFLOW_FLOWER_HOST="0.0.0.0",  # noqa: S104 - allowed with what follows
        FLOWER_BASIC_AUTH="someone:a-long-password",
    )
    up(running, address)

    pair = base64.b64encode(b"someone:a-long-password").decode()
    for page in ("/workers", "/broker", "/tasks", "/api/workers"):
        assert http_get(f"{address}{page}").status_code == 401
        known = http_get(f"{address}{page}", headers={"Authorization": f"Basic {pair}"})
        assert known.status_code == 200


CONTROLS = (
    "worker/shutdown/celery@x", "worker/pool/restart/celery@x", "worker/pool/grow/celery@x",
    "worker/queue/cancel-consumer/celery@x", "task/revoke/x", "task/timeout/x",
    "task/rate-limit/x", "task/async-apply/tasks.tick", "task/send-task/tasks.tick",
    "task/apply/tasks.tick",
)  # fmt: skip


def test_it_only_reads_even_where_its_interface_was_opened(start: Start) -> None:
    running, address = begin(start, **UNAUTHENTICATED)
    up(running, address)

    found = {
        path: http_post(f"{address}/api/{path}", json={"args": []}).status_code for path in CONTROLS
    }

    assert set(found.values()) == {403}, found
    assert http_get(f"{address}/api/workers").status_code == 200


def ticks_shown(address: str) -> list[dict[str, Any]]:
    """Return the ticks in Flower's list of tasks."""
    answer = http_get(f"{address}/api/tasks", params={"taskname": "tasks.tick"})
    assert answer.status_code == 200
    found: dict[str, dict[str, Any]] = answer.json()
    return list(found.values())


def is_shown(address: str, ticker: str, state: str) -> bool:
    shown = [tick for tick in ticks_shown(address) if f"('{ticker}', " in str(tick["args"])]
    return any(tick["state"] == state for tick in shown)


@pytest.mark.usefixtures("mode")
def test_it_shows_ticks_with_ticker_runtime_and_failure(
    redis_client: redis.Redis, start: Start
) -> None:
    running, address = begin(start, **UNAUTHENTICATED)
    up(running, address)
    start_worker(start)
    start(*BEAT)
    add_quote(redis_client, "SPY", "BTC/USDT", BROKEN_TICKER)

    for ticker in ("SPY", "BTC/USDT"):
        wait_until(lambda ticker=ticker: is_shown(address, ticker, "SUCCESS"), ticker)
    wait_until(lambda: is_shown(address, BROKEN_TICKER, "FAILURE"), "the failed tick")

    shown = ticks_shown(address)
    done = [tick for tick in shown if tick["state"] == "SUCCESS"]
    assert all(tick["runtime"] > 0 for tick in done)
    failed = [tick for tick in shown if tick["state"] == "FAILURE"]
    assert all("no sense in these records" in tick["exception"] for tick in failed)
    assert all("worker0@" in str(tick["worker"]) for tick in shown)


@pytest.mark.usefixtures("mode")
def test_a_failed_tick_that_was_not_traced_is_shown_with_its_worker(
    redis_client: redis.Redis, start: Start
) -> None:
    running, address = begin(start, **UNAUTHENTICATED)
    up(running, address)
    start_worker(start, ORDERFLOW_TRACED_TICKS="0")
    start(*BEAT)
    add_quote(redis_client, "SPY", BROKEN_TICKER)

    wait_until(lambda: is_shown(address, BROKEN_TICKER, "FAILURE"), "the failed tick")
    wait_until(lambda: has_ticks(redis_client, "SPY", 3), "ticks of SPY")

    shown = ticks_shown(address)
    assert all(BROKEN_TICKER in str(tick["args"]) for tick in shown)
    assert all("worker0@" in str(tick["worker"]) for tick in shown)
    wait_until(lambda: total_of_ticks(address) >= 3, "the worker's total")


def total_of_ticks(address: str) -> int:
    """Return the number of ticks of the worker, which answers Flower in time or not."""
    found = http_get(f"{address}/api/workers", params={"refresh": "1"}).json()
    [worker] = [it for name, it in found.items() if name.startswith("worker0@")] or [{}]
    total: dict[str, int] = worker.get("stats", {}).get("total", {})
    return total.get("tasks.tick", 0)
