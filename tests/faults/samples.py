"""Samples of the published keys, taken twice a second."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import redis

from app.analysis.touch import SIDE_NAMES
from app.analysis.windows import WINDOWS

EACH_SECONDS = 0.4
LAGS = "orderflow:lags"
"""Settle times of the tickers that have one of their own, in seconds."""

Members = dict[bytes, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One ticker's published keys at one moment of the sampler's clock."""

    ticker: str
    at_ms: float
    before_ms: float
    """When the sampler looked the time before: what is new appeared in between."""
    as_of: int
    windows: dict[str, dict[bytes, bytes]]
    patterns: Members
    levels: tuple[Members, Members]
    lag_ms: int = 0
    """The ticker's own settle time: its ticks fold to an `as_of` so much earlier."""
    session: dict[bytes, bytes] = field(default_factory=dict)
    outcomes: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def due_ms(self) -> int:
        """Return which second's tick this is."""
        return self.as_of + self.lag_ms

    def quality(self, window: str) -> dict[str, object]:
        """Return a window's quality."""
        found: dict[str, object] = msgspec.json.decode(self.windows[window][b"quality"])
        return found


class Sampler:
    """Looks at all tickers' keys from a thread of its own."""

    def __init__(self, port: int, tickers: Sequence[str]) -> None:
        self._client = redis.Redis(port=port, socket_timeout=1.0, retry=None)
        self.tickers = list(tickers)
        self.samples: list[Sample] = []
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Sample the keys until `end` is called."""
        self._thread.start()

    def end(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    def newest(self, ticker: str) -> int:
        """Return the second of the newest tick seen of a ticker, 0 for none."""
        return next((s.due_ms for s in reversed(self.samples) if s.ticker == ticker), 0)

    def _run(self) -> None:
        before_ms = time.time() * 1000.0
        while not self._stop.wait(EACH_SECONDS):
            try:
                for ticker in self.tickers:
                    self._look(ticker, before_ms)
            except redis.RedisError:
                continue
            before_ms = time.time() * 1000.0

    def _look(self, ticker: str, before_ms: float) -> None:
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(f"orderflow:session:{ticker}")
        pipe.hgetall(f"orderflow:outcomes:{ticker}")
        for window in WINDOWS:
            pipe.hgetall(f"orderflow:metrics:{ticker}:{window}")
        pipe.zrange(f"orderflow:patterns:{ticker}", 0, -1, withscores=True)
        for side in SIDE_NAMES:
            pipe.zrange(f"orderflow:levels:{ticker}:{side}", 0, -1, withscores=True)
        pipe.hget(LAGS, ticker)
        session, outcomes, *hashes, patterns, bids, asks, lag_seconds = pipe.execute()
        if not all(hashes):
            return
        stamps = {int(fields[b"as_of"]) for fields in hashes}
        if len(stamps) != 1:
            self.faults.append(f"{ticker}: windows of different ticks at once: {sorted(stamps)}")
            return
        self.samples.append(
            Sample(
                ticker,
                time.time() * 1000.0,
                before_ms,
                stamps.pop(),
                dict(zip(WINDOWS, hashes, strict=True)),
                dict(patterns),
                (dict(bids), dict(asks)),
                int(lag_seconds or 0) * 1000,
                session,
                outcomes,
            )
        )
