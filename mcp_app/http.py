"""The server over streamable HTTP at /mcp, what looks after it, and what protects both."""

from typing import NamedTuple

import uvicorn
from mcp.server import MCPServer
from mcp.server.streamable_http import EventStore
from starlette.applications import Starlette

from app.answers.reader import Reader
from app.core.bind_policy import tokens_for
from app.core.settings import Settings
from app.core.settings import settings as read_settings
from mcp_app.bearer_tokens import RequireToken
from mcp_app.bounded_http import BoundedProtocol
from mcp_app.graceful_server import run_until_told
from mcp_app.health_routes import add_routes
from mcp_app.host_check import CheckHosts, security
from mcp_app.limits import LimitRate, LimitTime

STOP_SECONDS = 3
# The longest question is under 2 KiB.
MOST_BODY_BYTES = 256 * 1024
MOST_CONNECTIONS = 500


class Resumable(NamedTuple):
    """Where events of streams are kept for clients that come back, and after how long they may."""

    events: EventStore
    retry_ms: int


def http_app(
    server: MCPServer[Reader],
    host: str,
    resumable: Resumable | None = None,
    settings: Settings | None = None,
) -> Starlette:
    """Return the ASGI application; it accepts requests for this machine and for `host` only.

    Clients of 2025 get JSON, or with `resumable` event streams, in which a tool may ask them
    something; ours never do. Raises `SettingError` where `host` is open to others without a token.
    """
    settings = settings or read_settings()
    tokens = tokens_for(settings, host)
    allowed = security(host, settings.mcp_hosts)
    add_routes(server, settings)
    app = server.streamable_http_app(
        json_response=resumable is None,
        event_store=None if resumable is None else resumable.events,
        retry_interval=None if resumable is None else resumable.retry_ms,
        # Sessions for clients of 2025, who are told of updates in them; those of 2026 have none.
        stateless_http=False,
        max_request_body_size=MOST_BODY_BYTES,
        # Given even for 0.0.0.0, where the SDK would silently check neither Host nor Origin.
        transport_security=allowed,
        host=host,
    )
    # The last one added is the first one asked.
    if tokens:
        app.add_middleware(RequireToken, tokens=tokens)
    app.add_middleware(LimitTime)
    app.add_middleware(CheckHosts, allowed=allowed)
    app.add_middleware(LimitRate, per_minute=settings.mcp_requests_per_minute)
    return app


def serve(
    server: MCPServer[Reader], host: str, port: int, settings: Settings | None = None
) -> None:
    """Serve until told to stop; an open stream holds the end up for three seconds at most."""
    config = uvicorn.Config(
        http_app(server, host, settings=settings),
        host=host,
        port=port,
        loop="auto",
        http=BoundedProtocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        # Or any client on this machine names its own address, and so passes the rate limit.
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    run_until_told(server, config)
