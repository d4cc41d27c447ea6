"""The matching engine: price-time priority, in ticks and lots."""

from __future__ import annotations

from collections import deque
from typing import Protocol

BID, ASK = "bid", "ask"
OPPOSITE = {BID: ASK, ASK: BID}
_DIRECTION = {BID: 1, ASK: -1}


class FillListener(Protocol):
    """The owner of an order, called when it is filled."""

    def on_fill(self, order: Order, lots: int) -> None:
        """Handle a fill; it may place the next order at once."""


class Order:
    """Lots resting at a price; `lots` is 0 once it is filled or cancelled."""

    __slots__ = ("lots", "owner", "price", "side")

    def __init__(self, side: str, price: int, lots: int, owner: FillListener | None = None) -> None:
        self.side = side
        self.price = price
        self.lots = lots
        self.owner = owner


class OrderQueue:
    """The orders at one price, oldest first."""

    __slots__ = ("lots", "orders")

    def __init__(self) -> None:
        self.lots = 0
        self.orders: deque[Order] = deque()


class BookSide:
    """One side's price levels by rank: the price, negated for asks, so that the best is highest.

    The length is the number of orders.
    """

    def __init__(self, side: str) -> None:
        self._direction = _DIRECTION[side]
        self._levels: dict[int, OrderQueue] = {}
        self._best_rank: int | None = None
        self._orders = 0

    def __len__(self) -> int:
        return self._orders

    @property
    def best(self) -> int | None:
        """The best price, None where the side is empty."""
        return None if self._best_rank is None else self._best_rank * self._direction

    @property
    def best_lots(self) -> int:
        """Displayed lots at the best price."""
        return 0 if self._best_rank is None else self._levels[self._best_rank].lots

    @property
    def prices(self) -> list[int]:
        """All prices, best first."""
        return [rank * self._direction for rank in sorted(self._levels, reverse=True)]

    @property
    def is_down_to_one_price(self) -> bool:
        """Tell whether the side has at most one price."""
        return len(self._levels) < 2  # noqa: PLR2004 - it is what the name says

    def lots_at(self, price: int) -> int:
        """Return the displayed lots at `price`."""
        level = self._levels.get(price * self._direction)
        return level.lots if level else 0

    def lots_of_best(self, prices: int) -> int:
        """Return the displayed lots of the best `prices` prices."""
        return sum(self.lots_at(price) for price in self.prices[:prices])

    def next_to_fill(self) -> Order | None:
        """Return the order that is filled next."""
        return None if self._best_rank is None else self._levels[self._best_rank].orders[0]

    def newest_at_best(self) -> Order | None:
        """Return the last order of the best price's queue."""
        return None if self._best_rank is None else self._levels[self._best_rank].orders[-1]

    def add(self, order: Order) -> None:
        """Append `order` to the queue at its price."""
        rank = order.price * self._direction
        level = self._levels.get(rank)
        if level is None:
            level = self._levels[rank] = OrderQueue()
            if self._best_rank is None or rank > self._best_rank:
                self._best_rank = rank
        level.orders.append(order)
        level.lots += order.lots
        self._orders += 1

    def remove(self, order: Order) -> None:
        """Cancel `order`; do nothing where it is no longer in the book."""
        if order.lots == 0:
            return
        rank = order.price * self._direction
        level = self._levels[rank]
        level.orders.remove(order)
        self._orders -= 1
        level.lots -= order.lots
        order.lots = 0
        self._remove_if_empty(rank, level)

    def fill_next(self, lots: int) -> None:
        """Fill `lots` of the next order, at most its displayed lots."""
        if self._best_rank is None:
            return
        level = self._levels[self._best_rank]
        order = level.orders[0]
        order.lots -= lots
        level.lots -= lots
        if order.lots == 0:
            level.orders.popleft()
            self._orders -= 1
            self._remove_if_empty(self._best_rank, level)

    def _remove_if_empty(self, rank: int, level: OrderQueue) -> None:
        if level.orders:
            return
        del self._levels[rank]
        if rank == self._best_rank:
            self._best_rank = max(self._levels, default=None)


class BookListener(Protocol):
    """Receives the executions and changes of a book."""

    def on_execution(self, resting_side: str, price: int, lots: int) -> None:
        """Handle an execution, before the book is changed by it."""

    def on_book_change(self) -> None:
        """Handle a change of the book."""


class Book:
    """Bids and asks, and the matching of orders with them."""

    def __init__(self, listener: BookListener) -> None:
        self.sides = {BID: BookSide(BID), ASK: BookSide(ASK)}
        self._listener = listener

    def place(self, order: Order) -> None:
        """Execute the part of `order` that crosses the other side; queue the rest."""
        order.lots, _ = self.execute(OPPOSITE[order.side], order.lots, order.price)
        if order.lots:
            self.sides[order.side].add(order)
            self._listener.on_book_change()

    def cancel(self, order: Order) -> None:
        """Remove `order` from the book."""
        if order.lots:
            self.sides[order.side].remove(order)
            self._listener.on_book_change()

    def execute(self, side: str, lots: int, worst_price: int) -> tuple[int, set[int]]:
        """Execute up to `lots` against `side`, no further than `worst_price`.

        Returns the lots left over and the prices that were hit.
        """
        resting = self.sides[side]
        toward = _DIRECTION[side]
        prices: set[int] = set()
        while lots:
            order = resting.next_to_fill()
            if order is None or (order.price - worst_price) * toward < 0:
                break
            filled = min(lots, order.lots)
            self._listener.on_execution(side, order.price, filled)
            resting.fill_next(filled)
            self._listener.on_book_change()
            prices.add(order.price)
            lots -= filled
            if order.owner is not None:
                order.owner.on_fill(order, filled)
        return lots, prices
