"""Bound connections: their number, the time and size of a head, and clients that do not read."""

import socket
from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_app.limits import client_of
from mcp_app.rare_log import warn_refused

HEAD_SECONDS = 5.0
HEAD_BYTES = 65_536
STALL_SECONDS = 30.0
# Otherwise the kernel keeps up to 4 MB for each client that does not read, and it takes many
# updates until that is noticed. The longest answers are charts, of about 60 KB.
SEND_BUFFER_BYTES = 128 * 1024
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 20\r\n\r\ntoo many connections"
)


class BoundedProtocol(HttpToolsProtocol):
    """Refuse connections above a bound, and abort those that are idle, too slow or too large.

    uvicorn waits without end for a head, for the rest of a body that it has answered already, and
    for a client to read; any byte ends its patience with an idle connection. Here all of them
    have a time limit that only a whole head, or reading, ends.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self.client_name = ""
        self._head_bytes = 0
        self._is_in_head = True
        self._head_timer: TimerHandle | None = None
        self._stall_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's, or uvloop's
        """Refuse the connection, or start the time limit of its first head."""
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.client_name = client_of({"client": self.client})
        if self._is_one_too_many():
            warn_refused("connection refused: too many", self.client_name)
            self.transport.write(REFUSAL)
            self.transport.close()
        else:
            self._start_head_timer()

    def _is_one_too_many(self) -> bool:
        """Return whether there are too many connections, in all or of this client.

        A client may have half of all, so that one never keeps the others out.
        """
        # uvicorn refuses requests at its limit: the last connection that it serves is one below.
        most: int = (self.limit_concurrency or 0) - 1
        if len(self.connections) > most:
            return True
        if 2 * len(self.connections) <= most:
            return False
        names = [getattr(one, "client_name", "") for one in self.connections]
        return 2 * names.count(self.client_name) > most

    def data_received(self, data: bytes) -> None:
        """Count the bytes received until the head is complete."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Start the time limit of a further head, if waiting for it has not."""
        super().on_message_begin()
        self._head_bytes, self._is_in_head = 0, True
        if self._head_timer is None:
            self._start_head_timer()

    def on_headers_complete(self) -> None:
        """Stop the time limit until the response is complete."""
        self._is_in_head = False
        self._stop_head_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Start the time limit of the next head; what comes before it does not prolong it."""
        super().on_response_complete()
        is_idle = self.timeout_keep_alive_task is not None
        if is_idle and self._head_timer is None:
            self._start_head_timer()

    def pause_writing(self) -> None:
        """Start the time limit of a client that does not read."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that time limit."""
        self._stop_stall_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limits."""
        self._stop_head_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
