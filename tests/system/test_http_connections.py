"""Connections that do nothing end, and no client keeps the others out."""

import resource
import socket
import time
from contextlib import ExitStack
from itertools import count

import pytest

from mcp_app.open_files import OTHER_FILES
from tests.processes import BOUND_SECONDS, Start
from tests.system.serving import Served, status_of, until_ended
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
OTHER = "127.0.0.2"
BODY_TO_COME = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{"
# What is sent first, what after the answer, and what again and again while the connection lasts.
IDLE = {
    "nothing": (GET, b"", b""),
    "an empty line": (GET, b"\r\n", b""),
    "empty lines again and again": (GET, b"", b"\r\n"),
    "the first letter of a head": (GET, b"G", b""),
    "a head that never ends": (GET, b"GET /health HTTP/1.1\r\n", b"X: y\r\n"),
    "an empty line at first": (b"\r\n", b"", b"\r\n"),
    "a body after its refusal": (BODY_TO_COME, b"", b"x"),
}


@pytest.fixture
def served(start: Start) -> Served:
    return Served(start, ORDERFLOW_MCP_CONNECTIONS="60")


def test_an_idle_connection_ends_whatever_it_sends(
    served: Served, assert_within: AssertWithin
) -> None:
    with ExitStack() as stack:
        wires = {kind: stack.enter_context(served.wire(IDLE[kind][0])) for kind in IDLE}
        for kind, wire in wires.items():
            if IDLE[kind][0] != b"\r\n":
                assert status_of(wire.recv(65_536)) in {200, 404}
            wire.sendall(IDLE[kind][1])
        began = time.monotonic()
        ended: dict[str, float] = {}
        while len(ended) < len(IDLE):
            assert time.monotonic() - began < BOUND_SECONDS, f"still open: {IDLE.keys() - ended}"
            for kind in IDLE.keys() - ended:
                if has_ended(wires[kind], IDLE[kind][2]):
                    ended[kind] = time.monotonic() - began
            time.sleep(0.05)

    for seconds in ended.values():
        assert seconds > 3
        assert_within(7, seconds)


def has_ended(wire: socket.socket, sent: bytes) -> bool:
    wire.settimeout(0.01)
    try:
        wire.sendall(sent)
        return wire.recv(65_536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_one_client_has_at_most_half_and_others_are_served_meanwhile(
    served: Served, assert_within: AssertWithin
) -> None:
    with ExitStack() as stack:
        for number in count():
            wire = stack.enter_context(served.wire(GET))
            if status_of(wire.recv(65_536)) == 503:
                break
            wire.sendall(b"\r\n")
            assert number < 60

        # The server's own check of health came from this address, too.
        assert 25 < number <= 30
        assert status_of(served.raw(GET, OTHER)) == 200
        began = time.monotonic()
        while not is_answered(served):
            assert time.monotonic() - began < BOUND_SECONDS
            time.sleep(0.1)
        assert_within(8, time.monotonic() - began)


def is_answered(served: Served) -> bool:
    with served.wire(GET) as wire:
        try:
            return status_of(wire.recv(65_536)) == 200
        except ConnectionResetError:
            return False


def test_many_clients_share_what_there_is_in_all(served: Served) -> None:
    with ExitStack() as stack:
        found = [
            status_of(stack.enter_context(served.wire(GET, f"127.0.1.{number}")).recv(65_536))
            for number in range(1, 71)
        ]

    assert set(found[:55]) == {200}
    assert found[-1] == 503


def test_refused_connections_are_over_at_once(served: Served) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(served.wire(b"")) for _ in range(100)]
        refused = 0
        for wire in wires:
            wire.settimeout(0.5)
            try:
                refused += until_ended(wire).startswith(b"HTTP/1.1 503")
            except TimeoutError:
                continue
        assert refused >= 70
        assert status_of(served.raw(GET, OTHER)) == 200


def test_the_process_may_open_what_its_connections_need(start: Start) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 5000

    served = Served(start, ORDERFLOW_MCP_CONNECTIONS=str(wanted))

    soft, _ = resource.prlimit(served.running.pid, resource.RLIMIT_NOFILE)
    expected = wanted + OTHER_FILES
    assert soft >= (expected if hard == resource.RLIM_INFINITY else min(hard, expected))


def test_too_few_open_files_are_said_at_the_start(start: Start) -> None:
    served = Served(start, module="tests.system.serving_few_files")

    assert "too few open files allowed for ORDERFLOW_MCP_CONNECTIONS" in served.running.said()
    assert "allowed=300" in served.running.said()
