"""The MCP server with one more tool, that does nothing: `python -m benchmarks.trivial [PORT]`."""

import sys

from mcp.server.mcpserver.tools import Tool

from app import logs
from app.settings import settings
from mcp_app.http import serve
from mcp_app.server import make_server


async def trivial(text: str) -> str:
    """Return the text."""
    return text


if __name__ == "__main__":
    logs.set_up(settings(), quiet=("mcp", "uvicorn", "httpx", "asyncio"))
    _server = make_server(settings(), [Tool.from_function(trivial)])
    if len(sys.argv) > 1:
        serve(_server, "127.0.0.1", int(sys.argv[1]))
    else:
        _server.run("stdio")
