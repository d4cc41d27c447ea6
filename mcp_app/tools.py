"""What an agent can ask."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import anyio
from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from app.answer_text import as_text
from app.answers import Answer
from app.asking import ask
from app.errors import BadHistory, BadTicker, NoAnswer, StoreUnavailable
from app.reader import Reader
from mcp_app.strict import StrictTool

# An answer, whatever it says, comes within two seconds.
DEADLINE_SECONDS = 1.8

_Found = TypeVar("_Found")


async def analyze_order_flow_tool(
    context: Context[Reader, Any],
    ticker: Annotated[str, Field(description="e.g. SPY; case counts")],
    history: Annotated[str, Field(description="10 s to 1 h: 30s, 5mins, 1h")] = "5mins",
    include_patterns: Annotated[bool, Field(description="list pattern events")] = True,  # noqa: FBT002
) -> Annotated[CallToolResult, Answer]:
    """Tell what a ticker's order flow was over the last `history`.

    Quotes, spread, sizes, flow, trades, behaviors, pattern events and price levels, with their age.
    """
    reader = context.request_context.lifespan_context
    answer = await _in_time(
        functools.partial(ask, reader, ticker, history, include_patterns=include_patterns)
    )
    return CallToolResult(
        content=[TextContent(type="text", text=as_text(answer))],
        structured_content=answer.as_json(),
    )


async def _in_time(question: Callable[[], _Found]) -> _Found:
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            return await to_thread.run_sync(question, abandon_on_cancel=True)
    except TimeoutError:
        raise ToolError(
            f"no answer within {DEADLINE_SECONDS} s: Redis is slow or away; "
            "check that it runs, then ask again"
        ) from None
    except (BadTicker, BadHistory, NoAnswer, StoreUnavailable) as error:
        raise ToolError(str(error)) from error


def tools() -> list[Tool]:
    """Return the tools; all only read."""
    return [
        StrictTool.from_function(
            analyze_order_flow_tool,
            title="Order flow of a ticker",
            description=(
                "Facts about a ticker's order flow over the last `history`: best bid and ask, "
                "spread, sizes, flow imbalance, trades, behaviors, pattern events, price levels, "
                "and how old the data is."
            ),
            annotations=ToolAnnotations(
                title="Order flow of a ticker",
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
    ]
