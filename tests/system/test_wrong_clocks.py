"""Clocks of the running system that are wrong for five seconds: told meanwhile, overcome after."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.answers.reader import Reader
from app.answers.ticker_answer import Answer, build_answer
from app.answers.ticker_text import as_text
from app.core.settings import Settings
from app.operations.status import HealthInspector
from tests.faults.system import System
from tests.processes import ROOT, Environment, wait_until
from tests.system.test_feed_lag import LateBroker
from tests.timing import AssertWithin

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

TICKER = "SPY"
LASTS_SECONDS = 5.0
WINDOW = f"orderflow:metrics:{TICKER}:10s"


@pytest.fixture
def system(tmp_path: Path, environment: Environment) -> Iterator[System]:
    """Run beat and two workers on a Redis of their own, with a ticker whose feed is in time."""
    mode = {"ORDERFLOW_FAST_PATH": environment["ORDERFLOW_FAST_PATH"]}
    running = System(tmp_path, settings=mode)
    try:
        running.open()
        broker = LateBroker(running.client, {TICKER: 0})
        broker.start()
        wait_until(lambda: is_fresh(running) and not troubles(running), "all is well")
        yield running
        broker.end()
    finally:
        running.close()


def as_of_ms(system: System) -> float:
    return float(system.client.hget(WINDOW, "as_of") or 0)


def is_fresh(system: System) -> bool:
    """Return whether the newest tick is neither ahead nor stale by the true clock."""
    return 0 <= time.time() * 1000.0 - as_of_ms(system) < 2500


def answer(system: System) -> Answer:
    with closing(Reader.from_settings(Settings(redis_port=system.port))) as reader:
        return build_answer(reader.snapshot(TICKER, 60))


def troubles(system: System) -> list[str]:
    settings = Settings(redis_port=system.port)
    return [*HealthInspector(system.client, settings).status().troubles]


def checked(system: System, environment: Environment) -> tuple[int, str]:
    """Run `orderflow status --check`; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "status", "--check"],
        cwd=ROOT,
        env=environment | {"REDIS_PORT": str(system.port)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def set_clocks(system: System, seconds: float, *pids: int) -> list[Path]:
    """Set the clocks of processes; they are right again once what this returns is removed."""
    return [system.request(f"clock-{pid}", str(seconds * 1000.0)) for pid in pids]


def set_right(requests: list[Path], began: float) -> tuple[float, float]:
    """Set clocks right again after their time, and return when (s, and epoch ms)."""
    time.sleep(max(0.0, began + LASTS_SECONDS - time.monotonic()))
    for request in requests:
        request.unlink()
    return time.monotonic(), time.time() * 1000.0


def test_beat_and_workers_that_were_two_minutes_ahead_are_told_and_overcome(
    system: System, environment: Environment, assert_within: AssertWithin
) -> None:
    assert system.beat is not None
    began = time.monotonic()
    pids = (system.beat.pid, *(worker.pid for worker in system.workers.values()))
    requests = set_clocks(system, 120, *pids)
    wait_until(lambda: as_of_ms(system) > time.time() * 1000.0 + 100_000, "ticks are ahead")
    wait_until(lambda: "clocks differ" in str(troubles(system)), "the clocks' trouble is told")
    found = answer(system)
    exit_code, said = checked(system, environment)
    right_at, right_ms = set_right(requests, began)
    wait_until(lambda: is_fresh(system), "ticks ahead are taken back")
    assert_within(3.0, time.monotonic() - right_at)

    assert found.ahead
    assert "AHEAD: " in as_text(found)
    assert exit_code == 1
    assert f"TROUBLE: AHEAD of this clock, and not to be believed: ticks of {TICKER}" in said
    assert "TROUBLE: clocks differ" in said
    corrected = answer(system)
    assert (corrected.ahead, corrected.stale) == (False, False)
    quality = json.loads(system.client.hget(WINDOW, "quality") or b"{}")
    assert abs(quality["clock_corrected_at"] - right_ms) < 30_000
    wait_until(lambda: not troubles(system), "the status has no trouble any more")
    wait_until(lambda: checked(system, environment)[0] == 0, "the check passes")


def test_a_beat_whose_clock_was_an_hour_ahead_goes_on_and_the_advice_names_the_clock(
    system: System, environment: Environment, assert_within: AssertWithin
) -> None:
    assert system.beat is not None
    began, before = time.monotonic(), as_of_ms(system)
    requests = set_clocks(system, 3600, system.beat.pid)
    wait_until(lambda: bool(troubles(system)), "the status has a trouble")
    exit_code, said = checked(system, environment)
    right_at, right_ms = set_right(requests, began)
    meanwhile = as_of_ms(system)
    wait_until(lambda: as_of_ms(system) > right_ms, "ticks of after that")
    # The next whole second ends up to a second later, and its tick is due a fifth after that.
    assert_within(2.0, time.monotonic() - right_at)

    assert exit_code == 1
    assert "TROUBLE: clocks differ: by Redis's clock, beat's is wrong" in said
    assert "start `celery" not in said
    assert meanwhile - before >= 2000, "ticks stood still, though the workers' clocks were right"
    assert system.beat.process.poll() is None
    wait_until(lambda: not troubles(system), "the status has no trouble any more")
    wait_until(lambda: is_fresh(system), "ticks are fresh")
