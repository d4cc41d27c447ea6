"""The desk under the eyes of five people: what it costs the server, and the pages' networks.

`python -m benchmarks desk` measures in minutes; `python -m benchmarks.desk --minutes 60` watches
the memory as well, and tells it each minute.
"""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import click
import httpx2
import psutil

from app.operations.managed_process import UNTUNED_ENVIRONMENT
from app.storage.keys import TICKERS
from benchmarks.answer import wait_until_up
from benchmarks.harness import free_port, private_redis, process, quantile, table
from benchmarks.system import Load, loaded, ticks_began

PAGES = 5
TICKERS_LOADED = 200
QUOTES_A_SECOND = 10
MAX_CPU_PERCENT = 10.0
MAX_KB_A_SECOND = 100.0
MAX_GROWTH = 0.10
_WARM_UP_SECONDS = 30
_STARTED_SECONDS = 5
_HEALTH_SECONDS = 10
_SAMPLE_SECONDS = 60
# Memory grows while the first quarter of an hour of seconds is read; buffers find their size.
_SETTLED_SAMPLES = 5


@dataclass(slots=True)
class Page:
    """One page: what it asked for, and what came."""

    ticker: str
    received_bytes: int = 0
    unpacked_bytes: int = 0
    polls: int = 0
    errors: int = 0
    took_ms: list[float] = field(default_factory=list)

    async def watch(self, client: httpx2.AsyncClient, until: float) -> None:
        """Ask as the page does: when it is told to, with what it has."""
        have: dict[str, Any] = {"ticker": self.ticker}
        health_due = 0.0
        while time.monotonic() < until:
            start = time.perf_counter()
            try:
                told = await self._get(client, "/desk/now", have)
                self.took_ms.append((time.perf_counter() - start) * 1000)
                if time.monotonic() >= health_due:
                    health_due = time.monotonic() + _HEALTH_SECONDS
                    await self._get(client, "/desk/health", {})
            except httpx2.TransportError:
                # As the page: asked again, whatever became of this question.
                self.errors += 1
                told = {}
            self.polls += 1
            have |= _known(told)
            await asyncio.sleep(told.get("poll_after_ms", 1000) / 1000)

    async def _get(
        self, client: httpx2.AsyncClient, path: str, query: dict[str, Any]
    ) -> dict[str, Any]:
        response = await client.get(path, params=query)
        self.received_bytes += response.num_bytes_downloaded
        self.unpacked_bytes += len(response.content)
        told: dict[str, Any] = response.json()
        self.errors += response.status_code != httpx2.codes.OK or "error" in told.get("ticker", {})
        return told


def _known(told: dict[str, Any]) -> dict[str, Any]:
    """Return what a page has after a reply, as it tells with the next question."""
    known = {}
    if "as_of" in told.get("ticker", {}):
        known["since"] = told["ticker"]["as_of"]
    if "sparks" in told:
        known["sparks"] = told["sparks"]["end"]
    return known


@dataclass(slots=True)
class Watched:
    """What was measured: the server's CPU in % of a core, its memory in MB over the time."""

    pages: list[Page]
    seconds: float
    cpu_percent: float
    idle_percent: float
    rss: list[float]

    @property
    def growth(self) -> float | None:
        """Return the share by which the memory grew beyond that after the first minutes."""
        settled = self.rss[_SETTLED_SAMPLES:]
        return max(settled) / settled[0] - 1 if len(settled) > _SETTLED_SAMPLES else None


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    return measured(45 if quick else 300)


def measured(seconds: int, tickers: int = TICKERS_LOADED, rate: int = QUOTES_A_SECOND) -> str:
    """Let pages watch for some time, and describe what it cost."""
    port = free_port()
    words = (sys.executable, "-m", "mcp_app", "--http", "--port", str(port))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        private_redis() as server,
        loaded(server, Load(tickers, rate, 0)),
        process(*words, env=server.environment | UNTUNED_ENVIRONMENT, **quiet) as running,
    ):
        ticks_began(server)
        time.sleep(_WARM_UP_SECONDS)
        names = [name.decode() for name in server.client.zrange(TICKERS, 0, -1)]
        watched = asyncio.run(_watch(running, port, names, seconds))
    return _described(watched, tickers, rate)


async def _watch(running: psutil.Process, port: int, names: list[str], seconds: int) -> Watched:
    await wait_until_up(port)
    # A server that has just started imports what draws charts.
    await asyncio.sleep(_STARTED_SECONDS)
    idle = await _cpu_while(running, asyncio.sleep(min(10, seconds)))
    pages = [Page(names[place * len(names) // PAGES]) for place in range(PAGES)]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        # The first look reads more than the others: how long it takes is told apart.
        await asyncio.gather(*(page.watch(client, time.monotonic() + 15) for page in pages))
        for page in pages:
            page.received_bytes = page.unpacked_bytes = page.polls = 0
        rss: list[float] = []
        start = time.monotonic()
        sampling = asyncio.create_task(_sample(running, rss))
        watching = asyncio.gather(*(page.watch(client, start + seconds) for page in pages))
        used = await _cpu_while(running, watching)
        sampling.cancel()
        rss.append(running.memory_info().rss / 2**20)
    return Watched(pages, time.monotonic() - start, used, idle, rss)


async def _cpu_while(running: psutil.Process, waited: Any) -> float:
    before, start = sum(running.cpu_times()[:2]), time.monotonic()
    await waited
    return (sum(running.cpu_times()[:2]) - before) / (time.monotonic() - start) * 100


async def _sample(running: psutil.Process, rss: list[float]) -> None:
    """Note the memory each minute, and tell it: an hour is long to wait for a table."""
    while True:
        rss.append(running.memory_info().rss / 2**20)
        click.echo(f"minute {len(rss) - 1}: {rss[-1]:.1f} MB", err=True)
        await asyncio.sleep(_SAMPLE_SECONDS)


def _described(it: Watched, tickers: int, rate: int) -> str:
    took = [ms for page in it.pages for ms in page.took_ms]
    firsts = [page.took_ms[0] for page in it.pages]
    packed = max(page.received_bytes for page in it.pages) / it.seconds / 1000
    unpacked = max(page.unpacked_bytes for page in it.pages) / it.seconds / 1000
    polls = sum(page.polls for page in it.pages) / it.seconds / len(it.pages)
    errors = sum(page.errors for page in it.pages)
    growth = "not measured" if it.growth is None else f"{it.growth:.1%}"
    rows = [
        ("server, % of a core", f"{it.cpu_percent:.1f}", f"< {MAX_CPU_PERCENT:.0f}"),
        ("server without pages, % of a core", f"{it.idle_percent:.1f}", ""),
        ("KB/s a page, compressed", f"{packed:.1f}", f"≤ {MAX_KB_A_SECOND:.0f}"),
        ("KB/s a page, unpacked", f"{unpacked:.1f}", ""),
        ("polls a second and page", f"{polls:.2f}", "1"),
        ("a poll, p50 and p95, ms", f"{quantile(took, 0.5):.0f}, {quantile(took, 0.95):.0f}", ""),
        ("a page's first poll, ms", ", ".join(f"{ms:.0f}" for ms in firsts), ""),
        ("server's memory, MB", f"{it.rss[0]:.1f} to {it.rss[-1]:.1f}", ""),
        (f"its growth after minute {_SETTLED_SAMPLES}", growth, f"≤ {MAX_GROWTH:.0%}"),
        ("errors", f"{errors}", "0"),
    ]
    return "\n\n".join(
        [
            (
                f"{len(it.pages)} pages, each with a ticker of its own, watch {tickers} tickers "
                f"at {rate} quotes/s for {it.seconds:.0f} s; all on this machine."
            ),
            table(("", "measured", "wanted"), rows),
        ]
    )


@click.command()
@click.option("--minutes", type=click.FloatRange(0.2, 600), default=5.0, show_default=True)
@click.option("--tickers", type=click.IntRange(5, 2000), default=TICKERS_LOADED, show_default=True)
@click.option("--rate", type=click.IntRange(1, 500), default=QUOTES_A_SECOND, show_default=True)
def main(*, minutes: float, tickers: int, rate: int) -> None:
    """Measure and print."""
    click.echo(measured(round(minutes * 60), tickers, rate))


if __name__ == "__main__":
    main()
