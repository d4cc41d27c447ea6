"""The totals that `/metrics` publishes."""

from collections.abc import Iterator

import pytest
import redis

from app.analysis.quality_table import ACCEPTED_NAMES, MIS_STAMPED_NAMES, NOW_NAMES, REJECTED_NAMES
from app.core import clock
from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector
from app.storage import keys


def test_each_count_of_records_is_a_total_once_and_what_is_true_now_is_none(
    redis_client: redis.Redis, settings: Settings
) -> None:
    names = sorted({*ACCEPTED_NAMES, *REJECTED_NAMES, *NOW_NAMES})
    stored = {f"records_{name}": number for number, name in enumerate(names, start=1)}
    redis_client.hset("orderflow:counters", mapping=stored)

    samples = [
        sample
        for family in AnalysisCollector(redis_client, settings).collect()
        for sample in family.samples
        if sample.name.startswith("orderflow_records") and sample.value
    ]

    told = [(next(iter(sample.labels.values())), sample.value) for sample in samples]
    totals = {*ACCEPTED_NAMES, *REJECTED_NAMES, *MIS_STAMPED_NAMES}
    assert sorted(told) == [(n, stored[f"records_{n}"]) for n in names if n in totals]


@pytest.fixture
def now() -> Iterator[float]:
    """Give the time in seconds, at which the clock stands still."""
    clock.stand_still(clock.now_ms())
    yield clock.now_ms() / 1000
    clock.stand_still(None)


def gauges(client: redis.Redis, settings: Settings) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in AnalysisCollector(client, settings).collect()
        for sample in family.samples
        if sample.name.startswith("orderflow_newest_")
    }


@pytest.mark.parametrize("seconds", [3, 120, 3600, 86_400])
def test_a_fan_out_and_a_tick_ahead_are_ahead_and_have_no_age(
    redis_client: redis.Redis, settings: Settings, now: float, seconds: int
) -> None:
    ahead_ms = int((now + seconds) * 1000)
    redis_client.hset(keys.HEARTBEAT, mapping={"fanout": ahead_ms, "tick": ahead_ms - 60_000})

    found = gauges(redis_client, settings)
    assert found["orderflow_newest_fanout_ahead_seconds"] == pytest.approx(seconds, abs=0.01)
    assert "orderflow_newest_fanout_age_seconds" not in found
    tick_ahead = max(0.0, seconds - 60.0)
    assert found["orderflow_newest_tick_ahead_seconds"] == pytest.approx(tick_ahead, abs=0.01)
    assert ("orderflow_newest_tick_age_seconds" in found) == (seconds < 60)


@pytest.mark.parametrize("age_seconds", [-1.0, 0.0, 2.0, 600.0])
def test_what_is_believed_has_an_age(
    redis_client: redis.Redis, settings: Settings, now: float, age_seconds: float
) -> None:
    redis_client.hset(keys.HEARTBEAT, "tick", int((now - age_seconds) * 1000))

    found = gauges(redis_client, settings)
    age = found["orderflow_newest_tick_age_seconds"]
    assert age == pytest.approx(max(0.0, age_seconds), abs=0.01)
    ahead = found["orderflow_newest_tick_ahead_seconds"]
    assert ahead == pytest.approx(max(0.0, -age_seconds), abs=0.01)
    assert "orderflow_newest_fanout_age_seconds" not in found, "there was no fan-out"
    assert "orderflow_newest_fanout_ahead_seconds" not in found, "there was no fan-out"
