"""Measure each tool while many tickers are ticked, each with an hour of events."""

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from typing import Any, NamedTuple

from mcp import Client

from app.storage.keys import TICKERS
from benchmarks.answer import wait_until_up
from benchmarks.harness import Server, free_port, private_redis, process, quantile, table
from benchmarks.past_events import EVENTS, add_past_events
from benchmarks.system import Load, counters, loaded, ticks_began

_PAUSE_SECONDS = 0.5
_WARM_UP_SECONDS = 15
_COMPARED = 5


class _Call(NamedTuple):
    label: str
    tool: str
    arguments: dict[str, Any]


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    tickers, rounds = (300, 6) if quick else (1000, 20)
    with private_redis() as server, loaded(server, Load(tickers, 10, 0)):
        ticks_began(server)
        time.sleep(_WARM_UP_SECONDS)
        names = [name.decode() for name in server.client.zrange(TICKERS, 0, -1)]
        for name in names:
            add_past_events(server.client, name, time.time() * 1000)
        before = counters(server)
        took = asyncio.run(_timed_calls(server, names, rounds))
        after = counters(server)
    counted = {name: after[name] - before[name] for name in after}
    head = ("asked", "calls", "p50, ms", "p90, ms", "longest, ms", "errors")
    return "\n\n".join(
        [
            (
                f"{tickers} tickers at 10 quotes/s are ticked meanwhile, all on this machine, each "
                f"with {EVENTS} events of the last hour. Over HTTP, one call at a time, "
                f"{_PAUSE_SECONDS:g} s between rounds."
            ),
            table(head, [_row(label, calls) for label, calls in took.items()]),
            (
                f"Ticks meanwhile: {counted['ticks_done']} done, "
                f"{counted['ticks_skipped']} left over, {counted['ticks_failed']} failed."
            ),
        ]
    )


def _row(label: str, calls: list[tuple[float, bool]]) -> tuple[str, ...]:
    ms = [seconds * 1000 for seconds, _ in calls]
    times = [f"{quantile(ms, q):.0f}" for q in (0.5, 0.9, 1.0)]
    return (label, f"{len(calls)}", *times, f"{sum(failed for _, failed in calls)}")


async def _timed_calls(server: Server, names: list[str], rounds: int) -> dict[str, Any]:
    port = free_port()
    words = (sys.executable, "-m", "mcp_app", "--http", "--port", str(port))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    took: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    with process(*words, env=server.environment, **quiet):
        await wait_until_up(port)
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            for number in range(rounds):
                batch = names[number * _COMPARED :][:_COMPARED]
                for label, tool, arguments in _calls(batch):
                    start = time.perf_counter()
                    result = await client.call_tool(tool, arguments)
                    took[label].append((time.perf_counter() - start, bool(result.is_error)))
                await asyncio.sleep(_PAUSE_SECONDS)
    return took


def _calls(tickers: list[str]) -> list[_Call]:
    ticker = tickers[0]
    return [
        _Call("a ticker", "analyze_order_flow_tool", {"ticker": ticker}),
        _Call("its 2 minutes", "analyze_order_flow_tool", {"ticker": ticker, "history": "2mins"}),
        _Call("a series", "order_flow_series", {"ticker": ticker, "fields": ["mid", "ofi"]}),
        _Call(f"{len(tickers)} compared", "compare_order_flow", {"tickers": tickers}),
        _Call("all scanned", "scan_order_flow", {}),
        _Call("all listed", "list_tickers", {}),
    ]
