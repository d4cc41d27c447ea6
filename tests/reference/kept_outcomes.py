"""What followed events of kept sessions, anew from the rows of the files, second by second."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.reference.outcomes import BLOCK_MS, HORIZONS, Move, Slot, row

Rows = dict[tuple[str, str, int], dict[str, float]]
Cuts = list[tuple[float, float]]
"""Times of which nothing is known."""


@dataclass(frozen=True)
class KeptSession:
    """The mids of a session by the ends of their seconds, and its events."""

    mids: dict[int, float]
    noticed: list[tuple[str, str, int]]


def session_of_files(seconds: Path, events: Path) -> KeptSession:
    """Read the two files of a session as any program would."""
    bars = pq.read_table(seconds, partitioning=None).to_pylist()
    found = pq.read_table(events, partitioning=None).to_pylist()
    return KeptSession(
        {_ms(bar["end"]): bar["mid2"] / 2 / 10 ** bar["digits"] for bar in bars},
        [(event["type"], event["side"], _ms(event["noticed_at"])) for event in found],
    )


def _ms(at: object) -> int:
    return round(at.timestamp() * 1000)  # type: ignore[attr-defined]


def table(
    sessions: Iterable[KeptSession], cuts: Cuts, slot: Slot, t_975: Callable[[int], float]
) -> Rows:
    """Return what followed by type, side and horizon over all of the sessions together."""
    known = list(sessions)
    found: Rows = {}
    for horizon in HORIZONS:
        every: dict[int, Move] = {}
        own: dict[tuple[str, str], list[Move]] = defaultdict(list)
        for number, session in enumerate(known):
            after = _moves(session.mids, horizon, cuts, slot, number)
            every |= after
            for kind, side, second in session.noticed:
                if second in after:
                    own[kind, side].append(after[second])
        for (kind, side), moves in own.items():
            found[kind, side, horizon] = row(moves, every, t_975)
    return found


def _moves(
    mids: dict[int, float], horizon: int, cuts: Cuts, slot: Slot, number: int
) -> dict[int, Move]:
    stretches: dict[int, int] = {}
    before: int | None = None
    for second in sorted(mids):
        # Silence or a cut begins a stretch: a block that it divides counts as two.
        is_cut = before is not None and (
            second - before != 1000 or any(before < end <= second for _, end in cuts)
        )
        stretches[second] = (0 if before is None else stretches[before]) + is_cut
        before = second
    found = {}
    for second, stretch in stretches.items():
        end = second + 1000 * horizon
        if stretches.get(end) != stretch:
            continue
        if any(cut_end > second and cut_start < end for cut_start, cut_end in cuts):
            continue
        if mids[second] and mids[end]:
            half_hour, anchor, phase_end = slot(second)
            block_end = anchor + (math.floor((second - anchor) / BLOCK_MS) + 1) * BLOCK_MS
            block = (number * 10**6 + stretch, min(block_end, phase_end))
            bps = 1e4 * (mids[end] - mids[second]) / mids[second]
            # Equal mids that differ by rounding alone did not move.
            # Half hours of different sessions are different ones.
            slot_of_session = number * 1000 + half_hour
            found[second] = Move(0.0 if abs(bps) < 1e-9 else bps, block, slot_of_session)
    return found
