"""Run questions in threads with a deadline, and return their answers as tool results."""

import base64
import functools
import inspect
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from app.answers.ask import RenderedAnswer
from app.answers.reader import Reader
from app.answers.rendering import SentReply, archive, archive_rendered, compact
from app.answers.schema import Reply
from app.core.errors import OrderFlowError
from mcp_app.shared_work import SharedWork
from mcp_app.work_pool import Busy, WorkPool

# Every call is answered within two seconds, also where the answer is an error.
DEADLINE_SECONDS = 1.8
_QUESTION_THREADS = 16
_QUESTION_SECONDS = 0.01
# Drawing holds Python's lock: in more threads the same charts would take as long, and more memory.
_CHART_THREADS = 1
_CHART_SECONDS = 0.3

ToolContext = Context[Reader, Any]
_Result = TypeVar("_Result")

_questions: SharedWork[Any] = SharedWork(
    WorkPool("questions", _QUESTION_THREADS, _QUESTION_SECONDS), for_a_second=False
)
_charts: SharedWork[Any] = SharedWork(
    WorkPool("charts", _CHART_THREADS, _CHART_SECONDS), for_a_second=True
)


async def run_with_deadline(
    question: Callable[[], _Result],
    key: Hashable | None = None,
    work: SharedWork[Any] = _questions,
) -> _Result:
    """Run a question in a thread and return its result within the deadline.

    Questions with an equal key that are asked meanwhile share the result. Raises `ToolError` with
    what failed, what is known and what to try.
    """
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            result: _Result = await work.run(key, question, DEADLINE_SECONDS)
            return result
    except TimeoutError:
        raise ToolError(
            f"no answer within {DEADLINE_SECONDS} s: Redis or this machine is too slow; "
            "check that Redis runs and what else does, then ask again"
        ) from None
    except Busy as error:
        raise ToolError(str(error)) from None
    except OrderFlowError as error:
        raise ToolError(str(error)) from error


def reader_of(context: ToolContext) -> Reader:
    """Return the server's reader."""
    return context.request_context.lifespan_context


def _key_of(reader: Reader, question: Callable[..., object]) -> Hashable | None:
    """Return what equal questions have in common, or None if that is not known."""
    if isinstance(question, functools.partial):
        return reader, question.func, repr((question.args, sorted(question.keywords.items())))
    return (reader, question) if inspect.isfunction(question) else None


async def answer(context: ToolContext, question: Callable[[Reader], Reply]) -> CallToolResult:
    """Ask the reader a question, archive the reply and return it."""
    reader = reader_of(context)
    return tool_result(
        await run_with_deadline(
            lambda: archive(reader, question(reader), question=_as_asked(question)),
            _key_of(reader, question),
        )
    )


async def answer_rendered(
    context: ToolContext, question: Callable[[Reader], RenderedAnswer]
) -> CallToolResult:
    """Do the same for a question whose reply is already rendered."""
    reader = reader_of(context)
    return tool_result(
        await run_with_deadline(
            lambda: archive_rendered(reader, question(reader).reply, question=_as_asked(question)),
            _key_of(reader, question),
        )
    )


async def answer_with_picture(
    context: ToolContext, question: Callable[[Reader], tuple[bytes, Reply]]
) -> CallToolResult:
    """Do the same for a question whose reply comes with a PNG, which equal questions share."""
    reader = reader_of(context)
    draw = functools.partial(_with_picture, reader, question)
    return tool_result(await run_with_deadline(draw, _key_of(reader, question), _charts))


def _with_picture(reader: Reader, question: Callable[[Reader], tuple[bytes, Reply]]) -> SentReply:
    png, reply = question(reader)
    return archive(reader, reply, png, _as_asked(question))


def _as_asked(question: Callable[..., object]) -> bytes | None:
    """Return which question was asked with which arguments, as JSON; None if it is not known."""
    if not isinstance(question, functools.partial) or question.args:
        return None
    asked = {"asked": question.func.__name__, **question.keywords}
    return compact(asked).encode()


def tool_result(sent: SentReply) -> CallToolResult:
    """Return a reply as the result of a tool call."""
    content: list[ContentBlock] = [TextContent(type="text", text=sent.text)]
    if sent.png is not None:
        data = base64.b64encode(sent.png).decode()
        content.append(ImageContent(type="image", data=data, mime_type="image/png"))
    return CallToolResult(content=content, structured_content=sent.structured_content)
