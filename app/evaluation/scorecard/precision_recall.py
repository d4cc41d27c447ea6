"""Precision and recall with confidence intervals."""

import math
from dataclasses import dataclass, field
from statistics import median

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Proportion:
    """A proportion with its Wilson 95 % interval (Wilson 1927, JASA 22).

    >>> share = Proportion(9, 10)
    >>> round(share.low, 3), round(share.high, 3)
    (0.596, 0.982)
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        """The proportion, NaN where `total` is 0."""
        return self.count / self.total if self.total else math.nan

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self._end(-1)

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self._end(1)

    def _end(self, sign: int) -> float:
        if not self.total:
            return math.nan
        p, n, z2 = self.value, self.total, Z_95**2
        spread = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return (p + z2 / (2 * n) + sign * spread) / (1 + z2 / n)

    def __add__(self, other: "Proportion") -> "Proportion":
        return Proportion(self.count + other.count, self.total + other.total)


@dataclass(slots=True)
class PrecisionRecall:
    """Scores of a detector: correct events, true events that were found, and delays."""

    precision: Proportion = field(default_factory=lambda: Proportion(0, 0))
    recall: Proportion = field(default_factory=lambda: Proportion(0, 0))
    delays_seconds: list[float] = field(default_factory=list)
    hours: float = 0.0

    @property
    def false_alarms_an_hour(self) -> float:
        """Incorrect events per hour."""
        return (
            (self.precision.total - self.precision.count) / self.hours if self.hours else math.nan
        )

    @property
    def median_delay_seconds(self) -> float:
        """Median time from a true event's start to its detection, NaN where none was found."""
        return median(self.delays_seconds) if self.delays_seconds else math.nan

    def add(self, other: "PrecisionRecall") -> None:
        """Add the scores of another tape."""
        self.precision += other.precision
        self.recall += other.recall
        self.delays_seconds += other.delays_seconds
        self.hours += other.hours
