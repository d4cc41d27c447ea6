"""Health for people who watch: what status says, and the lags since the last look."""

import pytest
import redis

from app.core import clock
from app.core.settings import Settings
from app.operations.live_health import HealthWatch
from app.storage.counters import lag_counter
from app.storage.redis_client import connect
from app.storage.worker_presence import add_presence
from tests.key_writer import KeyWriter


@pytest.fixture
def watch(settings: Settings) -> HealthWatch:
    """Give a watch that has not looked yet."""
    return HealthWatch(connect(settings), settings)


def count_lags(client: redis.Redis, *lags_ms: float) -> None:
    for lag_ms in lags_ms:
        client.hincrby("orderflow:counters", lag_counter(lag_ms), 1)
        client.hincrby("orderflow:counters", "ticks_done", 1)


def test_a_healthy_system_has_no_troubles(watch: HealthWatch, writer: KeyWriter) -> None:
    writer.healthy_ticker()

    seen = watch.look()

    assert seen.troubles == []
    assert (seen.active, seen.stale) == (1, 0)
    assert seen.fanout_at == seen.tick_at == round(writer.now - 1000)


def test_workers_that_did_work_of_late_are_counted(
    watch: HealthWatch, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    assert watch.look().workers == 0
    for name, age_ms in (("a:1", 0), ("a:2", 3000), ("b:1", 20_000)):
        add_presence(redis_client, name, clock.now_ms() - age_ms)

    assert watch.look().workers == 2


def test_the_memory_of_redis_is_known_while_a_worker_runs(
    watch: HealthWatch, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    redis_client.hset("orderflow:pulse", "memory", 53_000_000)
    before = watch.look().redis_memory_bytes

    add_presence(redis_client, "a:1", clock.now_ms())

    assert (before, watch.look().redis_memory_bytes) == (None, 53_000_000)


def test_stopped_workers_are_a_trouble(watch: HealthWatch, writer: KeyWriter) -> None:
    writer.healthy_ticker()
    writer.heartbeat(tick_age_seconds=60)

    assert any("ticks last seen" in trouble for trouble in watch.look().troubles)


def test_lags_are_those_since_the_last_look(
    watch: HealthWatch, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    count_lags(redis_client, *[9000.0] * 50)
    first = watch.look()
    count_lags(redis_client, *[280.0] * 90, *[480.0] * 10)

    seen = watch.look()

    assert first.lag_p50_seconds is None, "how old those ticks are is not known"
    assert (seen.lag_p50_seconds, seen.lag_p95_seconds) == (0.3, 0.5)
    assert (seen.ticks_done, seen.ticks_failed, seen.ticks_skipped) == (150, 0, 0)


def test_without_ticks_since_the_last_look_there_is_no_lag(
    watch: HealthWatch, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    count_lags(redis_client, 280.0)
    watch.look()

    assert watch.look().lag_p95_seconds is None


def test_longer_lags_than_any_bound_are_not_said_to_be_shorter(
    watch: HealthWatch, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    count_lags(redis_client, 280.0)
    watch.look()
    count_lags(redis_client, *[99_000.0] * 10)

    assert watch.look().lag_p95_seconds is None


def test_dead_feeds_are_named(
    watch: HealthWatch, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    said = {"source": "kraken", "scope": "venue", "alive_at": writer.now - 60_000}
    redis_client.hset("orderflow:feed:SPY", mapping=said)

    seen = watch.look()

    assert seen.feeds == {"kraken, one venue, FEED DOWN": 1}
    assert seen.feeds_down == ["SPY"]
    assert any("FEED DOWN" in trouble for trouble in seen.troubles)
