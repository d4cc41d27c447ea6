"""Shards and the order in which a process serves the queues."""

import pytest

from app.core.settings import Settings
from tasks.queues import current_shard, queue_names, shard_of


def settings_of(shards: int, shard: int | None = None) -> Settings:
    return Settings(ORDERFLOW_SHARDS=shards, ORDERFLOW_SHARD=shard)  # type: ignore[call-arg]


def test_a_ticker_is_in_the_same_shard_everywhere() -> None:
    assert [shard_of(ticker, 3) for ticker in ("AAPL", "SPY", "T1")] == [0, 1, 2]


def test_shards_are_alike_in_size() -> None:
    sizes = [0, 0, 0]
    for number in range(3000):
        sizes[shard_of(f"T{number}", 3)] += 1

    assert min(sizes) > 0.9 * max(sizes)


def test_every_process_serves_every_queue_fan_outs_first() -> None:
    assert queue_names(settings_of(3)) == ["fanout", "ticks.0", "ticks.1", "ticks.2"]


def test_a_process_serves_its_own_shard_before_the_others() -> None:
    assert queue_names(settings_of(3, shard=2)) == ["fanout", "ticks.2", "ticks.0", "ticks.1"]


def test_a_ticker_that_moved_belongs_where_it_moved_to() -> None:
    assert current_shard("AAPL", 3, {}) == 0
    assert current_shard("AAPL", 3, {"AAPL": 2}) == 2
    assert current_shard("AAPL", 3, {"AAPL": 7}) == 0  # there are fewer shards by now


def test_honchos_number_names_the_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HONCHO_PROCESS_NAME", "worker.2")

    assert queue_names(settings_of(3))[1] == "ticks.1"
