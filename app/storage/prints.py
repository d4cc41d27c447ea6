"""Read the prints of a time range with their sides, as the analysis signs them."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import redis

from app.analysis.record_parser import ScoredMembers, parse_batch
from app.analysis.records import BUY, SELL, UNSIGNED, Record, Trade
from app.analysis.standing_quote import StandingQuote
from app.storage.keys import Keys

MAX_TRADES: Final = 4000
"""As many of the newest prints are read; a stock's quarter of an hour has some hundreds."""
MAX_QUOTES: Final = 4000
"""As many of the newest quotes are read to sign prints whose aggressor the feed did not give.

Before the oldest of them such prints have no side.
"""
AGGRESSOR_WORDS: Final = {BUY: "buy", SELL: "sell"}
"""The words for the sides of prints, as brokers write them."""
_RECORDS_BEFORE: Final = 50
"""So many records before a range are read too: one of them stood at the first print."""


class Print(NamedTuple):
    """A print; its price is in units of 10^-digits. `aggressor` is `UNSIGNED` if not known."""

    stamp: float
    price: int
    size: float
    aggressor: int


class PrintRange(NamedTuple):
    """Prints in stream order; those up to `complete_from_ms` are missing: there are too many."""

    prints: tuple[Print, ...]
    complete_from_ms: float
    digits: int


def read_prints(
    client: redis.Redis, names: Keys, ticker: str, from_ms: float, to_ms: float
) -> PrintRange:
    """Read the prints stamped in (from, to], at most the newest `MAX_TRADES`."""
    trades = _newest(client, names.trades(ticker), from_ms, to_ms, MAX_TRADES)
    complete_from_ms = trades[0][1] if len(trades) == MAX_TRADES else from_ms
    batch = parse_batch([], trades)
    signed_from_ms = from_ms
    if any(isinstance(it, Trade) and it.aggressor == UNSIGNED for it in batch.records):
        quotes = _newest(client, names.quotes(ticker), from_ms, to_ms, MAX_QUOTES)
        if len(quotes) == MAX_QUOTES:
            signed_from_ms = quotes[0][1]
        else:
            quotes = _before(client, names.quotes(ticker), from_ms) + quotes
            trades = _before(client, names.trades(ticker), from_ms) + trades
        batch = parse_batch(quotes, trades)
    prints = tuple(it for it in _signed(batch.records, signed_from_ms) if it.stamp > from_ms)
    return PrintRange(prints, complete_from_ms, batch.digits)


def _newest(
    client: redis.Redis, name: str, from_ms: float, to_ms: float, most: int
) -> ScoredMembers:
    """Return the newest members of a key in (from, to], oldest first; none of a wrong type."""
    store: Any = client
    try:
        found: ScoredMembers = store.zrevrangebyscore(
            name, repr(to_ms), f"({from_ms!r}", 0, most, withscores=True
        )
    except redis.ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            return []
        raise
    return found[::-1]


def _before(client: redis.Redis, name: str, to_ms: float) -> ScoredMembers:
    """Return the last members of a key up to a moment, however old, oldest first."""
    return _newest(client, name, 0.0, to_ms, _RECORDS_BEFORE)


def _signed(records: list[Record], signed_from_ms: float) -> Iterator[Print]:
    """Yield the trades among records in stream order, signed as a tick signs them.

    What stood before `signed_from_ms` may not have been read: no side is inferred there.
    """
    standing = StandingQuote()
    for record in records:
        if isinstance(record, Trade):
            sign = standing.sign_trade(record)
            is_known = sign.is_given or record.stamp >= signed_from_ms
            aggressor = sign.aggressor if is_known else UNSIGNED
            yield Print(record.stamp, record.price, record.size, aggressor)
        else:
            standing.add_quote(record)
