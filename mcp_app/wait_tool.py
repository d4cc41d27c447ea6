"""The tool `wait_for`: the first event or number that meets a condition, or nothing."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from app.core import clock
from app.core.arguments import parse_seconds
from app.core.errors import BadQuestion, OrderFlowError
from app.waiting.condition import DEFAULT_CONDITION
from app.waiting.questions import archive_wait, prepare_watch
from app.waiting.wait_answer import WaitAnswer, build_wait_answer
from app.waiting.watch import Matches, Watch
from mcp_app.deadlines import ToolContext, reader_of, run_with_deadline, tool_result
from mcp_app.limits import allow_seconds, client_of
from mcp_app.sdk_seam import connection_of
from mcp_app.tools import ToolSpec, make_tool
from mcp_app.wait_room import Waiter, WaitRoom

MAX_SECONDS = 55
# Beside the wait itself: to read its arguments, and to archive its answer.
_MARGIN_SECONDS = 6.0
# How often a wait finds out whether its client is still there.
_CONNECTION_SECONDS = 1.0


def wait_tool(room: WaitRoom) -> Tool:
    """Return the tool; its waits are in a room."""

    async def wait_for(
        context: ToolContext,
        tickers: Annotated[list[str], Field(description="up to 10")],
        condition: Annotated[
            str, Field(description="e.g. iceberg ask or ofi rank >= 0.95 in 1min")
        ] = DEFAULT_CONDITION,
        timeout: Annotated[str, Field(description="0 to 55 s")] = f"{MAX_SECONDS}s",  # noqa: ASYNC109
        since: Annotated[str, Field(description="answer id or time: go on behind it")] = "",
    ) -> Annotated[CallToolResult, WaitAnswer]:
        """Wait until an event or a number meets a condition."""
        reader, seconds = reader_of(context), _seconds_of(timeout)
        _allow_time(context, seconds)
        began = time.monotonic()
        watch = await run_with_deadline(lambda: prepare_watch(reader, tickers, condition, since))
        found = await _waited(room.wait(watch, seconds, _waiter_of(context)), context)
        reply = _reply(watch, found, time.monotonic() - began)
        return tool_result(await run_with_deadline(lambda: archive_wait(reader, watch, reply)))

    return make_tool(
        ToolSpec(
            wait_for,
            "wait_for",
            "Wait for an event",
            "Returns when an event (pattern, side, min_return_minutes) or a metric's rank newly "
            "meets the condition, else `nothing`. Pass answer_id as `since` to go on.",
        )
    )


async def _waited(wait: Coroutine[Any, Any, list[Matches]], context: ToolContext) -> list[Matches]:
    """Return what a wait finds, or end it when its client has gone."""
    waiting = asyncio.create_task(wait)
    gone = asyncio.create_task(_client_gone(context))
    try:
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ToolError("the client has gone")
        return waiting.result()
    except OrderFlowError as error:
        raise ToolError(str(error)) from error
    finally:
        waiting.cancel()
        gone.cancel()


async def _client_gone(context: ToolContext) -> None:
    """Return once the connection of an HTTP request is lost; the SDK does not tell."""
    request = context.request_context.request
    while request is None or not await request.is_disconnected():  # noqa: ASYNC110 - no event
        await asyncio.sleep(_CONNECTION_SECONDS)


def _reply(watch: Watch, found: Sequence[Matches], waited_seconds: float) -> WaitAnswer:
    return build_wait_answer(
        watch.condition,
        watch.tickers,
        watch.cursors,
        found,
        now_ms=clock.now_ms(),
        waited_seconds=waited_seconds,
    )


def _seconds_of(timeout: str) -> float:
    """Return the seconds to wait, `MAX_SECONDS` where more are asked for."""
    seconds = parse_seconds(timeout)
    if seconds is None:
        raise ToolError(str(BadQuestion(f"timeout {timeout[:40]!r}; accepted: 0 to 55 s, 30s, 55")))
    return min(seconds, MAX_SECONDS)


def _allow_time(context: ToolContext, seconds: float) -> None:
    request = context.request_context.request
    if request is not None:
        allow_seconds(request.scope, seconds + _MARGIN_SECONDS)


def _waiter_of(context: ToolContext) -> Waiter:
    """Return by whom waits are counted."""
    request = context.request_context.request
    address = "local" if request is None else client_of(request.scope)
    return Waiter(connection_of(context.request_context).session_id or address, address)
