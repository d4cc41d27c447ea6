"""Feeds that are behind, and delayed ones, in the running system."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from app.answers.reader import Reader
from app.core.errors import NoAnswer
from app.core.settings import Settings
from app.operations.status import HealthInspector
from tests.processes import Start, wait_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

WORKER = ("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
BEAT = ("celery", "-A", "tasks", "beat")
LAGS = {"NOW": 0, "LATE3": 3, "LATE10": 10, "DELAYED": 900, "DELAYED6H": 21_600}
START_CENTS = 10_000


def price_at(stamp_ms: float, began_ms: float) -> float:
    """Return the bid that a quote of a stamp has: it rises by a cent a quote."""
    return (START_CENTS + round((stamp_ms - began_ms) / 200)) / 100


class LateBroker(threading.Thread):
    """Writes five quotes a second to each ticker, each as long after its stamp as it is late."""

    def __init__(self, client: redis.Redis, lags: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._client, self._lags, self._ended = client, lags, threading.Event()
        self.began_ms = time.time() * 1000 // 1000 * 1000

    def run(self) -> None:
        """Write until the end is asked for."""
        for number in range(1_000_000):
            due_ms = self.began_ms + number * 200
            if self._ended.wait(max(0.0, due_ms / 1000 - time.time())):
                return
            for ticker, lag in self._lags.items():
                stamp = due_ms - lag * 1000
                bid = price_at(due_ms, self.began_ms)
                fields = {"bid_price": bid, "bid_size": 5, "ask_price": bid + 0.05, "ask_size": 7}
                member = json.dumps({**fields, "timestamp": stamp, "seq": number})
                self._client.zadd(f"orderflow:quotes:{ticker}", {member: stamp})

    def end(self) -> None:
        """Stop writing."""
        self._ended.set()
        self.join()


@pytest.fixture
def broker(redis_client: redis.Redis) -> Iterator[LateBroker]:
    """Run a broker whose tickers are late by `LAGS`."""
    running = LateBroker(redis_client, LAGS)
    running.start()
    yield running
    running.end()


def covered_seconds(reader: Reader, ticker: str) -> float:
    try:
        covered = reader.snapshot(ticker, 10).metrics.get("covered_seconds", 0.0)
    except NoAnswer:
        return 0.0
    return float(covered) if reader.snapshot(ticker, 10).as_of_ms else 0.0


def test_late_and_delayed_feeds_are_served_and_said(
    broker: LateBroker,
    start: Start,
    reader: Reader,
    redis_client: redis.Redis,
    settings: Settings,
) -> None:
    start(*WORKER)
    start(*BEAT)
    for ticker in LAGS:
        wait_until(
            lambda ticker=ticker: covered_seconds(reader, ticker) >= 9.5, f"10 s of {ticker}"
        )

    for ticker, lag in LAGS.items():
        snapshot = reader.snapshot(ticker, 10)
        assert snapshot.feed_lag_seconds in ({0} if not lag else {lag, lag + 1}), ticker
        assert not snapshot.stale
        assert not snapshot.quiet
        assert snapshot.as_of_ms is not None
        standing = price_at(snapshot.as_of_ms + lag * 1000, broker.began_ms)
        assert snapshot.metrics["bid_price"] == pytest.approx(standing)
        assert "late" not in snapshot.quality.counts, ticker
    status = HealthInspector(redis_client, settings).status()
    assert {*status.lagging} == {"LATE3", "LATE10"}
    assert {*status.delayed} == {"DELAYED", "DELAYED6H"}
    assert any("behind" in trouble and "LATE10" in trouble for trouble in status.troubles)
    assert status.behind == []
