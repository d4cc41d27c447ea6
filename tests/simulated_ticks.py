"""Tickers of the simulation, written to Redis and ticked second by second, up to now."""

from collections.abc import Callable

import pytest
import redis

from app.analysis.records import Record
from app.core import clock
from app.core.settings import Settings
from app.feeds.simulation.profiles import profile_of
from app.feeds.simulation.run import simulate
from app.storage.tick_store import TickStore
from tests.broker import publish

ASKED_MS = 700.0
"""Questions are asked so long after the newest tick's `as_of`."""
SEED = 7


class SimulatedTicks:
    """Ticks of simulated tickers; the clock stands still between them."""

    def __init__(self, client: redis.Redis, settings: Settings, patch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.as_of = int(clock.now_ms()) // 1000 * 1000
        self.records: dict[str, list[Record]] = {}
        self._store = TickStore(settings)
        self._coming: dict[str, Callable[[], list[Record]]] = {}
        self._set_clock = lambda now_ms: patch.setattr(clock, "now_ms", lambda: now_ms)

    def begin(self, *tickers: str) -> None:
        """Let tickers trade from now on."""
        for ticker in tickers:
            made = simulate(ticker, SEED, self.as_of, None, profile_of(ticker))
            self._coming[ticker] = lambda made=made: next(made)[0]  # type: ignore[misc]
            self.records[ticker] = []

    def next_records(self, ticker: str) -> list[Record]:
        """Return the records of a ticker's next second, which are written nowhere yet."""
        return self._coming[ticker]()

    def tick(self, ticker: str, records: list[Record]) -> None:
        """Write a second's records of the only ticker, and tick."""
        self._begin_second()
        self._tick(ticker, records)
        self._say_alive()

    def run(self, seconds: int) -> int:
        """Run so many seconds of all tickers; return the newest tick's `as_of`."""
        for _ in range(seconds):
            self._begin_second()
            for ticker in self._coming:
                self._tick(ticker, self.next_records(ticker))
        self._say_alive()
        return self.as_of

    def _begin_second(self) -> None:
        self.as_of += 1000
        self._set_clock(self.as_of + ASKED_MS)

    def _tick(self, ticker: str, records: list[Record]) -> None:
        publish(self.client, ticker, records)
        self.records[ticker] += records
        self._store.run_tick(ticker, self.as_of)

    def _say_alive(self) -> None:
        seen = {"fanout": self.as_of, "tick": self.as_of}
        self.client.hset("orderflow:pulse", mapping=seen)
        self.client.zadd("orderflow:tickers", dict.fromkeys(self._coming, self.as_of))

    def stop(self, ticker: str) -> None:
        """Let a ticker be ticked no more, though it is active."""
        del self._coming[ticker]

    def forget(self, ticker: str) -> None:
        """Let a ticker trade no more, and be active no more."""
        del self._coming[ticker]
        self.client.zrem("orderflow:tickers", ticker)

    def pass_time(self, seconds: float) -> None:
        """Let the clock go on without a tick."""
        self._set_clock(self.as_of + ASKED_MS + seconds * 1000)
