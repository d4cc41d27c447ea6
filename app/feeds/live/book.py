"""Keep a book from updates of its levels, for venues that send no best quote."""

from bisect import bisect_left, insort
from typing import NamedTuple


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
    >>> book.bids.set_level(99.9, 2.0); book.asks.set_level(100.1, 3.0); book.moved_touch()
    Touch(bid_price=99.9, bid_size=2.0, ask_price=100.1, ask_size=3.0)
    >>> book.bids.set_level(99.5, 7.0); book.moved_touch()
    >>> book.bids.set_level(99.9, 0.0); book.moved_touch().bid_price
    99.5
    """

    def __init__(self) -> None:
        self.bids, self.asks = BookSide(is_bid=True), BookSide(is_bid=False)
        self._told: Touch | None = None

    def moved_touch(self) -> Touch | None:
        """Return the touch if it is another one than the last that was returned."""
        touch = Touch(*self.bids.best(), *self.asks.best())
        if touch == self._told:
            return None
        self._told = touch
        return touch
