"""Write records as a broker does: `python -m benchmarks.feeder PORT TICKERS RATE PAST_SECONDS`.

Writes `PAST_SECONDS` of records at once, then each ticker's new ones five times a second until it
is stopped. Books walk randomly, with a trade for every ten quotes.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.books import Book
from benchmarks.redis_socket import RedisSocket, encode_command

_SLICES = 5
_KINDS = ("quotes", "trades")
# Made in advance, so that the feed takes little CPU from the processes that are measured.
_BOOKS, _QUOTES_A_BOOK, _QUOTES_A_TRADE = 32, 6000, 10


class _Record(NamedTuple):
    """A quote and the trade after it, if there is one; without stamp and sequence number."""

    quote: bytes
    trade: bytes | None


def _walk(seed: int) -> list[_Record]:
    book = Book(seed)
    records = []
    for number in range(1, _QUOTES_A_BOOK + 1):
        quote = _without_stamp(book.quote(0.0))
        has_trade = number % _QUOTES_A_TRADE == 0
        records.append(_Record(quote, _without_stamp(book.trade(0.0)) if has_trade else None))
    return records


def _without_stamp(record: bytes) -> bytes:
    return record.partition(b",")[2].rpartition(b',"seq"')[0]


class _Ticker:
    """A ticker that repeats one of the walks, from an offset of its own."""

    def __init__(self, name: str, number: int, walk: Sequence[_Record]) -> None:
        self._quotes, self._trades = (f"orderflow:{kind}:{name}".encode() for kind in _KINDS)
        self._walk, self._index = walk, number * 997 % len(walk)
        self._seq = 0

    def commands(self, stamps: Sequence[float]) -> list[bytes]:
        """Return the commands that add a quote at each stamp, and the trades between."""
        quotes, trades = [b"ZADD", self._quotes], [b"ZADD", self._trades]
        for stamp in stamps:
            record = self._walk[self._index]
            self._index = (self._index + 1) % len(self._walk)
            quotes += self._member(stamp, record.quote)
            if record.trade is not None:
                trades += self._member(stamp, record.trade)
        return [encode_command(*words) for words in (quotes, trades) if len(words) > 2]  # noqa: PLR2004

    def _member(self, stamp: float, fields: bytes) -> tuple[bytes, bytes]:
        self._seq += 1
        member = b'{"timestamp":%.3f,%s,"seq":%d}' % (stamp, fields, self._seq)
        return b"%.3f" % stamp, member


def _slices(rate: int) -> Iterator[int]:
    """Yield the number of quotes of each slice of a second."""
    for number in range(_SLICES):
        yield rate * (number + 1) // _SLICES - rate * number // _SLICES


def _stamps(until_ms: float, number: int) -> list[float]:
    gap = 1000.0 / _SLICES / max(1, number)
    return [until_ms - gap * back for back in range(number - 1, -1, -1)]


def _feed(port: int, names: list[str], rate: int, past_seconds: int) -> None:
    connection = RedisSocket(port)
    walks = [_walk(seed) for seed in range(min(_BOOKS, len(names)))]
    tickers = [_Ticker(name, at, walks[at % len(walks)]) for at, name in enumerate(names)]
    now_ms = time.time() * 1000
    for ticker in tickers:
        seconds = range(past_seconds, 0, -1)
        past = [now_ms - 1000 * back + s * 1000 / rate for back in seconds for s in range(rate)]
        for start in range(0, len(past), 500):
            commands = ticker.commands(past[start : start + 500])
            connection.round_trip(commands, len(commands))
    print("fed", flush=True)
    counts = list(_slices(rate))
    slice_index = int(time.time() * _SLICES)
    while True:
        slice_index += 1
        time.sleep(max(0.0, slice_index / _SLICES - time.time()))
        number = counts[slice_index % _SLICES]
        until_ms = slice_index * 1000.0 / _SLICES
        if number:
            stamps = _stamps(until_ms, number)
            commands = [command for ticker in tickers for command in ticker.commands(stamps)]
            connection.round_trip(commands, len(commands))


if __name__ == "__main__":
    _port, _number, _rate, _past = map(int, sys.argv[1:5])
    _feed(_port, [f"T{i}" for i in range(_number)], _rate, _past)
