"""Count and time the calls of each tool in this process."""

import time
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from prometheus_client import Histogram

TOOL_SECONDS = Histogram(
    "orderflow_tool_seconds",
    "Time of a tool's call.",
    ["tool", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
)


def time_tools(names: frozenset[str]) -> ServerMiddleware[Any]:
    """Return a middleware that times the calls of tools; those not in `names` are one label."""

    async def time_call(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call":
            return await call_next(ctx)
        name = (ctx.params or {}).get("name")
        tool = name if isinstance(name, str) and name in names else "unknown"
        outcome, start = "refused", time.perf_counter()
        try:
            result = await call_next(ctx)
            outcome = "error" if _is_error(result) else "answered"
            return result
        finally:
            TOOL_SECONDS.labels(tool, outcome).observe(time.perf_counter() - start)

    return time_call


def _is_error(result: HandlerResult) -> bool:
    if isinstance(result, dict):
        return bool(result.get("isError"))
    return bool(getattr(result, "is_error", False))
