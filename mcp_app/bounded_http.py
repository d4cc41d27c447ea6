"""HTTP on the wire, bounded before a request is one: its head has to come soon and be small."""

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 5.0
HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Drops who dawdles over a request's head or sends one without end; uvicorn waits for both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._patience: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's, or uvloop's
        """Expect a first request from now on."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Count what comes before a head is complete."""
        if self._patience is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._patience is not None and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Expect the rest of a head."""
        super().on_message_begin()
        if self._patience is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Rest until the next request."""
        self._rest()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Rest for good."""
        self._rest()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _rest(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
