"""Compare a tick's cost with that of other checkouts, second by second in turns.

    python -m benchmarks.turns OTHER_CHECKOUT [...] --tickers 60 --seconds 60

A machine's speed changes within minutes by more than what is to be measured. Here each checkout
ticks the same books in a process and with a Redis of its own, one second after another, and the
ratios of each second are compared. Both have to be compiled.
"""

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from app.operations.managed_process import TUNING_ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
_READY = "ready"
# Runs with the modules of the checkout that it is started in, which may be older than this file.
_TICKING = """
import sys
import gc
from benchmarks.harness import private_redis
from benchmarks.ticking import Bench

# As a worker does at its first tick.
gc.freeze()
gc.set_threshold(50_000, 20, 20)
tickers, rate = int(sys.argv[1]), int(sys.argv[2])
with private_redis() as server:
    server.client.flushall()
    bench = Bench(server, [f"N{i}" for i in range(tickers)])
    bench.fill(lambda _: rate)
    print("ready", flush=True)
    for _ in sys.stdin:
        bench.feed(lambda _: rate)
        before = server.cpu_seconds()
        spent = [bench.tick(name) for name in bench.books]
        print(sum(spent) / tickers, (server.cpu_seconds() - before) * 1e6 / tickers, flush=True)
"""


def in_checkout(root: Path) -> dict[str, Any]:
    """Return how a process of a checkout is started, with its stdin and stdout to talk to it."""
    return {
        "cwd": root,
        "env": {**TUNING_ENVIRONMENT, **os.environ, "PYTHONPATH": str(root)},
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "text": True,
    }


class Checkout:
    """A checkout whose ticks are measured: CPU µs of a tick, and of Redis, by second."""

    def __init__(self, root: Path, tickers: int, rate: int) -> None:
        self.root = root
        self.seconds: list[tuple[float, float]] = []
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _TICKING, str(tickers), str(rate)], **in_checkout(root)
        )

    def wait_until_ready(self) -> None:
        """Wait until the windows are full."""
        if self._read().strip() != _READY:
            raise click.ClickException(f"{self.root}: did not start")

    def run_second(self) -> None:
        """Tick all tickers once."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        tick_us, redis_us = map(float, self._read().split())
        self.seconds.append((tick_us, redis_us))

    def end(self) -> None:
        """Let the process end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)

    def _read(self) -> str:
        return self._process.stdout.readline() if self._process.stdout is not None else ""


def compare(roots: Sequence[Path], tickers: int, rate: int, seconds: int) -> list[Checkout]:
    """Run the checkouts in turns, in a new order each second."""
    checkouts = [Checkout(root, tickers, rate) for root in roots]
    for one in checkouts:
        one.wait_until_ready()
    for _ in range(seconds):
        for one in random.sample(checkouts, len(checkouts)):
            one.run_second()
    for one in checkouts:
        one.end()
    return checkouts


def _line(one: Checkout, first: Checkout) -> str:
    figures = []
    for place, name in enumerate(("tick", "Redis")):
        pairs = list(zip(one.seconds, first.seconds, strict=True))
        ratios = sorted(mine[place] / other[place] for mine, other in pairs)
        low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4]
        typical_us = median(second[place] for second in one.seconds)
        figures.append(
            f"{name} {typical_us:.0f} us, x {median(ratios):.3f} ({low:.3f} to {high:.3f})"
        )
    return f"{one.root}: {'; '.join(figures)}"


@click.command()
@click.argument("checkouts", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--tickers", default=60)
@click.option("--rate", default=10, help="Quotes a second and ticker.")
@click.option("--seconds", default=60)
def main(checkouts: tuple[Path, ...], tickers: int, rate: int, seconds: int) -> None:
    """Print each checkout's CPU a tick, and its ratio to the first CHECKOUTS one."""
    roots = [*(path.resolve() for path in checkouts), ROOT]
    found = compare(roots, tickers, rate, seconds)
    for one in found:
        click.echo(_line(one, found[0]))


if __name__ == "__main__":
    main()
