"""Days pass, Redis is emptied each night, the writer is killed: the history misses nothing."""

from pathlib import Path
from random import Random

import redis

from app.analysis.bars import SECOND_MS
from app.core.settings import Settings
from tests.history.kept import kept_of
from tests.history.killed_writer import KilledWriter
from tests.history.simulated_days import Found, differences, run_day, simulated_day, undisturbed
from tests.processes import Environment

CLOSE_MS = 1_704_747_600_000
"""2024-01-08 21:00 UTC, a Monday: New York's close."""
MIDNIGHT_MS = 1_704_758_400_000
GROUPS = {"AAPL": ["AAPL", "BRK.B"]}
PAIRS = {"BTC-USD": ["ETH/USD"]}
MINUTES = 10


def test_each_second_and_event_is_kept_once_whatever_is_killed(
    redis_client: redis.Redis, settings: Settings, environment: Environment, tmp_path: Path
) -> None:
    rng = Random(11)  # noqa: S311 - when to kill
    config = settings.model_copy(update={"interval_seconds": 10})
    before_ms = MINUTES // 2 * 60 * SECOND_MS
    days = [
        simulated_day(GROUPS, 1, CLOSE_MS - before_ms, MINUTES * 60),
        simulated_day(PAIRS, 2, MIDNIGHT_MS - before_ms, MINUTES * 60),
    ]
    writer = KilledWriter(tmp_path / "history", environment, rng, kill_share=0.06)
    for day in days:
        run_day(redis_client, config, day, writer.step)
    writer.kill()

    assert writer.kills > 3
    for day in days:
        for ticker in day.records:
            expected, kept = undisturbed(day, ticker), kept_of(tmp_path / "history", ticker)
            assert len(expected.bars) > MINUTES * 50
            assert list(differences(expected, kept)) == []


def test_a_difference_is_found() -> None:
    expected = Found({1000: b"a", 2000: b"b"}, {"SPY~a": "{}"})
    kept = Found({2000: b"c", 3000: b"d"}, {"SPY~a": "{}"})
    assert list(differences(expected, kept)) == [
        "bars 1000 is missing",
        "bars 3000 is too much",
        "bars 2000 differs: b'c' instead of b'b'",
    ]
