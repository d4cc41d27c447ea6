"""All figures of a tape, by name."""

import math
from dataclasses import dataclass

import numpy as np

from app.evaluation.figures import books, flows, prints
from app.evaluation.figures.tape_tables import TapeTables


@dataclass(frozen=True, slots=True)
class Figure:
    """A named figure of a tape."""

    name: str
    value: float


def compute_figures(day: TapeTables) -> list[Figure]:
    """Compute the figures that the tape's rows tell, in the order of the table."""
    found = [*_of_hidden(day), *_of_flows(day), *_of_prints(day), *_of_book(day)]
    return [figure for figure in found if not math.isnan(figure.value)]


def _of_hidden(day: TapeTables) -> list[Figure]:
    return [
        Figure("hidden share of traded volume", prints.hidden_share(day)),
        Figure(
            "hidden prints that leave the best quote unchanged",
            prints.unmarked_hidden_share(day),
        ),
    ]


def _of_flows(day: TapeTables) -> list[Figure]:
    raw = flows.explained_by_quotes(day, flows.order_flow(day.quotes))
    log = flows.explained_by_quotes(day, flows.log_order_flow(day.quotes))
    return [
        Figure("OFI R2, 10 s, day", raw[0]),
        Figure("OFI R2, 10 s, mean of half hours", raw[1]),
        Figure("log-OFI R2, 10 s, day", log[0]),
        Figure("log-OFI R2, 10 s, mean of half hours", log[1]),
        Figure("visible trade imbalance R2, 10 s", flows.explained_by_trades(day)),
    ]


def _of_prints(day: TapeTables) -> list[Figure]:
    right, hidden, costs = (
        prints.quote_rule_hits(day),
        day.trades.hidden,
        prints.effective_spreads_bps(day),
    )
    signed = day.trades.sign != 0
    visible = ~hidden & signed
    weights = day.trades.size[visible]
    return [
        Figure("Lee-Ready accuracy, all prints", _mean(right[signed])),
        Figure("Lee-Ready accuracy, visible prints", _mean(right[visible])),
        Figure("Lee-Ready accuracy, hidden prints", _mean(right[hidden & signed])),
        Figure("time-weighted spread, ticks", prints.time_weighted_spread_ticks(day)),
        Figure("effective spread, visible prints, bp, mean", _mean(costs[visible])),
        Figure(
            "effective spread, visible prints, bp, size-weighted",
            float(np.average(costs[visible], weights=weights)) if len(weights) else float("nan"),
        ),
        Figure("market orders over 2 or more visible prices", prints.multi_price_order_share(day)),
    ]


def _of_book(day: TapeTables) -> list[Figure]:
    return [
        Figure("trade share of same-price size decreases", books.trade_share_of_decreases(day)),
        Figure("trade share of lost levels", books.trade_share_of_lost_levels(day)),
        Figure("queue imbalance AUC", books.queue_imbalance_auc(day)),
    ]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
