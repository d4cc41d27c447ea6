"""How the server over HTTP ends: at once, where clients only listen."""

import socket
import sys
from contextlib import suppress

import uvicorn
from mcp.server import MCPServer
from mcp.server.subscriptions import ListenHandler

from app.answers.reader import Reader


def run_until_told(server: MCPServer[Reader], config: uvicorn.Config) -> None:
    """Serve until told to stop; exits with 1 where it can't start, as for a port that is taken."""
    ending = GracefulServer(config, _listening(server))
    with suppress(KeyboardInterrupt):
        ending.run()
    if not ending.started:
        sys.exit(1)


class GracefulServer(uvicorn.Server):
    """Tells clients of 2026 that listen that their streams end, before it waits for them."""

    def __init__(self, config: uvicorn.Config, listening: ListenHandler) -> None:
        super().__init__(config)
        self._listening = listening

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; uvicorn itself would wait for those streams in vain, then break them off."""
        self._listening.close()
        await super().shutdown(sockets)


def _listening(server: MCPServer[Reader]) -> ListenHandler:
    handlers = server._lowlevel_server._request_handlers  # noqa: SLF001 - no public way yet
    found = handlers["subscriptions/listen"].handler
    assert isinstance(found, ListenHandler)  # noqa: S101 - what the SDK puts there
    return found
