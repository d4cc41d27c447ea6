"""Refuse requests that hold too much, before the SDK validates, keeps or repeats what they hold."""

from collections.abc import Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from mcp_app.argument_bounds import ARGUMENT, DECLARATION, excess

ID_CHARACTERS = 200
METHOD_CHARACTERS = 200
_LISTEN = "subscriptions/listen"
# Each has its own check, with an answer that a model can read: see StrictTool, ResourceNotifier.
_CHECKED_ELSEWHERE = frozenset(
    ((_LISTEN, "notifications"), ("tools/call", "arguments"), ("resources/subscribe", "uri"))
)
_SHORT = frozenset(("uri", "name", "cursor", "argument", "arguments", "ref"))


def refuse_large_requests() -> ServerMiddleware[Any]:
    """Return a middleware that refuses too large requests, and drops such notifications."""

    async def refuse_large(
        ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        fault = _fault(ctx.method, ctx.params or {}, ctx.request_id)
        if fault is None:
            return await call_next(ctx)
        if ctx.request_id is None:
            return None
        raise MCPError(INVALID_PARAMS, fault)

    return refuse_large


def _fault(method: str, params: Mapping[str, Any], request_id: object) -> str | None:
    if isinstance(request_id, str) and len(request_id) > ID_CHARACTERS:
        return f"an id of {len(request_id)} characters; allowed are {ID_CHARACTERS}"
    if len(method) > METHOD_CHARACTERS:
        return f"a method of {len(method)} characters; allowed are {METHOD_CHARACTERS}"
    if len(params) > ARGUMENT.items:
        return f"{method[:60]}: {len(params)} parameters; allowed are {ARGUMENT.items}"
    whole = {
        name: value for name, value in params.items() if (method, name) not in _CHECKED_ELSEWHERE
    }
    found = excess(whole, DECLARATION)
    if found is not None:
        return f"{method[:60]}: the parameters have {found}"
    for name in sorted(_SHORT & whole.keys()):
        found = excess(whole[name], ARGUMENT)
        if found is not None:
            return f"{method[:60]}: {name!r} has {found}"
    return None
