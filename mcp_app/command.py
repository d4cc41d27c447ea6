"""The command `orderflow mcp`, also `python -m mcp_app`.

What takes long to import is imported when the command runs: an interrupt before would be told with
a traceback.
"""

import os
import signal
import sys
from typing import NoReturn

import click

from app.core.arguments import PORTS

# Their INFO lines are one or more a request, with session ids and rejected arguments.
_QUIET_LOGGERS = ("mcp", "uvicorn", "httpx", "asyncio")
_INTERRUPTED = 128 + signal.SIGINT


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
    if http:
        _serve_http(host, port)
    else:
        _serve_stdio()


def _serve_http(host: str | None, port: int | None) -> None:
    from app.core import logs  # noqa: PLC0415
    from app.core.errors import SettingError  # noqa: PLC0415
    from app.core.settings import settings  # noqa: PLC0415
    from mcp_app.http import serve  # noqa: PLC0415
    from mcp_app.library_logs import bound_library_lines  # noqa: PLC0415
    from mcp_app.server import make_server  # noqa: PLC0415

    chosen = settings()
    # Before make_server: otherwise the SDK configures the root logger itself.
    logs.set_up(chosen, quiet=_QUIET_LOGGERS)
    bound_library_lines()
    try:
        serve(make_server(chosen), host or chosen.mcp_host, port or chosen.mcp_port, chosen)
    except SettingError as error:
        sys.exit(f"orderflow: {error}")


def _serve_stdio() -> None:
    signal.signal(signal.SIGINT, _end)
    from app.core import logs  # noqa: PLC0415
    from app.core.settings import settings  # noqa: PLC0415
    from mcp_app.library_logs import bound_library_lines  # noqa: PLC0415
    from mcp_app.server import make_server  # noqa: PLC0415

    chosen = settings()
    logs.set_up(chosen, quiet=_QUIET_LOGGERS)
    bound_library_lines()
    try:
        make_server(chosen).run("stdio")
    except* BrokenPipeError:
        # The client ended first, and nobody is left to be told.
        os._exit(0)


def _end(_number: int, _frame: object) -> NoReturn:
    """End at once: the thread that reads standard input could not be stopped otherwise.

    Nothing is lost: each message is written whole, and the server keeps nothing.
    """
    os._exit(_INTERRUPTED)
