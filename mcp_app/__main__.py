"""`python -m mcp_app`: the server on stdio, or over HTTP with --http."""

import sys

import click

from app.core import logs
from app.core.errors import SettingError
from app.core.settings import PORTS, settings
from mcp_app.http import serve
from mcp_app.server import make_server

# They log a line a request, sessions and rejected arguments included.
_CHATTY = ("mcp", "uvicorn", "httpx", "asyncio")


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
    chosen = settings()
    # Before the server is made: the SDK would set up the root logger itself otherwise.
    logs.set_up(chosen, quiet=_CHATTY)
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
