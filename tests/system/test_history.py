"""`orderflow history` as a process: it says what it can't do, writes, and ends in time."""

import signal
import time
from pathlib import Path

import pytest
import redis

from app.core.clock import now_ms
from app.history.paths import kept_dates
from app.storage.history_report import read_report
from tests.history.ticked import TickedKeys, bar_of
from tests.processes import Start, wait_until
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

NOT_NEEDED = 3
STOP_SECONDS = 2.0


def test_without_a_folder_it_says_so_in_one_line(start: Start) -> None:
    run = start("app", "history")
    assert run.wait() == NOT_NEEDED
    assert run.said() == "orderflow: no history is kept: ORDERFLOW_HISTORY names its folder\n"


def test_idle_it_waits_for_its_end(start: Start) -> None:
    run = start("app", "history", "--idle")
    wait_until(lambda: "no history is kept" in run.said(), "its line")
    assert run.process.poll() is None
    assert run.end() == 0


def test_it_writes_and_ends_within_two_seconds_and_a_second_one_ends_at_once(
    start: Start, redis_client: redis.Redis, tmp_path: Path, assert_within: AssertWithin
) -> None:
    folder = tmp_path / "history"
    last = int(now_ms()) // 1000 * 1000
    for number in range(40):
        ticked = TickedKeys(redis_client, f"T{number}")
        ticked.add_bars(map(bar_of, range(last - 1_200_000, last, 1000)))
    run = start("app", "history", ORDERFLOW_HISTORY=str(folder))
    wait_until(lambda: folder.is_dir() and kept_dates(folder) != [], "the first file")
    second = start("app", "history", ORDERFLOW_HISTORY=str(folder))
    assert second.wait() == NOT_NEEDED
    assert f"another process writes the history in {folder}" in second.said()

    begun = time.monotonic()
    assert run.end(signal.SIGTERM) == 0
    assert_within(STOP_SECONDS, time.monotonic() - begun)
    assert "Traceback" not in run.said()


def test_redis_away_is_said_once(start: Start, tmp_path: Path, redis_client: redis.Redis) -> None:
    run = start("app", "history", ORDERFLOW_HISTORY=str(tmp_path), REDIS_PORT="1")
    wait_until(lambda: "redis away" in run.said(), "the line")
    assert read_report(redis_client) is None
    assert run.end() == 0
    assert run.said().count("redis away") == 1
