"""Build one-second bars from records; bars add up to any window.

A bar covers (end - 1 s, end]. Its first fields are additive sums; its last fields hold the values
at the end of the second.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Final

from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE, published_price
from app.analysis.records import BUY, UNSIGNED, Quote, Trade
from app.analysis.standing_quote import StandingQuote, TradeSign

SECOND_MS: Final = 1000

FaultsBySecond = dict[int, list[str]]
"""Names of odd and rejected records by the end of their second, in ms."""


def whole_second(stamp: float) -> int:
    """Return the first whole second at or after `stamp`, in ms.

    >>> whole_second(1000.0), whole_second(1000.25)
    (1000, 2000)
    """
    return math.ceil(stamp / SECOND_MS) * SECOND_MS


def group_by_second(faults: Iterable[tuple[float, str]]) -> FaultsBySecond:
    """Group faults, each a stamp and a name, by the second that they belong to."""
    found: FaultsBySecond = {}
    for stamp, name in faults:
        found.setdefault(whole_second(stamp), []).append(name)
    return found


@dataclass(slots=True, init=False)
class Bar:
    """One second; times in ms, 0 where a price or threshold is unknown.

    Prices and spreads are in units of 10^-`digits`.

    `compared` counts quotes that had a predecessor, `scored` those of them whose log-OFI could be
    scaled. `stood` is 1 if a quote stood at the end. `mid2` is twice the valid mid, `spread` the
    valid spread at the end. `large_*` and `depth` are the thresholds in force after the second.
    `stored` counts the members of the broker's keys by score, parsable or not.
    """

    end: int
    quote_count: int
    compared: int
    scored: int
    bid_lifts: int
    bid_drops: int
    ask_lifts: int
    ask_drops: int
    large_bids: int
    large_asks: int
    covered_ms: float
    bid_size_ms: float
    ask_size_ms: float
    imbalance_ms: float
    imbalance_time_ms: float
    spread_ms: float
    spread_bps_ms: float
    spread_time_ms: float
    ofi: float
    log_ofi: float
    size_turnover: float
    squared_return: float
    returns: int
    trade_count: int
    buy_volume: float
    sell_volume: float
    unsigned_volume: float
    notional: float
    effective_spread_bps_volume: float
    effective_spread_volume: float
    inside_volume: float
    stored: int
    min_spread: float
    max_spread: float
    stood: int
    bid_price: int
    bid_size: float
    ask_price: int
    ask_size: float
    mid2: int
    spread: int
    weighted_mid: float
    large_bid_size: float
    large_ask_size: float
    depth: float
    trades_seen: int
    first_quote: Quote | None
    quality: dict[str, int] | None
    digits: int

    def __init__(self, end: int) -> None:
        """Begin the second that ends at `end`, with all fields 0."""
        # Written out: the `__init__` that `dataclass` generates is not compiled and takes 12 µs.
        self.end = end
        self.quote_count = self.compared = self.scored = self.bid_lifts = self.bid_drops = 0
        self.ask_lifts = self.ask_drops = self.large_bids = self.large_asks = self.returns = 0
        self.trade_count = self.stored = self.stood = self.bid_price = self.ask_price = 0
        self.mid2 = self.spread = self.trades_seen = 0
        self.covered_ms = self.bid_size_ms = self.ask_size_ms = self.imbalance_ms = 0.0
        self.imbalance_time_ms = self.spread_ms = self.spread_bps_ms = self.spread_time_ms = 0.0
        self.ofi = self.log_ofi = self.size_turnover = self.squared_return = self.buy_volume = 0.0
        self.sell_volume = self.unsigned_volume = self.notional = 0.0
        self.effective_spread_bps_volume = self.effective_spread_volume = self.inside_volume = 0.0
        self.min_spread = self.max_spread = self.bid_size = self.ask_size = self.weighted_mid = 0.0
        self.large_bid_size = self.large_ask_size = self.depth = 0.0
        self.first_quote = None
        self.quality = None
        self.digits = DEFAULT_DIGITS

    def clear_time(self) -> None:
        """Set all sums over time to 0: nothing was seen so far."""
        self.scale_time(0.0)
        self.min_spread = self.max_spread = 0.0

    def scale_time(self, share: float) -> None:
        """Multiply all sums over time."""
        self.covered_ms *= share
        self.bid_size_ms *= share
        self.ask_size_ms *= share
        self.imbalance_ms *= share
        self.imbalance_time_ms *= share
        self.spread_ms *= share
        self.spread_bps_ms *= share
        self.spread_time_ms *= share

    def additive_values(self) -> list[float]:
        """Return `ADDITIVE_FIELDS`; written out, which takes a fifth of looking them up by name."""
        return [
            self.covered_ms,
            self.bid_size_ms,
            self.ask_size_ms,
            self.imbalance_ms,
            self.imbalance_time_ms,
            self.spread_ms,
            self.spread_bps_ms,
            self.spread_time_ms,
            self.ofi,
            self.log_ofi,
            self.size_turnover,
            self.squared_return,
            self.buy_volume,
            self.sell_volume,
            self.unsigned_volume,
            self.notional,
            self.effective_spread_bps_volume,
            self.effective_spread_volume,
            self.inside_volume,
        ]

    def count_values(self) -> list[int]:
        """Return `COUNT_FIELDS`, written out as well."""
        return [
            self.quote_count,
            self.compared,
            self.scored,
            self.bid_lifts,
            self.bid_drops,
            self.ask_lifts,
            self.ask_drops,
            self.large_bids,
            self.large_asks,
            self.returns,
            self.trade_count,
        ]

    def closing_values(self) -> list[float]:
        """Return `CLOSING_FIELDS` as floats, written out as well."""
        return [
            float(self.stood),
            float(self.bid_price),
            self.bid_size,
            float(self.ask_price),
            self.ask_size,
            float(self.mid2),
            float(self.spread),
            self.weighted_mid,
            self.large_bid_size,
            self.large_ask_size,
            self.depth,
            float(self.trades_seen),
        ]

    def set_fields(self, values: Iterable[tuple[str, object]]) -> "Bar":
        """Set fields by name, and return this bar."""
        for name, value in values:
            setattr(self, name, value)
        return self


_FIELDS = [f.name for f in fields(Bar)]
_ADDITIVE = _FIELDS[_FIELDS.index("quote_count") : _FIELDS.index("stored")]
COUNT_FIELDS = tuple(name for name in _ADDITIVE if isinstance(getattr(Bar(0), name), int))
ADDITIVE_FIELDS = tuple(name for name in _ADDITIVE if name not in COUNT_FIELDS)
CLOSING_FIELDS = tuple(_FIELDS[_FIELDS.index("stood") : _FIELDS.index("first_quote")])


_EMPTY_BAR = Bar(0)


@dataclass(slots=True, init=False)
class BarBuilder:
    """Builds bars from records in stream order, with thresholds that change at whole seconds.

    `bar` is the current second, which ends at `end`; call `begin` before the first record.
    `last_bid_price` and `last_ask_price` are the newest prices quoted with a size. Prices are in
    units of 10^-`digits`.
    """

    end: int
    standing_quote: StandingQuote
    bar: Bar = field(init=False)
    integrated_to: float
    last_bid_price: int
    last_ask_price: int
    last_mid2: int
    large_bid_size: float
    large_ask_size: float
    depth: float
    trades_seen: int
    digits: int = field(init=False)

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        end: int,
        standing_quote: StandingQuote,
        integrated_to: float = 0.0,
        last_bid_price: int = 0,
        last_ask_price: int = 0,
        last_mid2: int = 0,
        large_bid_size: float = 0.0,
        large_ask_size: float = 0.0,
        depth: float = 0.0,
        trades_seen: int = 0,
    ) -> None:
        self.end = end
        self.standing_quote = standing_quote
        self.bar = _EMPTY_BAR
        self.integrated_to = integrated_to
        self.last_bid_price = last_bid_price
        self.last_ask_price = last_ask_price
        self.last_mid2 = last_mid2
        self.large_bid_size = large_bid_size
        self.large_ask_size = large_ask_size
        self.depth = depth
        self.trades_seen = trades_seen
        self.digits = DEFAULT_DIGITS

    def begin(self, end: int) -> None:
        """Begin the second that ends at `end`."""
        self.end = end
        self.bar = Bar(end)
        self.bar.digits = self.digits

    def copy(self) -> "BarBuilder":
        """Return an independent copy; only at a whole second, since `bar` is not copied."""
        standing = self.standing_quote
        other = BarBuilder(
            self.end,
            StandingQuote(
                standing.quote,
                standing.last_valid,
                standing.spread,
                standing.last_price,
                standing.last_direction,
                standing.is_old,
            ),
            self.integrated_to,
            self.last_bid_price,
            self.last_ask_price,
            self.last_mid2,
            self.large_bid_size,
            self.large_ask_size,
            self.depth,
            self.trades_seen,
        )
        other.digits = self.digits
        return other

    def add_quote(self, quote: Quote) -> None:
        """Add a quote."""
        bar, standing = self.bar, self.standing_quote
        before = standing.quote
        bar.quote_count += 1
        if before is None:
            bar.first_quote = quote
            self.integrated_to = quote.stamp
        else:
            if quote.stamp > self.integrated_to:
                self._integrate(before, quote.stamp)
            if standing.is_old:
                bar.first_quote = quote
            else:
                self._add_order_flow(before, quote)
        if quote.bid_size > 0:
            self.last_bid_price = quote.bid_price
        if quote.ask_size > 0:
            self.last_ask_price = quote.ask_price
        standing.add_quote(quote)
        if standing.last_valid is not quote:
            self.add_fault(_invalid_quote_fault(quote))

    def _add_order_flow(self, before: Quote, quote: Quote) -> None:  # noqa: C901, PLR0912 - hot path
        """Add what changed between two quotes: order flow, price changes, turnover, large sizes."""
        bar = self.bar
        bar.compared += 1
        flow = 0.0
        old_size, new_size = before.bid_size, quote.bid_size
        if new_size > 0 and quote.bid_price != self.last_bid_price and self.last_bid_price:
            if quote.bid_price > self.last_bid_price:
                flow = new_size
                bar.bid_lifts += old_size > 0
            else:
                flow = -old_size
                bar.bid_drops += old_size > 0
        elif new_size != old_size:
            flow = new_size - old_size
            if old_size > 0 and new_size > 0:
                bar.size_turnover += abs(flow)
        if old_size < self.large_bid_size <= new_size:
            bar.large_bids += 1
        old_size, new_size = before.ask_size, quote.ask_size
        if new_size > 0 and quote.ask_price != self.last_ask_price and self.last_ask_price:
            if quote.ask_price > self.last_ask_price:
                flow += old_size
                bar.ask_lifts += old_size > 0
            else:
                flow -= new_size
                bar.ask_drops += old_size > 0
        elif new_size != old_size:
            flow -= new_size - old_size
            if old_size > 0 and new_size > 0:
                bar.size_turnover += abs(new_size - old_size)
        if old_size < self.large_ask_size <= new_size:
            bar.large_asks += 1
        bar.ofi += flow
        if self.depth:
            bar.scored += 1
            if flow:
                bar.log_ofi += math.copysign(math.log1p(abs(flow) / self.depth), flow)

    def add_trade(self, trade: Trade) -> TradeSign:
        """Add a trade, and return its sign."""
        bar = self.bar
        sign = self.standing_quote.sign_trade(trade)
        self.trades_seen = 1
        bar.trade_count += 1
        bar.notional += published_price(trade.price, FLOAT_UNITS_PER_ONE[self.digits]) * trade.size
        if sign.is_inside:
            bar.inside_volume += trade.size
        if sign.aggressor == UNSIGNED:
            bar.unsigned_volume += trade.size
            return sign
        if sign.aggressor == BUY:
            bar.buy_volume += trade.size
        else:
            bar.sell_volume += trade.size
        valid = self.standing_quote.valid
        if valid is not None:
            mid2 = valid.bid_price + valid.ask_price
            bps = 2e4 * sign.aggressor * (2 * trade.price - mid2) / mid2
            bar.effective_spread_bps_volume += bps * trade.size
            bar.effective_spread_volume += trade.size
        return sign

    def add_fault(self, name: str) -> None:
        """Count a fault among the records of this second by name."""
        if self.bar.quality is None:
            self.bar.quality = {}
        self.bar.quality[name] = self.bar.quality.get(name, 0) + 1

    def _integrate(self, quote: Quote, until: float) -> None:
        """Add the standing quote to the time-weighted sums, up to `until`."""
        bar = self.bar
        duration = until - self.integrated_to
        self.integrated_to = until
        bar.covered_ms += duration
        bid_size, ask_size = quote.bid_size, quote.ask_size
        bar.bid_size_ms += bid_size * duration
        bar.ask_size_ms += ask_size * duration
        if bid_size or ask_size:
            bar.imbalance_ms += (bid_size - ask_size) / (bid_size + ask_size) * duration
            bar.imbalance_time_ms += duration
        spread, valid = self.standing_quote.spread, self.standing_quote.last_valid
        if not spread or valid is None:
            return
        bar.spread_ms += spread * duration
        bar.spread_bps_ms += 2e4 * spread / (valid.ask_price + valid.bid_price) * duration
        bar.spread_time_ms += duration
        if not bar.min_spread or spread < bar.min_spread:
            bar.min_spread = float(spread)
        bar.max_spread = max(bar.max_spread, float(spread))

    def pass_gap(self, parts: Iterable[tuple[float, float]]) -> None:
        """Leave out the time inside a gap, given in parts; compare nothing after it with before."""
        for start, end in parts:
            self._leave_out(start, end)
        self.standing_quote.pass_gap()
        self.last_bid_price = self.last_ask_price = self.last_mid2 = 0

    def _leave_out(self, start: float, end: float) -> None:
        """Leave out what lies of (start, end] in this second."""
        quote, bar = self.standing_quote.quote, self.bar
        if quote is None:
            return
        if start <= bar.end - SECOND_MS:
            bar.clear_time()
        elif start >= self.integrated_to:
            self._integrate(quote, start)
        elif bar.covered_ms:
            bar.scale_time(max(0.0, 1.0 - (self.integrated_to - start) / bar.covered_ms))
        self.integrated_to = max(self.integrated_to, end)

    def close(self) -> Bar:
        """End the second, begin the next, and return the finished bar, still without thresholds."""
        bar, quote = self.bar, self.standing_quote.quote
        if quote is not None and self.integrated_to < bar.end:
            self._integrate(quote, float(bar.end))
        self._close_mid(bar)
        if quote is not None:
            bar.stood = 1
            bar.bid_price, bar.bid_size = quote.bid_price, quote.bid_size
            bar.ask_price, bar.ask_size = quote.ask_price, quote.ask_size
        bar.trades_seen = self.trades_seen
        self.begin(bar.end + SECOND_MS)
        return bar

    def _close_mid(self, bar: Bar) -> None:
        """Set the fields that the last valid quote determines."""
        last = self.standing_quote.last_valid
        if last is None:
            return
        mid2 = last.bid_price + last.ask_price
        if self.last_mid2:
            bar.returns = 1
            if mid2 != self.last_mid2:
                bar.squared_return = math.log(mid2 / self.last_mid2) ** 2
        if not self.standing_quote.is_old:
            self.last_mid2 = mid2
        if self.standing_quote.spread:
            bar.mid2 = mid2
            bar.spread = self.standing_quote.spread
            bar.weighted_mid = weighted_mid(last, self.digits)

    def set_thresholds(self, bar: Bar, large_bid: float, large_ask: float, depth: float) -> None:
        """Set the next second's thresholds, and store them in the bar that just ended."""
        self.large_bid_size = bar.large_bid_size = large_bid
        self.large_ask_size = bar.large_ask_size = large_ask
        self.depth = bar.depth = depth

    def copy_thresholds(self, bar: Bar, source: Bar) -> None:
        """Set the thresholds that an earlier bar of the same second holds."""
        self.set_thresholds(bar, source.large_bid_size, source.large_ask_size, source.depth)


def weighted_mid(quote: Quote, digits: int = DEFAULT_DIGITS) -> float:
    r"""Return the mean of bid and ask, each weighted by the opposite side's size.

    .. math:: W = \frac{P_b q_a + P_a q_b}{q_b + q_a}

    Stoikov (2018), "The micro-price", Quantitative Finance 18(12).

    >>> weighted_mid(Quote(0.0, 0, 10_00000000, 300, 11_00000000, 100))
    10.75
    """
    units_per_one = FLOAT_UNITS_PER_ONE[digits]
    bid = published_price(quote.bid_price, units_per_one)
    ask = published_price(quote.ask_price, units_per_one)
    return (bid * quote.ask_size + ask * quote.bid_size) / (quote.bid_size + quote.ask_size)


def _invalid_quote_fault(quote: Quote) -> str:
    """Name the reason why a quote is not valid."""
    if not quote.is_two_sided:
        return "one_sided"
    return "locked" if quote.bid_price == quote.ask_price else "crossed"
