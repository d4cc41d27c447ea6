"""Planted patterns, one after the other, each with its label."""

from collections.abc import Callable

from app.feeds.simulation.actors import order_lots
from app.feeds.simulation.book import ASK, BID, Order
from app.feeds.simulation.market import Market, Process

QUIET_START_MS = 60_000.0
MIN_REFILLS = 3
NATIVE, SYNTHETIC = "native", "synthetic"
PULLED, CONSUMED = "pulled", "consumed"
CONSUMED_SHARE = 0.5
CONSUMED_FROM, PULLED_BELOW = 0.75, 0.25
SWEPT_PRICES = 3
DRIFT_GAP_MS = 350.0
DRIFT_PATIENCE_MS = 8_000.0
DRIFT_STEP = 0.025
MARKET_ORDER_SHARE = 0.5


def planted_patterns(market: Market) -> Process:
    """Plant the profile's patterns in random order, with pauses between them."""
    kinds = market.profile.planted_patterns
    yield QUIET_START_MS
    while kinds:
        for kind in market.rng.sample(kinds, len(kinds)):
            yield 1000.0 * market.rng.expovariate(1 / market.profile.planting_gap_seconds)
            yield from _PLANTERS[kind](market)


class ReserveOrder:
    """A reserve order: it displays one slice at a time and the next once that is filled."""

    def __init__(  # noqa: PLR0913, PLR0917 - the facts of an order
        self, market: Market, side: str, price: int, slice_lots: int, total_lots: int, form: str
    ) -> None:
        self._market = market
        self._side = side
        self._price = price
        self._slice_lots = slice_lots
        self._shown: Order | None = None
        self._form = form
        self.remaining_lots = total_lots
        self.refills = -1

    def show_slice(self) -> None:
        """Place the next slice."""
        if self.remaining_lots:
            self.refills += 1
            self._shown = Order(
                self._side, self._price, min(self._slice_lots, self.remaining_lots), self
            )
            self._market.book.place(self._shown)

    def on_fill(self, order: Order, lots: int) -> None:
        """Place the next slice, at once or within a millisecond for a native order, else later."""
        self.remaining_lots -= lots
        if order.lots:
            return
        delay_ms = self._refill_delay_ms()
        if delay_ms == 0.0:
            self.show_slice()
        else:
            self._market.schedule(delay_ms, self.show_slice)

    def _refill_delay_ms(self) -> float:
        rng = self._market.rng
        if self._form == SYNTHETIC:
            return rng.uniform(5.0, 400.0)
        return rng.choice((0.0, rng.uniform(0.1, 0.4)))

    def cancel(self) -> None:
        """Cancel the displayed slice and the remaining lots."""
        self.remaining_lots = 0
        if self._shown is not None:
            self._market.book.cancel(self._shown)


def _iceberg(market: Market) -> Process:
    rng, side = market.rng, market.rng.choice((BID, ASK))
    price = market.pin_best(side)
    if price is None:
        return
    start_ms, form = market.stamp, rng.choice((NATIVE, SYNTHETIC))
    slice_lots = max(market.touch_size_quantile(0.5), market.profile.round_lot)
    total_lots = slice_lots * rng.randint(5, 10)
    reserve = ReserveOrder(market, side, price, slice_lots, total_lots, form)
    reserve.show_slice()
    while reserve.remaining_lots and market.stamp < start_ms + 60_000.0:
        yield 500.0 + rng.expovariate(1 / 800.0)
        shown = market.book.sides[side].lots_at(price)
        eager = slice_lots // 2 if form == NATIVE else 0
        market.send_market_order(
            side, max(1, int(shown * rng.choice((0.5, 1.0, 1.0)))) + eager, price
        )
    done = total_lots - reserve.remaining_lots
    reserve.cancel()
    market.unpin()
    if reserve.refills >= MIN_REFILLS:
        market.add_label("iceberg", side, start_ms, price, done, form)


def _absorption(market: Market) -> Process:
    """Send one-sided market orders for over half a minute into one price that is refilled."""
    rng, side = market.rng, market.rng.choice((BID, ASK))
    price = market.pin_best(side)
    if price is None:
        return
    resting = market.book.sides[side]
    start_ms, absorbed, shown = (
        market.stamp,
        0,
        3 * max(market.touch_size_quantile(0.5), market.profile.round_lot),
    )
    end_ms = start_ms + rng.uniform(35_000.0, 50_000.0)
    while market.stamp < end_ms:
        missing = shown - resting.lots_at(price)
        if missing > 0:
            market.place_with_lifetime(Order(side, price, missing), end_ms - market.stamp)
        yield rng.expovariate(1 / 300.0)
        absorbed += market.send_market_order(
            side, min(order_lots(rng, market.profile.round_lot), shown), price
        )
    market.unpin()
    market.add_label("absorption", side, start_ms, price, absorbed)


def _wall(market: Market) -> Process:
    """Place an order far above the usual size, then cancel it or execute against it."""
    rng, side = market.rng, market.rng.choice((BID, ASK))
    price = market.pin_best(side)
    if price is None:
        return
    start_ms = market.stamp
    lots = int(1.5 * max(market.touch_size_quantile(0.95), 3 * market.touch_size_quantile(0.5)))
    wall = Order(side, price, lots)
    market.book.place(wall)
    end_ms = start_ms + rng.uniform(5_000.0, 20_000.0)
    while wall.lots and market.stamp < end_ms:
        yield 200.0
    if rng.random() < CONSUMED_SHARE:
        while wall.lots:
            market.send_market_order(side, max(1, lots // 5), price)
            yield rng.expovariate(1 / 150.0)
    form = _wall_form(1.0 - wall.lots / lots)
    market.book.cancel(wall)
    market.unpin()
    market.add_label("wall", side, start_ms, price, lots, form)


def _wall_form(traded_share: float) -> str:
    if traded_share >= CONSUMED_FROM:
        return CONSUMED
    return PULLED if traded_share < PULLED_BELOW else ""


def _sweep(market: Market) -> Process:
    """Send one market order through three prices and move the fair price with it."""
    side = market.rng.choice((BID, ASK))
    resting = market.book.sides[side]
    prices = resting.prices
    if len(prices) > SWEPT_PRICES:
        lots = resting.lots_of_best(SWEPT_PRICES - 1) + max(
            1, resting.lots_at(prices[SWEPT_PRICES - 1]) // 2
        )
        market.send_market_order(side, lots, prices[SWEPT_PRICES - 1])
        market.move_fair_price(
            market.rng.uniform(0.5, 1.0) * (prices[SWEPT_PRICES - 1] - prices[0])
        )
    yield 1000.0


def _drift(market: Market) -> Process:
    """Bias the background flow and add orders in one direction for a minute."""
    rng, start_ms, start_price = market.rng, market.stamp, int(market.fair_price)
    up = rng.choice((True, False))
    market.upward_share = 0.9 if up else 0.1
    end_ms = start_ms + rng.uniform(50_000.0, 70_000.0)
    while market.stamp < end_ms:
        yield rng.expovariate(1 / DRIFT_GAP_MS)
        _push(market, up=up)
    market.upward_share = 0.5
    market.add_label("momentum_shift", "up" if up else "down", start_ms, start_price, 0)


def _push(market: Market, *, up: bool) -> None:
    """Send a market order in the drift's direction or join the best price behind it."""
    rng, ahead, behind = market.rng, ASK if up else BID, BID if up else ASK
    lots = max(1, int(market.touch_size_quantile(0.5) * rng.uniform(0.4, 1.4)))
    best_ahead, best_behind = market.book.sides[ahead].best, market.book.sides[behind].best
    if best_ahead is None or best_behind is None:
        return
    if rng.random() < MARKET_ORDER_SHARE:
        market.send_market_order(ahead, lots, best_ahead)
    else:
        market.place_with_lifetime(Order(behind, best_behind, lots), DRIFT_PATIENCE_MS)
    market.move_fair_price((1 if up else -1) * market.profile.depth_ticks * DRIFT_STEP)


_PLANTERS: dict[str, Callable[[Market], Process]] = {
    "iceberg": _iceberg,
    "absorption": _absorption,
    "wall": _wall,
    "sweep": _sweep,
    "momentum_shift": _drift,
}
