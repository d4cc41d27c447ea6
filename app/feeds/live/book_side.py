"""Keep one side of a book from updates of its levels, for venues that send no best quote."""

from bisect import bisect_left, insort


class BookSide:
    """Sizes by price; the prices are sorted, the best one last, near which most changes are."""

    def __init__(self, *, is_bid: bool) -> None:
        self._sign = 1.0 if is_bid else -1.0
        self._ranked: list[float] = []
        self._sizes: dict[float, float] = {}

    def set_level(self, price: float, size: float) -> None:
        """Set the size at a price; 0 removes it.

        >>> asks = BookSide(is_bid=False)
        >>> asks.set_level(100.02, 3.0), asks.set_level(100.01, 5.0), asks.best()
        (None, None, (100.01, 5.0))
        >>> asks.set_level(100.01, 0.0), asks.best()
        (None, (100.02, 3.0))
        """
        rank = self._sign * price
        if size > 0:
            if price not in self._sizes:
                insort(self._ranked, rank)
            self._sizes[price] = size
        elif self._sizes.pop(price, None) is not None:
            del self._ranked[bisect_left(self._ranked, rank)]

    def best(self) -> tuple[float, float]:
        """Return the best price and its size, both 0 where the side is empty."""
        if not self._ranked:
            return 0.0, 0.0
        price = self._sign * self._ranked[-1]
        return price, self._sizes[price]
