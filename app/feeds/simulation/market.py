"""The simulated market: an event queue in simulated time, the book and the fair price."""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

from app.feeds.simulation.book import ASK, BID, OPPOSITE, Order
from app.feeds.simulation.profiles import Profile
from app.feeds.simulation.recorder import Recorder

Process = Generator[float, None, None]
"""A process of the simulation: each yielded number is a wait in milliseconds."""

TOUCH_SAMPLES = 1200
MIN_FAIR_TICKS = 50.0
MIN_ORDERS_PER_SIDE = 12


@dataclass(frozen=True, slots=True)
class Label:
    """A true event, against which detectors are scored."""

    kind: str
    side: str
    start_ms: float
    end_ms: float
    price: float
    size: float
    form: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """A price that a planted order keeps as the best of its side for a while."""

    side: str
    price: int


class Market:
    """Book, fair price and event queue of one simulated ticker."""

    def __init__(self, profile: Profile, rng: Random, start_ms: float) -> None:
        self.profile = profile
        self.rng = rng
        self.recorder = Recorder(profile, start_ms)
        self.book = self.recorder.book
        self.fair_price = profile.price * 1e8 / profile.tick_units
        self.upward_share = 0.5
        self.pin: Pin | None = None
        self.labels: list[Label] = []
        self._start_ms = start_ms
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._scheduled_count = 0
        self._touch_sizes: deque[int] = deque(maxlen=TOUCH_SAMPLES)

    @property
    def stamp(self) -> float:
        """The simulated time in epoch milliseconds."""
        return round(self._start_ms + self.recorder.now_ms, 3)

    def schedule(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Schedule `action`; actions of the same time run in the order of scheduling."""
        self._scheduled_count += 1
        heappush(self._agenda, (self.recorder.now_ms + delay_ms, self._scheduled_count, action))

    def run_process(self, process: Process) -> None:
        """Run `process` to its next wait and schedule its continuation."""
        try:
            delay_ms = next(process)
        except StopIteration:
            return
        self.schedule(delay_ms, lambda: self.run_process(process))

    def run_until(self, end_ms: float) -> None:
        """Run all scheduled actions up to `end_ms` after the start."""
        agenda = self._agenda
        while agenda and agenda[0][0] < end_ms:
            self.recorder.now_ms, _, action = heappop(agenda)
            action()
        self.recorder.now_ms = end_ms

    def send_market_order(self, side: str, lots: int, worst_price: int) -> int:
        """Send a market order against `side`; one that goes through prices is labelled a sweep.

        The last price of a side is never executed, so that the book stays two-sided.

        Returns the lots executed.
        """
        if self.book.sides[side].is_down_to_one_price:
            return 0
        left, prices = self.book.execute(side, lots, worst_price)
        if len(prices) > 1:
            self.add_label("sweep", side, self.stamp, max(prices, key=abs), lots - left)
        return lots - left

    def add_label(  # noqa: PLR0913, PLR0917 - the facts of a label
        self, kind: str, side: str, start_ms: float, price: int, lots: int, form: str = ""
    ) -> None:
        """Add a label for an event from `start_ms` until now."""
        price_now = price * self.profile.tick_units / 1e8
        size = lots / self.profile.lots_per_unit
        self.labels.append(Label(kind, side, start_ms, self.stamp, price_now, size, form))

    def move_fair_price(self, ticks: float) -> None:
        """Move the fair price within the range that a pinned price allows."""
        self.fair_price = max(self.fair_price + ticks, MIN_FAIR_TICKS)
        if self.pin is None:
            return
        room = max(1.0, self.profile.depth_ticks / 2)
        if self.pin.side == BID:
            self.fair_price = min(max(self.fair_price, self.pin.price + 0.5), self.pin.price + room)
        else:
            self.fair_price = max(min(self.fair_price, self.pin.price - 0.5), self.pin.price - room)

    def pin_best(self, side: str) -> int | None:
        """Pin a new best price for a planted order; the old one where the spread is one tick."""
        best, other = self.book.sides[side].best, self.book.sides[OPPOSITE[side]].best
        if best is None or other is None:
            return None
        step = 1 if side == BID else -1
        price = best if abs(other - best) == 1 else best + step
        self.pin = Pin(side, price)
        self.move_fair_price(0.0)
        return price

    def unpin(self) -> None:
        """Remove the pin."""
        self.pin = None

    def sample_touch_sizes(self) -> Process:
        """Sample the displayed sizes each second, except while a planted order is pinned."""
        while True:
            yield 1000.0
            if self.pin is None:
                self._touch_sizes.extend(self.book.sides[side].best_lots for side in (BID, ASK))

    def touch_size_quantile(self, share: float) -> int:
        """Return the quantile `share` of the sampled sizes at the best prices."""
        ordered = sorted(self._touch_sizes) or [self.profile.round_lot]
        return max(1, ordered[int(share * (len(ordered) - 1))])

    def spread(self) -> int:
        """Return the spread in ticks, 1 where a side is empty."""
        bid, ask = self.book.sides[BID].best, self.book.sides[ASK].best
        return 1 if bid is None or ask is None else ask - bid

    def place_with_lifetime(self, order: Order, life_ms: float) -> None:
        """Place `order` and cancel it after `life_ms`."""
        self.book.place(order)
        if order.lots:
            self.schedule(life_ms, lambda: self._expire(order, life_ms))

    def _expire(self, order: Order, life_ms: float) -> None:
        """Cancel `order`, later where its side has few orders, so that no side becomes empty."""
        if order.lots and len(self.book.sides[order.side]) < MIN_ORDERS_PER_SIDE:
            self.schedule(life_ms, lambda: self._expire(order, life_ms))
        else:
            self.book.cancel(order)
