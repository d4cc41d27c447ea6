"""All private names of the MCP SDK that the server uses, checked with mcp 2.3.0.

`MCPServer._lowlevel_server`
    Needed to handle `resources/subscribe` and `resources/unsubscribe`, since an `Extension` may not
    bind methods of the specification, and to reach the `ListenHandler` that `MCPServer` makes for
    itself, which has to be closed before the HTTP server stops.
`ServerSession._connection`
    Needed to identify a client from one request to the next and to notice its end: the SDK makes a
    `ServerSession` for each request, and nothing public names the connection behind it.
`StreamableHTTPSessionManager._server_instances`
    Needed to end a session: the SDK does so after a time without requests, and at its client's
    wish, but not where there are too many, or where a client does not read.

`tests/contract/test_sdk_seam.py` fails with the name that an update of the SDK takes away.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.subscriptions import ListenHandler
from pydantic import BaseModel

LISTEN_METHOD = "subscriptions/listen"


def add_request_handler(
    server: MCPServer[Any],
    method: str,
    params_type: type[BaseModel],
    handler: Callable[[ServerRequestContext[Any, Any], Any], Awaitable[HandlerResult]],
) -> None:
    """Let `handler` answer requests of a method of the specification."""
    server._lowlevel_server.add_request_handler(method, params_type, handler)  # noqa: SLF001


def listen_handler_of(server: MCPServer[Any]) -> ListenHandler:
    """Return the handler of the streams that clients of protocol 2026 listen to.

    Raises `TypeError` if the SDK serves them by something else.
    """
    entry = server._lowlevel_server.get_request_handler(LISTEN_METHOD)  # noqa: SLF001
    handler = None if entry is None else entry.handler
    if not isinstance(handler, ListenHandler):
        raise TypeError(f"{LISTEN_METHOD} is not served by a ListenHandler")
    return handler


def connection_of(ctx: ServerRequestContext[Any, Any]) -> Connection:
    """Return the connection of a request, which lasts as long as its client."""
    return ctx.session._connection  # noqa: SLF001


async def end_session(server: MCPServer[Any], session_id: str) -> None:
    """End a session over HTTP, as its client would by DELETE; nothing if there is none."""
    transport = server.session_manager._server_instances.get(session_id)  # noqa: SLF001
    if transport is not None:
        await transport.terminate()
