"""Select the price levels that an answer shows a side: those of now, near the mid."""

from collections.abc import Iterable
from typing import Final

from app.analysis.touch import SIDE_NAMES
from app.storage.published import LevelRecord

MAX_LEVELS_A_SIDE: Final = 2
NEWLY_TESTED_MS: Final = 60_000
RECENT_MS: Final = 300_000
OLDEST_MS: Final = 600_000


def near_levels(
    levels: Iterable[LevelRecord],
    mid: float | None,
    as_of_ms: float,
    most_a_side: int = MAX_LEVELS_A_SIDE,
    *,
    has_far: bool = False,
) -> list[LevelRecord]:
    """Return the levels of each side, bids first: newly tested ones, then the nearest to the mid.

    Unless `has_far`, only levels that were the best price in the last 5 min, and older ones of the
    last 10 min between the prices of those; no bid above the mid, and no ask below it, that was
    not the best price in the last minute: the market has left these behind.
    """
    found = list(levels)
    recent = [level.price for level in found if as_of_ms - level.last_seen <= RECENT_MS]
    low, high = min(recent, default=0.0), max(recent, default=0.0)

    def is_near(level: LevelRecord) -> bool:
        unseen_ms = as_of_ms - level.last_seen
        if unseen_ms > NEWLY_TESTED_MS and _is_behind(level, mid):
            return False
        return unseen_ms <= RECENT_MS or (unseen_ms <= OLDEST_MS and low <= level.price <= high)

    def place(level: LevelRecord) -> tuple[bool, float, float]:
        is_old = as_of_ms - level.last_seen > NEWLY_TESTED_MS
        return is_old, 0.0 if mid is None else abs(level.price - mid), -level.last_seen

    ranked = sorted((level for level in found if has_far or is_near(level)), key=place)
    return [
        level
        for side in SIDE_NAMES
        for level in [level for level in ranked if level.side == side][:most_a_side]
    ]


def _is_behind(level: LevelRecord, mid: float | None) -> bool:
    """Return whether a bid level is above the mid, or an ask level below it."""
    if mid is None:
        return False
    return level.price > mid if level.side == SIDE_NAMES[0] else level.price < mid
