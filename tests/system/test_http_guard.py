"""The MCP server over HTTP under attack: from other names, without a token, too much, too long."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
import redis
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.key_writer import KeyWriter
from tests.processes import (
    BOUND_SECONDS,
    Running,
    Start,
    free_port,
    http_get,
    http_post,
    wait_until,
)
from tests.system.serving import Served

pytestmark = pytest.mark.system

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - a test's
ANYWHERE = "0.0.0.0"  # noqa: S104 - what an attacker hopes for
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}

Serve = Callable[..., str]


@pytest.fixture
def serve(start: Start) -> Serve:
    """Give a way to start the server; returns its address on loopback."""

    def begin(*options: str, **settings: str) -> str:
        port = free_port()
        running = start("mcp_app", "--http", "--port", str(port), *options, **settings)
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(running, address), "the server answers")
        return address

    return begin


@pytest.fixture(scope="module")
def plain(start_shared: Start) -> str:
    """Give the address of a server as it is without settings."""
    return Served(start_shared).address


def answers(running: Running, address: str) -> bool:
    assert running.process.poll() is None, running.said()
    try:
        return http_get(f"{address}/health").status_code == 200
    except httpx2.TransportError:
        return False


def post(address: str, **headers: str) -> httpx2.Response:
    return http_post(f"{address}/mcp", json=LIST, headers=HEADERS | headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused_at_start(start: Start, *options: str, **settings: str) -> str:
    running = start("mcp_app", "--http", "--port", str(free_port()), *options, **settings)
    assert running.wait() == 1
    [line] = running.said().splitlines()
    return line


@pytest.mark.parametrize("host", [ANYWHERE, "::"])
def test_beyond_loopback_no_server_starts_without_a_token(start: Start, host: str) -> None:
    line = refused_at_start(start, "--host", host)

    assert line.startswith(f"orderflow: the MCP server at '{host}' would be open to other machines")
    assert "ORDERFLOW_MCP_TOKEN" in line


@pytest.mark.parametrize("variable", ["ORDERFLOW_MCP_HOST", "ORDERFLOW_FLOWER_HOST"])
def test_a_run_that_would_be_open_to_others_starts_nothing(start: Start, variable: str) -> None:
    running = start("app.operations.supervisor", **{variable: ANYWHERE})

    assert running.wait() == 1
    assert running.said().count("\n") == 1
    assert "would be open to other machines" in running.said()


def test_a_token_that_can_be_guessed_is_refused_and_not_shown(start: Start) -> None:
    line = refused_at_start(start, ORDERFLOW_MCP_TOKEN="hunter2")  # noqa: S106 - a poor one

    assert line == (
        "orderflow: ORDERFLOW_MCP_TOKEN=(hidden) is not allowed; "
        "allowed: a text of at least 16 characters"
    )


def test_a_file_without_good_tokens_starts_no_server(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\nshort\n")

    line = refused_at_start(start, ORDERFLOW_MCP_TOKEN_FILE=str(path))

    assert line.startswith(f"orderflow: ORDERFLOW_MCP_TOKEN_FILE='{path}'")
    assert TOKEN not in line


def test_without_its_token_nothing_but_health_is_answered(
    serve: Serve, redis_client: redis.Redis
) -> None:
    address = serve("--host", ANYWHERE, ORDERFLOW_MCP_TOKEN=TOKEN)
    wrong = (f"Bearer {'x' * len(TOKEN)}", "Bearer", f"Basic {TOKEN}", TOKEN)

    for headers in ({}, *({"Authorization": text} for text in wrong)):
        for refused in (
            post(address, **headers),
            http_get(f"{address}/metrics", headers=headers),
            http_get(f"{address}/ready", headers=headers),
            http_get(f"{address}/mcp", headers=headers),
            http_get(f"{address}/nothing", headers=headers),
        ):
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Bearer ")
            assert "orderflow" not in refused.text
    assert http_get(f"{address}/health").json() == {"status": "ok"}
    KeyWriter(redis_client).healthy_ticker()
    assert http_get(f"{address}/ready", headers=bearer(TOKEN)).status_code == 200
    assert "orderflow_redis_up 1" in http_get(f"{address}/metrics", headers=bearer(TOKEN)).text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_with_a_token_of_the_file_is_answered(
    serve: Serve, tmp_path: Path, redis_client: redis.Redis, mode: str
) -> None:
    KeyWriter(redis_client).healthy_ticker()
    path = tmp_path / "tokens"
    path.write_text(f"another-{TOKEN}\n\n{TOKEN}\n")
    address = serve(ORDERFLOW_MCP_TOKEN_FILE=str(path))

    async def ask() -> bool:
        async with httpx2.AsyncClient(headers=bearer(TOKEN)) as http:
            transport = streamable_http_client(f"{address}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                result = await client.call_tool("list_tickers", {})
        return bool(result.is_error)

    assert asyncio.run(ask()) is False
    assert post(address).status_code == 401


def test_on_loopback_a_token_is_asked_for_by_setting_only(plain: str) -> None:
    assert post(plain).status_code != 401


PATHS = ("/mcp", "/health", "/ready", "/metrics", "/", "/desk", "/desk/now")


@pytest.mark.parametrize("host", ["127.0.0.1", ANYWHERE])
def test_other_names_and_pages_are_refused_at_every_address(serve: Serve, host: str) -> None:
    names = {"ORDERFLOW_MCP_ALLOWED_HOSTS": "flow.example, [2001:db8::1]"}
    address = serve("--host", host, ORDERFLOW_MCP_TOKEN=TOKEN, **names)

    for path in PATHS:
        for wrong in ("evil.example", ANYWHERE, "flow.example.evil", "127.0.0.1.evil:80"):
            found = http_get(f"{address}{path}", headers=bearer(TOKEN) | {"Host": wrong})
            assert found.status_code == 421, (path, wrong)
        for origin in ("http://evil.example", "null", "http://0.0.0.0", "https://127.0.0.1.evil"):
            found = http_get(f"{address}{path}", headers=bearer(TOKEN) | {"Origin": origin})
            assert found.status_code == 403, (path, origin)
    for right in ("flow.example", "flow.example:8443", "[2001:db8::1]:80", "localhost:1"):
        assert http_get(f"{address}/health", headers={"Host": right}).status_code == 200
    origin = bearer(TOKEN) | {"Host": "flow.example", "Origin": "https://flow.example"}
    assert post(address, **origin).status_code not in {401, 403, 421}


def test_a_body_that_is_too_large_is_refused_declared_or_not(plain: str) -> None:
    body = json.dumps(LIST | {"params": {"x": "y" * 300_000}}).encode()

    declared = http_post(f"{plain}/mcp", content=body, headers=HEADERS)
    in_pieces = http_post(f"{plain}/mcp", content=iter([body[:9], body[9:]]), headers=HEADERS)

    assert (declared.status_code, in_pieces.status_code) == (413, 413)


def test_who_asks_too_much_waits_and_headers_are_no_way_around(serve: Serve) -> None:
    address = serve(ORDERFLOW_MCP_REQUESTS_PER_MINUTE="60", ORDERFLOW_MCP_TOKEN=TOKEN)

    def guess(number: int) -> httpx2.Response:
        forged = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
        return http_get(f"{address}/ready", headers=forged | bearer(f"guess {number}"))

    began = time.monotonic()
    # Several at a time: one a second is allowed again, and a busy machine takes long for each.
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(guess, range(120))]
    seconds = time.monotonic() - began

    answered = [one for one in found if one.status_code == 401]
    refused = [one for one in found if one.status_code == 429]
    assert len(answered) + len(refused) == len(found)
    assert 50 < len(answered) <= 60 + seconds + 1
    assert refused
    assert all(1 <= int(one.headers["retry-after"]) <= 2 for one in refused)


HALF_A_BODY = (
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Accept: application/json, text/event-stream\r\nContent-Length: 50\r\n\r\n{"
)
DAWDLERS = {
    b"": b"",
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: ": b"",
    HALF_A_BODY: b"HTTP/1.1 408",
}


def until_ended(wire: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    found = b""
    with wire, suppress(ConnectionResetError):
        while piece := wire.recv(65_536):
            found += piece
    return found


def test_who_dawdles_is_cut_off(plain: str) -> None:
    port = int(plain.rpartition(":")[2])
    began = time.monotonic()
    wires = [socket.create_connection(("127.0.0.1", port), timeout=BOUND_SECONDS) for _ in DAWDLERS]
    for wire, sent in zip(wires, DAWDLERS, strict=True):
        wire.sendall(sent)

    found = [until_ended(wire)[:12] for wire in wires]

    assert found == list(DAWDLERS.values())
    assert time.monotonic() - began > 4


def test_a_stream_that_began_lasts_as_long_as_its_client_listens(plain: str) -> None:
    address = f"{plain}/mcp"
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a", "version": "1"},
    }
    with httpx2.Client(headers=HEADERS, timeout=BOUND_SECONDS) as http:
        begun = http.post(address, json=LIST | {"method": "initialize", "params": hello})
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        http.post(
            address, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session
        )
        with http.stream("GET", address, headers=session) as stream:
            assert stream.status_code == 200
            began, lines = time.monotonic(), stream.iter_lines()
            # Kept alive by a comment each 15 s: far more than a request without answer gets.
            assert next(line for line in lines if line.startswith(":"))
            assert time.monotonic() - began > 6


def test_a_head_without_end_is_cut_off_before_it_is_all_sent(plain: str) -> None:
    port = int(plain.rpartition(":")[2])
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "

    with socket.create_connection(("127.0.0.1", port)) as wire, pytest.raises(OSError):  # noqa: PT011, PT012
        wire.sendall(head)
        for _ in range(1000):
            wire.sendall(b"x" * 65_536)
