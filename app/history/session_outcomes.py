"""Sum up what followed the events of one kept session, from its seconds and events.

The moves are those of `app.analysis.outcomes`, over the same blocks of 300 s. A move counts where
it is complete within the file of the session; a gap, or a second that is missing, drops it.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.analysis.bars import SECOND_MS
from app.analysis.gaps import Gap
from app.analysis.outcomes import (
    BASELINE_SUMS,
    BLOCK_MS,
    HORIZON_SECONDS,
    KEY_SEPARATOR,
    EventSums,
    OutcomeTotals,
    RunningBlock,
)
from app.analysis.trading_hours import MAX_SLOTS, TradingHours


class SessionMids(NamedTuple):
    """The seconds of a session in order: their ends (ms), twice the mid (0: none), and the gaps."""

    ends: NDArray[np.int64]
    mids: NDArray[np.float64]
    gaps: Sequence[Gap] = ()


class NoticedEvents(NamedTuple):
    """The type and side of each event, as `TYPE|SIDE`, and when it was noticed (ms)."""

    keys: Sequence[str]
    noticed_at: NDArray[np.int64]


class _Block(NamedTuple):
    """The rows of a block, and its half hour."""

    first: int
    after: int
    slot: int


def event_key(pattern: str, side: str) -> str:
    """Return the name by which what followed events of a type and side is summed up.

    >>> event_key("sweep", "ask")
    'sweep|ask'
    """
    return f"{pattern}{KEY_SEPARATOR}{side}"


def session_outcomes(
    seconds: SessionMids, events: NoticedEvents, hours: TradingHours
) -> OutcomeTotals:
    """Return the sums of what followed events, and all whole seconds, of one session."""
    totals = OutcomeTotals()
    blocks = list(_blocks(seconds, hours))
    rows = _rows_at(seconds.ends, events.noticed_at)
    for horizon, horizon_seconds in enumerate(HORIZON_SECONDS):
        moves = _moves(seconds, horizon_seconds)
        of_events = _sums_of_events(blocks, moves, rows, events.keys)
        for number, block in enumerate(blocks):
            every = _sum_of(moves[block.first : block.after])
            if not every.n:
                continue
            totals.add_baseline_block(horizon, every, block.slot)
            for key, own in sorted(of_events.get(number, {}).items()):
                totals.add_event_block(key, horizon, own, every, block.slot)
    return totals


def add_up(sessions: Iterable[OutcomeTotals], key: str) -> OutcomeTotals:
    """Return the sums of several sessions, of the events of one type and side.

    Half hours of different sessions stay apart: each of them has slots of its own.
    """
    known = list(sessions)
    total = OutcomeTotals()
    for place, baseline in enumerate(total.baseline):
        per_session = MAX_SLOTS * BASELINE_SUMS
        sums = [_padded(one.baseline[place].sums, per_session) for one in known]
        baseline.sums = array("d", np.concatenate(sums).tolist())
    own = [one.events.get(key, EventSums()) for one in known]
    counts = [_padded(one.counts, MAX_SLOTS * len(HORIZON_SECONDS)) for one in own]
    total.events[key] = EventSums(
        array("d", np.sum([one.sums for one in own], axis=0).tolist()),
        array("d", np.sum([one.shared for one in own], axis=0).tolist()),
        array("I", np.concatenate(counts).astype(np.int64).tolist()),
    )
    return total


def _padded(numbers: Sequence[float], length: int) -> NDArray[np.float64]:
    """Return numbers with zeros behind their end."""
    found = np.zeros(length)
    found[: len(numbers)] = numbers
    return found


def _moves(seconds: SessionMids, horizon_seconds: int) -> NDArray[np.float64]:
    """Return by second the move of the mid in bp after it, NaN where it is not known."""
    ends, mids = seconds.ends, seconds.mids
    found = np.full(len(ends), np.nan)
    last = len(ends) - horizon_seconds
    if last <= 0:
        return found
    before, after = mids[:last], mids[horizon_seconds:]
    horizon_ms = horizon_seconds * SECOND_MS
    # Rows are seconds in order: as many rows later as seconds means that none is missing.
    is_known = (ends[horizon_seconds:] - ends[:last] == horizon_ms) & (before > 0) & (after > 0)
    for gap in seconds.gaps:
        is_known &= (ends[:last] >= gap.end) | (ends[:last] + horizon_ms <= gap.start)
    moved = 1e4 * ((after - before) / np.where(is_known, before, 1.0))
    found[:last] = np.where(is_known, moved, np.nan)
    return found


def _blocks(seconds: SessionMids, hours: TradingHours) -> Iterator[_Block]:
    """Yield the blocks of 300 s; those that a gap or a missing second cuts count as two."""
    ends = seconds.ends
    cuts = np.flatnonzero(np.diff(ends) != SECOND_MS) + 1
    gaps = np.searchsorted(ends, [gap.end for gap in seconds.gaps])
    stops = sorted({*cuts.tolist(), *gaps.tolist(), len(ends)})
    first = 0
    for stop in stops:
        while first < stop:
            start = int(ends[first])
            phase = hours.at(start)
            block_end = start - (start - phase.opened_at) % BLOCK_MS + BLOCK_MS
            after = int(np.searchsorted(ends, min(block_end, phase.ends_at)))
            after = min(after, stop)
            yield _Block(first, after, phase.slot(start))
            first = after


def _rows_at(ends: NDArray[np.int64], instants: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows whose seconds end at some instants, -1 where there is none."""
    if not len(ends):
        return np.full(len(instants), -1)
    rows = np.minimum(np.searchsorted(ends, instants), len(ends) - 1)
    return np.where(ends[rows] == instants, rows, -1)


def _sums_of_events(
    blocks: Sequence[_Block],
    moves: NDArray[np.float64],
    rows: NDArray[np.int64],
    keys: Sequence[str],
) -> dict[int, dict[str, RunningBlock]]:
    """Sum up the known moves of events by the number of their block, and by type and side."""
    found: dict[int, dict[str, RunningBlock]] = defaultdict(lambda: defaultdict(RunningBlock))
    known = (rows >= 0) & ~np.isnan(moves[rows]) if len(moves) else np.zeros(len(rows), bool)
    numbers = np.searchsorted([block.after for block in blocks], rows, side="right")
    kinds = [keys[place] for place in np.flatnonzero(known).tolist()]
    moved = zip(kinds, numbers[known].tolist(), moves[rows[known]].tolist(), strict=True)
    for key, number, move in moved:
        found[number][key].add(move)
    return found


def _sum_of(moves: NDArray[np.float64]) -> RunningBlock:
    known = moves[~np.isnan(moves)]
    up, down = int((known > 0).sum()), int((known < 0).sum())
    return RunningBlock(len(known), float(known.sum()), up, down)
