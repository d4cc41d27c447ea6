"""A broker's stand-in: `python -m benchmarks.feeder PORT TICKERS RATE PAST_SECONDS`, until ended.

Books walk, with a print for every ten quotes. Each ticker's records come in pieces five times a
second, with `PAST_SECONDS` of them at once first.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.books import Book
from benchmarks.wire import RedisSocket, encode_command

_SLICES = 5
_KINDS = ("quotes", "trades")
# Made in advance: the feed must cost little next to what it feeds.
_BOOKS, _QUOTES_A_BOOK, _QUOTES_A_PRINT = 32, 6000, 10


class _Record(NamedTuple):
    """What a quote says, and the print after it where there is one; without stamp and number."""

    quote: bytes
    trade: bytes | None


def _walk(seed: int) -> list[_Record]:
    book = Book(seed)
    told = []
    for number in range(1, _QUOTES_A_BOOK + 1):
        quote = _tail(book.quote(0.0))
        has_print = number % _QUOTES_A_PRINT == 0
        told.append(_Record(quote, _tail(book.trade(0.0)) if has_print else None))
    return told


def _tail(record: bytes) -> bytes:
    return record.partition(b",")[2].rpartition(b',"seq"')[0]


class _Ticker:
    """A ticker that goes along one of the books, from a place of its own on."""

    def __init__(self, name: str, number: int, walk: Sequence[_Record]) -> None:
        self._quotes, self._trades = (f"orderflow:{kind}:{name}".encode() for kind in _KINDS)
        self._walk, self._place = walk, number * 997 % len(walk)
        self._seq = 0

    def commands(self, stamps: Sequence[float]) -> list[bytes]:
        """Return what adds a quote at each of the stamps, and the prints between."""
        quotes, trades = [b"ZADD", self._quotes], [b"ZADD", self._trades]
        for stamp in stamps:
            told = self._walk[self._place]
            self._place = (self._place + 1) % len(self._walk)
            quotes += self._record(stamp, told.quote)
            if told.trade is not None:
                trades += self._record(stamp, told.trade)
        return [encode_command(*words) for words in (quotes, trades) if len(words) > 2]  # noqa: PLR2004

    def _record(self, stamp: float, tail: bytes) -> tuple[bytes, bytes]:
        self._seq += 1
        member = b'{"timestamp":%.3f,%s,"seq":%d}' % (stamp, tail, self._seq)
        return b"%.3f" % stamp, member


def _slices(rate: int) -> Iterator[int]:
    """Share a second's quotes between its slices."""
    for number in range(_SLICES):
        yield rate * (number + 1) // _SLICES - rate * number // _SLICES


def _stamps(until_ms: float, number: int) -> list[float]:
    gap = 1000.0 / _SLICES / max(1, number)
    return [until_ms - gap * back for back in range(number - 1, -1, -1)]


def _feed(port: int, names: list[str], rate: int, past_seconds: int) -> None:
    wire = RedisSocket(port)
    walks = [_walk(seed) for seed in range(min(_BOOKS, len(names)))]
    tickers = [_Ticker(name, at, walks[at % len(walks)]) for at, name in enumerate(names)]
    now_ms = time.time() * 1000
    for ticker in tickers:
        seconds = range(past_seconds, 0, -1)
        past = [now_ms - 1000 * back + s * 1000 / rate for back in seconds for s in range(rate)]
        for start in range(0, len(past), 500):
            commands = ticker.commands(past[start : start + 500])
            wire.send(commands, len(commands))
    print("fed", flush=True)
    counts = list(_slices(rate))
    place = int(time.time() * _SLICES)
    while True:
        place += 1
        time.sleep(max(0.0, place / _SLICES - time.time()))
        number = counts[place % _SLICES]
        until_ms = place * 1000.0 / _SLICES
        if number:
            stamps = _stamps(until_ms, number)
            commands = [command for ticker in tickers for command in ticker.commands(stamps)]
            wire.send(commands, len(commands))


if __name__ == "__main__":
    _port, _number, _rate, _past = map(int, sys.argv[1:5])
    _feed(_port, [f"T{i}" for i in range(_number)], _rate, _past)
