"""All scales of one ticker, sampled by the second, and the thresholds they put in force."""

import math
from dataclasses import dataclass, field
from typing import Final

from app.analysis.quantiles import Decayed, Numbers, Scale, numbers, samples_needed, scale, total
from app.analysis.records import Quote

_FLOW_SECONDS: Final = 30
_SHORT_SECONDS: Final = 10
_SLOPE_SECONDS: Final = 5
IMPACT_SAMPLES: Final = 300
DRIFT_SAMPLES: Final = 200
_TICK_PRICES: Final = 20
PAIRS_NEEDED: Final = 50
EQUAL_SHARE: Final = 0.05


@dataclass(slots=True)
class Tick:
    """Greatest common divisor of the differences of quoted prices.

    `size` is the tick in 1e-8, 0 before 20 distinct prices.
    """

    first: int = 0
    divisor: int = 0
    seen: list[int] = field(default_factory=list)
    size: int = 0

    def quoted(self, price: int) -> None:
        """Add a quoted price."""
        if self.size and not (price - self.first) % self.size:
            return
        if not self.first:
            self.first = price
        self.divisor = math.gcd(self.divisor, price - self.first)
        if not self.size and price not in self.seen:
            self.seen.append(price)
        if self.size or len(self.seen) >= _TICK_PRICES:
            self.size, self.seen = self.divisor, []


@dataclass(slots=True, init=False)
class SecondFacts:
    """What one second adds to the scales; None where it can't be known."""

    quote: Quote | None
    spread: int | None
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
class InForce:
    """Thresholds from the ticker's own past as of the last whole second; None while warming."""

    median_size: list[float | None] = field(default_factory=lambda: [None, None])
    large_size: list[float | None] = field(default_factory=lambda: [None, None])
    depth: float | None = None
    spread: float | None = None
    recent_spread: float | None = None
    one_tick_share: float = 0.0
    flow: float | None = None
    taker_flow: float | None = None
    quote_flow: float | None = None
    removal: float | None = None
    busy_quotes: float | None = None
    burst_quotes: float | None = None
    usual_trades: float | None = None
    flicker: float | None = None
    jump: float | None = None
    spread_slope: float | None = None
    impact: float | None = None
    drift: float | None = None


def _two_sizes() -> list[Scale]:
    return [scale(0.5, 0.95), scale(0.5, 0.95)]


@dataclass(slots=True)
class Usual:
    """What is usual for a ticker; definitions and quantiles in docs/patterns.md, Scales.

    Beside it what flowed of late: `flow_30s` and `flow_10s`, the signed taker volume of so many
    seconds, and `log_ofi_10s`.
    """

    sizes: list[Scale] = field(default_factory=_two_sizes)
    depth: Scale = field(default_factory=lambda: scale(0.5))
    spread: Scale = field(default_factory=lambda: scale(0.5))
    recent_spread: Scale = field(default_factory=lambda: scale(0.5, half_life=150))
    flow: Scale = field(default_factory=lambda: scale(0.5))
    taker_flow: Scale = field(default_factory=lambda: scale(0.95))
    quote_flow: Scale = field(default_factory=lambda: scale(0.95))
    removal: Scale = field(default_factory=lambda: scale(0.95))
    quote_rate: Scale = field(default_factory=lambda: scale(0.95, 0.99))
    trade_rate: Scale = field(default_factory=lambda: scale(0.75))
    flicker: Scale = field(default_factory=lambda: scale(0.95))
    jump: Scale = field(default_factory=lambda: scale(0.95))
    order_size: Scale = field(default_factory=lambda: scale(0.75))
    spread_slope: Scale = field(default_factory=lambda: scale(0.9))
    impact: Decayed = field(default_factory=Decayed)
    drift: Decayed = field(default_factory=Decayed)
    one_tick: Decayed = field(default_factory=Decayed)
    pairs: int = 0
    equal_pairs: int = 0
    signed: Numbers = field(default_factory=numbers)
    log_ofis: Numbers = field(default_factory=numbers)
    spreads: Numbers = field(default_factory=numbers)
    flow_30s: float = 0.0
    flow_10s: float = 0.0
    log_ofi_10s: float = 0.0
    in_force: InForce = field(default_factory=InForce, init=False)

    def count_pair(self, *, is_equal: bool) -> None:
        """Count two successive prints of one taker, and whether they shared their stamp."""
        self.pairs += 1
        self.equal_pairs += is_equal

    @property
    def orders_are_spread(self) -> bool:
        """Tell whether this feed stamps the prints of one market order apart."""
        return self.pairs >= PAIRS_NEEDED and self.equal_pairs < EQUAL_SHARE * self.pairs

    def forget_recent(self) -> None:
        """Drop the sums of the last seconds, as after a sleep; scales stay."""
        self.signed, self.log_ofis, self.spreads = numbers(), numbers(), numbers()
        self.flow_30s = self.flow_10s = self.log_ofi_10s = 0.0

    def gather(self, facts: SecondFacts) -> None:
        """Let the second's flows enter the recent sums, before the detectors look at them."""
        _push(self.signed, facts.signed_volume, _FLOW_SECONDS)
        _push(self.log_ofis, facts.log_ofi or 0.0, _SHORT_SECONDS)
        self.flow_30s = total(self.signed)
        self.flow_10s = total(self.signed[-_SHORT_SECONDS:])
        self.log_ofi_10s = total(self.log_ofis)
        if facts.spread is None:
            self.spreads = numbers()
        else:
            _push(self.spreads, facts.spread, 2 * _SLOPE_SECONDS)

    @property
    def tightening(self) -> float | None:
        """Return how much the last 5 seconds' spreads lie under the 5 before, in usual spreads."""
        usual = self.in_force.spread
        if not usual or len(self.spreads) < 2 * _SLOPE_SECONDS:
            return None
        earlier, later = self.spreads[:_SLOPE_SECONDS], self.spreads[_SLOPE_SECONDS:]
        return (total(earlier) - total(later)) / _SLOPE_SECONDS / usual

    def sample(self, facts: SecondFacts, tick: int) -> None:
        """Take the second's samples after the detectors have looked; renew what is in force."""
        tightening = self.tightening
        if tightening is not None:
            self.spread_slope.sample(max(0.0, tightening))
        self._sample_book(facts, tick)
        self._sample_rates(facts)
        self._sample_flows(facts)
        self.renew()

    def _sample_book(self, facts: SecondFacts, tick: int) -> None:
        quote = facts.quote
        if quote is not None:
            if quote.bid_size > 0:
                self.sizes[0].sample(quote.bid_size)
            if quote.ask_size > 0:
                self.sizes[1].sample(quote.ask_size)
            if quote.bid_size + quote.ask_size > 0:
                self.depth.sample((quote.bid_size + quote.ask_size) / 2)
        if facts.spread is not None:
            self.spread.sample(facts.spread)
            self.recent_spread.sample(facts.spread)
            if tick:
                self.one_tick.sample(1.0 if facts.spread <= tick else 0.0, 1.0)

    def _sample_rates(self, facts: SecondFacts) -> None:
        for removal in sorted(facts.removals):
            if removal > 0:
                self.removal.sample(removal)
        self.quote_rate.sample(facts.quote_count)
        self.trade_rate.sample(facts.trade_count)
        if facts.flicker_share is not None:
            self.flicker.sample(facts.flicker_share)
        if facts.jump:
            self.jump.sample(facts.jump)

    def _sample_flows(self, facts: SecondFacts) -> None:
        if facts.log_ofi is not None:
            self.quote_flow.sample(abs(self.log_ofi_10s))
            self.drift.sample(facts.log_ofi * facts.log_ofi, 1.0)
        if not facts.trades_seen:
            return
        self.flow.sample(abs(self.flow_30s))
        self.taker_flow.sample(abs(self.flow_10s))
        if facts.mid_move is not None:
            x = facts.signed_volume
            self.impact.sample(x * facts.mid_move, x * x)

    def renew(self) -> None:
        """Put the scales' quantiles in force."""
        past = self.in_force
        past.median_size = [s.quantile(0) for s in self.sizes]
        past.large_size = [s.quantile(1) for s in self.sizes]
        past.depth = self.depth.quantile(0)
        past.spread = self.spread.quantile(0)
        past.recent_spread = self.recent_spread.quantile(0)
        past.one_tick_share = self.one_tick.ratio(samples_needed(0.5)) or 0.0
        past.flow = self.flow.quantile(0)
        past.taker_flow = self.taker_flow.quantile(0)
        past.quote_flow = self.quote_flow.quantile(0)
        past.removal = self.removal.quantile(0)
        past.busy_quotes = self.quote_rate.quantile(0)
        past.burst_quotes = self.quote_rate.quantile(1)
        past.usual_trades = self.trade_rate.quantile(0)
        past.flicker = self.flicker.quantile(0)
        past.jump = self.jump.quantile(0)
        past.spread_slope = self.spread_slope.quantile(0)
        past.impact = self.impact.ratio(IMPACT_SAMPLES)
        past.drift = self.drift.ratio(DRIFT_SAMPLES)


def _push(values: Numbers, value: float, kept: int) -> None:
    values.append(value)
    if len(values) > kept:
        del values[0]
