"""Pages of allowed origins may use the server through a browser; other pages learn nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from mcp_app.http import http_app
from mcp_app.server import make_server

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - a test's
ACCEPTED = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "page", "version": "1"},
    },
}
OUR_ORIGINS = [
    "http://localhost:6274", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:5173",
    "https://desk.example", "https://desk.example:8443",
]  # fmt: skip
OTHER_ORIGINS = [
    "https://evil.example", "http://localhost.evil.example", "null", "https://desk.example.evil",
    "http://localhost:1.evil.example", "file://", "http://10.0.0.1:8765",
]  # fmt: skip

Ask = Callable[..., httpx2.Response]


@pytest.fixture
def ask(settings: Settings) -> Ask:
    """Give a way to send one request to a server that is reached as desk.example too."""

    def send(
        method: str, path: str, *, token: str | None = None, **options: Any
    ) -> httpx2.Response:
        changed = {"mcp_hosts_given": "desk.example", "mcp_token": token and SecretStr(token)}
        chosen = settings.model_copy(update=changed)
        server = make_server(chosen)
        app = http_app(server, "127.0.0.1", settings=chosen)

        async def asked() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=app)
            base = "http://127.0.0.1:8765"
            async with (
                app.router.lifespan_context(app),
                httpx2.AsyncClient(transport=transport, base_url=base) as client,
            ):
                return await client.request(method, path, **options)

        return asyncio.run(asked())

    return send


def preflight(ask: Ask, origin: str, **changed: Any) -> httpx2.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,last-event-id,"
        "mcp-protocol-version,mcp-session-id,mcp-method,mcp-param-ticker",
    }
    return ask("OPTIONS", "/mcp", headers=asked | changed.pop("headers", {}), **changed)


def cross_origin_headers(response: httpx2.Response) -> set[str]:
    return {name for name in response.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", OUR_ORIGINS)
def test_a_page_of_an_allowed_origin_gets_leave_to_ask(ask: Ask, origin: str) -> None:
    leave = preflight(ask, origin)

    assert leave.status_code == 200
    assert leave.headers["access-control-allow-origin"] == origin
    assert {"GET", "POST", "DELETE"} <= {*leave.headers["access-control-allow-methods"].split(", ")}
    allowed = leave.headers["access-control-allow-headers"].lower()
    for name in ("authorization", "last-event-id", "mcp-protocol-version", "mcp-session-id"):
        assert name in allowed


@pytest.mark.parametrize("origin", OUR_ORIGINS)
def test_it_may_read_the_answer_and_the_session_id(ask: Ask, origin: str) -> None:
    answer = ask("POST", "/mcp", headers=ACCEPTED | {"Origin": origin}, json=INITIALIZE)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "mcp-session-id" in answer.headers
    assert "mcp-session-id" in answer.headers["access-control-expose-headers"].lower()
    assert "origin" in answer.headers["vary"].lower()


def test_leave_needs_no_token_and_a_refusal_can_be_read(ask: Ask) -> None:
    origin = OUR_ORIGINS[0]
    leave = preflight(ask, origin, token=TOKEN)
    refused = ask(
        "POST", "/mcp", token=TOKEN, headers=ACCEPTED | {"Origin": origin}, json=INITIALIZE
    )

    assert leave.status_code == 200
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == origin


def test_a_public_page_may_ask_a_server_on_this_machine(ask: Ask) -> None:
    leave = preflight(
        ask, "https://desk.example", headers={"Access-Control-Request-Private-Network": "true"}
    )

    assert leave.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/health"])
def test_other_pages_get_nothing(ask: Ask, origin: str, path: str) -> None:
    leave = ask(
        "OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    answer = ask("POST", path, headers=ACCEPTED | {"Origin": origin}, json=INITIALIZE)

    for response in (leave, answer):
        assert response.status_code >= 400
        assert cross_origin_headers(response) == set()
        assert "mcp-session-id" not in response.headers


def test_without_an_origin_nothing_is_added(ask: Ask) -> None:
    answer = ask("POST", "/mcp", headers=ACCEPTED, json=INITIALIZE)

    assert answer.status_code == 200
    assert cross_origin_headers(answer) == set()


@pytest.mark.parametrize("path", ["/mcp/", "/mcp//", "/mcp"])
def test_a_slash_at_the_end_makes_no_difference(ask: Ask, path: str) -> None:
    answer = ask("POST", path, headers=ACCEPTED, json=INITIALIZE)

    assert answer.status_code == 200
    assert answer.json()["result"]["serverInfo"]["name"] == "orderflow"


@pytest.mark.parametrize("path", ["/health/", "/health"])
def test_it_makes_none_for_monitoring(ask: Ask, path: str) -> None:
    assert ask("GET", path, token=TOKEN).json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/mcp/x/", "/metrics/x/", "/mcp/../mcp/"])
def test_no_path_is_redirected(ask: Ask, path: str) -> None:
    for method in ("GET", "POST"):
        answer = ask(method, path, headers=ACCEPTED | {"X-Forwarded-Proto": "https"})
        assert "location" not in answer.headers
        assert answer.status_code >= 400


def test_a_slash_at_the_end_is_no_way_around_the_token(ask: Ask) -> None:
    for path in ("/mcp/", "/metrics/", "/ready//"):
        assert ask("GET", path, token=TOKEN).status_code == 401
