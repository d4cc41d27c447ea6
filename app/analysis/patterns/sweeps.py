"""Detect sweeps: market orders that take several prices at once."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, resting_side

MAX_PRINT_GAP_MS: Final = 1.0
MAX_PAIR_GAP_MS: Final = 5.0
CLOSE_AFTER_MS: Final = 1000.0
MIN_PRICES: Final = 2


@dataclass(slots=True, init=False)
class Order:
    """Trades of one aggressor that form one market order.

    `spans_stamps`: trades with gaps of up to 1 ms belong to it, else only those of one stamp.
    `inside_volume` is that of its trades inside the spread; `pending_inside_volume` counts only if
    another trade at the touch follows.
    """

    aggressor: int
    spans_stamps: bool
    first_stamp: float
    last_stamp: float
    size: float = 0.0
    prints: int = 0
    prices: list[int] = field(default_factory=list)
    inside_volume: float = 0.0
    pending_inside_volume: float = 0.0
    is_given: bool = True

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        aggressor: int,
        spans_stamps: bool,  # noqa: FBT001 - a field, as is `is_given`
        first_stamp: float,
        last_stamp: float,
        size: float = 0.0,
        prints: int = 0,
        prices: list[int] | None = None,
        inside_volume: float = 0.0,
        pending_inside_volume: float = 0.0,
        is_given: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        self.aggressor = aggressor
        self.spans_stamps = spans_stamps
        self.first_stamp = first_stamp
        self.last_stamp = last_stamp
        self.size = size
        self.prints = prints
        self.prices = [] if prices is None else prices
        self.inside_volume = inside_volume
        self.pending_inside_volume = pending_inside_volume
        self.is_given = is_given

    def add_print(self, trade: Trade, sign: TradeSign) -> None:
        """Add a trade."""
        self.last_stamp = trade.stamp
        self.size += trade.size
        self.prints += 1
        self.inside_volume += self.pending_inside_volume
        self.pending_inside_volume = 0.0
        self.is_given = self.is_given and sign.is_given
        if trade.price not in self.prices:
            self.prices.append(trade.price)

    def includes(self, stamp: float) -> bool:
        """Return whether a trade at `stamp` still belongs to this order."""
        return stamp == self.last_stamp or (
            self.spans_stamps and stamp - self.last_stamp <= MAX_PRINT_GAP_MS
        )


@dataclass(slots=True)
class Sweeps(Detector):
    """Groups trades to market orders, and opens a sweep for each large one over ≥ 2 prices."""

    order: Order | None = None
    last_aggressor: int = UNSIGNED
    last_stamp: float = 0.0
    inside_aggressor: int = UNSIGNED
    inside_stamp: float = 0.0
    inside_volume: float = 0.0
    last_price: int = 0

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "sweep"

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Add a trade to the current order, or complete that and begin the next."""
        if sign.aggressor == UNSIGNED:
            return
        if sign.is_inside:
            self._add_inside_print(trade, sign.aggressor)
            return
        self._count_pair(context, trade, sign.aggressor)
        spans_stamps = context.baselines.orders_span_stamps
        order = self.order
        if order is None or order.aggressor != sign.aggressor or not order.includes(trade.stamp):
            if order is not None:
                self._complete(context, order, trade.stamp)
            order = self.order = Order(sign.aggressor, spans_stamps, trade.stamp, trade.stamp)
            if self.inside_aggressor == sign.aggressor and self.inside_stamp == trade.stamp:
                order.inside_volume = self.inside_volume
        order.add_print(trade, sign)
        if order.spans_stamps:
            self.request_timer(context, order.last_stamp + MAX_PRINT_GAP_MS)

    def _count_pair(self, context: DetectorContext, trade: Trade, aggressor: int) -> None:
        """Count this trade and the last one, if one taker stayed or went further within 5 ms."""
        further = aggressor * (trade.price - self.last_price)
        gap_ms = trade.stamp - self.last_stamp
        if aggressor == self.last_aggressor and gap_ms <= MAX_PAIR_GAP_MS:
            if further > 0:
                context.baselines.count_walking_pair(is_same_stamp=gap_ms == 0)
            elif further == 0:
                context.baselines.count_level_pair(is_same_stamp=gap_ms == 0)
        self.last_aggressor, self.last_stamp = aggressor, trade.stamp
        self.last_price = trade.price

    def _add_inside_print(self, trade: Trade, aggressor: int) -> None:
        """Add a trade inside the spread to the volumes of the orders around it."""
        if self.inside_aggressor != aggressor or self.inside_stamp != trade.stamp:
            self.inside_aggressor, self.inside_stamp = aggressor, trade.stamp
            self.inside_volume = 0.0
        self.inside_volume += trade.size
        order = self.order
        if order is not None and order.aggressor == aggressor:
            if trade.stamp == order.last_stamp:
                order.inside_volume += trade.size
            else:
                order.pending_inside_volume += trade.size

    def on_stamp_complete(self, context: DetectorContext, stamp: float) -> None:
        """Complete an order whose trades share one stamp."""
        order = self.order
        if order is not None and not order.spans_stamps:
            self._complete(context, order, order.last_stamp)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Complete an order without a trade for 1 ms."""
        order = self.order
        if order is None or not order.spans_stamps:
            return
        if order.last_stamp + MAX_PRINT_GAP_MS <= at:
            self._complete(context, order, order.last_stamp + MAX_PRINT_GAP_MS)
        else:
            self.request_timer(context, order.last_stamp + MAX_PRINT_GAP_MS)

    def _complete(self, context: DetectorContext, order: Order, at: float) -> None:
        """End an order: update the baseline, open a sweep, add the candidate."""
        self.order = None
        at = (
            min(at, order.last_stamp + MAX_PRINT_GAP_MS) if order.spans_stamps else order.last_stamp
        )
        threshold = context.baselines.order_size.quantile(0)
        context.baselines.order_size.add(order.size, context.baselines.clock)
        if not threshold or len(order.prices) < MIN_PRICES:
            return
        if order.size >= threshold:
            self._open(context, order, at, threshold)
        context.events.candidates_of("sweep").add_candidate(at, order.size / threshold)

    def _open(self, context: DetectorContext, order: Order, at: float, threshold: float) -> None:
        low, high = min(order.prices), max(order.prices)
        evidence: dict[str, float | int | str] = {
            "size_shares": order.size,
            "floor_shares": threshold,
            "prices": len(order.prices),
            "prints": order.prints,
            "inside_shares": order.inside_volume,
        }
        if context.tick_size.size:
            evidence["ticks"] = round((high - low) / context.tick_size.size)
        event = context.events.open_or_extend(
            Opening(
                type="sweep",
                side=SIDE_NAMES[resting_side(order.aggressor)],
                opened_at=order.first_stamp,
                completed_at=at,
                statistic=order.size / threshold,
                threshold=1.0,
                evidence_class="A" if order.is_given else "B",
                evidence=evidence,
                price_low=low,
                price_high=high,
            )
        )
        context.events.schedule_close(event, order.last_stamp + CLOSE_AFTER_MS, "elapsed")
