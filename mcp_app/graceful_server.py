"""Stop the HTTP server without waiting for clients that only listen."""

import socket
import sys
from contextlib import suppress

import uvicorn
from mcp.server import MCPServer
from mcp.server.subscriptions import ListenHandler

from app.answers.reader import Reader
from mcp_app.sdk_seam import listen_handler_of


def run_until_stopped(server: MCPServer[Reader], config: uvicorn.Config) -> None:
    """Serve until a signal stops the process; exit with 1 if the server can't start."""
    http_server = GracefulServer(config, listen_handler_of(server))
    with suppress(KeyboardInterrupt):
        http_server.run()
    if not http_server.started:
        sys.exit(1)


class GracefulServer(uvicorn.Server):
    """End the streams that clients of protocol 2026 listen to, before waiting for connections."""

    def __init__(self, config: uvicorn.Config, listen_handler: ListenHandler) -> None:
        super().__init__(config)
        self._listen_handler = listen_handler

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; without the close, uvicorn would wait for those streams until its timeout."""
        self._listen_handler.close()
        await super().shutdown(sockets)
