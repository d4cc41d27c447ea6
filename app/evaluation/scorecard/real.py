"""Score the detectors on real tapes with labels."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from app.analysis.patterns.events import Event
from app.analysis.records import Quote, Record
from app.analysis.standing_quote import StandingQuote
from app.evaluation.scorecard.folding import find_events
from app.evaluation.scorecard.ground_truth import SLACK_MS, TrueEvent, match_events, price_units
from app.evaluation.scorecard.precision_recall import PrecisionRecall, Proportion
from app.feeds.formats import CSV, format_of
from app.feeds.tape_clock import read_usable_tape

CHAIN_REFILLS = 3
SWEPT_PRICES = 2
SWEEP_CLOSE_MS = 1000.0
"""Time from a sweep's last trade to its close."""
LABELS = ("hidden_clusters", "market_orders", "reserve_refills")
TAKEN_SIDE = {"buy": "ask", "sell": "bid"}


def score_inside_prints(records: Iterable[Record], hidden: Sequence[bool]) -> PrecisionRecall:
    """Score trades inside the quote before them against the labels of hidden executions."""
    market = StandingQuote()
    inside: list[bool] = []
    for record in records:
        if isinstance(record, Quote):
            market.add_quote(record)
        else:
            inside.append(market.sign_trade(record).is_inside)
    marked, flagged = np.array(inside), np.array(hidden, dtype=bool)
    both = int((marked & flagged).sum())
    return PrecisionRecall(
        Proportion(both, int(marked.sum())), Proportion(both, int(flagged.sum()))
    )


def hidden_clusters(labels: pd.DataFrame, digits: int) -> list[TrueEvent]:
    """Return the labelled clusters of hidden trades of a tape in units of 10^-digits."""
    return [
        TrueEvent("hidden_print", side, start, end, price_units(price, digits))
        for side, start, end, price in zip(
            *(labels[name] for name in ("resting_side", "start_ms", "end_ms", "price")), strict=True
        )
    ]


def score_hidden_prints(
    events: Sequence[Event], labels: pd.DataFrame, hours: float, digits: int
) -> PrecisionRecall:
    """Score hidden prints: precision against all labelled clusters, recall of the large ones.

    Large is at or above the floor in the evidence of the newest event that opened by then.
    """
    truths = hidden_clusters(labels, digits)
    by_stamp = sorted(events, key=lambda event: event.opened_at)
    stamps = np.array([event.opened_at for event in by_stamp])
    newest = np.searchsorted(stamps, labels["end_ms"].to_numpy(), side="right") - 1
    large = [
        truth
        for truth, size, place in zip(truths, labels["size"], newest.tolist(), strict=True)
        if place >= 0 and size >= float(by_stamp[place].evidence["floor_shares"])
    ]
    by_large = match_events(events, large, hours)
    precision = match_events(events, truths, hours).precision
    return PrecisionRecall(precision, by_large.recall, by_large.delays_seconds, hours)


def refill_chains(refills: pd.DataFrame, digits: int) -> list[TrueEvent]:
    """Return the labelled chains of three or more refills."""
    return [
        TrueEvent(
            "iceberg",
            rows["side"].iloc[0],
            float(rows["ts_ms"].min()),
            float(rows["ts_ms"].max()),
            price_units(float(rows["price"].iloc[0]), digits),
        )
        for _, rows in refills.groupby("chain_id")
        if len(rows) >= CHAIN_REFILLS
    ]


def single_refills(refills: pd.DataFrame, digits: int) -> list[TrueEvent]:
    """Return each labelled refill as an event of its own."""
    return [
        TrueEvent("iceberg", side, stamp, stamp, price_units(price, digits))
        for side, stamp, price in zip(
            *(refills[name] for name in ("side", "ts_ms", "price")), strict=True
        )
    ]


def score_native_icebergs(
    events: Sequence[Event], refills: pd.DataFrame, hours: float, digits: int
) -> PrecisionRecall:
    """Score native icebergs: precision against any refill in them, recall against chains."""
    native = [event for event in events if event.evidence.get("kind") == "native"]
    by_refill = match_events(native, single_refills(refills, digits), hours)
    by_chain = match_events(native, refill_chains(refills, digits), hours)
    return PrecisionRecall(by_refill.precision, by_chain.recall, by_chain.delays_seconds, hours)


def score_sweeps(events: Sequence[Event], orders: pd.DataFrame, hours: float) -> PrecisionRecall:
    """Score sweeps against market orders that took two or more visible prices.

    The labels are all market orders, one after another: an order lasts until the next begins.
    Only orders at or above the detector's size floor count. The floor is the one in the newest
    sweep's evidence, so that no order before the first sweep counts.
    """
    starts = orders["ts_ms"].to_numpy()
    sides = orders["aggressor"].map(TAKEN_SIDE).to_numpy()
    is_swept = orders["visible_prices"].to_numpy() >= SWEPT_PRICES
    sizes = (orders["size"] - orders["hidden_size"]).to_numpy()
    by_stamp = sorted(events, key=lambda event: event.opened_at)
    floors: dict[int, float] = {}
    right = 0
    for event in by_stamp:
        first, last = np.searchsorted(starts, _ends_of(event), side="right") - 1
        met = [i for i in range(max(0, first), last + 1) if is_swept[i] and sides[i] == event.side]
        right += bool(met)
        floors |= dict.fromkeys(met, float(event.evidence["floor_shares"]))
    stamps = np.array([event.opened_at for event in by_stamp])
    known = hit = 0
    for i in np.flatnonzero(is_swept).tolist():
        earlier = int(np.searchsorted(stamps, starts[i])) - 1
        if i not in floors and earlier < 0:
            continue
        floor = floors.get(i, float(by_stamp[earlier].evidence["floor_shares"]))
        is_large = bool(sizes[i] >= floor)
        known += is_large
        hit += i in floors and is_large
    return PrecisionRecall(Proportion(right, len(events)), Proportion(hit, known), [], hours)


def _ends_of(sweep: Event) -> tuple[float, float]:
    """Return the stamps of a sweep's first and last trade, as label files round them."""
    end = sweep.closed_at if sweep.closed_at is not None else sweep.opened_at + SWEEP_CLOSE_MS
    return sweep.opened_at + SLACK_MS, end - SWEEP_CLOSE_MS + SLACK_MS


def score_labelled_tape(  # noqa: PLR0913, PLR0917 - the options of the command
    quotes: Path,
    trades: Path | None,
    folder: Path,
    stem: str,
    stamps: str | None = None,
    form: str | None = None,
) -> tuple[list[tuple[str, PrecisionRecall]], dict[str, float]]:
    """Score every labelled pattern of a tape; also return events per hour."""
    tape = read_usable_tape(quotes, trades, 0, stamps, form)
    found = find_events(tape.records)
    rows: list[tuple[str, PrecisionRecall]] = []
    # Only our own format marks executions of hidden orders.
    is_ours = trades is not None and format_of(quotes, form) == CSV
    table = pd.read_csv(trades) if is_ours and trades is not None else pd.DataFrame()
    if "hidden" in table and (table["hidden"] == 1).any():
        flags = table.sort_values(["ts_ms", "seq"])["hidden"] == 1
        rows.append(("prints inside the quote", score_inside_prints(tape.records, flags.tolist())))
    labels = {name: folder / f"{stem}.{name}.csv.gz" for name in LABELS}
    if labels["hidden_clusters"].exists():
        clusters = pd.read_csv(labels["hidden_clusters"])
        hidden = score_hidden_prints(
            found.of_type("hidden_print"), clusters, found.hours, tape.digits
        )
        rows.append(("hidden_print", hidden))
    if labels["market_orders"].exists():
        orders = pd.read_csv(labels["market_orders"])
        rows.append(("sweep", score_sweeps(found.of_type("sweep"), orders, found.hours)))
    if labels["reserve_refills"].exists():
        refills = pd.read_csv(labels["reserve_refills"])
        icebergs = score_native_icebergs(
            found.of_type("iceberg"), refills, found.hours, tape.digits
        )
        rows.append(("iceberg (native)", icebergs))
    return rows, found.rates_an_hour()
