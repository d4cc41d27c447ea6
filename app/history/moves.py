"""Compute what followed an event from bars: how far the mid moved after it was noticed."""

from collections.abc import Iterable, Mapping

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.price_units import UNITS_PER_ONE
from app.history.event_rows import Moves

LONGEST_MS = max(HORIZON_SECONDS) * SECOND_MS


def moves_after(noticed_at: int, bars: Mapping[int, Bar], gaps: Iterable[Gap]) -> Moves:
    """Return the moves of the mid in bp by horizon; `bars` are by the ends of their seconds.

    As the outcomes of a ticker have them: a move needs a valid mid at both of its ends, and every
    second between them; a gap there leaves it unknown.
    """
    cut_at = min((gap.start for gap in gaps if gap.end > noticed_at), default=float("inf"))
    seen_to = _last_in_a_row(noticed_at, bars)
    start = bars.get(noticed_at)
    moves: list[float | None] = []
    for seconds in HORIZON_SECONDS:
        at = noticed_at + seconds * SECOND_MS
        is_known = start is not None and at <= seen_to and at <= cut_at
        moves.append(_move(start, bars[at]) if is_known and start is not None else None)
    return tuple(moves)


def _last_in_a_row(first: int, bars: Mapping[int, Bar]) -> int:
    """Return the last second up to which, from `first` on, none is missing."""
    at = first
    while at < first + LONGEST_MS and at + SECOND_MS in bars:
        at += SECOND_MS
    return at


def _move(before: Bar, after: Bar) -> float | None:
    if not before.mid2 or not after.mid2:
        return None
    digits = max(before.digits, after.digits)
    first = before.mid2 * UNITS_PER_ONE[digits - before.digits]
    last = after.mid2 * UNITS_PER_ONE[digits - after.digits]
    return 1e4 * (float(last - first) / float(first))
