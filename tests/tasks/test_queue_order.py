"""Which queues a worker takes from on stock Celery: others' ticks only late in an interval."""

from collections.abc import Iterator

import pytest

from app.core import clock
from app.core.settings import settings
from tasks.queue_order import ShardQueueOrder

QUEUES = ["fanout", "ticks.1", "ticks.2", "ticks.0"]
OWN = QUEUES[:2]


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShardQueueOrder]:
    """Give the order of a worker of shard 1."""
    monkeypatch.setenv("ORDERFLOW_SHARD", "1")
    settings.cache_clear()
    yield ShardQueueOrder([*QUEUES])
    settings.cache_clear()


@pytest.mark.parametrize(
    ("ms_after_due", "queues"),
    [(0.0, OWN), (400.0, OWN), (500.0, QUEUES), (850.0, QUEUES), (950.0, OWN)],
)
def test_others_are_helped_in_the_second_half_of_an_interval(
    order: ShardQueueOrder,
    monkeypatch: pytest.MonkeyPatch,
    ms_after_due: float,
    queues: list[str],
) -> None:
    due_ms = 1_000_000.0 + settings().settle_ms
    monkeypatch.setattr(clock, "now_ms", lambda: due_ms + ms_after_due)

    assert order.consume(len(QUEUES)) == queues


def test_a_plain_worker_takes_from_all_queues(
    order: ShardQueueOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "own", None)
    monkeypatch.setattr(clock, "now_ms", lambda: 1_000_200.0)

    assert order.consume(len(QUEUES)) == QUEUES
