"""Subscriptions over HTTP: to resources only, bounded, and a client that does not read."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx2
import pytest
import redis

from app.storage.keys import ticked_channels
from mcp_app.resource_addresses import resource_uris
from mcp_app.subscription_bounds import MAX_A_SESSION
from mcp_app.watchers import SEND_SECONDS
from tests.key_writer import EVENT
from tests.processes import BOUND_SECONDS, Start, wait_until
from tests.system.serving import HEADERS, Served
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

NO_RESOURCES = {
    "no address of ours": "https://example.com/" + "x" * 200_000,
    "a long ticker": f"orderflow://{'S' * 33}/snapshot",
    "no ticker": "orderflow:///snapshot",
    "a path": "orderflow://../../etc/passwd",
    "another resource of a ticker": "orderflow://SPY/secrets",
    "another case": "ORDERFLOW://SPY/snapshot",
    "a line in it": "orderflow://SPY%0a/snapshot",
    "an empty text": "",
}
RESOURCES = (
    "orderflow://tickers",
    "orderflow://BTC%2fUSDT/patterns",
    "ui://orderflow/live.html",
)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
LISTEN = "subscriptions/listen"
MODERN = HEADERS | {"mcp-protocol-version": "2026-07-28", "mcp-method": LISTEN}
# Their addresses are long, so that few updates fill the buffers on the way.
TICKERS = [f"T{number:03}{'/' * 28}" for number in range(MAX_A_SESSION // 2)]


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    return Served(start_shared, ORDERFLOW_MCP_REQUESTS_PER_MINUTE="100000")


class Session:
    """A session of protocol 2025 on one connection."""

    def __init__(self, served: Served) -> None:
        self.id = served.session()
        self.headers = HEADERS | {"Mcp-Session-Id": self.id}
        self._http = httpx2.Client(base_url=served.address, timeout=BOUND_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.delete("/mcp", headers=self.headers)
        self._http.close()

    def ask(self, method: str, **params: Any) -> httpx2.Response:
        """Send a request."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self._http.post("/mcp", json=message, headers=self.headers)

    def subscribe(self, uri: str) -> dict[str, Any]:
        """Subscribe to a resource; return the response."""
        found: dict[str, Any] = self.ask("resources/subscribe", uri=uri).json()
        return found


def listen(served: Served, uris: list[str]) -> httpx2.Response:
    params = {"notifications": {"resourceSubscriptions": uris}, "_meta": META}
    message = {"jsonrpc": "2.0", "id": 1, "method": LISTEN, "params": params}
    return httpx2.post(f"{served.address}/mcp", json=message, headers=MODERN, timeout=BOUND_SECONDS)


def test_what_is_no_resource_can_not_be_subscribed_to(served: Served) -> None:
    with Session(served) as session:
        for kind, uri in NO_RESOURCES.items():
            refused = session.ask("resources/subscribe", uri=uri)
            listened = listen(served, [uri])
            for found in (refused, listened):
                assert "no such resource" in found.json()["error"]["message"], kind
                assert len(found.content) <= 1024, kind
        for uri in RESOURCES:
            assert session.subscribe(uri)["result"] == {}, uri


def test_a_session_has_a_bounded_number_of_subscriptions(served: Served) -> None:
    uris = [uri for ticker in TICKERS for uri in resource_uris(ticker)]
    assert len(uris) == MAX_A_SESSION

    with Session(served) as session:
        for uri in uris:
            assert session.subscribe(uri)["result"] == {}
        refused = session.subscribe("orderflow://SPY/snapshot")
        again = session.subscribe(uris[0])
        session.ask("resources/unsubscribe", uri=uris[0])
        after = session.subscribe("orderflow://SPY/snapshot")

    assert "1001 subscriptions in a session" in refused["error"]["message"]
    assert (again["result"], after["result"]) == ({}, {})
    listened = listen(served, [*uris, "orderflow://SPY/snapshot"]).json()
    assert "1001 subscriptions in a session" in listened["error"]["message"]


class Reading:
    """Read the stream of a session, and keep when it was told of a resource."""

    def __init__(self, served: Served, session: Session, uri: str) -> None:
        self.session = session
        assert session.subscribe(uri)["result"] == {}
        self._address = f"{served.address}/mcp"
        self._uri = uri
        self.told_at: list[float] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for the end of the stream, which ends with its session."""
        self._thread.join(BOUND_SECONDS)

    def times_told(self, began: float) -> int:
        """Return how often it was told since a moment."""
        return sum(at > began for at in self.told_at)

    def longest_silence(self, began: float) -> float:
        """Return the longest time without a notice from a moment to the last one, in seconds."""
        told = [began, *(at for at in self.told_at if at > began)]
        return max(after - before for before, after in itertools.pairwise(told))

    def _read(self) -> None:
        with (
            httpx2.Client(timeout=BOUND_SECONDS, headers=self.session.headers) as http,
            http.stream("GET", self._address) as stream,
        ):
            for line in stream.iter_lines():
                if self._uri in line:
                    self.told_at.append(time.monotonic())


def sleeping_stream(served: Served, session: Session) -> socket.socket:
    """Open a session's stream by a client that never reads."""
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.connect(("127.0.0.1", served.port))
    head = f"GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: {session.id}\r\n"
    wire.sendall(f"{head}Accept: text/event-stream\r\n\r\n".encode())
    return wire


@contextmanager
def ticking(client: redis.Redis) -> Iterator[None]:
    """Let all tickers tick five times a second as long as the context lasts."""
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(0.2):
            publish_ticks(client)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def publish_ticks(client: redis.Redis) -> None:
    """Tick with an event that grew in each ticker."""
    as_of = int(time.time() * 1000)
    pipe = client.pipeline(transaction=False)
    for ticker in TICKERS:
        event = EVENT | dict.fromkeys(("opened_at", "noticed_at", "updated_at"), as_of)
        grown = event | {"id": f"{ticker}~aaaaaaa2", "statistic": as_of % 100_000}
        fields = {"as_of": as_of, "open": json.dumps(grown)}
        pipe.hset(f"orderflow:state:{ticker}", mapping=fields)
        pipe.publish(f"{ticked_channels(0)}{ticker}", str(as_of))
    pipe.execute()


def test_a_client_that_sleeps_is_ended_and_others_notice_nothing(
    served: Served, redis_client: redis.Redis, assert_within: AssertWithin
) -> None:
    with Session(served) as asleep, Session(served) as awake:
        for ticker in TICKERS:
            for uri in resource_uris(ticker):
                asleep.subscribe(uri)
        reading = Reading(served, awake, resource_uris(TICKERS[0])[0])
        # What the sleeping session asks waits with it; the tickers tick all the same.
        with sleeping_stream(served, asleep), ticking(redis_client):
            began = time.monotonic()
            while asleep.ask("ping").status_code != 404:
                assert time.monotonic() - began < BOUND_SECONDS, "the session lives on"
                time.sleep(0.2)
            ended = time.monotonic()
            wait_until(lambda: reading.times_told(ended) >= 2, "others are told further on")
    reading.end()

    assert ended - began >= SEND_SECONDS
    assert_within(3, reading.longest_silence(began))


def test_a_stream_of_2026_that_sleeps_is_ended_and_others_notice_nothing(
    served: Served, redis_client: redis.Redis, assert_within: AssertWithin
) -> None:
    uris = [uri for ticker in TICKERS for uri in resource_uris(ticker)]
    with Session(served) as awake:
        reading = Reading(served, awake, uris[0])
        with sleeping_stream_of_2026(served, uris), ticking(redis_client):
            began = time.monotonic()
            wait_until(lambda: "backlog full" in served.running.said(), "the stream ends")
            ended = time.monotonic()
            wait_until(lambda: reading.times_told(ended) >= 2, "others are told further on")
    reading.end()

    assert_within(3, reading.longest_silence(began))


def sleeping_stream_of_2026(served: Served, uris: list[str]) -> socket.socket:
    """Listen as a client that never reads."""
    params = {"notifications": {"resourceSubscriptions": uris}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": LISTEN, "params": params}).encode()
    sent = MODERN | {"Host": "localhost", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.connect(("127.0.0.1", served.port))
    wire.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
    return wire
