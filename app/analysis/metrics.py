"""Windows to numbers: the fields of section 3 of the contract.

A number that can't be known is absent. Formula, unit and source of every field: docs/metrics.md.
"""

import math
from typing import Any, Final

from app.analysis.price_units import published_price
from app.analysis.records import Quote
from app.analysis.rolling_bars import ClosingValues, Window

Value = float | int | str
Fields = dict[str, Value]

_MORE: Final = 1.2
_LESS: Final = 0.8
# Tolerance for rounding: a size that stood for four seconds of five is exactly 0.8 of one that
# stood for five.
_TIE: Final = 1e-9
# Less is rounding error, not time: stamps are exact to 1/4096 ms.
_NO_TIME_MS: Final = 1e-4


def compute_metrics(window: Window, tick_size: int) -> Fields:
    """Return all that is known of a window, by field name.

    `tick_size` is the ticker's at the window's end, in the window's price unit; 0 where it is not
    known.
    """
    sums = window.sums
    fields: Fields = {
        "as_of": window.as_of,
        "covered_seconds": sums.covered_ms / 1000,
        "quote_count": int(sums.quote_count),
    }
    if sums.covered_ms:
        fields["quotes_per_second"] = sums.quote_count / (sums.covered_ms / 1000)
    _add_standing(fields, window, tick_size)
    _add_changes(fields, window)
    _add_sizes(fields, window)
    _add_spreads(fields, window)
    _add_flow(fields, window)
    _add_movement(fields, window)
    if window.end.trades_seen:
        _add_trades(fields, window)
    return fields


def _add_standing(fields: Fields, window: Window, tick_size: int) -> None:
    end = window.end
    if not end.stood:
        return
    if end.bid_size > 0:
        fields["bid_price"] = _published(end.bid_price, window.units_per_one)
    fields["bid_size"] = end.bid_size
    if end.ask_size > 0:
        fields["ask_price"] = _published(end.ask_price, window.units_per_one)
    fields["ask_size"] = end.ask_size
    if end.mid2:
        fields["weighted_mid"] = end.weighted_mid
        if tick_size:
            fields["spread_ticks"] = end.spread / tick_size


def _published(price: Any, units_per_one: float) -> float:  # noqa: ANN401 - an int where a float would round
    if isinstance(price, int):
        return published_price(price, units_per_one)
    published: float = price / units_per_one
    return published


def _start_of(window: Window) -> ClosingValues | Quote | None:
    """Return what stood at the window's start: the first quote where nothing did, or a gap ended.

    The first one is the ticker's first, or the first after a gap.
    """
    start, first = window.start, window.first_quote
    if first is not None and first.stamp > window.as_of - window.seconds * 1000:
        return first
    return start if start is not None and start.stood else first


def _add_changes(fields: Fields, window: Window) -> None:
    start, end, sums = _start_of(window), window.end, window.sums
    if start is None or not end.stood:
        return
    units_per_one = window.units_per_one
    if start.bid_size > 0 and end.bid_size > 0:
        fields["bid_price_movement"] = (end.bid_price - start.bid_price) / units_per_one
    if start.ask_size > 0 and end.ask_size > 0:
        fields["ask_price_movement"] = (end.ask_price - start.ask_price) / units_per_one
    fields["net_bid_size_change"] = end.bid_size - start.bid_size
    fields["net_ask_size_change"] = end.ask_size - start.ask_size
    fields["bid_lift_count"] = int(sums.bid_lifts)
    fields["bid_drop_count"] = int(sums.bid_drops)
    fields["ask_lift_count"] = int(sums.ask_lifts)
    fields["ask_drop_count"] = int(sums.ask_drops)


def _add_sizes(fields: Fields, window: Window) -> None:
    sums, end = window.sums, window.end
    if sums.covered_ms:
        fields["avg_bid_size"] = sums.bid_size_ms / sums.covered_ms
        fields["avg_ask_size"] = sums.ask_size_ms / sums.covered_ms
    if sums.imbalance_time_ms:
        fields["queue_imbalance"] = sums.imbalance_ms / sums.imbalance_time_ms
    start = window.start
    if end.large_bid_size:
        if start is not None and start.large_bid_size:
            fields["large_bids_appeared"] = int(sums.large_bids)
        fields["large_bid_size"] = end.large_bid_size
    if end.large_ask_size:
        if start is not None and start.large_ask_size:
            fields["large_asks_appeared"] = int(sums.large_asks)
        fields["large_ask_size"] = end.large_ask_size
    late = window.late_half
    whole_ms, late_ms = sums.covered_ms, late.covered_ms
    ratio = _ratio(sums.bid_size_ms, late.bid_size_ms, whole_ms, late_ms)
    if ratio is not None:
        fields["bid_size_acceleration"] = _word(ratio, "DECREASING", "INCREASING")
    ratio = _ratio(sums.ask_size_ms, late.ask_size_ms, whole_ms, late_ms)
    if ratio is not None:
        fields["ask_size_acceleration"] = _word(ratio, "DECREASING", "INCREASING")


def _ratio(whole: float, late: float, whole_ms: float, late_ms: float) -> float | None:
    """Return the late part's time-weighted mean over the earlier rest's; infinite over 0."""
    early_ms = whole_ms - late_ms
    if late_ms <= 0 or early_ms < _NO_TIME_MS:
        return None
    late_mean = late / late_ms
    early_mean = (whole - late) / early_ms
    if early_mean <= 0:
        return math.inf if late_mean > 0 else 1.0
    return late_mean / early_mean


def _word(ratio: float, below: str, above: str) -> str:
    return above if ratio > _MORE + _TIE else below if ratio < _LESS - _TIE else "STABLE"


def _add_spreads(fields: Fields, window: Window) -> None:
    sums, units_per_one = window.sums, window.units_per_one
    if sums.spread_time_ms <= 0:
        return
    fields["avg_spread"] = sums.spread_ms / sums.spread_time_ms / units_per_one
    fields["min_spread"] = window.min_spread / units_per_one
    fields["max_spread"] = window.max_spread / units_per_one
    fields["spread_bps"] = sums.spread_bps_ms / sums.spread_time_ms
    late = window.late_fifth
    ratio = _ratio(sums.spread_ms, late.spread_ms, sums.spread_time_ms, late.spread_time_ms)
    if ratio is not None:
        fields["spread_trend"] = _word(ratio, "TIGHTENING", "WIDENING")


def _add_flow(fields: Fields, window: Window) -> None:
    sums = window.sums
    if not window.end.stood:
        return
    fields["ofi"] = sums.ofi
    if sums.scored == sums.compared and (sums.scored or window.end.depth):
        fields["log_ofi"] = sums.log_ofi
    if sums.covered_ms:
        fields["size_turnover"] = sums.size_turnover / (sums.covered_ms / 1000)


def _add_movement(fields: Fields, window: Window) -> None:
    sums = window.sums
    if sums.returns:
        fields["realized_volatility_bps"] = 1e4 * math.sqrt(sums.squared_return)
    start = _start_of(window)
    if start is None or not window.end.mid2:
        return
    before = _mid2(start)
    if before and sums.covered_ms:
        moved = abs(window.end.mid2 - before) / 2 / window.units_per_one
        fields["price_velocity"] = moved / (sums.covered_ms / 1000)


def _mid2(start: ClosingValues | Quote) -> float:
    if isinstance(start, Quote):
        return start.bid_price + start.ask_price if start.is_valid else 0
    return float(start.mid2)


def _add_trades(fields: Fields, window: Window) -> None:
    sums = window.sums
    signed = sums.buy_volume + sums.sell_volume
    volume = signed + sums.unsigned_volume
    fields["trade_count"] = int(sums.trade_count)
    fields["buy_volume"] = sums.buy_volume
    fields["sell_volume"] = sums.sell_volume
    fields["unsigned_volume"] = sums.unsigned_volume
    fields["signed_volume"] = sums.buy_volume - sums.sell_volume
    if signed:
        fields["trade_imbalance"] = (sums.buy_volume - sums.sell_volume) / signed
    if volume:
        fields["vwap"] = sums.notional / volume
    if sums.effective_spread_volume:
        fields["effective_spread_bps"] = (
            sums.effective_spread_bps_volume / sums.effective_spread_volume
        )
    fields["inside_volume"] = sums.inside_volume
