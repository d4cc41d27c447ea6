"""Tickers whose ticks and events are written by hand, as a worker writes them."""

import json
from typing import Any

import redis

from app.storage.keys import ticked_channels
from tests.key_writer import KeyWriter


class Market:
    """Ticks a second at a time, from the writer's moment on."""

    def __init__(self, client: redis.Redis, writer: KeyWriter) -> None:
        self._redis = client
        self._writer = writer
        self.as_of = writer.as_of
        self._number = 0

    def tick(self, ticker: str = "SPY", **fields: Any) -> None:
        """Advance the ticker by a second, and publish that it ticked."""
        self.as_of += 1000
        name = f"orderflow:state:{ticker}"
        self._redis.hset(name, mapping={"as_of": self.as_of, "open": self._open(ticker)})
        if fields:
            self._redis.hset(f"orderflow:metrics:{ticker}:1min", mapping=fields)
        self._redis.publish(f"{ticked_channels(0)}{ticker}", str(self.as_of))

    def notice(self, pattern: str = "iceberg", ticker: str = "SPY", **changed: Any) -> str:
        """Tick with a new event; return its id."""
        self._number += 1
        event_id = f"{ticker}~eeeeee{self._number:02}"
        noticed = self.as_of + 1000
        times = {"noticed_at": noticed, "updated_at": noticed}
        self._writer.event(ticker, id=event_id, type=pattern, **times | changed)
        self.tick(ticker)
        return event_id

    def change(self, event_id: str, ticker: str = "SPY", **changed: Any) -> None:
        """Tick with a change of an event."""
        key = f"orderflow:patterns:{ticker}"
        for member, opened in self._redis.zrange(key, 0, -1, withscores=True):
            event = json.loads(member)
            if event["id"] == event_id:
                self._redis.zrem(key, member)
                event |= {"updated_at": self.as_of + 1000} | changed
                self._redis.zadd(key, {json.dumps(event): opened})
        self.tick(ticker)

    def _open(self, ticker: str) -> str:
        members = self._redis.zrange(f"orderflow:patterns:{ticker}", 0, -1)
        return b"\n".join(m for m in members if b'"status": "open"' in m).decode()
