"""The scorecard as a page of Markdown."""

import math
from collections.abc import Iterable, Sequence

from app.evaluation.scorecard.calibration import RETURN_MINUTES, Calibration
from app.evaluation.scorecard.planting import KINDS, PlantingKind
from app.evaluation.scorecard.precision_recall import PrecisionRecall, Proportion
from app.evaluation.scorecard.rows import SIZES, RunSize, Scorecard, ScoreRow

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

Absorption has two nulls on a real tape. Where the takers of random blocks of 10 s are swapped, flow
no longer moves the price, and the impact that the detector measures is near 0. The harder one keeps
the impact of the real tape. Against the natural rate they tell how much of it is chance: an
absorption says that flow that usually moves the price did not, and no more.
"""
REAL = """## Real truth

Labelled real tapes, which are not part of the project. Sweeps: market orders over two or more
visible prices, at least as large as the floor in the evidence of the newest sweep. Hidden prints:
likewise clusters of three or more; precision against all of these. Icebergs:
exchange-native ones; precision against any labelled refill in them, recall of chains of three
or more. These refills are inferred from an order book's messages. An exchange's own truth, orders
with ids and a displayed quantity, is in none of these tapes: four minutes of an index future (ES)
have 120 prints, none of them larger than what was shown before it, so nothing to score.
"""
AGREEMENT = """## Agreement

The engine's events against those of the oracle, a second and plain implementation over the raw
records: the same type, side, opening and noticing.
"""
RATES = """## Natural rates

Events an hour on tapes as they are. An event of a frequent pattern means little by itself:
compare its `strength`.
"""

RANKS = """## Ranks

Of the seconds with a rank, from the second hour on, the share with an unusual one; the mean over
metrics. Right would be 5, 5 and 1 %. *Worst*: the metric, and the half hour, whose share of one
tail is farthest from 5 %. Where one value is frequent, as one-sided trading in 10 s is, no rank can
be near 1: the middle of its seconds counts. Of `5min` a past holds only some 35 independent
windows.
"""
RETURNS = """## Return periods

Events with at least a return period of R minutes, for one that R minutes promise: 1 is right. Of
types with at least two events in R, on tapes of three hours or more, after the first 30 minutes;
*all*: these types together.
"""
RARE = """Events an hour with at least a return period of R minutes; R = 0: all that have one.
"""


def render_page(scorecard: Scorecard, run_size: RunSize, plots: Iterable[str]) -> str:
    """Return the whole page."""
    parts = [HEAD, _planted_section(scorecard, run_size), *(f"![]({name})\n" for name in plots)]
    if scorecard.real:
        parts += [REAL + "\n" + _precision_table(scorecard.real)]
    if scorecard.agreement:
        parts += [AGREEMENT + "\n" + _precision_table(scorecard.agreement)]
    if scorecard.calibrations:
        parts += _calibration_parts(scorecard.calibrations)
    parts += [
        NULLS + "\n" + _null_table(scorecard.nulls),
        RATES + "\n" + _rate_table(scorecard.rates),
    ]
    return "\n".join(parts)


def _planted_section(scorecard: Scorecard, run_size: RunSize) -> str:
    head = PLANTED.format(
        plantings=run_size.plantings,
        books=", ".join(run_size.books),
        warm=run_size.warm_seconds // 60,
    )
    lines = [
        "| pattern | size | precision | recall | median delay, s | false alarms/h |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        for size, strength in zip(SIZES, kind.strengths, strict=True):
            lines.append(_line(kind, size, strength, scorecard.pooled(kind.name, size)))
    return "\n".join([head, *lines, "", _book_table(scorecard)])


def _line(kind: PlantingKind, size: str, strength: float, tally: PrecisionRecall) -> str:
    return (
        f"| {kind.name} | {size}: {strength:g} {kind.unit} | {format_proportion(tally.precision)} "
        f"| {format_proportion(tally.recall)} | {format_number(tally.median_delay_seconds)} "
        f"| {format_number(tally.false_alarms_an_hour)} |"
    )


def _book_table(scorecard: Scorecard) -> str:
    """Return the table of medium-size scores by book."""
    tapes = sorted({row.tape for row in scorecard.planted})
    lines = [
        "At medium size, precision and recall by book:\n",
        "| pattern | " + " | ".join(tapes) + " |",
        "|---|" + "---|" * len(tapes),
    ]
    for kind in KINDS:
        rows = {
            r.tape: r.scores
            for r in scorecard.planted
            if r.kind == kind.name and r.size == "medium"
        }
        cells = [_pair(rows.get(tape)) for tape in tapes]
        lines.append(f"| {kind.name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _pair(tally: PrecisionRecall | None) -> str:
    if tally is None or not tally.recall.total:
        return "-"
    return f"{format_number(tally.precision.value)}, {format_number(tally.recall.value)}"


def _null_table(rows: Iterable[ScoreRow]) -> str:
    lines = ["| pattern | tape | hours | events | an hour |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.kind} | {row.tape} | {format_number(row.scores.hours)} "
        f"| {row.scores.precision.total} | {format_number(row.scores.false_alarms_an_hour)} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _precision_table(rows: Iterable[ScoreRow]) -> str:
    lines = ["| pattern | tape | precision | recall |", "|---|---|---|---|"]
    lines += [
        f"| {row.kind} | {row.tape} | {format_proportion(row.scores.precision)} "
        f"| {format_proportion(row.scores.recall)} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _calibration_parts(calibrations: Sequence[Calibration]) -> list[str]:
    parts = [RANKS + "\n" + _rank_table(calibrations)]
    if any(found.return_ratios(R) for found in calibrations for R in RETURN_MINUTES):
        parts += [
            RETURNS + "\n" + _return_table(calibrations),
            RARE + "\n" + _rare_table(calibrations),
        ]
    return parts


def _rank_table(calibrations: Iterable[Calibration]) -> str:
    lines = [
        "| tape | window | ≥ .95, % | ≤ .05, % | ≥ .99, % | worst metric, % | worst half hour, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in calibrations:
        for window, ranks in found.ranks.items():
            name, worst = ranks.worst_metric()
            shares = ranks.high, ranks.low, ranks.highest
            cells = [format_number(100 * share) for share in shares]
            cells += [f"`{name}` {format_number(100 * worst)}"]
            cells += [format_number(100 * ranks.worst_half_hour())]
            lines.append(f"| {found.tape} | {window} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _return_table(calibrations: Iterable[Calibration]) -> str:
    lines = ["| tape | pattern | events | R = 10 | R = 30 |", "|---|---|---|---|---|"]
    for found in calibrations:
        by_minutes = [{it.type: it for it in found.return_ratios(R)} for R in RETURN_MINUTES]
        for kind in sorted({kind for rows in by_minutes for kind in rows}):
            ratios = [format_number(r[kind].ratio) if kind in r else "-" for r in by_minutes]
            cells = found.tape, kind, str(len(found.periods[kind])), *ratios
            lines.append(f"| {' | '.join(cells)} |")
        pooled = [format_number(found.pooled(R)) for R in RETURN_MINUTES]
        if any(by_minutes):
            lines.append(f"| {found.tape} | *all* | | {' | '.join(pooled)} |")
    return "\n".join([*lines, ""])


def _rare_table(calibrations: Iterable[Calibration]) -> str:
    lines = ["| tape | R = 0 | R = 10 | R = 30 |", "|---|---|---|---|"]
    for found in calibrations:
        rates = [sum(found.rates_an_hour(R).values()) for R in (0, *RETURN_MINUTES)]
        lines.append(f"| {found.tape} | {' | '.join(map(format_number, rates))} |")
    return "\n".join([*lines, ""])


def _rate_table(rates: dict[str, dict[str, float]]) -> str:
    kinds = sorted({kind for by_kind in rates.values() for kind in by_kind})
    lines = ["| pattern | " + " | ".join(rates) + " |", "|---|" + "---|" * len(rates)]
    lines += [
        f"| {kind} | " + " | ".join(format_number(r.get(kind, 0.0)) for r in rates.values()) + " |"
        for kind in kinds
    ]
    return "\n".join([*lines, ""])


def format_proportion(found: Proportion) -> str:
    """Format a proportion with its counts and interval."""
    if not found.total:
        return "-"
    return f"{found.value:.3f} ({found.count}/{found.total}) [{found.low:.2f}, {found.high:.2f}]"


def format_number(value: float) -> str:
    """Format a number with three digits, NaN as a dash."""
    return "-" if math.isnan(value) else f"{value:.3g}"
