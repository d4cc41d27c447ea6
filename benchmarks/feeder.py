"""A broker's stand-in: `python -m benchmarks.feeder PORT TICKERS RATE PAST_SECONDS`, until ended.

Each ticker's quotes come in pieces five times a second, with `PAST_SECONDS` of them at once first.
"""

import sys
import time
from collections.abc import Iterator

from benchmarks.books import Book
from benchmarks.wire import Wire, packed

_SLICES = 5
_LAPS = 40


class _Ticker:
    """Tails of quotes made in advance: the feed must cost little next to what it feeds."""

    def __init__(self, name: str, seed: int) -> None:
        self.key = b"orderflow:quotes:" + name.encode()
        book = Book(seed)
        whole = (book.quote(0.0) for _ in range(_LAPS))
        self._tails = [quote.partition(b",")[2].rpartition(b',"seq"')[0] for quote in whole]
        self._seq = 0

    def zadd(self, stamps: list[float]) -> bytes:
        words = [b"ZADD", self.key]
        for stamp in stamps:
            self._seq += 1
            tail = self._tails[self._seq % _LAPS]
            words += (
                b"%.3f" % stamp,
                b'{"timestamp":%.3f,%s,"seq":%d}' % (stamp, tail, self._seq),
            )
        return packed(*words)


def _slices(rate: int) -> Iterator[int]:
    """Share a second's quotes between its slices."""
    for number in range(_SLICES):
        yield rate * (number + 1) // _SLICES - rate * number // _SLICES


def _stamps(until_ms: float, number: int) -> list[float]:
    gap = 1000.0 / _SLICES / max(1, number)
    return [until_ms - gap * back for back in range(number - 1, -1, -1)]


def _feed(port: int, names: list[str], rate: int, past_seconds: int) -> None:
    wire = Wire(port)
    tickers = [_Ticker(name, seed) for seed, name in enumerate(names)]
    now_ms = time.time() * 1000
    for ticker in tickers:
        seconds = range(past_seconds, 0, -1)
        past = [now_ms - 1000 * back + s * 1000 / rate for back in seconds for s in range(rate)]
        for start in range(0, len(past), 500):
            wire.ask([ticker.zadd(past[start : start + 500])], 1)
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
            wire.ask([ticker.zadd(stamps) for ticker in tickers], len(tickers))


if __name__ == "__main__":
    _port, _number, _rate, _past = map(int, sys.argv[1:5])
    _feed(_port, [f"T{i}" for i in range(_number)], _rate, _past)
