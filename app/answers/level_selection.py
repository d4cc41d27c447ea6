"""Select the price levels that an answer shows a side."""

from collections.abc import Iterable

from app.analysis.touch import SIDE_NAMES
from app.storage.published import LevelRecord

MAX_LEVELS_A_SIDE = 3


def top_levels(levels: Iterable[LevelRecord]) -> list[LevelRecord]:
    """Return the most significant levels of each side, bids first."""
    ranked = sorted(levels, key=significance, reverse=True)
    return [
        level
        for side in SIDE_NAMES
        for level in [level for level in ranked if level.side == side][:MAX_LEVELS_A_SIDE]
    ]


def significance(level: LevelRecord) -> float:
    """Return a level's size times its appearances."""
    return level.size * level.appearances
