"""Questions asked in a thread, answered in time, in forms for text and for programs."""

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
from app.answers.rendering import SentReply, send, send_rendered
from app.answers.schema import Reply
from app.core.errors import OrderFlowError

# An answer, whatever it says, comes within two seconds.
DEADLINE_SECONDS = 1.8

Asked = Context[Reader, Any]
_Found = TypeVar("_Found")


async def run_with_deadline(question: Callable[[], _Found]) -> _Found:
    """Ask in a thread of its own.

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


def reader_of(context: Asked) -> Reader:
    """Return the reader that lives as long as the server."""
    return context.request_context.lifespan_context


async def answered(context: Asked, question: Callable[[Reader], Reply]) -> CallToolResult:
    """Answer a question about what the reader reads, and keep the answer."""
    reader = reader_of(context)
    return result_of(await run_with_deadline(lambda: send(reader, question(reader))))


async def told(context: Asked, question: Callable[[Reader], RenderedAnswer]) -> CallToolResult:
    """Answer likewise where the question gives the forms of its answer too."""
    reader = reader_of(context)
    return result_of(await run_with_deadline(lambda: send_rendered(reader, question(reader).reply)))


async def pictured(
    context: Asked, question: Callable[[Reader], tuple[bytes, Reply]]
) -> CallToolResult:
    """Answer with a picture, and keep both."""
    reader = reader_of(context)
    return result_of(await run_with_deadline(functools.partial(_with_picture, reader, question)))


def _with_picture(reader: Reader, question: Callable[[Reader], tuple[bytes, Reply]]) -> SentReply:
    png, reply = question(reader)
    return send(reader, reply, png)


def result_of(said: SentReply) -> CallToolResult:
    """Return what the client is sent."""
    content: list[ContentBlock] = [TextContent(type="text", text=said.text)]
    if said.png is not None:
        data = base64.b64encode(said.png).decode()
        content.append(ImageContent(type="image", data=data, mime_type="image/png"))
    return CallToolResult(content=content, structured_content=said.structured)
