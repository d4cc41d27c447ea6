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
"""As many of the newest quotes are read to sign prints whose aggressor the feed did not give."""
AGGRESSOR_WORDS: Final = {BUY: "buy", SELL: "sell"}
"""The words for the sides of prints, as brokers write them."""
_QUOTES_BEFORE_MS: Final = 10_000
"""So much earlier quotes are read too: one of them stood at the first print."""


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
    if any(isinstance(it, Trade) and it.aggressor == UNSIGNED for it in batch.records):
        before_ms = from_ms - _QUOTES_BEFORE_MS
        quotes = _newest(client, names.quotes(ticker), before_ms, to_ms, MAX_QUOTES)
        batch = parse_batch(quotes, trades)
    return PrintRange(tuple(_signed(batch.records)), complete_from_ms, batch.digits)


def _newest(
    client: redis.Redis, name: str, from_ms: float, to_ms: float, most: int
) -> ScoredMembers:
    """Return the newest members of a key in a range, oldest first; none of a wrong type."""
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


def _signed(records: list[Record]) -> Iterator[Print]:
    """Yield the trades among records in stream order, signed as a tick signs them."""
    standing = StandingQuote()
    for record in records:
        if isinstance(record, Trade):
            sign = standing.sign_trade(record)
            yield Print(record.stamp, record.price, record.size, sign.aggressor)
        else:
            standing.add_quote(record)
