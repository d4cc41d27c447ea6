"""The server over streamable HTTP at /mcp, and /health."""

from typing import NamedTuple

import uvicorn
from mcp.server import MCPServer
from mcp.server.streamable_http import EventStore
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.reader import Reader

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
STOP_SECONDS = 3


class Resumable(NamedTuple):
    """Where events of streams are kept for clients that come back, and after how long they may."""

    events: EventStore
    retry_ms: int


def http_app(server: MCPServer[Reader], host: str, resumable: Resumable | None = None) -> Starlette:
    """Return the ASGI application; it accepts requests for this machine and for `host` only.

    Clients of 2025 get JSON, or with `resumable` event streams, in which a tool may ask them
    something; ours never do.
    """
    server.custom_route("/health", methods=["GET"])(_health)
    return server.streamable_http_app(
        json_response=resumable is None,
        event_store=None if resumable is None else resumable.events,
        retry_interval=None if resumable is None else resumable.retry_ms,
        # Sessions for clients of 2025, who are told of updates in them; those of 2026 have none.
        stateless_http=False,
        # Given even for 0.0.0.0, where the SDK would silently check neither Host nor Origin.
        transport_security=security(host),
        host=host,
    )


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def security(host: str) -> TransportSecuritySettings:
    """Allow the Host and Origin headers of this machine and of the address served."""
    names = [*LOOPBACK, host]
    ends = ("", ":*")
    return TransportSecuritySettings(
        allowed_hosts=[name + end for name in names for end in ends],
        allowed_origins=[
            f"{scheme}://{name}{end}"
            for scheme in ("http", "https")
            for name in names
            for end in ends
        ],
    )


def serve(server: MCPServer[Reader], host: str, port: int) -> None:
    """Serve until told to stop; an open stream holds the end up for three seconds at most."""
    uvicorn.run(
        http_app(server, host),
        host=host,
        port=port,
        loop="auto",
        http="httptools",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
