"""Weigh what is past by its age, without touching it each second.

What is new weighs more instead: 2^(age of the past/half-life). All weights of a past are divided
by a power of two before they grow too large, which leaves every share as it was.
"""

import math
from dataclasses import dataclass
from typing import Final

from app.analysis.bars import SECOND_MS

MAX_HALF_LIVES: Final = 8
"""How many half-lives weights grow before they are divided."""

_MAX_EXPONENT: Final = 1000.0


@dataclass(slots=True)
class GrowingWeight:
    """The weight of a whole second; `since` (ms) is the first one, 0 before it.

    Relative to the first second: a tape that is moved in time by whole seconds gives the same
    weights. `divided` counts how often all weights were divided by 2^8.
    """

    half_life_seconds: int
    since: int = 0
    divided: int = 0

    def begin(self, second: int) -> None:
        """Let a second be the first, if there was none."""
        if not self.since:
            self.since = second

    def at(self, second: int) -> float:
        """Return what a second (ms) weighs beside those before it."""
        half_lives = (second - self.since) / SECOND_MS / self.half_life_seconds
        exponent = half_lives - MAX_HALF_LIVES * self.divided
        # Beyond, after weeks of sleep, all that was weighs nothing.
        weight: float = 2.0 ** max(-_MAX_EXPONENT, min(_MAX_EXPONENT, exponent))
        return weight

    def division(self, second: int) -> float:
        """Return by what all weights are to be multiplied before a second is weighed; mostly 1."""
        period_ms = MAX_HALF_LIVES * self.half_life_seconds * SECOND_MS
        due = (second - self.since) // period_ms - self.divided
        if due <= 0:
            return 1.0
        self.divided += due
        return math.ldexp(1.0, -MAX_HALF_LIVES * due)
