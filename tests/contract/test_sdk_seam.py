"""The private names of the MCP SDK are in one module, and the SDK still has them."""

import inspect
from typing import Any

from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.session import ServerSession
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.subscriptions import ListenHandler

from mcp_app.sdk_seam import listen_handler_of

NO_CHANNEL: Any = None


def test_the_server_has_its_low_level_server() -> None:
    low: Any = getattr(MCPServer("x"), "_lowlevel_server", None)
    assert low is not None, "MCPServer._lowlevel_server is gone"
    for name in ("add_request_handler", "get_request_handler"):
        assert hasattr(low, name), f"Server.{name} is gone"


def test_a_session_has_its_connection() -> None:
    connection = Connection(NO_CHANNEL, protocol_version="2025-06-18")
    session = ServerSession(NO_CHANNEL, connection)
    found = getattr(session, "_connection", None)
    assert found is connection, "ServerSession._connection is gone"


def test_streams_are_served_by_a_handler_that_can_be_closed() -> None:
    assert isinstance(listen_handler_of(MCPServer("x")), ListenHandler)


def test_the_sessions_of_a_server_are_found_by_their_ids() -> None:
    server = MCPServer("x")
    server.streamable_http_app()
    found = getattr(server.session_manager, "_server_instances", None)
    assert found == {}, "StreamableHTTPSessionManager._server_instances is gone"
    assert inspect.iscoroutinefunction(StreamableHTTPServerTransport.terminate)
