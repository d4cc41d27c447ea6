"""`python -m mcp_app`: the server on stdio, or over HTTP with --http."""

import os
import sys

import click

from app.core import logs
from app.core.arguments import PORTS
from app.core.errors import SettingError
from app.core.settings import settings
from mcp_app.http import serve
from mcp_app.library_logs import bound_library_lines
from mcp_app.server import make_server

# Their INFO lines are one or more a request, with session ids and rejected arguments.
_QUIET_LOGGERS = ("mcp", "uvicorn", "httpx", "asyncio")


@click.command()
@click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp instead of stdio.")
@click.option("--host", help="Address to listen on.  [default: ORDERFLOW_MCP_HOST]")
@click.option(
    "--port",
    type=click.IntRange(*PORTS),
    help="Port to listen on.  [default: ORDERFLOW_MCP_PORT]",
)
def main(*, http: bool, host: str | None, port: int | None) -> None:
    """Answer questions about order flow over the Model Context Protocol."""
    # The SDK answers what is no message with pydantic's text, which would hold pages to look up.
    os.environ["PYDANTIC_ERRORS_INCLUDE_URL"] = "0"
    chosen = settings()
    # Before make_server: otherwise the SDK configures the root logger itself.
    logs.set_up(chosen, quiet=_QUIET_LOGGERS)
    bound_library_lines()
    server = make_server(chosen)
    if http:
        try:
            serve(server, host or chosen.mcp_host, port or chosen.mcp_port, chosen)
        except SettingError as error:
            sys.exit(f"orderflow: {error}")
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
