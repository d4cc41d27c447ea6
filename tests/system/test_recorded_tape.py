"""A tape recorded while workers ticked gives, by analyze, byte for byte what they wrote."""

import json
import signal
from pathlib import Path

import pytest
import redis

from tests.processes import Start, wait_until
from tests.system.recorded_ticks import TickSampler, analysed, differences

pytestmark = pytest.mark.system

TICKER = "BTC-USD"
TICKS = 20
SECONDS_BEFORE_THE_KILL = 10


def test_a_recorded_tape_gives_byte_for_byte_what_the_ticks_published(
    redis_client: redis.Redis, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "tapes"
    worker = start("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
    beat = start("celery", "-A", "tasks", "beat")
    wait_until(lambda: " ready." in worker.said(), "the worker is ready")
    feed = start(
        *("app", "feed", "simulate", "--tickers", TICKER, "--seed", "7"),
        *("--backfill-seconds", "60"),
    )
    recorder = start("app", "feed", "record", TICKER, "--dir", str(folder))
    sampler = TickSampler(redis_client, TICKER)
    wait_until(lambda: sampler.count() >= SECONDS_BEFORE_THE_KILL, "the first ticks")
    wait_until(lambda: any(folder.glob("*.trades.csv.gz")), "a tape")
    recorder.end(signal.SIGKILL)
    wait_until(lambda: sampler.count() >= TICKS, "more ticks")
    recorder = start("app", "feed", "record", TICKER, "--dir", str(folder))
    wait_until(lambda: "recording" in recorder.said(), "the recorder goes on")
    beat.end()
    worker.end()
    sampler.count()
    assert recorder.end() == 0
    feed.end()

    if len([*folder.glob("*.trades.csv.gz")]) > 1:
        pytest.skip("the day ended during the run: the tape has a part for each day")
    last = max(sampler.seen)
    windows, events = analysed(folder, TICKER, last)
    assert differences(sampler.seen, windows) == []
    stored = [
        member.decode() for member in redis_client.zrange(f"orderflow:patterns:{TICKER}", 0, -1)
    ]
    assert stored
    assert sorted(stored) == sorted(events[json.loads(one)["id"]] for one in stored)
