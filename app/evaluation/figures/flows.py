"""Figures of flow: the share of mid moves that quote and trade flow explain in 10 s."""

import numpy as np

from app.analysis.quantiles import DecayClock, decayed_histogram
from app.evaluation.figures.tape_tables import Floats, Quotes, TapeTables

WINDOW_MS = 10_000.0
WINDOWS_IN_HALF_HOUR = 180
SECOND_MS = 1000.0
MIN_WINDOWS = 3


def order_flow(quotes: Quotes) -> Floats:
    """Return each quote's order flow imbalance (Cont, Kukanov, Stoikov 2014)."""
    bid, bid_size, ask, ask_size = quotes.bid, quotes.bid_size, quotes.ask, quotes.ask_size
    flow = np.zeros(len(bid))
    flow[1:] = (bid[1:] >= bid[:-1]) * bid_size[1:] - (bid[1:] <= bid[:-1]) * bid_size[:-1]
    flow[1:] -= (ask[1:] <= ask[:-1]) * ask_size[1:] - (ask[1:] >= ask[:-1]) * ask_size[:-1]
    return flow


def log_order_flow(quotes: Quotes) -> Floats:
    """Return sign(e)·ln(1 + abs(e)/D̃) with D̃ from before the quote's second, 0 while warming."""
    flow, depth = order_flow(quotes), median_depth(quotes)
    scaled = np.zeros(len(flow))
    np.divide(np.abs(flow), depth, out=scaled, where=np.isfinite(depth) & (depth > 0))
    return np.sign(flow) * np.log1p(scaled)


def median_depth(quotes: Quotes) -> Floats:
    """Return for each quote the engine's median depth at the second before it, or NaN."""
    seconds = _grid(quotes, SECOND_MS)[1:]
    depths = (quotes.bid_size + quotes.ask_size) / 2
    sampled, clock = decayed_histogram(0.5), DecayClock()
    known = np.full(len(seconds) + 1, np.nan)
    places = np.searchsorted(quotes.stamp, seconds, side="right") - 1
    for number, place in enumerate(places.tolist()):
        sampled.add(float(depths[place]), clock)
        clock.end_second()
        median = sampled.quantile(0)
        known[number + 1] = np.nan if median is None else median
    mine: Floats = known[np.searchsorted(seconds, quotes.stamp)]
    return mine


def explained_by_quotes(day: TapeTables, flow: Floats) -> tuple[float, float]:
    """Return R² of mid moves on quote flow: of the whole day, and the mean of half hours."""
    edges = _grid(day.quotes, WINDOW_MS)
    return _explained(day.quotes, edges, _sums(edges, day.quotes.stamp, flow))


def explained_by_trades(day: TapeTables) -> float:
    """Return R² of mid moves on the signed volume of visible trades."""
    edges = _grid(day.quotes, WINDOW_MS)
    trades = day.trades
    signed = np.where(trades.hidden, 0.0, trades.sign * trades.size)
    return _explained(day.quotes, edges, _sums(edges, trades.stamp, signed))[0]


def _grid(quotes: Quotes, step_ms: float) -> Floats:
    """Return multiples of `step_ms` from before the first quote to after the last."""
    first = np.floor(quotes.stamp[0] / step_ms) * step_ms
    last = np.ceil(quotes.stamp[-1] / step_ms) * step_ms
    return np.arange(first, last + 1.0, step_ms)


def _sums(edges: Floats, stamps: Floats, values: Floats) -> Floats:
    """Sum values in windows that are open on the left."""
    places = np.searchsorted(edges, stamps, side="left") - 1
    inside = (places >= 0) & (places < len(edges) - 1)
    sums = np.bincount(places[inside], values[inside], minlength=len(edges) - 1)
    return sums.astype(np.float64)


def _explained(quotes: Quotes, edges: Floats, flows: Floats) -> tuple[float, float]:
    places = np.searchsorted(quotes.stamp, edges, side="right") - 1
    moves = np.diff(np.where(places >= 0, quotes.mid[np.maximum(places, 0)], np.nan))
    starts = range(0, len(moves), WINDOWS_IN_HALF_HOUR)
    parts = [
        _r_squared(flows[i : i + WINDOWS_IN_HALF_HOUR], moves[i : i + WINDOWS_IN_HALF_HOUR])
        for i in starts
    ]
    known = [part for part in parts if np.isfinite(part)]
    return _r_squared(flows, moves), float(np.mean(known)) if known else float("nan")


def _r_squared(x: Floats, y: Floats) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < MIN_WINDOWS or not np.ptp(x[known]) or not np.ptp(y[known]):
        return float("nan")
    return float(np.corrcoef(x[known], y[known])[0, 1] ** 2)
