"""Connections that do nothing end, and no client keeps the others out."""

import resource
import socket
import time
from contextlib import ExitStack, suppress

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
        opened = {}
        wires = {}
        for kind in IDLE:
            opened[kind] = time.monotonic()
            wires[kind] = stack.enter_context(served.wire(IDLE[kind][0]))
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
                    ended[kind] = time.monotonic()
            time.sleep(0.05)

    for kind, at in ended.items():
        assert at - opened[kind] > 3
        assert_within(7, at - began)


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
        # All at once: one after the other, the first may be idle for too long meanwhile.
        wires = [stack.enter_context(served.wire(GET)) for _ in range(60)]
        found = {wire: status_of(wire.recv(65_536)) for wire in wires}
        taken = [wire for wire, status in found.items() if status == 200]
        for wire in taken:
            with suppress(OSError):  # it may have ended by now
                wire.sendall(b"\r\n")

        # The server's own check of health came from this address, too.
        assert 25 < len(taken) <= 30
        assert set(found.values()) == {200, 503}
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
        wires = [
            stack.enter_context(served.wire(GET, f"127.0.1.{number}")) for number in range(1, 71)
        ]
        found = [status_of(wire.recv(65_536)) for wire in wires]

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
