"""Keys of a ticker as its ticks leave them, written one by one, for the writer to read."""

import json
from collections.abc import Iterable
from typing import Any

import redis

from app.analysis.bars import Bar
from app.analysis.gaps import Gap
from app.storage import keys
from app.storage.tick import codec

EVENT: dict[str, Any] = {
    "type": "wall",
    "side": "bid",
    "status": "closed",
    "close_reason": "moved_away",
    "price_low": 100.0,
    "price_high": 100.0,
    "strength": 0.9,
    "evidence_class": "A",
    "statistic": 2.0,
    "threshold": 1.5,
    "evidence": {},
}


def bar_of(end: int, mid2: int = 200 * 10**8) -> Bar:
    """Return a second in which one quote stood."""
    bar = Bar(end)
    bar.stood = bar.quote_count = bar.compared = 1
    bar.covered_ms = 1000.0
    bar.bid_price, bar.ask_price = mid2 // 2 - 10**6, mid2 // 2 + 10**6
    bar.bid_size = bar.ask_size = 100.0
    bar.mid2, bar.spread = mid2, 2 * 10**6
    return bar


class TickedKeys:
    """Writes the keys of one ticker."""

    def __init__(self, client: redis.Redis, ticker: str) -> None:
        self._client, self.ticker = client, ticker

    def add_bars(self, bars: Iterable[Bar]) -> None:
        """Add seconds to the stream, and note that the ticker has quotes."""
        for bar in bars:
            entry = {"b": codec.encode_bar(bar)}
            self._client.xadd(f"orderflow:bars:{self.ticker}", entry, f"{bar.end}-0")
            self._client.zadd(keys.TICKERS, {self.ticker: bar.end})

    def add_event(self, name: str, opened_at: int, closed_at: int | None) -> None:
        """Add an event, or replace it by its newer form."""
        key = f"orderflow:patterns:{self.ticker}"
        member = {
            "id": f"{self.ticker}~{name}",
            **EVENT,
            "status": "open" if closed_at is None else "closed",
            "opened_at": opened_at,
            "noticed_at": opened_at,
            "updated_at": closed_at or opened_at,
            "closed_at": closed_at,
        }
        self._client.zremrangebyscore(key, opened_at, opened_at)
        self._client.zadd(key, {json.dumps(member, separators=(",", ":")): opened_at})

    def trim_events(self) -> None:
        """Remove all events, as the tick does an hour after they opened."""
        self._client.delete(f"orderflow:patterns:{self.ticker}")

    def set_state(self, *, corrected_at: int = 0, gaps: Iterable[Gap] = ()) -> None:
        """Set what a state tells of stored bars."""
        state = f"orderflow:state:{self.ticker}"
        self._client.delete(state)
        self._client.hset(state, keys.CORRECTED_AT, corrected_at)
        self._client.hset(state, keys.GAPS, codec.encode_gaps([*gaps]))
