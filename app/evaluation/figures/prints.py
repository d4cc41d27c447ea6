"""Figures of trades: hidden volume, aggressor, effective spread, prices per order."""

import numpy as np

from app.evaluation.figures.tape_tables import Flags, Floats, TapeTables

BPS = 1e4
SWEPT_PRICES = 2


def hidden_share(day: TapeTables) -> float:
    """Return the share of traded volume that met hidden orders, NaN where none is marked."""
    sizes, hidden = day.trades.size, day.trades.hidden
    return float(sizes[hidden].sum() / sizes.sum()) if hidden.any() else float("nan")


def unmarked_hidden_share(day: TapeTables) -> float:
    """Return the share of hidden trades that no quote follows directly."""
    followed = np.isin(day.trades.seq + 1, day.quotes.seq)
    hidden = day.trades.hidden
    return float(1.0 - followed[hidden].mean()) if hidden.any() else float("nan")


def quote_rule_hits(day: TapeTables) -> Flags:
    """Tell whether the quote rule (at the mid, the tick rule) gives each trade's aggressor.

    Lee, Ready 1991.
    """
    trades, quotes = day.trades, day.quotes
    distance = trades.price - quotes.mid[trades.before]
    direction = np.where(np.abs(distance) < quotes.tick / 100, _tick_rule(trades.price), distance)
    right: Flags = np.sign(direction) == trades.sign
    return right


def _tick_rule(prices: Floats) -> Floats:
    """Return the direction from the last different price to each trade's."""
    steps = np.sign(np.diff(prices, prepend=prices[:1]))
    places = np.maximum.accumulate(np.where(steps != 0, np.arange(len(steps)), 0))
    directions: Floats = steps[places]
    return directions


def effective_spreads_bps(day: TapeTables) -> Floats:
    """Return each trade's effective spread, 2·d·(price - mid)/mid, in basis points."""
    mid = day.quotes.mid[day.trades.before]
    spreads: Floats = 2 * day.trades.sign * (day.trades.price - mid) / mid * BPS
    return spreads


def time_weighted_spread_ticks(day: TapeTables) -> float:
    """Return the mean spread over time, in ticks."""
    quotes = day.quotes
    spread = quotes.ask - quotes.bid
    if quotes.stamp[-1] == quotes.stamp[0]:
        return float("nan")
    return float(np.average(spread[:-1], weights=np.diff(quotes.stamp)) / quotes.tick)


def multi_price_order_share(day: TapeTables) -> float:
    """Return the share of market orders with visible trades at two or more prices.

    A market order is a run of trades with one aggressor and one stamp. NaN where no two trades of
    an aggressor share one: such a feed stamps the trades of an order apart.
    """
    trades = day.trades
    is_same = (np.diff(trades.stamp) == 0) & (np.diff(trades.sign) == 0) & (trades.sign[1:] != 0)
    if not (is_same & (np.diff(trades.price) != 0)).any():
        return float("nan")
    begins = np.ones(len(trades.stamp), dtype=bool)
    begins[1:] = (np.diff(trades.stamp) != 0) | (np.diff(trades.sign) != 0)
    orders = np.cumsum(begins)
    visible = ~trades.hidden
    pairs = np.unique(np.column_stack([orders[visible], trades.price[visible]]), axis=0)
    _, prices = np.unique(pairs[:, 0], return_counts=True)
    return float((prices >= SWEPT_PRICES).mean())
