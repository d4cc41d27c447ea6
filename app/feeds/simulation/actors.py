"""Background order flow: limit orders, cancels and market orders in bursts."""

import math
from random import Random

from app.feeds.simulation.book import ASK, BID, OPPOSITE, Order
from app.feeds.simulation.market import MIN_ORDERS_PER_SIDE, Market, Process

PREFILL = 60
SAME_DIRECTION_SHARE = 0.7
CANCEL_SHARE = 0.12
MIN_PRICES = 3
FAR_SHARE = 0.12
ROUND_SHARE, ODD_SHARE = 0.45, 0.35
FAR_FACTOR = 4.0
SHORT_GAP_SHARE = 0.7
SHORT_GAP_MS = 0.12
MIN_GAP_MS = 0.002
"""Stamps are rounded to the microsecond; two orders should not share one."""
LONG_GAP_MS = 60.0
FLEETING_MS = 35.0
ACTIVITY_SECONDS = 6.0
ACTIVITY_LOG_SD = 0.9


class BackgroundFlow:
    """Random order flow, which moves the fair price and follows it."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._rng = market.rng
        self._profile = market.profile
        self._activity = 1.0

    def fill_book(self) -> None:
        """Place the orders that rest before the first quote is recorded."""
        for _ in range(PREFILL):
            for side in (BID, ASK):
                self._place_resting(side)

    def vary_activity(self) -> Process:
        """Draw a new level of activity every few seconds; its long-run mean is 1."""
        while True:
            self._activity = math.exp(self._rng.gauss(-(ACTIVITY_LOG_SD**2) / 2, ACTIVITY_LOG_SD))
            yield 1000.0 * self._rng.expovariate(1 / ACTIVITY_SECONDS)

    def start_bursts(self) -> Process:
        """Start bursts at a rate proportional to the activity."""
        while True:
            rate = self._profile.bursts_per_second * self._activity
            yield min(1000.0 * self._rng.expovariate(rate), 1000.0 * ACTIVITY_SECONDS)
            self._market.run_process(self._burst())

    def _burst(self) -> Process:
        """Send several orders in a row, mostly in one direction, often within a millisecond."""
        market, rng = self._market, self._rng
        market.move_fair_price(rng.gauss(0.0, self._profile.volatility_ticks))
        self._refill_thin_sides()
        upward = rng.random() < market.upward_share
        for _ in range(1 + int(rng.expovariate(1 / self._profile.actions_per_burst))):
            self._send_order(upward=upward == (rng.random() < SAME_DIRECTION_SHARE))
            gap_ms = SHORT_GAP_MS if rng.random() < SHORT_GAP_SHARE else LONG_GAP_MS
            yield MIN_GAP_MS + rng.expovariate(1 / gap_ms)

    def _refill_thin_sides(self) -> None:
        """Add orders to a side with too few; several share a stamp, so none may execute."""
        for side, resting in self._market.book.sides.items():
            for _ in range(MIN_ORDERS_PER_SIDE - len(resting)):
                self._place_resting(side, room=1)

    def _send_order(self, *, upward: bool) -> None:
        choice = self._rng.random()
        if choice < self._profile.market_share:
            self._trade(ASK if upward else BID)
        elif choice < self._profile.market_share + CANCEL_SHARE:
            self._cancel_newest_at_best(ASK if upward else BID)
        elif self._rng.random() < self._profile.fleeting_share:
            self._place_fleeting(BID if upward else ASK)
        else:
            self._place_resting(BID if upward else ASK)

    def _place_resting(self, side: str, room: int = 0) -> None:
        """Place a resting order at a random distance from the fair price."""
        life_ms = 1000.0 * self._rng.expovariate(1 / self._profile.patience_seconds)
        price = self._behind_pin(side, self._price_at(side, self._distance(), room))
        self._market.place_with_lifetime(Order(side, price, self._order_lots()), life_ms)

    def _distance(self) -> float:
        """Draw a distance in ticks; a few are far away, so that the book is deep."""
        far = FAR_FACTOR if self._rng.random() < FAR_SHARE else 1.0
        return far * self._rng.gammavariate(4.0, self._profile.depth_ticks / 4.0)

    def _price_at(self, side: str, distance: float, room: int) -> int:
        """Return the price at a distance from the fair one, at least `room` off the other side.

        It never reaches the other side's last price.
        """
        opposite = self._market.book.sides[OPPOSITE[side]]
        room = max(room, int(opposite.is_down_to_one_price))
        if side == BID:
            price = math.floor(self._market.fair_price - distance)
            return price if opposite.best is None else min(price, opposite.best - room)
        price = math.ceil(self._market.fair_price + distance)
        return price if opposite.best is None else max(price, opposite.best + room)

    def _place_fleeting(self, side: str) -> None:
        """Improve the best price for some milliseconds, or join it where the spread is one tick."""
        market, best = self._market, self._market.book.sides[side].best
        if best is None:
            return
        step = min(market.spread() - 1, 1 + int(self._rng.expovariate(2 / market.spread())))
        price = self._behind_pin(side, best + step if side == BID else best - step)
        life_ms = self._rng.expovariate(1 / FLEETING_MS)
        market.place_with_lifetime(Order(side, price, self._order_lots()), life_ms)

    def _behind_pin(self, side: str, price: int) -> int:
        """Return a price behind the pinned one, which is reserved for the planted order."""
        pin = self._market.pin
        if pin is None or pin.side != side:
            return price
        behind = 1 + int(self._rng.expovariate(1 / self._profile.depth_ticks))
        if side == BID:
            return price if price < pin.price else pin.price - behind
        return price if price > pin.price else pin.price + behind

    def _cancel_newest_at_best(self, side: str) -> None:
        """Cancel the newest order at the best price, unless it is planted or at the last price."""
        resting = self._market.book.sides[side]
        order = resting.newest_at_best()
        if order is None or order.owner is not None or resting.is_down_to_one_price:
            return
        if not self._is_pinned(order):
            self._market.book.cancel(order)

    def _is_pinned(self, order: Order) -> bool:
        pin = self._market.pin
        return pin is not None and pin.side == order.side and pin.price == order.price

    def _trade(self, side: str) -> None:
        """Send a market order to the best price, sometimes to the second or to a hidden order."""
        market, profile = self._market, self._profile
        prices = market.book.sides[side].prices
        if len(prices) < MIN_PRICES:
            return
        lots = self._order_lots()
        toward = 1 if side == ASK else -1
        if market.spread() > 1 and self._rng.random() < profile.hidden_share:
            inside = prices[0] - toward * self._rng.randrange(1, market.spread())
            market.recorder.on_execution(side, inside, lots)
        elif self._rng.random() < profile.second_price_share:
            lots = market.send_market_order(
                side, lots + market.book.sides[side].best_lots, prices[1]
            )
        else:
            lots = market.send_market_order(side, lots, prices[0])
        market.move_fair_price(toward * profile.impact_ticks * min(lots / profile.round_lot, 3.0))

    def _order_lots(self) -> int:
        return order_lots(self._rng, self._profile.round_lot)


def order_lots(rng: Random, round_lot: int) -> int:
    """Draw an order's size: mostly a round lot, often an odd one, sometimes some round lots."""
    choice = rng.random()
    if choice < ROUND_SHARE:
        return round_lot
    if choice < ROUND_SHARE + ODD_SHARE:
        return max(1, int(round_lot * rng.random()))
    return round_lot * (2 + int(rng.expovariate(0.7)))
