"""Figures of the best prices: the share of losses that are trades, and queue imbalance."""

import numpy as np

from app.evaluation.figures.tape_tables import Flags, Floats, Quotes, TapeTables, Whole

SEED = 5
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
    losses, traded = int(bid.sum() + ask.sum()), int(traded_bid.sum() + traded_ask.sum())
    # Where no loss follows its trade directly, the feed's order does not tell which are trades.
    return traded / losses if traded else float("nan")


def _was_traded(day: TapeTables, sign: float, best: Floats) -> Flags:
    """Tell for each quote but the first whether the record before it traded at the best price."""
    trades, quotes = day.trades, day.quotes
    at_best = np.isclose(trades.price, best[trades.before], rtol=0.0, atol=quotes.tick / 100)
    takers = trades.seq[(trades.sign == sign) & ~trades.hidden & at_best]
    traded: Flags = np.isin(quotes.seq[1:] - 1, takers)
    return traded


def queue_imbalance_auc(day: TapeTables) -> float:
    """Return the AUC of queue imbalance for the next mid move (Gould, Bonart 2016).

    Between each two successive moves of the mid the imbalance is looked at once, at a moment that
    is drawn at random: so each move counts once, however long it was waited for.
    """
    quotes = day.quotes
    moves = _mid_moves(quotes)
    starts, ends = quotes.stamp[moves[:-1]], quotes.stamp[moves[1:]]
    moments = starts + np.random.default_rng(SEED).random(len(starts)) * (ends - starts)
    standing = np.searchsorted(quotes.stamp, moments, side="right") - 1
    # Where two moves share a stamp, no time lies between them; nor does a moment at a move's stamp.
    between = (standing >= moves[:-1]) & (standing < moves[1:])
    imbalance = (quotes.bid_size - quotes.ask_size) / (quotes.bid_size + quotes.ask_size)
    goes_up = quotes.mid[moves[1:]] > quotes.mid[moves[1:] - 1]
    return _auc(imbalance[standing[between]], goes_up[between])


def _mid_moves(quotes: Quotes) -> Whole:
    """Return the places of the quotes at which the mid moved."""
    found: Whole = np.flatnonzero(np.abs(np.diff(quotes.mid)) > quotes.tick / 100) + 1
    return found


def _auc(scores: Floats, truths: Flags) -> float:
    """Return the share of true-false pairs that the score ranks correctly, ties counted half."""
    if not len(truths) or truths.all() or not truths.any():
        return float("nan")
    others = np.sort(scores[~truths])
    below = np.searchsorted(others, scores[truths], side="left")
    not_above = np.searchsorted(others, scores[truths], side="right")
    return float(((below + not_above) / 2).mean() / len(others))
