"""Run the MCP server with two tools that read nothing: `python -m benchmarks.trivial [PORT]`."""

import functools
import sys
from typing import Annotated

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult

from app.answers.answer_model import Answer
from app.answers.ask import ask
from app.answers.reader import Reader
from app.answers.rendering import archive_rendered
from app.core import logs
from app.core.settings import settings
from mcp_app.deadlines import ToolContext, reader_of, tool_result
from mcp_app.http import serve
from mcp_app.server import make_server


async def trivial(text: str) -> str:
    """Return the text."""
    return text


async def prepared(context: ToolContext, ticker: str) -> Annotated[CallToolResult, Answer]:
    """Return what the ticker's answer was when it was first asked for."""
    return _first_answer(reader_of(context), ticker)


@functools.cache
def _first_answer(reader: Reader, ticker: str) -> CallToolResult:
    return tool_result(archive_rendered(reader, ask(reader, ticker).reply))


if __name__ == "__main__":
    logs.set_up(settings(), quiet=("mcp", "uvicorn", "httpx", "asyncio"))
    _server = make_server(settings(), [Tool.from_function(fn) for fn in (trivial, prepared)])
    if len(sys.argv) > 1:
        serve(_server, "127.0.0.1", int(sys.argv[1]))
    else:
        _server.run("stdio")
