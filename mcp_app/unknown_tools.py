"""Reject calls of tools that do not exist with a protocol error, not with a result."""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS


def reject_unknown_tools(names: frozenset[str]) -> ServerMiddleware[Any]:
    """Return a middleware that rejects calls of tools that are not in `names`."""

    async def reject_unknown(
        ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        name = (ctx.params or {}).get("name")
        if ctx.method == "tools/call" and isinstance(name, str) and name not in names:
            raise MCPError(
                INVALID_PARAMS, f"unknown tool {name[:60]!r}; there are: {', '.join(sorted(names))}"
            )
        return await call_next(ctx)

    return reject_unknown
