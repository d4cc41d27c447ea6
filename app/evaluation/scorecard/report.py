"""The scorecard as a page of Markdown."""

import math
from collections.abc import Iterable

from app.evaluation.scorecard.planting import KINDS, Kind
from app.evaluation.scorecard.rows import SIZES, Card, Course, Row
from app.evaluation.scorecard.tallies import Share, Tally

HEAD = """# Scorecard

How good each detector is, measured against known truth by `make scorecard`. Seeds are fixed, so
that the numbers are the same each time. Counts are right/all; brackets hold the Wilson 95 %
interval. No threshold was tuned to these seeds.
"""
PLANTED = """## Planted truth

{plantings} plantings for each pattern, size and book, into simulated books without such
patterns ({books}), one at a time, with {warm} minutes of past or more before each. Small,
medium and large are in units of the ticker's own scale, measured by the planter, which shares
no code with the detectors.

*Precision*: the share of events on the planted pieces that a planting explains. Events that the
book also has without the planting, at that time and side (walls, stacking and gaps happen in
any book), are left out here and counted under natural rates. *Delay*: from the start of the
planting to the second in which it is noticed. Labelled real tapes of over an hour are planted
into as well, in calm stretches.
"""
NULLS = """## Null tapes

On tapes without the pattern, each event is a false alarm. At most 5 an hour are allowed; of
icebergs, hidden prints and sweeps 1.
"""
REAL = """## Real truth

Labelled real tapes, which are not part of the project. Sweeps: market orders over two or more
visible prices, at least as large as the floor in the evidence of the newest sweep. Icebergs:
exchange-native ones; precision against any labelled refill in them, recall of chains of three
or more.
"""
AGREEMENT = """## Agreement

The engine's events against those of the oracle, a second and plain implementation over the raw
records: the same type, side, opening and noticing.
"""
RATES = """## Natural rates

Events an hour on tapes as they are. An event of a frequent pattern means little by itself:
compare its `strength`.
"""


def page(card: Card, course: Course, plots: Iterable[str]) -> str:
    """Return the whole page."""
    parts = [HEAD, _planted(card, course), *(f"![]({name})\n" for name in plots)]
    if card.real:
        parts += [REAL + "\n" + _real(card.real)]
    if card.agreement:
        parts += [AGREEMENT + "\n" + _real(card.agreement)]
    parts += [NULLS + "\n" + _nulls(card.nulls), RATES + "\n" + _rates(card.rates)]
    return "\n".join(parts)


def _planted(card: Card, course: Course) -> str:
    head = PLANTED.format(
        plantings=course.plantings, books=", ".join(course.books), warm=course.warm_seconds // 60
    )
    lines = [
        "| pattern | size | precision | recall | median delay, s | false alarms/h |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        for size, strength in zip(SIZES, kind.strengths, strict=True):
            lines.append(_line(kind, size, strength, card.pooled(kind.name, size)))
    return "\n".join([head, *lines, "", _by_book(card)])


def _line(kind: Kind, size: str, strength: float, tally: Tally) -> str:
    return (
        f"| {kind.name} | {size}: {strength:g} {kind.unit} | {share(tally.precision)} "
        f"| {share(tally.recall)} | {number(tally.median_delay_seconds)} "
        f"| {number(tally.false_alarms_an_hour)} |"
    )


def _by_book(card: Card) -> str:
    """Show medium size by book, where books differ."""
    tapes = sorted({row.tape for row in card.injected})
    lines = [
        "At medium size, precision and recall by book:\n",
        "| pattern | " + " | ".join(tapes) + " |",
        "|---|" + "---|" * len(tapes),
    ]
    for kind in KINDS:
        rows = {
            r.tape: r.tally for r in card.injected if r.kind == kind.name and r.size == "medium"
        }
        cells = [_pair(rows.get(tape)) for tape in tapes]
        lines.append(f"| {kind.name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _pair(tally: Tally | None) -> str:
    if tally is None or not tally.recall.n:
        return "-"
    return f"{number(tally.precision.value)}, {number(tally.recall.value)}"


def _nulls(rows: Iterable[Row]) -> str:
    lines = ["| pattern | tape | hours | events | an hour |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.kind} | {row.tape} | {number(row.tally.hours)} | {row.tally.precision.n} "
        f"| {number(row.tally.false_alarms_an_hour)} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _real(rows: Iterable[Row]) -> str:
    lines = ["| pattern | tape | precision | recall |", "|---|---|---|---|"]
    lines += [
        f"| {row.kind} | {row.tape} | {share(row.tally.precision)} | {share(row.tally.recall)} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _rates(rates: dict[str, dict[str, float]]) -> str:
    kinds = sorted({kind for by_kind in rates.values() for kind in by_kind})
    lines = ["| pattern | " + " | ".join(rates) + " |", "|---|" + "---|" * len(rates)]
    lines += [
        f"| {kind} | " + " | ".join(number(r.get(kind, 0.0)) for r in rates.values()) + " |"
        for kind in kinds
    ]
    return "\n".join([*lines, ""])


def share(found: Share) -> str:
    """Write a share with its counts and interval."""
    if not found.n:
        return "-"
    return f"{found.value:.3f} ({found.k}/{found.n}) [{found.low:.2f}, {found.high:.2f}]"


def number(value: float) -> str:
    """Write a number short, a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.3g}"
