"""The MCP server over HTTP as a process, for tests that attack it."""

import socket
from contextlib import suppress
from typing import Any

import httpx2

from tests.processes import Running, Start, free_port, http_get, http_post, wait_until

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


class Served:
    """A server that answers on loopback."""

    def __init__(self, start: Start, *, module: str = "mcp_app", **settings: str) -> None:
        self.port = free_port()
        self.running: Running = start(module, "--http", "--port", str(self.port), **settings)
        self.address = f"http://127.0.0.1:{self.port}"
        wait_until(self.is_healthy, "the server answers")

    def is_healthy(self) -> bool:
        """Tell whether the server answers."""
        assert self.running.process.poll() is None, self.running.said()
        try:
            return http_get(f"{self.address}/health").status_code == 200
        except httpx2.TransportError:
            return False

    def wire(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """Open a connection from an address of this machine, and send bytes."""
        found = socket.create_connection(
            ("127.0.0.1", self.port), timeout=60, source_address=(source, 0)
        )
        found.sendall(sent)
        return found

    def raw(self, sent: bytes, source: str = "127.0.0.1") -> bytes:
        """Send bytes, and return all that comes until the server ends the connection."""
        with self.wire(sent, source) as wire:
            return until_ended(wire)

    def post(
        self, method: str, params: object, session: str | None = None, **more: Any
    ) -> httpx2.Response:
        """Send a request of protocol 2025."""
        headers = HEADERS if session is None else HEADERS | {"Mcp-Session-Id": session}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | more
        return http_post(f"{self.address}/mcp", json=message, headers=headers)

    def session(self, **hello: Any) -> str:
        """Begin a session; return its id."""
        begun = self.post("initialize", HELLO | hello)
        assert "result" in begun.json(), begun.text
        return str(begun.headers["mcp-session-id"])

    def resident_mib(self) -> float:
        """Return the memory that the process has in RAM."""
        with open(f"/proc/{self.running.pid}/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * 4096 / 2**20

    def threads(self) -> int:
        """Return the number of the process's threads."""
        with open(f"/proc/{self.running.pid}/status") as file:  # noqa: PTH123
            return int(file.read().partition("Threads:")[2].split()[0])


def until_ended(wire: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    found = b""
    with suppress(ConnectionResetError):
        while piece := wire.recv(65_536):
            found += piece
    return found


def status_of(response: bytes) -> int:
    """Return the status of a response as it came."""
    return int(response.split(b" ", 2)[1])
