"""Keep a book from updates of its levels, for venues that send no best quote."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

Level = tuple[bool, float, float]
"""Whether it is a bid, its price, and its size from now on."""


class Touch(NamedTuple):
    """The best prices and their sizes; both are 0 where a side is empty."""

    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float


class BookSide:
    """Sizes by price; the prices are sorted, the best one last, near which most changes are."""

    def __init__(self, *, is_bid: bool) -> None:
        self._sign = 1.0 if is_bid else -1.0
        self._ranked: list[float] = []
        self._sizes: dict[float, float] = {}

    def set_level(self, price: float, size: float) -> None:
        """Set the size at a price; 0 removes it."""
        rank = self._sign * price
        if size > 0:
            if price not in self._sizes:
                insort(self._ranked, rank)
            self._sizes[price] = size
        elif self._sizes.pop(price, None) is not None:
            del self._ranked[bisect_left(self._ranked, rank)]

    def best(self) -> tuple[float, float]:
        """Return the best price and its size."""
        if not self._ranked:
            return 0.0, 0.0
        price = self._sign * self._ranked[-1]
        return price, self._sizes[price]


class Book:
    """Both sides, and the touch that was told last.

    >>> book = Book()
    >>> book.touch_after([(True, 99.9, 2.0), (False, 100.1, 3.0)])
    Touch(bid_price=99.9, bid_size=2.0, ask_price=100.1, ask_size=3.0)
    >>> book.touch_after([(True, 99.5, 7.0)])
    >>> book.touch_after([(True, 99.9, 0.0)]).bid_price
    99.5
    """

    def __init__(self) -> None:
        self._bids, self._asks = BookSide(is_bid=True), BookSide(is_bid=False)
        self._told: Touch | None = None

    def touch_after(self, levels: Iterable[Level]) -> Touch | None:
        """Set levels; return the touch if it is another one than the last that was returned."""
        for is_bid, price, size in levels:
            (self._bids if is_bid else self._asks).set_level(price, size)
        touch = Touch(*self._bids.best(), *self._asks.best())
        if touch == self._told:
            return None
        self._told = touch
        return touch
