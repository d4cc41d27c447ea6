"""`python -m tests.soak --minutes 30`: run everything under kills of Redis, and compare sizes."""

import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import psutil
from tqdm import tqdm

from tests.processes import wait_until
from tests.soak.clients import Asker, Client, Sleeper, Watcher
from tests.soak.samples import Size, differing, middle, size_of, size_table
from tests.soak.system import Feed, SoakSystem

SAMPLE_SECONDS = 5.0
BASE_MINUTES = 5.0
WATCHED = 20
"""How many tickers each client watches."""
_SETTINGS = {"ORDERFLOW_MCP_REQUESTS_PER_MINUTE": "100000"}


@click.command()
@click.option("--minutes", default=30.0, show_default=True, help="How long it runs, over 5.")
@click.option("--kills", type=int, help="How often Redis is killed; ten times a minute if not set.")
@click.option("--tickers", default=200, show_default=True, help="How many tickers are fed.")
@click.option("--watchers", default=10, show_default=True, help="Watching clients; one sleeps.")
@click.option("--stock", is_flag=True, help="Run on stock Celery, without the fast path.")
def main(*, minutes: float, kills: int | None, tickers: int, watchers: int, stock: bool) -> None:
    """Soak; exits with 1 where a process is not as large as it was after five minutes."""
    if minutes <= BASE_MINUTES:
        raise click.BadParameter(f"--minutes={minutes}: allowed are more than {BASE_MINUTES}")
    names = [f"T{number}" for number in range(tickers)]
    with tempfile.TemporaryDirectory(prefix="orderflow-soak-") as folder:
        settings = _SETTINGS | {"ORDERFLOW_FAST_PATH": str(int(not stock))}
        system = SoakSystem(Path(folder), settings)
        try:
            soak = _Soak(system, names, watchers)
            soak.run(minutes, 10 * round(minutes) if kills is None else kills)
        finally:
            system.close()
    sys.exit(bool(soak.report(minutes)))


class _Soak:
    def __init__(self, system: SoakSystem, names: list[str], watchers: int) -> None:
        self._system = system
        self._feed = Feed(system.port, names)
        self._ended = threading.Event()
        address = f"http://127.0.0.1:{system.mcp_port}"
        kinds: list[type[Client]] = [Watcher] * (watchers - 1) + [Sleeper, Asker]
        watched = [names[at % len(names) :][:WATCHED] for at in range(0, 7 * len(kinds), 7)]
        self.clients = [k(address, w, self._ended) for k, w in zip(kinds, watched, strict=True)]
        self.before: dict[str, Size] = {}
        self.after: dict[str, Size] = {}
        self._sizes: dict[str, list[Size]] = {}

    def run(self, minutes: float, kills: int) -> None:
        """Start everything, let time pass, and measure."""
        self._system.open()
        self._feed.start()
        wait_until(lambda: self._ticks() > 0, "the first ticks")
        for client in self.clients:
            client.start()
        seconds = minutes * 60.0
        killing = threading.Thread(target=self._kill, args=(seconds / max(1, kills), kills))
        killing.start()
        self._measure(seconds)
        self._ended.set()
        killing.join()
        self._feed.end()

    def _ticks(self) -> int:
        return len(self._system.client.keys("orderflow:metrics:*:10s"))

    def _kill(self, period_seconds: float, kills: int) -> None:
        began = time.monotonic()
        for number in range(1, kills + 1):
            due = began + (number - 0.5) * period_seconds
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return
            self._system.kill_server()

    def _measure(self, seconds: float) -> None:
        processes = {n: psutil.Process(one.pid) for n, one in self._system.named.items()}
        self._sizes = {name: [] for name in processes}
        base = round(BASE_MINUTES * 60.0 / SAMPLE_SECONDS)
        for number in tqdm(range(1, round(seconds / SAMPLE_SECONDS) + 1), unit="sample"):
            time.sleep(SAMPLE_SECONDS)
            for name, process in processes.items():
                self._sizes[name].append(size_of(process))
            self.after = {name: middle(sizes) for name, sizes in self._sizes.items()}
            if number == base:
                self.before = self.after

    def report(self, minutes: float) -> list[str]:
        """Print what was measured; return what is wrong."""
        wrong = [f"{n} is not what it was" for n in differing(self.before, self.after)]
        *watching, sleeping, asking = self.clients
        told = [client.served for client in watching]
        wrong += [f"watcher {n} was told nothing" for n, number in enumerate(told) if not number]
        wrong += ["no question was answered"] if not asking.served else []
        click.echo(size_table(self.before, self.after, minutes))
        click.echo(
            f"\nRedis was killed {self._system.kills} times. {len(watching)} clients were told "
            f"{sum(told):,} times of changes; one slept, in {sleeping.served} sessions; "
            f"{asking.served} of {asking.served + asking.failed} questions were answered."
        )
        for line in wrong:
            click.echo(f"wrong: {line}")
        return wrong


if __name__ == "__main__":
    main()
