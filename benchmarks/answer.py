"""Measure an answer over MCP against a tool that does nothing, on the same server."""

import asyncio
import functools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import click
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from benchmarks.harness import Server, free_port, private_redis, process, quantile, spread, table
from benchmarks.past_events import EVENTS, add_past_events
from benchmarks.ticking import Bench

_TICKER = "SPY"
_CLIENTS = (1, 8)
_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "trivial": ("trivial", {"text": "x"}),
    "prepared": ("prepared", {"ticker": _TICKER}),
    "answer": ("analyze_order_flow_tool", {"ticker": _TICKER}),
}
Connect = Callable[[], Any]


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    calls = 60 if quick else 400
    with private_redis() as server:
        bench = Bench(server, [_TICKER])
        bench.now_ms = int(time.time() - 320) * 1000
        bench.fill(lambda _: 10)
        add_past_events(server.client, _TICKER, bench.now_ms)
        rows = asyncio.run(_rows(server, bench, calls))
    times = ("trivial tool, ms", "prepared, ms", "answer, ms")
    head = ("over", "clients", *times, "prepared p50 ×", "p50 ×", "p95 ×", "its check, ms")
    return "\n\n".join(
        [
            (
                f"A ticker with full windows at 10 quotes/s and {EVENTS} events of the last hour, "
                "default history; calls of the kinds in turn, medians of rounds "
                "(least..greatest). Prepared: an answer that was made before, so that none of this "
                "time is ours but its size and form. × the trivial p50 and p95; target over HTTP: "
                "≤ 1.6 × the p50. Check: the part of the answer's time in which this client, in "
                "Python, compares it with its schema."
            ),
            table(head, rows),
        ]
    )


async def _rows(server: Server, bench: Bench, calls: int) -> list[tuple[str, ...]]:
    rows = []
    port = free_port()
    words = (sys.executable, "-m", "benchmarks.trivial")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    refresh = functools.partial(_refresh, server, bench)
    parameters = StdioServerParameters(
        command=words[0], args=[*words[1:]], env=server.environment, cwd=None
    )
    with process(*words, str(port), env=server.environment, **quiet):
        await wait_until_up(port)
        for clients in _CLIENTS:
            for over, connect in (
                ("HTTP", lambda: Client(f"http://127.0.0.1:{port}/mcp")),
                ("stdio", lambda: Client(stdio_client(parameters))),
            ):
                compared = await _compared(connect, clients, calls, refresh)
                rows.append((over, f"{clients}", *compared))
    return rows


def _refresh(server: Server, bench: Bench) -> None:
    """Feed and tick the ticker up to now."""
    while bench.now_ms < int(time.time()) * 1000 - 1000:
        bench.feed(lambda _: 10)
    bench.tick(_TICKER)
    ActiveTickers(server.client, Keys()).scan_slice(time.time() * 1000)


async def wait_until_up(port: int, seconds: int = 20) -> None:
    """Wait until an HTTP server accepts connections, which means that it is ready."""
    for _ in range(10 * seconds):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.1)
    raise click.ClickException("the MCP server does not answer")


@asynccontextmanager
async def _clients(connect: Connect, number: int) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect()) for _ in range(number)]


async def _compared(
    connect: Connect, number: int, calls: int, refresh: Callable[[], None]
) -> list[str]:
    took: dict[str, list[float]] = {name: [] for name in _CALLS}
    checks: list[float] = []
    async with _clients(connect, number) as clients:
        refresh()
        answer = await clients[0].call_tool(*_CALLS["answer"])
        for round_number in range(4):
            refresh()  # otherwise the answer is a stale one, with its cause
            for name, (tool, arguments) in _CALLS.items():
                each = await _timed(clients, calls // 4 // number + 1, tool, arguments)
                if round_number:  # the first one opens connections
                    took[name] += each
            checks += [await _check(clients[0], answer) for _ in range(calls // 4)]
    texts = [spread(took[name], 2) for name in _CALLS]
    over = [("prepared", 0.5), ("answer", 0.5), ("answer", 0.95)]
    ratios = [f"{_over(took, name, q):.2f}" for name, q in over]
    return [*texts, *ratios, spread(checks, 2)]


async def _check(client: Any, answer: Any) -> float:
    """Return how long the client takes to check an answer against its schema, in ms."""
    start = time.perf_counter()
    await client.session.validate_tool_result(_CALLS["answer"][0], answer)
    return (time.perf_counter() - start) * 1000


def _over(took: dict[str, list[float]], name: str, q: float) -> float:
    return quantile(took[name], q) / quantile(took["trivial"], q)


async def _timed(clients: list[Any], each: int, tool: str, arguments: Any) -> list[float]:
    took: list[float] = []

    async def ask(client: Any) -> None:
        for _ in range(each):
            start = time.perf_counter()
            await client.call_tool(tool, arguments)
            took.append((time.perf_counter() - start) * 1000)

    calls: list[Awaitable[None]] = [ask(client) for client in clients]
    await asyncio.gather(*calls)
    return took
