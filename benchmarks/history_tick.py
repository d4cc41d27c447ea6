"""What the writer of the history costs the ticks: with it, without it, and without it again.

    python -m benchmarks.history_tick [--tickers 20] [--seconds 700]

The same books are ticked with a Redis each, one second after another in a new order each second;
beside one of them a writer visits its tickers, as it does every two minutes. Ratios are to the one
first; that of the second without it is what the measurement itself is uncertain by. Exits
with 1 where a tick with it takes over 1 % more than the mean of the two without.
"""

import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

import click

from benchmarks.harness import ROOT, private_redis
from benchmarks.ticking import Bench

MOST: Final = 1.01
RATE: Final = 10
WITHOUT, AGAIN, WITH = "without", "without again", "with the writer"
_WRITER: Final = """
import sys
from pathlib import Path
from app.core.settings import Settings
from app.history.folder import HistoryFolder
from app.history.writer import HistoryWriter
from app.storage.redis_client import connect

config, now = Settings(), 0.0
writer = HistoryWriter(HistoryFolder(Path(sys.argv[1])), connect(config), config, lambda: now)
for line in sys.stdin:
    now = float(line)
    writer.step()
print(writer.totals.seconds, writer.totals.events)
"""


class Writer:
    """A writer process that is told the time of what it writes."""

    def __init__(self, bench: Bench, folder: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _WRITER, folder],
            cwd=ROOT,
            env=bench.server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin_step(self, now_ms: int) -> None:
        """Let it do what is due, while this process goes on."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{now_ms}\n")
            self._process.stdin.flush()

    def end(self) -> str:
        """Let it end; return how many seconds and events it wrote."""
        written, _ = self._process.communicate()
        return written.strip()


class Measured:
    """The CPU µs of a tick in this process, and of Redis a ticker, by second."""

    def __init__(self, bench: Bench, writer: Writer | None = None) -> None:
        self._bench, self._writer = bench, writer
        self.ticks: list[float] = []
        self.redis: list[float] = []

    def run_second(self) -> None:
        """Publish a second and tick all tickers once."""
        bench = self._bench
        bench.feed(lambda _: RATE)
        before = bench.server.cpu_seconds()
        if self._writer is not None:
            self._writer.begin_step(bench.now_ms)
        spent = [bench.tick(name) for name in bench.books]
        self.ticks.append(sum(spent) / len(spent))
        self.redis.append((bench.server.cpu_seconds() - before) * 1e6 / len(spent))

    def line(self, name: str, first: "Measured") -> str:
        """Return its figures, and their ratios to the first."""
        return (
            f"{name}: tick {median(self.ticks):.1f} us, x {_ratio(self.ticks, first.ticks):.4f}; "
            f"Redis {median(self.redis):.1f} us, x {_ratio(self.redis, first.redis):.4f}"
        )


def _ratio(values: list[float], others: list[float]) -> float:
    """Return the median of the ratios of the same seconds."""
    return median(one / other for one, other in zip(values, others, strict=True))


def measure(tickers: int, seconds: int) -> tuple[dict[str, Measured], str]:
    """Tick in turns; return the figures by name, and what the writer wrote."""
    names = [f"N{number}" for number in range(tickers)]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found: dict[str, Measured] = {}
        for name in (WITHOUT, AGAIN, WITH):
            bench = Bench(stack.enter_context(private_redis()), names)
            bench.fill(lambda _: RATE)
            for ticker in names:
                bench.server.client.zadd("orderflow:tickers", {ticker: bench.now_ms})
            writer = Writer(bench, str(Path(folder) / "history")) if name == WITH else None
            found[name] = Measured(bench, writer)
        for _ in range(seconds):
            for one in random.sample([*found.values()], len(found)):
                one.run_second()
        return found, "" if writer is None else writer.end()


@click.command()
@click.option("--tickers", default=20, show_default=True)
@click.option("--seconds", default=700, show_default=True, help="Seconds are kept after 15 min.")
def main(tickers: int, seconds: int) -> None:
    """Measure and print."""
    found, written = measure(tickers, seconds)
    first = found[WITHOUT]
    for name, one in found.items():
        click.echo(one.line(name, first))
    click.echo(f"written: {written} (seconds, events)")
    usual = (1 + _ratio(found[AGAIN].ticks, first.ticks)) / 2
    cost = _ratio(found[WITH].ticks, first.ticks) / usual
    click.echo(f"a tick with the writer: x {cost:.4f} of one without")
    sys.exit(1 if cost > MOST else 0)


if __name__ == "__main__":
    main()
