"""The shipped server with a route that returns what it runs on: `python -m … PORT`."""

import asyncio
import gc
import sys

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.core.settings import settings
from mcp_app.http import serve
from mcp_app.server import make_server

server = make_server(settings())


@server.custom_route("/runs-on", methods=["GET"])
async def runs_on(_: Request) -> Response:
    loop = type(asyncio.get_running_loop())
    connections = [one for one in gc.get_objects() if isinstance(one, HttpToolsProtocol)]
    return JSONResponse({"loop": loop.__module__, "httptools": len(connections)})


if __name__ == "__main__":
    serve(server, "127.0.0.1", int(sys.argv[1]))
