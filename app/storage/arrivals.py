"""Notice that records arrive at keys whose newest quote is old, however they are stamped.

What the keys held is remembered from look to look. The first look at a key tells nothing: after a
restart all old keys would seem to be written to.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from app.storage import keys
from app.storage.keys import Keys
from app.storage.scripts import SHORTEN_RECORDS

# Looking at a ticker takes 9 µs of Redis. Where there are more, each is looked at less often.
LOOKS_A_SLICE = 2_000
CLUSTER_LOOKS_A_SLICE = 1_000
TICKERS_PER_SCRIPT = 100  # block Redis for a millisecond

# KEYS: the hash of sightings, then quotes and trades of each ticker. ARGV: the tickers.
# Returns the position, the former and the new sighting of each ticker whose keys have changed.
SIGHTINGS_SCRIPT = (
    SHORTEN_RECORDS
    + """
local known = redis.call('HMGET', KEYS[1], unpack(ARGV))
local changed = {}
for i, ticker in ipairs(ARGV) do
  local seen = {}
  for place = 1, 2 do
    local key = KEYS[2 * i + place - 1]
    local newest = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
    local is_there = not newest.err and newest[2]
    if is_there then
      shorten(key, newest[1], newest[2])
    end
    seen[2 * place - 1] = is_there and newest[2] or '0'
    seen[2 * place] = is_there and redis.call('ZCARD', key) or 0
  end
  local sighting = table.concat(seen, ' ')
  if known[i] ~= sighting then
    redis.call('HSET', KEYS[1], ticker, sighting)
    if known[i] then
      changed[#changed + 1] = i
      changed[#changed + 1] = known[i]
      changed[#changed + 1] = sighting
    end
  end
end
return changed
"""
)


class KeySighting(NamedTuple):
    """The newest score of a key, 0 where it is empty, and its number of records."""

    newest: float
    records: int

    def has_more_than(self, earlier: "KeySighting") -> bool:
        """Return whether records arrived since an earlier sighting; trimming is no arrival."""
        return self.newest > earlier.newest or self.records > earlier.records


class Sighting(NamedTuple):
    """What a ticker's quotes and trades looked like."""

    quotes: KeySighting
    trades: KeySighting

    @classmethod
    def from_text(cls, text: bytes | str) -> "Sighting | None":
        """Parse a stored sighting; None if it is unreadable.

        >>> Sighting.from_text("5.5 2 0 0").quotes
        KeySighting(newest=5.5, records=2)
        """
        try:
            newest_quote, quotes, newest_trade, trades = text.split()
            return cls(
                KeySighting(float(newest_quote), int(quotes)),
                KeySighting(float(newest_trade), int(trades)),
            )
        except ValueError:
            return None


class Change(NamedTuple):
    """A ticker whose keys have changed since they were last looked at."""

    ticker: str
    before: Sighting
    after: Sighting

    @property
    def is_arrival(self) -> bool:
        """Return whether records arrived."""
        pairs = zip(self.before, self.after, strict=True)
        return any(after.has_more_than(before) for before, after in pairs)

    @property
    def newest_arrived(self) -> float:
        """Return the newest score of the keys at which newer records arrived, 0 if none did."""
        pairs = zip(self.before, self.after, strict=True)
        return max([after.newest for before, after in pairs if after.newest > before.newest] or [0])


class ArrivalDetector:
    """Compares keys with what they held when they were last looked at."""

    def __init__(self, client: Any, names: Keys, *, is_cluster: bool) -> None:  # noqa: ANN401 - redis-py's
        self._redis = client
        self._names = names
        self._is_cluster = is_cluster
        self._script = client.register_script(SIGHTINGS_SCRIPT)

    def changes(self, tickers: Sequence[str], now_ms: float) -> list[Change]:
        """Look at the keys of tickers, a part of them at a time; return those that changed."""
        due = self._due(tickers, now_ms)
        if not due:
            return []
        find = self._find_in_cluster if self._is_cluster else self._find
        found = [
            Change(ticker, before, after)
            for ticker, old, new in find(due)
            if (before := Sighting.from_text(old)) and (after := Sighting.from_text(new))
        ]
        self._redis.expire(keys.SIGHTINGS, keys.SIGHTINGS_LIFETIME_SECONDS)
        return found

    def forget_gone(self, old_keys: int) -> None:
        """Forget all sightings where most are of keys that are gone."""
        if self._redis.hlen(keys.SIGHTINGS) > 2 * old_keys + LOOKS_A_SLICE:
            self._redis.unlink(keys.SIGHTINGS)

    def _due(self, tickers: Sequence[str], now_ms: float) -> Sequence[str]:
        """Return the tickers whose turn it is: all, or an equal part of many each second."""
        most = CLUSTER_LOOKS_A_SLICE if self._is_cluster else LOOKS_A_SLICE
        parts = -(-len(tickers) // most)
        if parts <= 1:
            return tickers
        turn = int(now_ms // 1000) % parts
        return [ticker for ticker in tickers if zlib.crc32(ticker.encode()) % parts == turn]

    def _find(self, tickers: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        for start in range(0, len(tickers), TICKERS_PER_SCRIPT):
            batch = tickers[start : start + TICKERS_PER_SCRIPT]
            names = [name for ticker in batch for name in self._names_of(ticker)]
            reply = iter(self._script(keys=[keys.SIGHTINGS, *names], args=batch))
            for position, before, after in zip(reply, reply, reply, strict=True):
                yield batch[position - 1], before, after

    def _find_in_cluster(self, tickers: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        """Do the same by commands of each key: a script's keys must share a slot."""
        known = self._redis.hmget(keys.SIGHTINGS, tickers)
        pipe = self._redis.pipeline(transaction=False)
        for ticker in tickers:
            for name in self._names_of(ticker):
                pipe.zrange(name, -1, -1, withscores=True)
                pipe.zcard(name)
        replies = iter(pipe.execute(raise_on_error=False))
        seen = {}
        for ticker, before in zip(tickers, known, strict=True):
            sighting = " ".join([_key_text(next(replies), next(replies)) for _ in range(2)])
            if before is None or before.decode(errors="replace") != sighting:
                seen[ticker] = sighting
                if before is not None:
                    yield ticker, before, sighting.encode()
        if seen:
            self._redis.hset(keys.SIGHTINGS, mapping=seen)

    def _names_of(self, ticker: str) -> tuple[str, str]:
        return self._names.quotes(ticker), self._names.trades(ticker)


def _key_text(newest: object, count: object) -> str:
    if isinstance(newest, list) and newest and isinstance(count, int):
        return f"{newest[0][1]!r} {count}"
    return "0 0"
