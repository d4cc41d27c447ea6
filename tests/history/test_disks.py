"""A disk that is really full, or read-only, is said; what was whole stays, the rest comes later."""

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import redis

from app.core.settings import Settings
from app.history.answer_files import AnswerFiles, ToldAnswer
from app.history.bar_rows import bars_of_table
from app.history.folder import HistoryFolder
from app.history.parquet_file import read_file
from app.history.paths import file_path
from app.history.query import read_events
from app.history.writer import HistoryWriter
from app.storage.history_report import read_report
from tests.history.ticked import TickedKeys, bar_of

TICKER = "BTC-USD"
START_MS = 1_704_715_200_000
"""2024-01-08 12:00 UTC."""
DAY = date(2024, 1, 8)
DISK_BYTES = 1_048_576


class Disk:
    """A small file system of its own, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("wb", buffering=0) as file:
            block = 65_536
            while block:
                try:
                    file.write(b"x" * block)
                except OSError:
                    block //= 2

    def clear(self) -> None:
        """Leave room again."""
        self._ballast.unlink()

    def mount_again(self, way: str) -> None:
        """Mount it anew, read-only (`ro`) or to be written (`rw`)."""
        _run("mount", "-o", f"remount,{way}", str(self.path))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs the right to mount a file system: {error}")
    yield Disk(path)
    _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = float(START_MS + 400_000)

    def __call__(self) -> float:
        """Return the time."""
        return self.now_ms


@pytest.fixture
def time() -> Time:
    return Time()


NewWriter = Callable[[], HistoryWriter]


@pytest.fixture
def new_writer(redis_client: redis.Redis, settings: Settings, disk: Disk, time: Time) -> NewWriter:
    """Give a way to begin a writer; the one before has ended."""
    folders: list[HistoryFolder] = []

    def begin() -> HistoryWriter:
        for one in folders:
            one.close()
        folders.append(HistoryFolder(disk.path / "history"))
        return HistoryWriter(folders[-1], redis_client, settings, time)

    return begin


def tick(client: redis.Redis, first: int, last: int, event: str) -> None:
    """Add seconds, by their number since the start, and an event that closed in the first."""
    ticked = TickedKeys(client, TICKER)
    ticked.add_bars(bar_of(START_MS + 1000 * number) for number in range(first, last + 1))
    at = START_MS + 1000 * first
    ticked.add_event(event, at, at + 500)


def kept(disk: Disk) -> tuple[list[int], list[str]]:
    """Return the numbers of the kept seconds, and the names of the kept events."""
    folder = disk.path / "history"
    table = read_file(file_path(folder, "seconds", DAY, TICKER), "seconds").table
    numbers = [(bar.end - START_MS) // 1000 for bar in bars_of_table(table)]
    events = [event.record.id.rpartition("~")[2] for event in read_events(folder, TICKER, DAY)]
    return numbers, events


def problem(client: redis.Redis) -> str:
    report = read_report(client)
    assert report is not None
    return report.problem


def test_a_disk_that_fills_up_leaves_what_was_whole_and_gets_the_rest_later(
    redis_client: redis.Redis, new_writer: NewWriter, disk: Disk, time: Time
) -> None:
    tick(redis_client, 1, 100, "aaaaaaaa")
    writer = new_writer()
    writer.step()
    disk.fill()
    tick(redis_client, 101, 1000, "bbbbbbbb")
    time.now_ms = START_MS + 1_400_000.0
    writer.step()
    assert problem(redis_client) == "disk_full"
    assert kept(disk) == ([*range(1, 101)], ["aaaaaaaa"])
    assert not list((disk.path / "history").rglob("*.unfinished"))

    disk.clear()
    time.now_ms += 11_000
    writer.step()
    assert problem(redis_client) == ""
    assert kept(disk) == ([*range(1, 1001)], ["aaaaaaaa", "bbbbbbbb"])


def test_a_disk_that_is_read_only_is_said_and_written_once_it_can_be(
    redis_client: redis.Redis, new_writer: NewWriter, disk: Disk, time: Time
) -> None:
    tick(redis_client, 1, 100, "aaaaaaaa")
    first = new_writer()
    first.step()
    writer = new_writer()
    disk.mount_again("ro")
    tick(redis_client, 101, 200, "bbbbbbbb")
    time.now_ms += 240_000
    writer.step()
    assert problem(redis_client) == "read_only"
    assert kept(disk) == ([*range(1, 101)], ["aaaaaaaa"])

    disk.mount_again("rw")
    time.now_ms += 11_000
    writer.step()
    time.now_ms += 130_000
    writer.step()
    assert problem(redis_client) == ""
    assert kept(disk) == ([*range(1, 201)], ["aaaaaaaa", "bbbbbbbb"])


def test_answers_that_a_full_disk_took_in_part_are_written_again_whole(disk: Disk) -> None:
    files = AnswerFiles(disk.path)
    text = os.urandom(5000).hex().encode()  # does not pack into what room is left
    files.append([ToldAnswer("aaaaaaaa", START_MS, {"text": b"before"})])
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        files.append([ToldAnswer("bbbbbbbb", START_MS, {"text": text})])
    assert [*AnswerFiles(disk.path).ids_since(0)] == ["aaaaaaaa"]

    disk.clear()
    files.append([ToldAnswer("bbbbbbbb", START_MS, {"text": text})])
    assert AnswerFiles(disk.path).find("bbbbbbbb") == {"text": text}
    assert AnswerFiles(disk.path).find("aaaaaaaa") == {"text": b"before"}
