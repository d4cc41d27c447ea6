"""Turn the sums of what followed events into means, shares and their 95 % intervals."""

import math
from array import array
from dataclasses import dataclass
from typing import Final

from app.analysis.outcomes import (
    BASELINE_SUMS,
    BLOCKS,
    DD,
    DN,
    DOWN,
    EVENT_SUMS,
    HORIZON_SECONDS,
    KEY_SEPARATOR,
    NC,
    NN,
    NT,
    SC,
    SHARED_SUMS,
    SN,
    SS,
    ST,
    SUM,
    UD,
    UN,
    UP,
    UU,
    EventSums,
    N,
    OutcomeTotals,
)
from app.analysis.quantiles import FloatArray
from app.analysis.student_t import NORMAL_975, t_975

MIN_OUTCOMES: Final = 30
MIN_BLOCKS: Final = 10

Row = dict[str, int | float | bool]


@dataclass(slots=True)
class OutcomeRow:
    """What followed the events of one type and side at one horizon."""

    type: str
    side: str
    horizon_seconds: int
    row: Row


def outcome_rows(totals: OutcomeTotals, horizon: int) -> list[OutcomeRow]:
    """Return the rows of a horizon, by its place in `HORIZON_SECONDS`, sorted by type and side."""
    found: list[OutcomeRow] = []
    for key in sorted(totals.events):
        sums = totals.events[key]
        if not sums.sums[horizon * EVENT_SUMS + N]:
            continue
        kind, _, side = key.partition(KEY_SEPARATOR)
        row = _row(sums, horizon, totals.baseline[horizon].sums)
        found.append(OutcomeRow(kind, side, HORIZON_SECONDS[horizon], row))
    return found


def _row(sums: EventSums, horizon: int, baseline: FloatArray) -> Row:
    first = horizon * EVENT_SUMS
    own = sums.sums[first : first + EVENT_SUMS]
    n, blocks = own[N], own[BLOCKS]
    row: Row = {"n": int(n), "blocks": int(blocks)}
    if n < MIN_OUTCOMES or blocks < MIN_BLOCKS:
        row["insufficient"] = True
        return row
    mean = own[SUM] / n
    shared = sums.shared[horizon * SHARED_SUMS : (horizon + 1) * SHARED_SUMS]
    # As many blocks with the same number of moves each would tell as much.
    effective = n * n / own[NN]
    variance = _difference_variance(own, shared, baseline) * effective / (effective - 1)
    margin = t_975(max(1, int(effective) - 1)) * math.sqrt(variance)
    row["mean_bps"], row["low_bps"], row["high_bps"] = mean, mean - margin, mean + margin
    up, down = own[UP], own[DOWN]
    _add_share(row, "up", up / n, own[UU], own[UN], own)
    unchanged_squares = own[NN] + own[UU] + own[DD] - 2 * (own[UN] + own[DN] - own[UD])
    unchanged_n = own[NN] - own[UN] - own[DN]
    _add_share(row, "unchanged", (n - up - down) / n, unchanged_squares, unchanged_n, own)
    _add_share(row, "down", down / n, own[DD], own[DN], own)
    _add_baseline(row, sums, horizon, baseline)
    return row


def _difference_variance(own: FloatArray, shared: FloatArray, baseline: FloatArray) -> float:
    """Return the variance of the mean's difference from that of all whole seconds.

    Of each block, the events' moves less their mean, less as many of the baseline's less theirs:
    the day's moves, which both contain, are no error of the difference.
    """
    every = array("d", bytes(8 * BASELINE_SUMS))
    for place, amount in enumerate(baseline):
        every[place % BASELINE_SUMS] += amount
    n, mean, usual = own[N], own[SUM] / own[N], every[SUM] / every[N]
    events = own[SS] - 2 * mean * own[SN] + mean * mean * own[NN]
    both = shared[ST] - usual * shared[SC] - mean * (shared[NT] - usual * shared[NC])
    seconds = every[SS] - 2 * usual * every[SN] + usual * usual * every[NN]
    share = n / every[N]
    return max(0.0, events - 2 * share * both + share * share * seconds) / (n * n)


def _variance(mean: float, squares: float, products: float, own: FloatArray) -> float:
    """Return the variance of a mean from the sums of its blocks."""
    n, blocks = own[N], own[BLOCKS]
    spread = max(0.0, squares - 2 * mean * products + mean * mean * own[NN])
    return spread / (n * n) * blocks / (blocks - 1)


def _add_share(  # noqa: PLR0913, PLR0917 - the sums of one share
    row: Row, name: str, share: float, squares: float, products: float, own: FloatArray
) -> None:
    """Add a share and its Wilson interval, with n over the design effect of the blocks."""
    n = own[N]
    if 0 < share < 1:
        effect = _variance(share, squares, products, own) / (share * (1 - share) / n)
    else:
        effect = own[NN] / n  # nothing varies: as if the moves of a block were all one
    effective = n / max(1.0, effect)
    z2 = NORMAL_975 * NORMAL_975 / effective
    middle = (share + z2 / 2) / (1 + z2)
    inner = share * (1 - share) / effective + z2 / (4 * effective)
    margin = NORMAL_975 * math.sqrt(inner) / (1 + z2)
    row[name] = share
    row[f"{name}_low"], row[f"{name}_high"] = max(0.0, middle - margin), min(1.0, middle + margin)


def _add_baseline(row: Row, sums: EventSums, horizon: int, baseline: FloatArray) -> None:
    """Add the moves of all whole seconds, weighted by the half hours of the events."""
    total = mean = up = down = variance = 0.0
    seconds, degrees, has_interval = 0.0, 0, True
    for slot in range(len(baseline) // BASELINE_SUMS):
        weight = float(sums.count(horizon, slot))
        if not weight:
            continue
        own = baseline[slot * BASELINE_SUMS : (slot + 1) * BASELINE_SUMS]
        n = own[N]
        slot_mean = own[SUM] / n
        total += weight
        seconds += n
        mean += weight * slot_mean
        up += weight * own[UP] / n
        down += weight * own[DOWN] / n
        if own[BLOCKS] > 1:
            variance += weight * weight * _variance(slot_mean, own[SS], own[SN], own)
            degrees += int(own[BLOCKS]) - 1
        else:
            has_interval = False
    row["baseline_n"], row["baseline_mean_bps"] = int(seconds), mean / total
    if has_interval and degrees:
        margin = t_975(degrees) * math.sqrt(variance) / total
        row["baseline_low_bps"] = mean / total - margin
        row["baseline_high_bps"] = mean / total + margin
    row["baseline_up"], row["baseline_down"] = up / total, down / total
    row["baseline_unchanged"] = 1 - (up + down) / total
