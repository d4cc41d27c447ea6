"""Feeds that are behind, and delayed ones, in the running system."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from app.answers.reader import Reader
from app.answers.snapshot import TickerSnapshot
from app.core.errors import NoAnswer
from app.core.settings import Settings
from app.operations.status import HealthInspector
from tests.processes import Start, wait_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

WORKER = ("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
BEAT = ("celery", "-A", "tasks", "beat")
LAGS = {"NOW": 0, "LATE3": 3, "LATE10": 10, "DELAYED": 900, "DELAYED6H": 21_600}
START_CENTS = 10_000
IN_TIME_MS = 150.0
"""Less than ORDERFLOW_SETTLE_MS, after which a tick reads."""
NOTED_FOR_MS = 15_000.0
"""A late record is counted for no longer than the shortest window, and the ticks around it."""


class LateBroker(threading.Thread):
    """Writes five quotes a second to each ticker, each as long after its stamp as it is late."""

    def __init__(self, client: redis.Redis, lags: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._client, self._lags, self._ended = client, lags, threading.Event()
        self._bids: dict[str, list[tuple[float, float]]] = {ticker: [] for ticker in lags}
        self._delays: list[tuple[float, float]] = []

    def run(self) -> None:
        """Write until the end is asked for; the bid rises by a cent each time."""
        number = 0
        while not self._ended.wait(0.2):
            number += 1
            for ticker, lag in self._lags.items():
                at_ms = time.time() * 1000
                stamp = round(at_ms) - lag * 1000
                bid = (START_CENTS + number) / 100
                fields = {"bid_price": bid, "bid_size": 5, "ask_price": bid + 0.05, "ask_size": 7}
                member = json.dumps({**fields, "timestamp": stamp, "seq": number})
                self._bids[ticker].append((stamp, bid))
                self._client.zadd(f"orderflow:quotes:{ticker}", {member: stamp})
                self._delays.append((at_ms, time.time() * 1000 - at_ms))

    def standing_bid(self, ticker: str, as_of_ms: float) -> float:
        """Return the bid of the newest quote that is not stamped after a time."""
        return [bid for stamp, bid in [*self._bids[ticker]] if stamp <= as_of_ms][-1]

    def was_in_time(self, from_ms: float) -> bool:
        """Tell whether every record since then was in Redis before its tick was due.

        On a busy machine this broker itself may be late, beyond how late its tickers are.
        """
        return all(delay < IN_TIME_MS for at_ms, delay in [*self._delays] if at_ms >= from_ms)

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


def told_in_time(reader: Reader, broker: LateBroker, ticker: str) -> TickerSnapshot:
    """Return a ticker's answer of seconds in which the broker itself was in time."""
    found: list[TickerSnapshot] = []

    def is_in_time() -> bool:
        found[:] = [reader.snapshot(ticker, 10)]
        return broker.was_in_time(time.time() * 1000 - NOTED_FOR_MS)

    wait_until(is_in_time, "a broker that writes in time")
    return found[0]


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
        snapshot = told_in_time(reader, broker, ticker)
        assert snapshot.feed_lag_seconds in ({0} if not lag else {lag, lag + 1}), ticker
        assert not snapshot.stale
        assert not snapshot.quiet
        assert snapshot.as_of_ms is not None
        standing = broker.standing_bid(ticker, snapshot.as_of_ms)
        assert snapshot.metrics["bid_price"] == pytest.approx(standing)
        assert "late" not in snapshot.quality.counts, ticker
    status = HealthInspector(redis_client, settings).status()
    assert {*status.lagging} == {"LATE3", "LATE10"}
    assert {*status.delayed} == {"DELAYED", "DELAYED6H"}
    assert any("behind" in trouble and "LATE10" in trouble for trouble in status.troubles)
    assert status.behind == []
