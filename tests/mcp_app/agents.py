"""Clients of both protocol eras, in memory, and what the tools are called with."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from mcp import Client
from mcp.types import CallToolResult

from app.core.settings import Settings
from mcp_app.server import make_server

Asked = Callable[[Client], Coroutine[Any, Any, Any]]

CALLS: Mapping[str, Mapping[str, Any]] = {
    "analyze_order_flow_tool": {"ticker": "SPY"},
    "list_tickers": {},
    "scan_order_flow": {},
    "compare_order_flow": {"tickers": ["SPY"]},
    "explain_pattern": {"id": "SPY~k3f9x2ab"},
    "order_flow_series": {"ticker": "SPY", "fields": ["mid", "ofi"]},
    "order_flow_chart": {"ticker": "SPY"},
    "order_flow_page": {"ticker": "SPY"},
    "wait_for": {
        "tickers": ["SPY"],
        "condition": "any",
        "timeout": "0",
        "since": "10 minutes ago",
    },
}


def talk(settings: Settings, asked: Asked, mode: str = "auto") -> Any:
    """Let a client talk to a server of its own."""

    async def session() -> Any:
        async with Client(make_server(settings), mode=mode) as client:
            return await asked(client)

    return asyncio.run(session())


def call(settings: Settings, tool: str, **arguments: Any) -> CallToolResult:
    """Call one tool."""
    return talk(settings, lambda client: client.call_tool(tool, arguments))


def text_of(result: CallToolResult) -> str:
    """Return what a client that shows text shows."""
    content = result.content[0]
    assert content.type == "text"
    return content.text
