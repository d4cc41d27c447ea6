"""A section of a tape to plant into: its standing quotes and the ticker's baselines."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from app.analysis.records import ASK, BID, BUY, Quote, Record, Trade

Floats = npt.NDArray[np.float64]

BETTER = (1, -1)
"""The direction in which a price improves, by side."""


@dataclass(frozen=True, slots=True)
class BestPriceSpan:
    """The time span in which a price is the best of its side."""

    start_ms: float
    end_ms: float
    price: int


def price_of(quote: Quote, side: int) -> int:
    """Return a side's best price."""
    return quote.bid_price if side == BID else quote.ask_price


def size_of(quote: Quote, side: int) -> float:
    """Return a side's displayed size."""
    return quote.bid_size if side == BID else quote.ask_size


def with_side(quote: Quote, stamp: float, side: int, price: int, size: float) -> Quote:
    """Return a quote at `stamp` with one side replaced."""
    if side == BID:
        return Quote(stamp, 0, price, size, quote.ask_price, quote.ask_size)
    return Quote(stamp, 0, quote.bid_price, quote.bid_size, price, size)


class TapeSection:
    """Records of a tape; those before `plant_from_ms` give the baselines."""

    def __init__(self, records: Sequence[Record], plant_from_ms: float) -> None:
        self.records = records
        self.plant_from_ms = plant_from_ms
        self.quotes = [record for record in records if isinstance(record, Quote)]
        self.trades = [record for record in records if isinstance(record, Trade)]
        self._stamps = [record.stamp for record in records]
        self._quote_stamps = [quote.stamp for quote in self.quotes]
        self.start_ms, self.end_ms = records[0].stamp, records[-1].stamp

    def between(self, start_ms: float, end_ms: float) -> Sequence[Record]:
        """Return records stamped in (start, end]."""
        stamps = self._stamps
        return self.records[bisect_right(stamps, start_ms) : bisect_right(stamps, end_ms)]

    def standing_quote(self, at_ms: float) -> Quote:
        """Return the standing quote at `at_ms`."""
        return self.quotes[max(0, bisect_right(self._quote_stamps, at_ms) - 1)]

    def best_price_span(self, side: int, at_ms: float) -> BestPriceSpan:
        """Return the span of the price that is a side's best at `at_ms`."""
        starts = self._starts[side]
        place = max(0, bisect_right(starts, at_ms) - 1)
        end = starts[place + 1] if place + 1 < len(starts) else self.end_ms
        return BestPriceSpan(starts[place], end, price_of(self.standing_quote(starts[place]), side))

    @cached_property
    def _starts(self) -> tuple[list[float], list[float]]:
        return self._starts_of(BID), self._starts_of(ASK)

    def _starts_of(self, side: int) -> list[float]:
        prices = np.array([price_of(quote, side) for quote in self.quotes])
        changes = np.flatnonzero(np.diff(prices) != 0) + 1
        places = np.concatenate([[0], changes])
        # The last quote of a stamp is the standing one.
        return [self._quote_stamps[place] for place in places]

    @cached_property
    def baseline_seconds(self) -> Floats:
        """Return the whole seconds of the baseline, in ms."""
        return np.arange(np.ceil(self.start_ms / 1000) * 1000, self.plant_from_ms, 1000.0)

    @cached_property
    def _baseline_quotes(self) -> list[Quote]:
        return [self.standing_quote(second) for second in self.baseline_seconds.tolist()]

    def size_quantile(self, side: int, q: float) -> float:
        """Return a quantile of a side's displayed size, sampled by the second."""
        return float(np.quantile([size_of(quote, side) for quote in self._baseline_quotes], q))

    @cached_property
    def median_spread(self) -> float:
        """Median spread, sampled by the second, in price units."""
        return float(
            np.median([quote.ask_price - quote.bid_price for quote in self._baseline_quotes])
        )

    @cached_property
    def tick(self) -> int:
        """Greatest common divisor of the differences of prices."""
        prices = np.array([quote.bid_price for quote in self.quotes[:5000]])
        return int(np.gcd.reduce(np.abs(np.diff(prices))))

    @cached_property
    def lot(self) -> float:
        """Least step of displayed sizes."""
        sizes = np.unique(np.abs([quote.bid_size for quote in self.quotes[:5000]]))
        steps = np.diff(sizes)
        return float(min(1.0, steps.min())) if len(steps) else 1.0

    @cached_property
    def depth(self) -> float:
        """Median of the mean of both sides' sizes."""
        return float(np.median([(q.bid_size + q.ask_size) / 2 for q in self._baseline_quotes]))

    @cached_property
    def order_q75(self) -> float:
        """Third quartile of the sizes of market orders, NaN without trades."""
        sizes: dict[tuple[float, int], float] = {}
        for trade in self._baseline_trades:
            key = (trade.stamp, trade.aggressor)
            sizes[key] = sizes.get(key, 0.0) + trade.size
        return float(np.quantile(list(sizes.values()), 0.75)) if sizes else float("nan")

    @cached_property
    def _baseline_trades(self) -> list[Trade]:
        return [trade for trade in self.trades if trade.stamp < self.plant_from_ms]

    @cached_property
    def median_flow_30s(self) -> float:
        """Median of the absolute signed volume of 30 seconds."""
        return float(np.median(self._flows(30)))

    @cached_property
    def flow_10s_q99(self) -> float:
        """99 % quantile of the absolute signed volume of 10 seconds."""
        return float(np.quantile(self._flows(10), 0.99))

    def _flows(self, seconds: int) -> Floats:
        """Return the absolute signed volumes of so many seconds, by the second."""
        flow = np.zeros(len(self.baseline_seconds) + 1)
        for trade in self._baseline_trades:
            place = np.searchsorted(self.baseline_seconds, trade.stamp)
            flow[place] += trade.size * trade.aggressor
        return np.abs(np.convolve(flow, np.ones(seconds), "valid"))

    @cached_property
    def quotes_per_second_q99(self) -> float:
        """99 % quantile of quotes a second."""
        counts, _ = np.histogram(
            self._quote_stamps, np.append(self.baseline_seconds, self.plant_from_ms)
        )
        return float(np.quantile(counts, 0.99))

    @cached_property
    def removal_q95(self) -> float:
        """95 % quantile of a second's net decrease of displayed size, over seconds with one."""
        removed = np.zeros((2, len(self.baseline_seconds) + 1))
        for before, after in zip(self.quotes, self.quotes[1:], strict=False):
            if after.stamp >= self.plant_from_ms:
                break
            place = np.searchsorted(self.baseline_seconds, after.stamp)
            for side in (BID, ASK):
                removed[side, place] += _removed(before, after, side)
        for trade in self._baseline_trades:
            side = ASK if trade.aggressor == BUY else BID
            if trade.price == price_of(self.standing_quote(trade.stamp - 0.0005), side):
                removed[side, np.searchsorted(self.baseline_seconds, trade.stamp)] -= trade.size
        return float(np.quantile(removed[removed > 0], 0.95))

    @cached_property
    def log_ofis(self) -> Floats:
        """Log-OFI of each baseline second."""
        sums = np.zeros(len(self.baseline_seconds) + 1)
        for before, after in zip(self.quotes, self.quotes[1:], strict=False):
            if after.stamp >= self.plant_from_ms:
                break
            e = _order_flow(before, after)
            sums[np.searchsorted(self.baseline_seconds, after.stamp)] += np.sign(e) * np.log1p(
                abs(e) / self.depth
            )
        return sums

    @cached_property
    def jump_q99(self) -> float:
        """99 % quantile of each second's greatest move of a best price within 5 ms, in units."""
        jumps = np.zeros(len(self.baseline_seconds) + 1)
        for side in (BID, ASK):
            for start in self._starts[side]:
                if start < self.plant_from_ms:
                    move = abs(
                        price_of(self.standing_quote(start), side)
                        - price_of(self.standing_quote(start - 5.0), side)
                    )
                    place = np.searchsorted(self.baseline_seconds, start)
                    jumps[place] = max(jumps[place], move)
        return float(np.quantile(jumps[jumps > 0], 0.99))


def _removed(before: Quote, after: Quote, side: int) -> float:
    old, new = price_of(before, side), price_of(after, side)
    if new == old:
        return size_of(before, side) - size_of(after, side)
    return size_of(before, side) if (new - old) * BETTER[side] < 0 else 0.0


def _order_flow(before: Quote, after: Quote) -> float:
    bid = (after.bid_price >= before.bid_price) * after.bid_size
    bid -= (after.bid_price <= before.bid_price) * before.bid_size
    ask = (after.ask_price <= before.ask_price) * after.ask_size
    ask -= (after.ask_price >= before.ask_price) * before.ask_size
    return bid - ask
