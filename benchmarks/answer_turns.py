"""Compare an answer's time over HTTP with that of other checkouts, in turns.

    python -m benchmarks.answer_turns OTHER_CHECKOUT [...] --seconds 60

As `benchmarks.turns`: each checkout serves the same ticker from a Redis of its own, and one client
asks one checkout after the other, in a new order each round. Both have to be compiled.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
from mcp import Client

from benchmarks.answer import wait_until_up
from benchmarks.turns import ROOT, in_checkout

_CALLS_A_ROUND: Final = 10
_START_SECONDS: Final = 120
_TOOL: Final = "analyze_order_flow_tool"
_TICKER: Final = "SPY"
# Runs with the modules of the checkout that it is started in, which may be older than this file.
_SERVING = """
import subprocess
import sys
import time
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from benchmarks.harness import free_port, private_redis, process
from benchmarks.past_events import add_past_events
from benchmarks.ticking import Bench

ticker, past_seconds = sys.argv[1], int(sys.argv[2])
with private_redis() as server:
    bench = Bench(server, [ticker])
    bench.now_ms = int(time.time() - 320 - past_seconds) * 1000
    bench.fill(lambda _: 10)
    for _ in range(past_seconds):
        bench.feed(lambda _: 10)
        bench.tick(ticker)
    add_past_events(server.client, ticker, bench.now_ms)
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = (sys.executable, "-m", "mcp_app", "--http", "--port", str(port))
    with process(*words, env=server.environment, **quiet):
        print(port, flush=True)
        for _ in sys.stdin:
            while bench.now_ms < int(time.time()) * 1000 - 1000:
                bench.feed(lambda _: 10)
            bench.tick(ticker)
            ActiveTickers(server.client, Keys()).scan_slice(time.time() * 1000)
            print("ticked", flush=True)
"""


class Served:
    """A checkout that serves the ticker: how long its answers took, in ms, by round."""

    def __init__(self, root: Path, past_seconds: int) -> None:
        self.root = root
        self.rounds: list[float] = []
        self.client: Any = None
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _SERVING, _TICKER, str(past_seconds)],
            **in_checkout(root),
        )

    async def open(self, stack: AsyncExitStack) -> None:
        """Wait until it serves, and connect a client."""
        port = int(self._read())
        await wait_until_up(port, _START_SECONDS)
        self.client = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}/mcp"))

    def tick(self) -> None:
        """Feed and tick the ticker up to now: an older answer would be a stale one."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        self._read()

    async def ask(self) -> float:
        """Ask once; return the ms that it took."""
        start = time.perf_counter()
        result = await self.client.call_tool(_TOOL, {"ticker": _TICKER})
        took = (time.perf_counter() - start) * 1000
        if result.is_error:
            raise click.ClickException(f"{self.root}: {result.content[0].text}")
        return took

    def end(self) -> None:
        """Let the processes end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)

    def _read(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise click.ClickException(f"{self.root}: ended")
        return line


async def compare(roots: Sequence[Path], seconds: int, past_seconds: int) -> list[Served]:
    """Ask the checkouts in turns for some time."""
    checkouts = [Served(root, past_seconds) for root in roots]
    async with AsyncExitStack() as stack:
        for one in checkouts:
            stack.callback(one.end)
        for one in checkouts:
            await one.open(stack)
        await _round(checkouts)  # opens the servers' own connections
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one, took in (await _round(checkouts)).items():
                one.rounds.append(took)
    return checkouts


async def _round(checkouts: Sequence[Served]) -> dict[Served, float]:
    """Return each checkout's median over some calls, asked in turns."""
    took: dict[Served, list[float]] = {one: [] for one in checkouts}
    for one in checkouts:
        one.tick()
        await one.ask()
    for _ in range(_CALLS_A_ROUND):
        for one in random.sample(checkouts, len(checkouts)):
            took[one].append(await one.ask())
    return {one: median(found) for one, found in took.items()}


def _line(one: Served, first: Served) -> str:
    ratios = sorted(mine / other for mine, other in zip(one.rounds, first.rounds, strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4]
    typical_ms = median(one.rounds)
    return f"{one.root}: {typical_ms:.2f} ms, x {median(ratios):.3f} ({low:.3f} to {high:.3f})"


@click.command()
@click.argument("checkouts", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--seconds", default=60)
@click.option("--past", default=0, help="Seconds before the windows that are ticked, too.")
def main(checkouts: tuple[Path, ...], seconds: int, past: int) -> None:
    """Print each checkout's p50 of a full answer, and its ratio to the first CHECKOUTS one."""
    roots = [*(path.resolve() for path in checkouts), ROOT]
    found = asyncio.run(compare(roots, seconds, past))
    for one in found:
        click.echo(_line(one, found[0]))


if __name__ == "__main__":
    main()
