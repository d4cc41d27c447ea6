"""What followed events, anew from the tape: every move is kept, and summed up at the end."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, fmean

from tests.reference.past import Past, ceil_second

HORIZONS = (10, 60, 300)
BLOCK_MS = 300_000
MIN_N, MIN_BLOCKS = 30, 10
Z = NormalDist().inv_cdf(0.975)
Slot = Callable[[int], tuple[int, int, int]]
"""Gives the half hour, its anchor and the end of the phase of a whole second."""


@dataclass(frozen=True)
class Move:
    """The mid's move after one whole second."""

    bps: float
    block: tuple[int, int]
    slot: int


def moves(past: Past, horizon: int, slot: Slot, until: int) -> dict[int, Move]:
    """Return by whole second the move after it, complete by `until`, in which nothing slept."""
    found: dict[int, Move] = {}
    for number, stretch in enumerate(past.stretches):
        first = ceil_second(past.records[stretch.first].stamp)
        for second in range(first, min(stretch.sleep, until) + 1 - horizon * 1000, 1000):
            start, end = past.mid_at(second), past.mid_at(second + horizon * 1000)
            if start is not None and end is not None:
                half_hour, anchor, phase_end = slot(second)
                block_end = anchor + ((second - anchor) // BLOCK_MS + 1) * BLOCK_MS
                block = (number, min(block_end, phase_end))
                found[second] = Move(1e4 * (end - start) / start, block, half_hour)
    return found


def table(
    past: Past,
    noticed: Iterable[tuple[str, str, int]],
    slot: Slot,
    t_975: Callable[[int], float],
    until: int,
) -> dict[tuple[str, str, int], dict[str, float]]:
    """Return what followed by type, side and horizon; `noticed` are types, sides and seconds."""
    found = {}
    events = list(noticed)
    for horizon in HORIZONS:
        after = moves(past, horizon, slot, until)
        by_key: dict[tuple[str, str], list[Move]] = defaultdict(list)
        for kind, side, second in events:
            if second in after:
                by_key[kind, side].append(after[second])
        for (kind, side), own in by_key.items():
            found[kind, side, horizon] = row(own, after, t_975)
    return found


def row(
    own: list[Move], after: Mapping[int, Move], t_975: Callable[[int], float]
) -> dict[str, float]:
    """Sum up the moves after one type and side."""
    n = len(own)
    blocks = sorted({move.block for move in own})
    found: dict[str, float] = {"n": n, "blocks": len(blocks)}
    if n < MIN_N or len(blocks) < MIN_BLOCKS:
        return found | {"insufficient": True}
    mean = fmean(move.bps for move in own)
    counts = [sum(move.block == block for move in own) for block in blocks]
    effective = n**2 / sum(count**2 for count in counts)
    error = difference_error(own, list(after.values())) * math.sqrt(effective / (effective - 1))
    margin = t_975(max(1, math.floor(effective) - 1)) * error
    found |= {"mean_bps": mean, "low_bps": mean - margin, "high_bps": mean + margin}
    for name, sign in (("up", 1), ("unchanged", 0), ("down", -1)):
        is_so = [float(_sign(move.bps) == sign) for move in own]
        share, error = mean_and_error(is_so, own)
        if 0 < share < 1:
            effect = max(1.0, error**2 / (share * (1 - share) / n))
        else:
            effect = sum(count**2 for count in counts) / n
        low, high = wilson(share, n / effect)
        found |= {name: share, f"{name}_low": low, f"{name}_high": high}
    return found | baseline(own, after, t_975)


def baseline(
    own: list[Move], after: Mapping[int, Move], t_975: Callable[[int], float]
) -> dict[str, float]:
    """Sum up the moves after all whole seconds, by the half hours of the events."""
    by_slot: dict[int, list[Move]] = defaultdict(list)
    for move in after.values():
        by_slot[move.slot].append(move)
    slots = [by_slot[move.slot] for move in own]
    used = {move.slot: by_slot[move.slot] for move in own}
    found = {"baseline_n": sum(len(there) for there in used.values())}
    means = {k: fmean(m.bps for m in there) for k, there in used.items()}
    found["baseline_mean_bps"] = fmean(means[move.slot] for move in own)
    for name, sign in (("up", 1), ("unchanged", 0), ("down", -1)):
        shares = {k: fmean(float(_sign(m.bps) == sign) for m in v) for k, v in used.items()}
        found[f"baseline_{name}"] = fmean(shares[move.slot] for move in own)
    counts = {k: len({m.block for m in there}) for k, there in used.items()}
    if min(counts.values()) > 1:
        weights = {k: sum(move.slot == k for move in own) / len(slots) for k in used}
        errors = {k: mean_and_error([m.bps for m in v], v)[1] for k, v in used.items()}
        error = math.sqrt(sum((weights[k] * errors[k]) ** 2 for k in used))
        margin = t_975(sum(counts.values()) - len(counts)) * error
        found["baseline_low_bps"] = found["baseline_mean_bps"] - margin
        found["baseline_high_bps"] = found["baseline_mean_bps"] + margin
    return found


def difference_error(own: list[Move], every: list[Move]) -> float:
    """Return the standard error of how far the mean of `own` lies from that of `every` move.

    What a block holds counts as one draw: its own moves, and all of its moves to compare with, each
    less their mean and over their number.
    """
    draws: dict[tuple[int, int], float] = defaultdict(float)
    for sign, moves_of in ((1.0, own), (-1.0, every)):
        mean = fmean(move.bps for move in moves_of)
        for move in moves_of:
            draws[move.block] += sign * (move.bps - mean) / len(moves_of)
    return math.hypot(*draws.values())


def mean_and_error(values: list[float], own: list[Move]) -> tuple[float, float]:
    """Return a mean and its standard error: what a block holds counts as one draw."""
    mean, n = fmean(values), len(values)
    residuals: dict[tuple[int, int], float] = defaultdict(float)
    for value, move in zip(values, own, strict=True):
        residuals[move.block] += value - mean
    blocks = len(residuals)
    spread = sum(it**2 for it in residuals.values())
    return mean, math.sqrt(spread / n**2 * blocks / (blocks - 1))


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval."""
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    margin = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, middle - margin), min(1.0, middle + margin)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def t_by_integration(degrees: int) -> float:
    """Return Student's 97.5 % quantile from its density alone, by Simpson's rule and halving."""
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    scale /= math.sqrt(degrees * math.pi)

    def density(x: float) -> float:
        return scale * (1 + x * x / degrees) ** (-(degrees + 1) / 2)

    def half(t: float, steps: int = 4000) -> float:
        points = [t * k / steps for k in range(steps + 1)]
        edges = sum(density(a) + density(b) for a, b in pairwise(points)) / 2
        middles = sum(density((a + b) / 2) for a, b in pairwise(points))
        return (edges + 2 * middles) * t / steps / 3

    low, high = 1.9, 13.0
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (middle, high) if half(middle) < 0.475 else (low, middle)
    return low
