"""The Procfile's processes on a real Redis, fed by hand and asked through a real MCP client."""

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from app.core import clock
from tests.processes import ROOT, Environment, Start, free_port, wait_until
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

TICKER = "HAND.1"
ANSWERED_SECONDS = 3.0


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, environment: Environment) -> Path:
    """Give a folder to start in: the environment is activated, or only lies in that folder.

    Platforms that run a Procfile put the commands on PATH, and have no such folder.
    """
    environment.pop("VIRTUAL_ENV", None)
    environment["PATH"] = "/usr/bin:/bin"
    if request.param == "activated":
        environment["VIRTUAL_ENV"] = sys.prefix
    elif request.param == "on PATH":
        environment["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    else:
        (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "Procfile").symlink_to(ROOT / "Procfile")
    return tmp_path


@pytest.fixture
def web_port(start: Start, folder: Path) -> Iterator[int]:
    """Start what the Procfile names, and say where the MCP server listens."""
    port = free_port()
    honcho = start(
        "honcho",
        "start",
        folder=folder,
        PORT=str(port),
        ORDERFLOW_FLOWER_PORT=str(free_port()),
    )
    try:
        wait_until(lambda: " ready." in honcho.said(), "the worker is ready")
        wait_until(lambda: listens(port), "the web server listens")
        yield port
    finally:
        honcho.end()


def write_quote(client: redis.Redis, number: int) -> None:
    """Write one quote in the form of the contract, with nothing but ZADD."""
    now_ms = clock.now_ms()
    quote = {
        "timestamp": now_ms,
        "bid_price": 10 + number % 3 / 100,
        "bid_size": 100 + number,
        "ask_price": 10.05,
        "ask_size": 200,
        "seq": number,
    }
    client.zadd(f"orderflow:quotes:{TICKER}", {json.dumps(quote): now_ms})


async def answer_of(where: Any, mode: str) -> dict[str, Any]:
    async with Client(where, mode=mode) as agent:
        result = await agent.call_tool(
            "analyze_order_flow_tool", {"ticker": TICKER, "history": "10s"}
        )
    assert not result.is_error, result.content
    content = result.structured_content
    assert isinstance(content, dict)
    return content


# A server on stdio is started by no Procfile: once is enough.
@pytest.mark.parametrize(
    ("folder", "is_asked_on_stdio"),
    [("activated", True), ("not activated", False), ("on PATH", False)],
    indirect=["folder"],
    ids=["activated", "not activated", "on PATH"],
)
def test_quotes_written_by_hand_are_answered_for_within_seconds_over_stdio_and_http(
    redis_client: redis.Redis,
    web_port: int,
    environment: Environment,
    assert_within: AssertWithin,
    *,
    is_asked_on_stdio: bool,
) -> None:
    number = 0

    def answered() -> bool:
        nonlocal number
        number += 1
        write_quote(redis_client, number)
        return redis_client.exists(f"orderflow:metrics:{TICKER}:5min") == 1

    took_seconds = wait_until(answered, "the first tick of a ticker never seen before")
    stdio = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_app"], env=environment, cwd=str(ROOT)
    )
    http = f"http://127.0.0.1:{web_port}/mcp"
    for where in (stdio, http) if is_asked_on_stdio else (http,):
        for mode in ("auto", "legacy"):
            content = asyncio.run(answer_of(where, mode))
            assert content["ticker"] == TICKER
            assert content["metrics"]["bid_size"] > 100
    assert_within(ANSWERED_SECONDS, took_seconds)
