"""Read and write the settle times of the tickers whose feeds are behind."""

from collections.abc import Mapping
from typing import Any

import redis

from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.tick.arrival_lag import MAX_JITTER_SECONDS
from app.storage.tick_connection import WRONG_TYPE


def is_delayed(settle_seconds: int) -> bool:
    """Return whether a settle time is that of a delayed feed: over 30 s.

    >>> is_delayed(30), is_delayed(31)
    (False, True)
    """
    return settle_seconds > MAX_JITTER_SECONDS


def read_seconds(text: bytes | None) -> int:
    """Return a stored settle time in seconds, 0 for none.

    >>> read_seconds(b"10"), read_seconds(None), read_seconds(b"-3"), read_seconds(b"ten")
    (10, 0, 0, 0)
    """
    return int(text) if text and text.isdigit() and len(text) < len("10000000") else 0


def read_lags(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    """Return the settle times in seconds by ticker, as the hash holds them."""
    named = ((name.decode("ascii", "replace"), read_seconds(text)) for name, text in fields.items())
    return {ticker: seconds for ticker, seconds in named if seconds and is_ticker(ticker)}


class FeedLags:
    """The settle times of all tickers, in one hash."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a server's or a cluster's client
        self._redis = client
        self._read_at = 0
        self._lags: dict[str, int] = {}

    def seconds_of(self, ticker: str, now: int) -> int:
        """Return a ticker's settle time, 0 for none; the hash is read once for each tick's time."""
        if now != self._read_at:
            self._lags = self.all()
            self._read_at = now
        return self._lags.get(ticker, 0)

    def all(self) -> dict[str, int]:
        """Return the settle times in seconds by ticker; none while the key has a wrong type."""
        [fields] = self._execute(("HGETALL", keys.LAGS))
        return {} if isinstance(fields, redis.ResponseError) else read_lags(fields)

    def store(self, ticker: str, seconds: int) -> bool:
        """Store a ticker's settle time, or remove it at 0; return whether Redis took it."""
        change = ("HSET", keys.LAGS, ticker, seconds) if seconds else ("HDEL", keys.LAGS, ticker)
        replies = self._execute(change, ("EXPIRE", keys.LAGS, keys.LAGS_LIFETIME_SECONDS))
        return not isinstance(replies[0], redis.ResponseError)

    def _execute(self, *commands: tuple[object, ...]) -> list[Any]:
        """Return the replies; a wrong type is returned as one: discovery moves such keys away."""
        pipe = self._redis.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        replies: list[Any] = pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and WRONG_TYPE not in str(reply):
                raise reply
        return replies
