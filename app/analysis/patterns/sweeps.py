"""Market orders that take several prices at once."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, taken_side

JOIN_MS: Final = 5.0
POINT_MS: Final = 1000.0
PRICES_NEEDED: Final = 2


@dataclass(slots=True, init=False)
class Order:
    """Prints of one taker that belong together; `joins` where a gap of 5 ms does not part them."""

    taker: int
    joins: bool
    first: float
    last: float
    size: float = 0.0
    prints: int = 0
    prices: list[int] = field(default_factory=list)
    inside: float = 0.0
    inside_waiting: float = 0.0
    is_given: bool = True

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        taker: int,
        joins: bool,  # noqa: FBT001 - a field, as is `is_given`
        first: float,
        last: float,
        size: float = 0.0,
        prints: int = 0,
        prices: list[int] | None = None,
        inside: float = 0.0,
        inside_waiting: float = 0.0,
        is_given: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        self.taker = taker
        self.joins = joins
        self.first = first
        self.last = last
        self.size = size
        self.prints = prints
        self.prices = [] if prices is None else prices
        self.inside = inside
        self.inside_waiting = inside_waiting
        self.is_given = is_given

    def takes(self, trade: Trade, side: TradeSign) -> None:
        """Add a print."""
        self.last = trade.stamp
        self.size += trade.size
        self.prints += 1
        self.inside += self.inside_waiting
        self.inside_waiting = 0.0
        self.is_given = self.is_given and side.is_given
        if trade.price not in self.prices:
            self.prices.append(trade.price)

    def holds(self, stamp: float) -> bool:
        """Tell whether a print at `stamp` still belongs to it."""
        return stamp == self.last or (self.joins and stamp - self.last <= JOIN_MS)


@dataclass(slots=True)
class Sweeps(Detector):
    """Joins prints to market orders and opens a sweep for each large one over ≥ 2 prices."""

    order: Order | None = None
    last_taker: int = UNSIGNED
    last_stamp: float = 0.0
    inside_taker: int = UNSIGNED
    inside_stamp: float = 0.0
    inside_size: float = 0.0

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "sweep"

    def on_trade(self, context: DetectorContext, trade: Trade, side: TradeSign) -> None:
        """Join the print to the running order, or begin the next."""
        if side.aggressor == UNSIGNED:
            return
        if side.is_inside:
            self._inside(trade, side.aggressor)
            return
        self._count_pair(context, trade.stamp, side.aggressor)
        joins = context.baselines.orders_span_stamps
        order = self.order
        if order is None or order.taker != side.aggressor or not order.holds(trade.stamp):
            if order is not None:
                self._complete(context, order, trade.stamp)
            order = self.order = Order(side.aggressor, joins, trade.stamp, trade.stamp)
            if self.inside_taker == side.aggressor and self.inside_stamp == trade.stamp:
                order.inside = self.inside_size
        order.takes(trade, side)
        if order.joins:
            self.request_timer(context, order.last + JOIN_MS)

    def _count_pair(self, context: DetectorContext, stamp: float, taker: int) -> None:
        if taker == self.last_taker:
            context.baselines.count_pair(is_equal=stamp == self.last_stamp)
        self.last_taker, self.last_stamp = taker, stamp

    def _inside(self, trade: Trade, taker: int) -> None:
        if self.inside_taker != taker or self.inside_stamp != trade.stamp:
            self.inside_taker, self.inside_stamp, self.inside_size = taker, trade.stamp, 0.0
        self.inside_size += trade.size
        order = self.order
        if order is not None and order.taker == taker:
            if trade.stamp == order.last:
                order.inside += trade.size
            else:
                order.inside_waiting += trade.size

    def on_stamp_complete(self, context: DetectorContext, stamp: float) -> None:
        """Complete an order whose prints share one stamp."""
        order = self.order
        if order is not None and not order.joins:
            self._complete(context, order, order.last)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Complete an order that no print joined for 5 ms."""
        order = self.order
        if order is None or not order.joins:
            return
        if order.last + JOIN_MS <= at:
            self._complete(context, order, order.last + JOIN_MS)
        else:
            self.request_timer(context, order.last + JOIN_MS)

    def _complete(self, context: DetectorContext, order: Order, at: float) -> None:
        self.order = None
        at = min(at, order.last + JOIN_MS) if order.joins else order.last
        floor = context.baselines.order_size.quantile(0)
        context.baselines.order_size.add(order.size)
        if not floor or len(order.prices) < PRICES_NEEDED:
            return
        if order.size >= floor:
            self._open(context, order, at, floor)
        context.events.of_type("sweep").add_candidate(at, order.size / floor)

    def _open(self, context: DetectorContext, order: Order, at: float, floor: float) -> None:
        low, high = min(order.prices), max(order.prices)
        evidence: dict[str, float | int | str] = {
            "size_shares": order.size,
            "floor_shares": floor,
            "prices": len(order.prices),
            "prints": order.prints,
            "inside_shares": order.inside,
        }
        if context.tick_size.size:
            evidence["ticks"] = round((high - low) / context.tick_size.size)
        event = context.events.open_or_extend(
            Opening(
                type="sweep",
                side=SIDE_NAMES[taken_side(order.taker)],
                opened_at=order.first,
                completed_at=at,
                statistic=order.size / floor,
                threshold=1.0,
                evidence_class="A" if order.is_given else "B",
                evidence=evidence,
                price_low=low,
                price_high=high,
            )
        )
        context.events.schedule_close(event, order.last + POINT_MS, "elapsed")
