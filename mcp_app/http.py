"""Serve streamable HTTP at /mcp with health routes, limits, host checks, tokens, and the desk."""

import functools
from typing import NamedTuple

import uvicorn
from mcp.server import MCPServer
from mcp.server.streamable_http import EventStore
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from app.answers.reader import Reader
from app.core.bind_policy import bearer_tokens_for
from app.core.settings import Settings
from app.core.settings import settings as read_settings
from mcp_app.bearer_tokens import RequireToken
from mcp_app.bounded_http import BoundedProtocol
from mcp_app.cross_origin import CORS_OPTIONS
from mcp_app.desk_guard import ServeDesk
from mcp_app.desk_routes import desk_app
from mcp_app.graceful_server import run_until_stopped
from mcp_app.health_routes import add_routes
from mcp_app.host_check import CheckHosts, transport_security
from mcp_app.limits import LimitRate, LimitTime
from mcp_app.open_files import allow_connections
from mcp_app.sdk_seam import end_session
from mcp_app.session_limits import LimitSessions
from mcp_app.trailing_slash import IgnoreTrailingSlash

STOP_SECONDS = 3
# The longest request is under 2 KiB.
MAX_BODY_BYTES = 256 * 1024


class Resumable(NamedTuple):
    """The store of stream events for clients that reconnect, and the delay before they do."""

    events: EventStore
    retry_ms: int


def http_app(
    server: MCPServer[Reader],
    host: str,
    resumable: Resumable | None = None,
    settings: Settings | None = None,
) -> Starlette:
    """Return the ASGI application; it accepts requests for this machine and for `host` only.

    Clients of protocol 2025 get JSON, or with `resumable` event streams, on which a tool may ask
    its client back; this server's own tools never do. Raises `SettingError` if `host` can be
    reached from other machines and there is no token.
    """
    settings = settings or read_settings()
    tokens = bearer_tokens_for(settings, host)
    allowed = transport_security(host, settings.mcp_hosts)
    add_routes(server, settings)
    app = server.streamable_http_app(
        json_response=resumable is None,
        event_store=None if resumable is None else resumable.events,
        retry_interval=None if resumable is None else resumable.retry_ms,
        # Clients of protocol 2025 receive updates in sessions; those of 2026 have none.
        stateless_http=False,
        max_request_body_size=MAX_BODY_BYTES,
        # CheckHosts checks them, on every path.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        host=host,
    )
    app.add_middleware(LimitSessions, end=functools.partial(end_session, server))
    # The middleware added last runs first.
    if tokens:
        app.add_middleware(RequireToken, tokens=tokens)
    app.add_middleware(LimitTime)
    # Before the check of tokens: a browser asks for leave without one.
    app.add_middleware(CORSMiddleware, **CORS_OPTIONS)
    app.add_middleware(ServeDesk, desk=desk_app(settings, tokens))
    app.add_middleware(CheckHosts, allowed=allowed)
    app.add_middleware(LimitRate, per_minute=settings.mcp_requests_per_minute)
    app.add_middleware(IgnoreTrailingSlash)
    app.router.redirect_slashes = False
    return app


def serve(
    server: MCPServer[Reader], host: str, port: int, settings: Settings | None = None
) -> None:
    """Serve until a signal stops the process; open streams delay the end by at most 3 s."""
    settings = settings or read_settings()
    config = uvicorn.Config(
        http_app(server, host, settings=settings),
        host=host,
        port=port,
        loop="auto",
        http=BoundedProtocol,
        ws="none",
        # One more than BoundedProtocol accepts: uvicorn would refuse the last one's requests.
        limit_concurrency=settings.mcp_connections + 1,
        # Otherwise a client on this machine could choose its address and evade the rate limit.
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    allow_connections(settings.mcp_connections)
    run_until_stopped(server, config)
