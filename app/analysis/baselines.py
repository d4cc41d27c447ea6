"""Keep a ticker's baselines, sampled each second, and derive the detectors' thresholds."""

import math
from dataclasses import dataclass, field
from typing import Final

from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE, MAX_DIGITS
from app.analysis.quantiles import (
    DecayClock,
    DecayedHistogram,
    DecayedRatio,
    FloatArray,
    IntArray,
    decayed_histogram,
    float_array,
    samples_needed,
    sum_in_order,
    unsigned_array,
)
from app.analysis.records import Quote

_FLOW_SECONDS: Final = 30
_SHORT_SECONDS: Final = 10
_SLOPE_SECONDS: Final = 5
_RECENT_HALF_LIFE: Final = 150
MIN_IMPACT_SAMPLES: Final = 300
MIN_DRIFT_SAMPLES: Final = 200
_MIN_TICK_PRICES: Final = 20
MIN_PAIRS: Final = 20
MAX_PAIRS: Final = 2000
FEW_SAME_STAMPS: Final = 0.02
MANY_SAME_STAMPS: Final = 0.1
MOST_SAME_STAMPS: Final = 0.5


@dataclass(slots=True)
class TickSize:
    """The tick size: the greatest common divisor of the differences of quoted prices.

    `size` is in price units, 0 before 20 distinct prices; `seen` are those until then.
    """

    first: int = 0
    divisor: int = 0
    seen: list[int] = field(default_factory=list)
    size: int = 0

    def add_price(self, price: int) -> None:
        """Add a quoted price."""
        if self.size and not (price - self.first) % self.size:
            return
        if not self.first:
            self.first = price
        self.divisor = math.gcd(self.divisor, price - self.first)
        if not self.size and price not in self.seen:
            self.seen.append(price)
        if self.size or len(self.seen) >= _MIN_TICK_PRICES:
            self.size, self.seen = self.divisor, []


@dataclass(slots=True, init=False)
class SecondSample:
    """What one second adds to the baselines; None where unknown.

    `mid2` is twice the valid mid at its end, 0 where there is none.
    """

    quote: Quote | None
    spread: int | None
    mid2: int
    mid_move: float | None
    signed_volume: float
    log_ofi: float | None
    quote_count: int
    trade_count: int
    flicker_share: float | None
    jump: int
    removals: list[float]
    trades_seen: bool

    def __init__(  # noqa: PLR0913 - written out, as in `records`
        self,
        quote: Quote | None,
        *,
        spread: int | None,
        mid2: int,
        mid_move: float | None,
        signed_volume: float,
        log_ofi: float | None,
        quote_count: int,
        trade_count: int,
        flicker_share: float | None,
        jump: int,
        removals: list[float],
        trades_seen: bool,
    ) -> None:
        self.quote = quote
        self.spread = spread
        self.mid2 = mid2
        self.mid_move = mid_move
        self.signed_volume = signed_volume
        self.log_ofi = log_ofi
        self.quote_count = quote_count
        self.trade_count = trade_count
        self.flicker_share = flicker_share
        self.jump = jump
        self.removals = removals
        self.trades_seen = trades_seen


@dataclass(slots=True)
class Thresholds:
    """Thresholds from the ticker's past, as of the last whole second; None while warming."""

    median_size: list[float | None] = field(default_factory=lambda: [None, None])
    large_size: list[float | None] = field(default_factory=lambda: [None, None])
    depth: float | None = None
    spread: float | None = None
    recent_spread: float | None = None
    one_tick_share: float = 0.0
    flow: float | None = None
    move_30s: float | None = None
    taker_flow: float | None = None
    taker_flow_q99: float | None = None
    quote_flow: float | None = None
    removal: float | None = None
    quote_rate_q95: float | None = None
    quote_rate_q99: float | None = None
    trade_rate_q75: float | None = None
    flicker: float | None = None
    jump: float | None = None
    order_size: float | None = None
    spread_slope: float | None = None
    impact: float | None = None
    drift: float | None = None


def _size_histograms() -> list[DecayedHistogram]:
    return [decayed_histogram(0.5, 0.95), decayed_histogram(0.5, 0.95)]


def _price_histogram(q: float) -> DecayedHistogram:
    histogram = decayed_histogram(q)
    histogram.scale = _price_scale(DEFAULT_DIGITS)
    return histogram


def _price_scale(digits: int) -> float:
    """Return what makes a number of price units one of the finest, so that no unit moves a bin."""
    return FLOAT_UNITS_PER_ONE[MAX_DIGITS - digits]


@dataclass(slots=True)
class Baselines:
    """Decayed statistics of a ticker's past; definitions and quantiles in docs/patterns.md, Scales.

    `flow_30s` and `flow_10s` are the signed taker volume of the last 30 and 10 s, `log_ofi_10s` the
    log-OFI of the last 10 s. `mids` are twice the valid mids at the last 31 whole seconds, 0 where
    there was none. `orders_span_stamps` tells whether this feed gives the trades of one
    market order different stamps.
    """

    sizes: list[DecayedHistogram] = field(default_factory=_size_histograms)
    depth: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.5))
    spread: DecayedHistogram = field(default_factory=lambda: _price_histogram(0.5))
    recent_spread: DecayedHistogram = field(default_factory=lambda: _price_histogram(0.5))
    flow: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.5))
    move_30s: DecayedHistogram = field(default_factory=lambda: _price_histogram(0.5))
    taker_flow: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.95, 0.99))
    quote_flow: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.95))
    removal: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.95))
    quote_rate: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.95, 0.99))
    trade_rate: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.75))
    flicker: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.95))
    jump: DecayedHistogram = field(default_factory=lambda: _price_histogram(0.95))
    order_size: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.75))
    spread_slope: DecayedHistogram = field(default_factory=lambda: decayed_histogram(0.9))
    impact: DecayedRatio = field(default_factory=DecayedRatio)
    drift: DecayedRatio = field(default_factory=DecayedRatio)
    one_tick: DecayedRatio = field(default_factory=DecayedRatio)
    walking_pairs: int = 0
    same_stamp_pairs: int = 0
    level_pairs: int = 0
    same_stamp_level_pairs: int = 0
    signed_volumes: FloatArray = field(default_factory=float_array)
    log_ofis: FloatArray = field(default_factory=float_array)
    spreads: FloatArray = field(default_factory=float_array)
    mids: IntArray = field(default_factory=unsigned_array)
    flow_30s: float = 0.0
    flow_10s: float = 0.0
    log_ofi_10s: float = 0.0
    clock: DecayClock = field(default_factory=DecayClock)
    recent_clock: DecayClock = field(default_factory=lambda: DecayClock(_RECENT_HALF_LIFE))
    orders_span_stamps: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds, init=False)

    def set_digits(self, digits: int) -> None:
        """Tell the histograms of prices the ticker's price unit, 10^-`digits`."""
        scale = _price_scale(digits)
        self.spread.scale = self.recent_spread.scale = self.jump.scale = scale
        self.move_30s.scale = scale

    def count_walking_pair(self, *, is_same_stamp: bool) -> None:
        """Count two trades of one taker, the second at a price further along, and compare stamps.

        Such pairs are parts of one market order, so they tell whether this feed gives the trades of
        an order one stamp or several; between the two shares it stays with what it found before.
        Where no order takes two prices, they are two orders: then pairs at one price tell.
        """
        self.walking_pairs += 1
        self.same_stamp_pairs += is_same_stamp
        if self.walking_pairs < MIN_PAIRS:
            return
        if (
            self.same_stamp_pairs > MANY_SAME_STAMPS * self.walking_pairs
            or self._most_level_pairs_share_stamps
        ):
            self.orders_span_stamps = False
        elif self.same_stamp_pairs < FEW_SAME_STAMPS * self.walking_pairs:
            self.orders_span_stamps = True
        if self.walking_pairs == MAX_PAIRS:
            self.walking_pairs //= 2
            self.same_stamp_pairs //= 2

    def count_level_pair(self, *, is_same_stamp: bool) -> None:
        """Count two trades of one taker at one price, and compare their stamps."""
        self.level_pairs += 1
        self.same_stamp_level_pairs += is_same_stamp
        if self.level_pairs == MAX_PAIRS:
            self.level_pairs //= 2
            self.same_stamp_level_pairs //= 2

    @property
    def _most_level_pairs_share_stamps(self) -> bool:
        share = MOST_SAME_STAMPS * self.level_pairs
        return self.level_pairs >= MIN_PAIRS and self.same_stamp_level_pairs >= share

    def clear_recent(self) -> None:
        """Clear the sums of the last seconds, as after a sleep; the histograms stay."""
        self.signed_volumes, self.log_ofis = float_array(), float_array()
        self.spreads, self.mids = float_array(), unsigned_array()
        self.flow_30s = self.flow_10s = self.log_ofi_10s = 0.0

    def add_recent_flows(self, sample: SecondSample) -> None:
        """Add a second's flows to the recent sums; call this before the detectors' `on_second`."""
        _append_bounded(self.signed_volumes, sample.signed_volume, _FLOW_SECONDS)
        _append_bounded(self.log_ofis, sample.log_ofi or 0.0, _SHORT_SECONDS)
        self.flow_30s = sum_in_order(self.signed_volumes)
        self.flow_10s = sum_in_order(self.signed_volumes[-_SHORT_SECONDS:])
        self.log_ofi_10s = sum_in_order(self.log_ofis)
        self.mids.append(sample.mid2)
        if len(self.mids) > _FLOW_SECONDS + 1:
            del self.mids[0]
        if sample.spread is None:
            self.spreads = float_array()
        else:
            _append_bounded(self.spreads, sample.spread, 2 * _SLOPE_SECONDS)

    def mid_move(self, seconds: int) -> float | None:
        """Return the mid's move over the last seconds, in price units; None where unknown."""
        if len(self.mids) <= seconds:
            return None
        before, now = self.mids[-1 - seconds], self.mids[-1]
        return (now - before) / 2 if before and now else None

    @property
    def tightening(self) -> float | None:
        """Return (mean spread of the 5 s before - that of the last 5 s) / median spread."""
        median = self.thresholds.spread
        if not median or len(self.spreads) < 2 * _SLOPE_SECONDS:
            return None
        earlier, later = self.spreads[:_SLOPE_SECONDS], self.spreads[_SLOPE_SECONDS:]
        return (sum_in_order(earlier) - sum_in_order(later)) / _SLOPE_SECONDS / median

    def add_second(self, sample: SecondSample, tick: int) -> None:
        """Add a second's samples, and update the thresholds; call this after the detectors."""
        tightening = self.tightening
        if tightening is not None:
            self.spread_slope.add(max(0.0, tightening), self.clock)
        self._add_book(sample, tick)
        self._add_rates(sample)
        self._add_flows(sample)
        self.clock.end_second()
        self.recent_clock.end_second()
        self.update_thresholds()

    def _add_book(self, sample: SecondSample, tick: int) -> None:
        quote, clock = sample.quote, self.clock
        if quote is not None:
            if quote.bid_size > 0:
                self.sizes[0].add(quote.bid_size, clock)
            if quote.ask_size > 0:
                self.sizes[1].add(quote.ask_size, clock)
            if quote.bid_size + quote.ask_size > 0:
                self.depth.add((quote.bid_size + quote.ask_size) / 2, clock)
        if sample.spread is not None:
            spread = float(sample.spread)
            self.spread.add(spread, clock)
            self.recent_spread.add(spread, self.recent_clock)
            if tick:
                self.one_tick.add(1.0 if sample.spread <= tick else 0.0, 1.0, clock)

    def _add_rates(self, sample: SecondSample) -> None:
        clock = self.clock
        for removal in sorted(sample.removals):
            if removal > 0:
                self.removal.add(removal, clock)
        self.quote_rate.add(float(sample.quote_count), clock)
        self.trade_rate.add(float(sample.trade_count), clock)
        if sample.flicker_share is not None:
            self.flicker.add(sample.flicker_share, clock)
        if sample.jump:
            self.jump.add(float(sample.jump), clock)

    def _add_flows(self, sample: SecondSample) -> None:
        clock = self.clock
        if sample.log_ofi is not None:
            self.quote_flow.add(abs(self.log_ofi_10s), clock)
            self.drift.add(sample.log_ofi * sample.log_ofi, 1.0, clock)
        if not sample.trades_seen:
            return
        self.flow.add(abs(self.flow_30s), clock)
        self.taker_flow.add(abs(self.flow_10s), clock)
        move = self.mid_move(_FLOW_SECONDS)
        if move is not None:
            self.move_30s.add(abs(move), clock)
        if sample.mid_move is not None:
            signed_volume = sample.signed_volume
            self.impact.add(signed_volume * sample.mid_move, signed_volume * signed_volume, clock)

    def update_thresholds(self) -> None:
        """Set the thresholds to the current quantiles and ratios; call this at whole seconds."""
        thresholds = self.thresholds
        thresholds.median_size = [histogram.quantile(0) for histogram in self.sizes]
        thresholds.large_size = [histogram.quantile(1) for histogram in self.sizes]
        thresholds.depth = self.depth.quantile(0)
        thresholds.one_tick_share = self.one_tick.ratio(samples_needed(0.5)) or 0.0
        thresholds.flow = self.flow.quantile(0)
        thresholds.taker_flow = self.taker_flow.quantile(0)
        thresholds.taker_flow_q99 = self.taker_flow.quantile(1)
        thresholds.quote_flow = self.quote_flow.quantile(0)
        thresholds.removal = self.removal.quantile(0)
        thresholds.quote_rate_q95 = self.quote_rate.quantile(0)
        thresholds.quote_rate_q99 = self.quote_rate.quantile(1)
        thresholds.trade_rate_q75 = self.trade_rate.quantile(0)
        thresholds.flicker = self.flicker.quantile(0)
        thresholds.order_size = self.order_size.quantile(0)
        thresholds.spread_slope = self.spread_slope.quantile(0)
        thresholds.drift = self.drift.ratio(MIN_DRIFT_SAMPLES)
        self.update_price_thresholds()

    def update_price_thresholds(self) -> None:
        """Set the thresholds that are in price units, as when the unit changes within a second.

        Market orders are sampled within seconds too: the others must stay as of the last second.
        """
        thresholds = self.thresholds
        thresholds.spread = self.spread.quantile(0)
        thresholds.recent_spread = self.recent_spread.quantile(0)
        thresholds.move_30s = self.move_30s.quantile(0)
        thresholds.jump = self.jump.quantile(0)
        thresholds.impact = self.impact.ratio(MIN_IMPACT_SAMPLES)


def _append_bounded(values: FloatArray, value: float, max_length: int) -> None:
    values.append(value)
    if len(values) > max_length:
        del values[0]
