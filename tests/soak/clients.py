"""Clients of the MCP server: some watch, one sleeps, one asks for charts and answers."""

import itertools
import json
import socket
import threading
from typing import Any

import httpx2

from tests.system.serving import HEADERS, HELLO

_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 30.0


class Client(threading.Thread):
    """A client that begins anew whenever its session or its connection ends."""

    def __init__(self, address: str, tickers: list[str], ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._tickers, self._ended = tickers, ended
        self._http = httpx2.Client(base_url=address, timeout=_TIMEOUT_SECONDS)
        self._headers = HEADERS
        self.served = 0
        self.failed = 0

    def run(self) -> None:
        """Be a client until the end."""
        while not self._ended.is_set():
            try:
                self._begin()
                self.use()
            except (httpx2.HTTPError, OSError, ValueError, KeyError):
                self.failed += 1
            self._ended.wait(_PAUSE_SECONDS)

    def use(self) -> None:
        """Use a session until it ends."""
        raise NotImplementedError

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """Send a request; return its result, and raise a `KeyError` where there is none."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = self._http.post("/mcp", json=message, headers=self._headers)
        result: dict[str, Any] = response.json()["result"]
        return result

    def subscribe(self) -> None:
        """Subscribe to what is known of each ticker."""
        for ticker in self._tickers:
            self.ask("resources/subscribe", uri=f"orderflow://{ticker}/snapshot")

    def _begin(self) -> None:
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        response = self._http.post("/mcp", json=message, headers=HEADERS)
        self._headers = HEADERS | {"Mcp-Session-Id": response.headers["mcp-session-id"]}


class Watcher(Client):
    """Reads of changes of its tickers; `served` counts the notifications."""

    def use(self) -> None:
        """Read the stream."""
        self.subscribe()
        with self._http.stream("GET", "/mcp", headers=self._headers) as stream:
            for line in stream.iter_lines():
                self.served += line.startswith("data:")
                if self._ended.is_set():
                    return


class Sleeper(Client):
    """Subscribes, opens its stream and never reads; `served` counts its sessions."""

    def use(self) -> None:
        """Hold the stream open until the server has ended the session."""
        self.subscribe()
        self.served += 1
        host, port = self._http.base_url.host, self._http.base_url.port
        with socket.socket() as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.connect((host, port))
            session = self._headers["Mcp-Session-Id"]
            head = f"GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: {session}\r\n"
            wire.sendall(f"{head}Accept: text/event-stream\r\n\r\n".encode())
            while not self._ended.wait(_PAUSE_SECONDS):
                self.ask("ping")


class Asker(Client):
    """Asks for an answer every two seconds, and each third time for a chart."""

    def use(self) -> None:
        """Ask of each ticker in turn."""
        for number, ticker in enumerate(itertools.cycle(self._tickers)):
            tool = "analyze_order_flow_tool" if number % 3 else "order_flow_chart"
            answer = self.ask("tools/call", name=tool, arguments={"ticker": ticker})
            is_error = answer.get("isError", False) or not json.dumps(answer)
            self.served += not is_error
            self.failed += is_error
            if self._ended.wait(_PAUSE_SECONDS):
                return
