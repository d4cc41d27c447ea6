"""Random walks of a book from a seed: a broker's records without the cost of a simulation."""

import random
from collections.abc import Iterator
from typing import NamedTuple

_TICK = 0.01
_SPREAD_TICKS = 2
_MOVES, _BID_RESIZES = 0.2, 0.6
_LOTS = 100


class Stored(NamedTuple):
    """Members of a ticker's quotes and trades with their scores."""

    quotes: dict[bytes, float]
    trades: dict[bytes, float]


class Book:
    """One ticker's best prices and sizes; one quote in five moves them, within `width` prices."""

    def __init__(self, seed: int, middle: int = 10_000, width: int = 60) -> None:
        self._random = random.Random(seed)  # noqa: S311 - needs to be reproducible only
        self._low, self._high = middle - width // 2, middle + (width + 1) // 2
        self.bid, self.bid_size, self.ask_size = middle, 300.0, 300.0
        self._seq = 0

    def _step(self) -> None:
        chance = self._random.random()
        if chance < _MOVES:
            self.bid = min(self._high, max(self._low, self.bid + self._random.choice((-1, 1))))
        elif chance < _BID_RESIZES:
            self.bid_size = float(self._random.randint(1, 9) * _LOTS)
        else:
            self.ask_size = float(self._random.randint(1, 9) * _LOTS)

    def roam(self) -> None:
        """Jump to a random price of the range, so that all prices become levels."""
        self.bid = self._random.randint(self._low, self._high)

    def quote(self, stamp: float) -> bytes:
        """Return the next quote as a broker writes it."""
        self._step()
        self._seq += 1
        return (
            b'{"timestamp":%.3f,"bid_price":%.2f,"bid_size":%.1f,"ask_price":%.2f,'
            b'"ask_size":%.1f,"seq":%d}'
        ) % (
            stamp,
            self.bid * _TICK,
            self.bid_size,
            (self.bid + _SPREAD_TICKS) * _TICK,
            self.ask_size,
            self._seq,
        )

    def trade(self, stamp: float) -> bytes:
        """Return the next trade, at the best bid or ask, as a broker writes it."""
        self._seq += 1
        is_buy = self._random.random() < 0.5  # noqa: PLR2004 - a fair coin
        price = (self.bid + _SPREAD_TICKS * is_buy) * _TICK
        word = b"buy" if is_buy else b"sell"
        return b'{"timestamp":%.3f,"price":%.2f,"size":%.1f,"aggressor":"%s","seq":%d}' % (
            stamp,
            price,
            _LOTS * self._random.random() + 1,
            word,
            self._seq,
        )

    def second(self, end_ms: float, rate: int, *, roams: bool = False) -> Stored:
        """Return `rate` quotes of the second that ends at `end_ms`, and a trade for every ten."""
        stored = Stored({}, {})
        for number, stamp in enumerate(_stamps(end_ms, rate)):
            if roams:
                self.roam()
            at = round(stamp, 3)
            stored.quotes[self.quote(at)] = at
            if number % 10 == 9:  # noqa: PLR2004 - see above
                stored.trades[self.trade(at)] = at
        return stored


def _stamps(end_ms: float, rate: int) -> Iterator[float]:
    gap = 1000.0 / rate
    return (end_ms - 1000.0 + (number + 0.9) * gap for number in range(rate))
