"""A client that does not read what it asked for is cut off."""

import asyncio
from collections.abc import Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from mcp_app import bounded_http
from tests.processes import BOUND_SECONDS, free_port

PIECE = b"x" * 2**16


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(BOUND_SECONDS / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("not in time")


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_client_that_does_not_read_is_cut_off_and_little_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(bounded_http, "STALL_SECONDS", 0.3)
    taken_pieces = 0

    async def session() -> None:
        async def large(_scope: Scope, _receive: Receive, send: Send) -> None:
            nonlocal taken_pieces
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while server.server_state.connections:
                await send({"type": "http.response.body", "body": PIECE, "more_body": True})
                taken_pieces += 1

        port = free_port()
        config = uvicorn.Config(
            large,
            port=port,
            http=bounded_http.BoundedProtocol,
            limit_concurrency=11,
            lifespan="off",
            log_config=None,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + sent)
        await until(lambda: taken_pieces > 0)
        await until(lambda: not server.server_state.connections)
        writer.close()
        server.should_exit = True
        await serving

    asyncio.run(session())
    assert taken_pieces * len(PIECE) <= 2**20
