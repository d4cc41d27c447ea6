"""Estimate quantiles and means of a ticker's past by exponentially decayed statistics."""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

FloatArray: TypeAlias = "array[float]"
"""Floats at 8 bytes each; a list takes 32."""
IntArray: TypeAlias = "array[int]"

HALF_LIFE_SAMPLES: Final = 1800
_LOG_RATIO: Final = math.log(1.05)
_FARTHEST_BIN: Final = 480
_BELOW_ALL: Final = -_FARTHEST_BIN - 1
_MAX_WEIGHT: Final = 2.0**40
_GROWTH: Final = 2.0 ** (1.0 / HALF_LIFE_SAMPLES)
_DECAY: Final = 2.0 ** (-1.0 / HALF_LIFE_SAMPLES)


def float_array(*values: float) -> FloatArray:
    """Return floats as an array."""
    return array("d", values)


def sum_in_order(values: Iterable[float]) -> float:
    """Add from left to right; since Python 3.12 `sum` compensates and rounds differently."""
    total = 0.0
    for value in values:
        total += value
    return total


def int_array() -> IntArray:
    """Return an empty array of 64-bit integers."""
    return array("q")


def unsigned_array() -> IntArray:
    """Return an empty array of unsigned 64-bit integers, which hold the sum of any two prices."""
    return array("Q")


def samples_needed(q: float) -> int:
    """Return how many samples a quantile needs before it is known.

    >>> [samples_needed(q) for q in (0.5, 0.75, 0.9, 0.95, 0.99)]
    [20, 40, 100, 200, 1000]
    """
    return int(10 / (1 - q) + 0.5)  # `round` is an interpreted call: 5 % of a second's fold


@dataclass(slots=True)
class TrackedQuantile:
    """The current bin of a quantile, moved with each sample; `below` is the weight under it."""

    q: float
    bin: int = -1
    below: float = 0.0


@dataclass(slots=True)
class DecayedHistogram:
    """A decayed, log-binned histogram of samples ≥ 0.

    Each sample weighs 2^(1/half-life) times the one before. Bins grow by a ratio of 1.05 from the
    first non-zero sample (`anchor`), so that samples times a power of two fall into the same bins;
    zeros have a bin of their own. Adding is O(1): quantiles are tracked, not searched.
    """

    quantiles: list[TrackedQuantile]
    half_life: int = HALF_LIFE_SAMPLES
    n: int = 0
    weight: float = 1.0
    total: float = 0.0
    zeros: float = 0.0
    anchor: float = 0.0
    first_bin: int = 0
    bins: FloatArray = field(default_factory=float_array)

    def add(self, x: float) -> None:
        """Add a sample, which must not be negative."""
        weight = self.weight
        self.n += 1
        self.total += weight
        sample_bin = _BELOW_ALL
        if x > 0:
            sample_bin = self._bin(x)
            index = sample_bin - self.first_bin
            if not 0 <= index < len(self.bins):
                index = self._widen(index)
            self.bins[index] += weight
        else:
            self.zeros += weight
        for tracked in self.quantiles:
            if sample_bin < tracked.bin:
                tracked.below += weight
            if self.anchor:
                self._move_to_quantile(tracked)
        growth = _GROWTH
        if self.half_life != HALF_LIFE_SAMPLES:
            growth = 2.0 ** (1.0 / self.half_life)
        self.weight = weight * growth
        if self.weight > _MAX_WEIGHT:
            self._rescale()

    def _bin(self, x: float) -> int:
        """Return the bin of a positive sample; the first one sets the anchor."""
        if not self.anchor:
            self.anchor = float(x)
            self.bins = float_array(0.0)
            for tracked in self.quantiles:
                tracked.bin, tracked.below = 0, self.zeros
        sample_bin = math.floor(math.log(x / self.anchor) / _LOG_RATIO)
        if -_FARTHEST_BIN <= sample_bin <= _FARTHEST_BIN:
            return sample_bin
        return _FARTHEST_BIN if sample_bin > 0 else -_FARTHEST_BIN

    def _widen(self, index: int) -> int:
        """Add bins up to an index outside of the range, and return the index afterwards."""
        if index < 0:
            self.bins[:0] = float_array(0.0) * -index
            self.first_bin += index
            return 0
        self.bins.extend(float_array(0.0) * (index - len(self.bins) + 1))
        return index

    def _move_to_quantile(self, tracked: TrackedQuantile) -> None:
        """Move a tracked quantile to the first bin whose cumulative weight exceeds q * total."""
        target_weight = tracked.q * self.total
        bins, first = self.bins, self.first_bin
        index = tracked.bin - first
        while index > 0 and tracked.below > target_weight:
            index -= 1
            tracked.below -= bins[index]
        last = len(bins) - 1
        while index < last and tracked.below + bins[index] <= target_weight:
            tracked.below += bins[index]
            index += 1
        tracked.bin = index + first

    def _rescale(self) -> None:
        """Divide all weights by a power of two, which leaves every result bit for bit the same."""
        factor = 1.0 / _MAX_WEIGHT
        self.weight *= factor
        self.total *= factor
        self.zeros *= factor
        self.bins = float_array(*[weight * factor for weight in self.bins])
        for tracked in self.quantiles:
            tracked.below *= factor

    def quantile(self, number: int) -> float | None:
        """Return the tracked quantile at index `number`, None while warming."""
        tracked = self.quantiles[number]
        if self.n < samples_needed(tracked.q):
            return None
        target_weight = tracked.q * self.total
        if not self.anchor or target_weight < self.zeros:
            return 0.0
        weight = self.bins[tracked.bin - self.first_bin]
        fraction = (target_weight - tracked.below) / weight if weight else 0.0
        return self.anchor * math.exp(_LOG_RATIO * (tracked.bin + min(1.0, max(0.0, fraction))))

    def samples_needed(self, number: int) -> int:
        """Return how many samples the tracked quantile at index `number` needs."""
        return samples_needed(self.quantiles[number].q)


def decayed_histogram(*quantiles: float, half_life: int = HALF_LIFE_SAMPLES) -> DecayedHistogram:
    """Return an empty histogram that tracks `quantiles`."""
    return DecayedHistogram([TrackedQuantile(q) for q in quantiles], half_life)


@dataclass(slots=True)
class DecayedRatio:
    """A ratio of two decayed sums; each sample weighs 2^(1/1800) times the one before."""

    n: int = 0
    upper: float = 0.0
    lower: float = 0.0

    def add(self, upper: float, lower: float) -> None:
        """Add a sample to both sums."""
        k = _DECAY
        self.n += 1
        self.upper = self.upper * k + upper
        self.lower = self.lower * k + lower

    def ratio(self, needed: int) -> float | None:
        """Return Σ upper/Σ lower, None before `needed` samples or where Σ lower ≤ 0."""
        if self.n < needed or self.lower <= 0:
            return None
        return self.upper / self.lower
