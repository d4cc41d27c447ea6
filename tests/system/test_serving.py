"""The MCP server over HTTP as a process: what it runs on, and how it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from tests.key_writer import KeyWriter
from tests.mcp_app.test_tools import bars_of
from tests.processes import (
    BOUND_SECONDS,
    ROOT,
    Environment,
    Running,
    Start,
    free_port,
    http_get,
    wait_until,
)
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

HEADERS = {"Accept": "application/json, text/event-stream"}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def listening(start: Start, *module: str) -> tuple[Running, str]:
    port = free_port()
    running = start(*(word.format(port=port) for word in module))
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert running.process.poll() is None, running.said()
        try:
            return http_get(f"{address}/health").status_code == 200
        except httpx2.TransportError:
            return False

    wait_until(answers, "the server answers")
    return running, address


def test_it_runs_on_uvloop_and_httptools(start: Start) -> None:
    _, address = listening(start, "tests.system.serving_with_route", "{port}")

    said = http_get(f"{address}/runs-on").json()

    assert said["loop"].split(".")[0] == "uvloop"
    assert said["httptools"] >= 1


def stream_of_2025(client: httpx2.Client, address: str) -> Any:
    begun = client.post(f"{address}/mcp", headers=HEADERS, json=message("initialize", HELLO))
    session = {"mcp-session-id": begun.headers["mcp-session-id"]}
    return client.stream("GET", f"{address}/mcp", headers=HEADERS | session)


def stream_of_2026(client: httpx2.Client, address: str) -> Any:
    wanted = {"resourceSubscriptions": ["orderflow://tickers"]}
    listen = message("subscriptions/listen", {"notifications": wanted, "_meta": META})
    version = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
    return client.stream("POST", f"{address}/mcp", headers=HEADERS | version, json=listen)


def message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.mark.parametrize("opened", [stream_of_2025, stream_of_2026])
def test_a_stop_ends_open_streams_at_once(
    start: Start, opened: Callable[[httpx2.Client, str], Any]
) -> None:
    running, address = listening(start, "mcp_app", "--http", "--port", "{port}")

    with httpx2.Client(timeout=BOUND_SECONDS) as client, opened(client, address) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        code = running.end(signal.SIGTERM)

    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in running.said()
    # What the server says where it had to break streams off.
    assert "exceeded" not in running.said()


def test_the_first_chart_of_a_fresh_process_is_drawn_within_two_seconds(
    redis_client: redis.Redis, environment: Environment, assert_within: AssertWithin
) -> None:
    writer = KeyWriter(redis_client)
    writer.healthy_ticker()
    writer.bars(bars_of(writer.as_of, 300))

    with on_stdio([sys.executable, "-m", "mcp_app"], environment) as process:
        told(process, message("initialize", HELLO))
        assert_within(2, wait_until(lambda: is_drawn(process), "a chart"))


def is_drawn(process: subprocess.Popen[bytes]) -> bool:
    """Ask for a chart; a busy machine's server may answer that it is not ready to draw yet.

    Or that it is still busy with the one that was asked for before.
    """
    asked = {"name": "order_flow_chart", "arguments": {"ticker": "SPY"}}
    result = told(process, message("tools/call", asked))["result"]
    if result.get("isError"):
        said = result["content"][0]["text"]
        assert "ask again" in said or "try again in" in said
        return False
    assert result["content"][1]["mimeType"] == "image/png"
    return True


def test_the_command_of_the_desktop_bundle_serves(environment: Environment) -> None:
    bundle = ROOT / "packaging" / "mcpb"
    config = json.loads((bundle / "manifest.json").read_text())["server"]["mcp_config"]
    filled = {
        "${__dirname}": str(bundle),
        "${user_config.checkout}": str(ROOT),
        "${user_config.redis_host}": environment["REDIS_HOST"],
        "${user_config.redis_port}": environment["REDIS_PORT"],
    }

    def fill(text: str) -> str:
        for name, value in filled.items():
            text = text.replace(name, value)
        return text

    assert fill(config["command"]) == f"{ROOT}/.venv/bin/python"
    command = [sys.executable, *map(fill, config["args"])]
    settings = {name: fill(text) for name, text in config["env"].items()}
    # From elsewhere, as a desktop client starts it.
    with on_stdio(command, environment | settings, cwd=Path("/")) as process:
        said = told(process, message("initialize", HELLO))

    assert said["result"]["serverInfo"]["name"] == "orderflow"


@contextmanager
def on_stdio(
    command: list[str], environment: Environment, cwd: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[bytes], asked: dict[str, Any]) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())
