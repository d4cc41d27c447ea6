"""Run questions in threads with a deadline, and return their answers as tool results."""

import base64
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from app.answers.ask import RenderedAnswer
from app.answers.reader import Reader
from app.answers.rendering import SentReply, archive, archive_rendered
from app.answers.schema import Reply
from app.core.errors import OrderFlowError

# Every call is answered within two seconds, also where the answer is an error.
DEADLINE_SECONDS = 1.8

ToolContext = Context[Reader, Any]
_Result = TypeVar("_Result")


async def run_with_deadline(question: Callable[[], _Result]) -> _Result:
    """Run a question in a thread and return its result within the deadline.

    Raises `ToolError` with what failed, what is known and what to try.
    """
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            return await to_thread.run_sync(question, abandon_on_cancel=True)
    except TimeoutError:
        raise ToolError(
            f"no answer within {DEADLINE_SECONDS} s: Redis or this machine is too slow; "
            "check that Redis runs and what else does, then ask again"
        ) from None
    except OrderFlowError as error:
        raise ToolError(str(error)) from error


def reader_of(context: ToolContext) -> Reader:
    """Return the server's reader."""
    return context.request_context.lifespan_context


async def answer(context: ToolContext, question: Callable[[Reader], Reply]) -> CallToolResult:
    """Ask the reader a question, archive the reply and return it."""
    reader = reader_of(context)
    return tool_result(await run_with_deadline(lambda: archive(reader, question(reader))))


async def answer_rendered(
    context: ToolContext, question: Callable[[Reader], RenderedAnswer]
) -> CallToolResult:
    """Do the same for a question whose reply is already rendered."""
    reader = reader_of(context)
    return tool_result(
        await run_with_deadline(lambda: archive_rendered(reader, question(reader).reply))
    )


async def answer_with_picture(
    context: ToolContext, question: Callable[[Reader], tuple[bytes, Reply]]
) -> CallToolResult:
    """Do the same for a question whose reply comes with a PNG."""
    reader = reader_of(context)
    return tool_result(await run_with_deadline(functools.partial(_with_picture, reader, question)))


def _with_picture(reader: Reader, question: Callable[[Reader], tuple[bytes, Reply]]) -> SentReply:
    png, reply = question(reader)
    return archive(reader, reply, png)


def tool_result(sent: SentReply) -> CallToolResult:
    """Return a reply as the result of a tool call."""
    content: list[ContentBlock] = [TextContent(type="text", text=sent.text)]
    if sent.png is not None:
        data = base64.b64encode(sent.png).decode()
        content.append(ImageContent(type="image", data=data, mime_type="image/png"))
    return CallToolResult(content=content, structured_content=sent.structured_content)
