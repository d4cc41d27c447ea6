"""Which Host and Origin headers the MCP server accepts, and what it logs of the others."""

import time

import pytest

from mcp_app.library_logs import LINE_CHARACTERS
from tests.processes import Start, http_get
from tests.system.serving import Served, status_of

pytestmark = pytest.mark.system

ACCEPTED = ("LOCALHOST", "LocalHost:8765", "127.0.0.1:1", "[0:0:0:0:0:0:0:1]:80", "FLOW.example")
REFUSED = (
    "localhost:@evil.com",
    "localhost:80@evil.com",
    "user@localhost",
    "localhost:",
    "localhost:80a",
    "localhost:99999",
    "localhost:-1",
    "localhost:\xb2",
    "localhost,evil.com",
    "localhost/evil.com",
    "localhost#:80",
    "localhost.",
    "[::1]evil.com",
    "[::1",
    "",
)


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    return Served(start_shared, ORDERFLOW_MCP_ALLOWED_HOSTS="Flow.Example")


def asked(served: Served, *lines: bytes) -> int:
    head = b"\r\n".join((b"GET /health HTTP/1.1", b"Connection: close", *lines))
    return status_of(served.raw(head + b"\r\n\r\n"))


def test_a_host_is_a_name_and_a_numeric_port_in_any_case(served: Served) -> None:
    found = {text: asked(served, b"Host: " + text.encode("latin-1")) for text in ACCEPTED + REFUSED}

    assert found == dict.fromkeys(ACCEPTED, 200) | dict.fromkeys(REFUSED, 421)


def test_an_origin_is_compared_as_a_host_is(served: Served) -> None:
    accepted = ("HTTP://LocalHost:3000", "https://flow.EXAMPLE", "http://[0::1]:9")
    refused = ("http://localhost:@evil.com", "http://localhost:8x", "http://a@localhost", "null")

    found = {
        text: asked(served, b"Host: localhost", b"Origin: " + text.encode())
        for text in accepted + refused
    }

    assert found == dict.fromkeys(accepted, 200) | dict.fromkeys(refused, 403)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Host: localhost", b"Host: localhost"),
        (b"Host: localhost", b"Host: evil.com"),
        (b"hOST: evil.com", b"Host: localhost"),
        (b"Host: localhost", b"Origin: http://localhost", b"Origin: http://evil.com"),
    ],
)
def test_a_repeated_header_is_a_bad_request(served: Served, lines: tuple[bytes, ...]) -> None:
    assert asked(served, *lines) == 400


def test_the_tools_are_reached_by_a_name_in_any_case(served: Served) -> None:
    hello = {"Host": "LOCALHOST", "Origin": "http://LOCALHOST:6274"}

    assert http_get(f"{served.address}/mcp", headers=hello).status_code not in {403, 421}


HEAD = b"GET /health HTTP/1.1\r\nConnection: close\r\n"
LONG = b"x" * 60_000
FLOODS = {
    "Host refused": b"Host: " + LONG,
    "Origin refused": b"Host: localhost\r\nOrigin: http://\x1b[31m\xe2\x80\xaeevil" + LONG,
    "repeated Host or Origin refused": b"Host: a\r\nHost: \xe2\x80\xaf" + LONG,
    # What the library of the server says, not we.
    "Invalid HTTP request received": b"Host : \x07",
}


def test_refused_headers_are_logged_once_a_minute_cut_and_escaped(start: Start) -> None:
    served = Served(start)
    for _ in range(20):
        for lines in FLOODS.values():
            served.raw(HEAD + lines + b"\r\n\r\n")

    for kind in FLOODS:
        deadline = time.monotonic() + 60
        while kind not in served.running.said():
            assert time.monotonic() < deadline, kind
            time.sleep(0.02)
    said = served.running.said()
    assert {kind: said.count(kind) for kind in FLOODS} == dict.fromkeys(FLOODS, 1)
    assert max(map(len, said.splitlines())) < LINE_CHARACTERS + 200
    assert "\u202e" not in said
    assert "\x1b[31m" not in said
