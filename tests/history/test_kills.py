"""A writer is killed before each change of its folder: nothing is missing, and nothing twice."""

import itertools
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis

from app.history.parquet_file import read_facts
from app.history.paths import dates_of_ticker, file_path
from app.history.query import read_session
from app.storage.tick import codec
from tests.history.kept import kept_of
from tests.history.ticked import TickedKeys, bar_of
from tests.processes import ROOT, Environment

TICKER = "BTC-USD"
MIDNIGHT_MS = 1_704_758_400_000
"""2024-01-09 00:00 UTC, at which one session date ends and the next begins."""
ENDS = range(MIDNIGHT_MS - 890_000, MIDNIGHT_MS + 600_000, 10_000)
TIMES = range(ENDS[0] + 1_060_000, ENDS[0] + 2_211_000, 230_000)
"""From when some of it is final until all is."""


class StoppingWriter:
    """Runs writers that are killed before a chosen change."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, number: int, folder: Path, times: Sequence[int]) -> tuple[int, str]:
        """Return how many of the times a writer did, and before which change it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number} {folder} {' '.join(map(str, times))}\n")
        self._process.stdin.flush()
        done, _, change = self._process.stdout.readline().rstrip("\n").partition("\t")
        return int(done), change


@pytest.fixture
def stopping_writer(environment: Environment) -> Iterator[StoppingWriter]:
    command = [sys.executable, "-m", "tests.history.stopping_writer"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield StoppingWriter(process)
        process.kill()


def fill(client: redis.Redis) -> set[str]:
    """Write all of a ticker's keys over a midnight; return the ids of its events."""
    ticked = TickedKeys(client, TICKER)
    ticked.add_bars(map(bar_of, ENDS))
    names = ("aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd")
    for name, after_ms in zip(names, (100_000, 850_000, 950_000, 1_300_000), strict=True):
        ticked.add_event(name, ENDS[0] + after_ms, ENDS[0] + after_ms + 5000)
    session = {"calendar": "24/7", "phase": "continuous", "covered_seconds": 600.0, "volume": 5.0}
    for kind, opened_at, as_of in (
        ("ended", MIDNIGHT_MS - 86_400_000, MIDNIGHT_MS),
        ("session", MIDNIGHT_MS, ENDS[-1]),
    ):
        times = {"opened_at": opened_at, "closes_at": opened_at + 86_400_000, "as_of": as_of}
        client.hset(f"orderflow:{kind}:{TICKER}", mapping=session | times)
    return {f"{TICKER}~{name}" for name in names}


def assert_whole(folder: Path, events: set[str]) -> None:
    """Check that a folder holds all that Redis had, once, and says that nothing is lost."""
    kept = kept_of(folder, TICKER)
    assert kept.bars == {end: codec.encode_bar(bar_of(end)) for end in ENDS}
    assert kept.events.keys() == events
    days = dates_of_ticker(folder, "seconds", TICKER)
    assert dates_of_ticker(folder, "events", TICKER) == days
    sessions = [read_session(folder, TICKER, day) for day in days]
    assert [one and one.is_final for one in sessions] == [True, False]
    for kind in ("seconds", "events"):
        for day in days:
            assert read_facts(file_path(folder, kind, day, TICKER), kind).lost == []
    left = {path.name for path in folder.rglob(".*")}
    assert left == {".writer.lock", ".read_to"}


def test_a_writer_killed_before_any_change_of_its_folder_leaves_nothing_out_and_nothing_twice(
    redis_client: redis.Redis, stopping_writer: StoppingWriter, tmp_path: Path
) -> None:
    events = fill(redis_client)
    changes = []
    for number in itertools.count(1):
        folder = tmp_path / f"{number}h"
        done, change = stopping_writer.run(number, folder, TIMES)
        if change:
            changes.append(change)
            rest = TIMES[done:]
            assert stopping_writer.run(0, folder, rest) == (len(rest), ""), change
        assert_whole(folder, events)
        if not change:
            break

    for kind in ("seconds", "events", "sessions"):
        steps = [change.split(maxsplit=1) for change in changes if f"/{kind}/" in change]
        ways = [(way, path.rpartition("/")[2]) for way, path in steps]
        assert (
            ways.count(("open", f".{TICKER}.parquet.unfinished")) >= 2
        )  # before the file is begun
        assert ways.count(("os.rename", f".{TICKER}.parquet.unfinished")) >= 2  # once it is whole
        assert ways.count(("open", "date=2024-01-09")) >= 1  # once it is renamed
    assert any(change.startswith("os.rename /.read_to") for change in changes)
