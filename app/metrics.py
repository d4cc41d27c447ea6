"""Windows to numbers: the fields of section 3 of the contract.

A number that can't be known is absent. Formula, unit and source of every field: docs/metrics.md.
"""

import math
from collections.abc import Iterator

from app.bar_tables import Ending, Sums, Window
from app.records import PRICE_UNITS, Quote

Value = float | int | str
Fields = dict[str, Value]

_MORE, _LESS = 1.2, 0.8
# A rest of rounding errors is no time: stamps are exact to 1/4096 ms.
_NO_TIME_MS = 1e-4


def metrics_of(window: Window) -> Fields:
    """Return all that is known of a window, by field name."""
    fields: Fields = {
        "as_of": window.as_of,
        "covered_seconds": window.sums.covered_ms / 1000,
        "quote_count": int(window.sums.quote_count),
        "quotes_per_second": window.sums.quote_count / window.seconds,
    }
    fields.update(_standing(window))
    fields.update(_changes(window))
    fields.update(_sizes(window))
    fields.update(_spreads(window))
    fields.update(_flow(window))
    fields.update(_movement(window))
    if window.end.trades_seen:
        fields.update(_trades(window))
    return fields


def _standing(window: Window) -> Iterator[tuple[str, Value]]:
    end = window.end
    if not end.stood:
        return
    if end.bid_size > 0:
        yield "bid_price", end.bid_price / PRICE_UNITS
    yield "bid_size", end.bid_size
    if end.ask_size > 0:
        yield "ask_price", end.ask_price / PRICE_UNITS
    yield "ask_size", end.ask_size
    if end.mid2:
        yield "weighted_mid", end.weighted_mid


def _start_of(window: Window) -> Ending | Quote | None:
    """Return what stood at the window's start: the ticker's first quote where nothing did."""
    start = window.start
    return start if start is not None and start.stood else window.first_quote


def _changes(window: Window) -> Iterator[tuple[str, Value]]:
    start, end, sums = _start_of(window), window.end, window.sums
    if start is None or not end.stood:
        return
    if start.bid_size > 0 and end.bid_size > 0:
        yield "bid_price_movement", (end.bid_price - start.bid_price) / PRICE_UNITS
    if start.ask_size > 0 and end.ask_size > 0:
        yield "ask_price_movement", (end.ask_price - start.ask_price) / PRICE_UNITS
    yield "net_bid_size_change", end.bid_size - start.bid_size
    yield "net_ask_size_change", end.ask_size - start.ask_size
    yield "bid_lift_count", int(sums.bid_lifts)
    yield "bid_drop_count", int(sums.bid_drops)
    yield "ask_lift_count", int(sums.ask_lifts)
    yield "ask_drop_count", int(sums.ask_drops)


def _sizes(window: Window) -> Iterator[tuple[str, Value]]:
    sums, end = window.sums, window.end
    if sums.covered_ms:
        yield "avg_bid_size", sums.bid_size_ms / sums.covered_ms
        yield "avg_ask_size", sums.ask_size_ms / sums.covered_ms
    if sums.imbalance_time_ms:
        yield "queue_imbalance", sums.imbalance_ms / sums.imbalance_time_ms
    if end.large_bid_size:
        yield "large_bids_appeared", int(sums.large_bids)
        yield "large_bid_size", end.large_bid_size
    if end.large_ask_size:
        yield "large_asks_appeared", int(sums.large_asks)
        yield "large_ask_size", end.large_ask_size
    for side in ("bid", "ask"):
        ratio = _ratio(sums, window.late_half, f"{side}_size_ms", "covered_ms")
        if ratio is not None:
            yield f"{side}_size_acceleration", _word(ratio, "DECREASING", "INCREASING")


def _ratio(whole: Sums, late: Sums, integral: str, time: str) -> float | None:
    """Return the late part's time-weighted mean over the earlier rest's; infinite over 0."""
    late_time = getattr(late, time)
    early_time = getattr(whole, time) - late_time
    if late_time <= 0 or early_time < _NO_TIME_MS:
        return None
    late_mean = getattr(late, integral) / late_time
    early_mean = (getattr(whole, integral) - getattr(late, integral)) / early_time
    if early_mean <= 0:
        return math.inf if late_mean > 0 else 1.0
    return float(late_mean / early_mean)


def _word(ratio: float, below: str, above: str) -> str:
    return above if ratio > _MORE else below if ratio < _LESS else "STABLE"


def _spreads(window: Window) -> Iterator[tuple[str, Value]]:
    sums = window.sums
    if sums.spread_time_ms <= 0:
        return
    yield "avg_spread", sums.spread_ms / sums.spread_time_ms / PRICE_UNITS
    yield "min_spread", window.min_spread / PRICE_UNITS
    yield "max_spread", window.max_spread / PRICE_UNITS
    yield "spread_bps", sums.spread_bps_ms / sums.spread_time_ms
    ratio = _ratio(sums, window.late_fifth, "spread_ms", "spread_time_ms")
    if ratio is not None:
        yield "spread_trend", _word(ratio, "TIGHTENING", "WIDENING")


def _flow(window: Window) -> Iterator[tuple[str, Value]]:
    sums = window.sums
    if not window.end.stood:
        return
    yield "ofi", sums.ofi
    if sums.scored == sums.compared and (sums.scored or window.end.depth):
        yield "log_ofi", sums.log_ofi
    yield "size_turnover", sums.size_turnover / window.seconds


def _movement(window: Window) -> Iterator[tuple[str, Value]]:
    if window.sums.returns:
        yield "realized_volatility_bps", 1e4 * math.sqrt(window.sums.squared_return)
    start = _start_of(window)
    if start is None or not window.end.mid2:
        return
    before = _mid2(start)
    if before:
        yield "price_velocity", abs(window.end.mid2 - before) / 2 / PRICE_UNITS / window.seconds


def _mid2(start: Ending | Quote) -> float:
    if isinstance(start, Quote):
        return start.bid_price + start.ask_price if start.is_valid else 0
    return float(start.mid2)


def _trades(window: Window) -> Iterator[tuple[str, Value]]:
    sums = window.sums
    signed = sums.buy_volume + sums.sell_volume
    volume = signed + sums.unsigned_volume
    yield "trade_count", int(sums.trade_count)
    yield "buy_volume", sums.buy_volume
    yield "sell_volume", sums.sell_volume
    yield "unsigned_volume", sums.unsigned_volume
    yield "signed_volume", sums.buy_volume - sums.sell_volume
    if signed:
        yield "trade_imbalance", (sums.buy_volume - sums.sell_volume) / signed
    if volume:
        yield "vwap", sums.notional / volume
    if sums.effective_spread_volume:
        yield (
            "effective_spread_bps",
            sums.effective_spread_bps_volume / sums.effective_spread_volume,
        )
    yield "inside_volume", sums.inside_volume
