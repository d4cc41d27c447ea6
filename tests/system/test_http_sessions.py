"""What sessions keep is bounded, and the ones unused for longest end first."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest

from mcp_app.session_limits import MAX_A_CLIENT
from tests.processes import BOUND_SECONDS, Start, wait_until
from tests.system.serving import HEADERS, HELLO, Served

pytestmark = pytest.mark.system

NO_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
OTHER = "127.0.0.2"
MOST_MIB = 60


@pytest.fixture
def served(start: Start) -> Served:
    return Served(start, ORDERFLOW_MCP_REQUESTS_PER_MINUTE="100000")


class Client:
    """A client of protocol 2025 at an address."""

    def __init__(self, served: Served, source: str = "127.0.0.1") -> None:
        self.http = httpx2.Client(
            base_url=served.address,
            headers=HEADERS,
            transport=httpx2.HTTPTransport(local_address=source, limits=NO_LIMITS),
            timeout=BOUND_SECONDS,
        )

    def begin(self, **hello: object) -> httpx2.Response:
        """Ask for a session."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO | hello}
        return self.http.post("/mcp", json=message)

    def session(self) -> str:
        """Begin a session; return its id."""
        return str(self.begin().headers["mcp-session-id"])

    def is_alive(self, session: str) -> bool:
        """Tell whether a session answers, which counts as using it."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}
        found = self.http.post("/mcp", json=message, headers={"Mcp-Session-Id": session})
        assert found.status_code in {200, 404}
        return found.status_code == 200


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    made = Client(served)
    yield made
    made.http.close()


@pytest.fixture
def other(served: Served) -> Iterator[Client]:
    made = Client(served, OTHER)
    yield made
    made.http.close()


def test_the_session_unused_for_longest_makes_room_for_a_new_one(
    client: Client, other: Client
) -> None:
    others = other.session()
    first, second, third = (client.session() for _ in range(3))

    assert client.is_alive(first)
    for _ in range(MAX_A_CLIENT - 1):
        client.session()

    assert [client.is_alive(one) for one in (second, third, first)] == [False, False, True]
    assert other.is_alive(others)


@pytest.mark.parametrize(
    "hello",
    [
        {"capabilities": {"experimental": {"a": {"b": "x" * 16_000}}}},
        {"clientInfo": {"name": "x" * 16_000, "version": "1"}},
        {"capabilities": {"experimental": {f"a{n}": {} for n in range(190)}}},
        {"capabilities": {"experimental": {"a": {"b": "x" * 196_000}}}},
    ],
)
def test_what_clients_say_of_themselves_takes_bounded_memory(
    served: Served, client: Client, hello: dict[str, object]
) -> None:
    client.begin(**hello)
    before = served.resident_mib()

    for _ in range(MAX_A_CLIENT + 50):
        client.begin(**hello)

    assert served.resident_mib() - before < MOST_MIB


def test_large_requests_in_many_sessions_take_bounded_memory(
    served: Served, client: Client, other: Client
) -> None:
    others = other.session()
    sessions = [client.session() for _ in range(100)]
    before = served.resident_mib()
    # Decoded it takes twenty times as much.
    params = {"name": "list_tickers", "arguments": {"a": [{}] * 80_000}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    for session in sessions:
        found = client.http.post("/mcp", json=message, headers={"Mcp-Session-Id": session})
        assert found.json()["result"]["isError"]

    assert served.resident_mib() - before < 4 * MOST_MIB
    assert other.is_alive(others)
    assert client.is_alive(sessions[-1])
    assert not client.is_alive(sessions[0])


def test_an_open_stream_lets_no_session_keep_large_requests(served: Served, client: Client) -> None:
    params = {"name": "list_tickers", "arguments": {"a": [{}] * 80_000}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    sessions = [client.session() for _ in range(100)]
    before = served.resident_mib()

    with ExitStack() as stack:
        for session in sessions:
            headers = {"Mcp-Session-Id": session}
            stack.enter_context(client.http.stream("GET", "/mcp", headers=headers))
            client.http.post("/mcp", json=message, headers=headers)

        assert served.resident_mib() - before < 4 * MOST_MIB
        assert client.is_alive(sessions[-1])
        assert not client.is_alive(sessions[0])


def test_a_session_in_use_is_never_ended_for_a_new_one(
    served: Served, client: Client, other: Client
) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_A_CLIENT):
            headers = {"Mcp-Session-Id": client.session()}
            stream = stack.enter_context(client.http.stream("GET", "/mcp", headers=headers))
            assert stream.status_code == 200

        refused = client.begin()

        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "60"
        assert "too many sessions" in refused.text
        assert other.is_alive(other.session())
    wait_until(lambda: client.begin().status_code == 200, "streams that ended make room")
    assert served.is_healthy()


def test_sessions_that_ended_do_not_count(client: Client) -> None:
    kept = client.session()

    for _ in range(MAX_A_CLIENT + 10):
        ended = client.session()
        client.http.delete("/mcp", headers={"Mcp-Session-Id": ended})

    assert client.is_alive(kept)
