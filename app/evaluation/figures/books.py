"""Figures of the best prices: the share of losses that are trades, and queue imbalance."""

import numpy as np

from app.evaluation.figures.tape_tables import Flags, Floats, Quotes, TapeTables

SECOND_MS = 1000.0
BUY, SELL = 1.0, -1.0


def trade_share_of_decreases(day: TapeTables) -> float:
    """Return the share of size decreases at an unchanged best price that are executions."""
    quotes = day.quotes
    bid = (np.diff(quotes.bid) == 0) & (np.diff(quotes.bid_size) < 0)
    ask = (np.diff(quotes.ask) == 0) & (np.diff(quotes.ask_size) < 0)
    return _trade_share(day, bid, ask)


def trade_share_of_lost_levels(day: TapeTables) -> float:
    """Return the share of best prices replaced by a worse one that were fully executed."""
    return _trade_share(day, np.diff(day.quotes.bid) < 0, np.diff(day.quotes.ask) > 0)


def _trade_share(day: TapeTables, bid: Flags, ask: Flags) -> float:
    traded_bid = _was_traded(day, SELL, day.quotes.bid) & bid
    traded_ask = _was_traded(day, BUY, day.quotes.ask) & ask
    losses = int(bid.sum() + ask.sum())
    return float((traded_bid.sum() + traded_ask.sum()) / losses) if losses else float("nan")


def _was_traded(day: TapeTables, sign: float, best: Floats) -> Flags:
    """Tell for each quote but the first whether the record before it traded at the best price."""
    trades, quotes = day.trades, day.quotes
    at_best = np.isclose(trades.price, best[trades.before], rtol=0.0, atol=quotes.tick / 100)
    takers = trades.seq[(trades.sign == sign) & ~trades.hidden & at_best]
    traded: Flags = np.isin(quotes.seq[1:] - 1, takers)
    return traded


def queue_imbalance_auc(day: TapeTables) -> float:
    """Return the AUC of queue imbalance, sampled each second, for the next mid move."""
    quotes = day.quotes
    imbalance = (quotes.bid_size - quotes.ask_size) / (quotes.bid_size + quotes.ask_size)
    seconds = np.arange(
        np.ceil(quotes.stamp[0] / SECOND_MS) * SECOND_MS, quotes.stamp[-1], SECOND_MS
    )
    looked = np.searchsorted(quotes.stamp, seconds, side="right") - 1
    goes_up, is_known = _next_moves(quotes)
    looked = looked[is_known[looked]]
    return _auc(imbalance[looked], goes_up[looked])


def _next_moves(quotes: Quotes) -> tuple[Flags, Flags]:
    """Tell for each quote whether the mid's next move is up, and whether there is one."""
    steps = np.diff(quotes.mid)
    moves = np.flatnonzero(np.abs(steps) > quotes.tick / 100)
    nexts = np.searchsorted(moves, np.arange(len(quotes.mid)))
    is_known = nexts < len(moves)
    goes_up = np.zeros(len(quotes.mid), dtype=bool)
    goes_up[is_known] = steps[moves[nexts[is_known]]] > 0
    return goes_up, is_known


def _auc(scores: Floats, truths: Flags) -> float:
    """Return the share of true-false pairs that the score ranks correctly, ties counted half."""
    if truths.all() or not truths.any():
        return float("nan")
    others = np.sort(scores[~truths])
    below = np.searchsorted(others, scores[truths], side="left")
    not_above = np.searchsorted(others, scores[truths], side="right")
    return float(((below + not_above) / 2).mean() / len(others))
