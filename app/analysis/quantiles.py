"""Estimate quantiles and means of a ticker's past by exponentially decayed statistics."""

import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, TypeAlias

FloatArray: TypeAlias = "array[float]"
"""Floats at 8 bytes each; a list takes 32."""
IntArray: TypeAlias = "array[int]"

HALF_LIFE_SECONDS: Final = 1800
_BINS_AN_OCTAVE: Final = 16
# Below the bin of the least positive float, and the least number of 16 bits.
_ZERO_BIN: Final = -(2**15)
# A sample's weight in the first second of an era; twice as much in the last.
_FIRST_WEIGHT: Final = 256
_MAX_BIN_WEIGHT: Final = 2**32 - 1
_MAX_VOTES: Final = 255
_DECAY: Final = 2.0 ** (-1.0 / HALF_LIFE_SECONDS)


def float_array(*values: float) -> FloatArray:
    """Return floats as an array."""
    return array("d", values)


def sum_in_order(values: FloatArray) -> float:
    """Add from left to right; since Python 3.12 `sum` compensates and rounds differently."""
    total = 0.0
    # A list: compiled, its numbers are added without an iterator.
    listed: list[float] = values.tolist()
    for value in listed:
        total += value
    return total


def int_array() -> IntArray:
    """Return an empty array of 64-bit integers."""
    return array("q")


def unsigned_array() -> IntArray:
    """Return an empty array of unsigned 64-bit integers, which hold the sum of any two prices."""
    return array("Q")


def _bin_numbers() -> IntArray:
    return array("h")


def _bin_weights() -> IntArray:
    return array("I")


def _bin_votes() -> IntArray:
    return array("B")


def samples_needed(q: float) -> int:
    """Return how many samples a quantile needs before it is known.

    >>> [samples_needed(q) for q in (0.5, 0.75, 0.9, 0.95, 0.99)]
    [20, 40, 100, 200, 1000]
    """
    return int(10 / (1 - q) + 0.5)  # `round` is an interpreted call: 5 % of a second's fold


def bin_of(x: float) -> int:
    """Return the bin of a sample ≥ 0: 16 an octave on a grid that is the same for all samples.

    A sample times a power of two is exactly so many octaves further on.

    >>> bin_of(100.0), bin_of(102.0), bin_of(200.0) - bin_of(100.0)
    (122, 122, 16)
    """
    if x <= 0:
        return _ZERO_BIN
    mantissa, exponent = math.frexp(x)
    return _BINS_AN_OCTAVE * exponent + int(_BINS_AN_OCTAVE * (math.log2(mantissa) + 1))


@dataclass(slots=True)
class DecayClock:
    """The weight of a sample taken now; in each second it is a little more than in the one before.

    After a half-life, an era, it is twice as much: then all weights are halved. Only seconds in
    which samples are taken count, so that a sleeping ticker forgets nothing.
    """

    half_life: int = HALF_LIFE_SECONDS
    seconds: int = 0
    weight: int = _FIRST_WEIGHT
    era: int = 0

    def end_second(self) -> None:
        """Begin the next second."""
        self.seconds += 1
        self.era = self.seconds // self.half_life
        elapsed = self.seconds - self.era * self.half_life
        self.weight = int(_FIRST_WEIGHT * 2.0 ** (elapsed / self.half_life) + 0.5)


@dataclass(slots=True)
class TrackedQuantile:
    """The place of a quantile's bin, moved with each sample; `below` is the weight under it."""

    q: float
    place: int = 0
    below: int = 0


@dataclass(slots=True)
class DecayedHistogram:
    """A decayed, log-binned histogram of samples ≥ 0 whose quantiles are samples that occurred.

    `bins` are those that hold weight, in ascending order. Each has one of its samples in `values`:
    the one that is most of them, if there is one, by the majority vote of Boyer and Moore.
    Weights are whole numbers, so that sums are exact, whatever the order. `scale` multiplies a
    sample before its bin is looked up. Quantiles are tracked, not searched.
    """

    quantiles: list[TrackedQuantile]
    n: int = 0
    total: int = 0
    era: int = 0
    bins: IntArray = field(default_factory=_bin_numbers)
    weights: IntArray = field(default_factory=_bin_weights)
    votes: IntArray = field(default_factory=_bin_votes)
    values: FloatArray = field(default_factory=float_array)
    scale: float = field(default=1.0, init=False)
    last_place: int = field(default=-1, init=False, compare=False)
    """The place of the newest sample, -1 where it is not known: many samples repeat the last."""

    def add(self, x: float, clock: DecayClock) -> None:
        """Add a sample, which must not be negative."""
        if self.era != clock.era:
            self._begin_era(clock.era)
        self.n += 1
        place = self.last_place
        is_same = place >= 0 and self.values[place] == x
        if not is_same:
            place = self.last_place = self._place_of(bin_of(x * self.scale), x)
            is_same = self.values[place] == x
        self._vote(place, x, is_same=is_same)
        before = self.weights[place]
        weight = min(clock.weight, _MAX_BIN_WEIGHT - before)
        self.weights[place] = before + weight
        self.total += weight
        for tracked in self.quantiles:
            if place < tracked.place:
                tracked.below += weight
            self._move_to_quantile(tracked)

    def _place_of(self, sample_bin: int, x: float) -> int:
        """Return the place of a bin; make it where there is none."""
        bins = self.bins
        place = bisect_left(bins, sample_bin)
        if place < len(bins) and bins[place] == sample_bin:
            return place
        for tracked in self.quantiles:
            if place <= tracked.place and bins:
                tracked.place += 1
        bins.insert(place, sample_bin)
        self.weights.insert(place, 0)
        self.votes.insert(place, 0)
        self.values.insert(place, x)
        return place

    def _vote(self, place: int, x: float, *, is_same: bool) -> None:
        """Let a sample vote for itself, or against another value until that has no votes left."""
        votes = self.votes[place]
        if is_same:
            if votes < _MAX_VOTES:
                self.votes[place] = votes + 1
        elif votes > 1:
            self.votes[place] = votes - 1
        else:
            self.values[place] = x

    def _move_to_quantile(self, tracked: TrackedQuantile) -> None:
        """Move a tracked quantile to the first bin whose cumulative weight exceeds q * total."""
        target_weight = tracked.q * self.total
        weights = self.weights
        place, below = tracked.place, tracked.below
        while place > 0 and below > target_weight:
            place -= 1
            below -= weights[place]
        last = len(weights) - 1
        while place < last and below + weights[place] <= target_weight:
            below += weights[place]
            place += 1
        tracked.place, tracked.below = place, below

    def _begin_era(self, era: int) -> None:
        """Halve all weights once an era, rounded down, and drop bins without weight.

        Where nothing is left, the histogram is warming again.
        """
        halvings = min(era - self.era, 32)
        self.era, self.last_place = era, -1
        kept = [i for i in range(len(self.bins)) if self.weights[i] >> halvings]
        self.bins = array("h", [self.bins[i] for i in kept])
        self.weights = array("I", [self.weights[i] >> halvings for i in kept])
        self.votes = array("B", [self.votes[i] for i in kept])
        self.values = array("d", [self.values[i] for i in kept])
        self.total = sum(self.weights)
        if not kept:
            self.n = 0
        for tracked in self.quantiles:
            tracked.place = tracked.below = 0

    def multiply_samples(self, factor: float) -> None:
        """Multiply all samples by a power of ten that their `scale` is then divided by."""
        self.values = array("d", [value * factor for value in self.values])

    def quantile(self, number: int) -> float | None:
        """Return the tracked quantile at index `number`, None while warming."""
        tracked = self.quantiles[number]
        if self.n < samples_needed(tracked.q):
            return None
        return self.values[tracked.place]

    def samples_needed(self, number: int) -> int:
        """Return how many samples the tracked quantile at index `number` needs."""
        return samples_needed(self.quantiles[number].q)


def decayed_histogram(*quantiles: float) -> DecayedHistogram:
    """Return an empty histogram that tracks `quantiles`."""
    return DecayedHistogram([TrackedQuantile(q) for q in quantiles])


@dataclass(slots=True)
class DecayedRatio:
    """A ratio of two decayed sums, as of the `second` of the newest sample."""

    n: int = 0
    upper: float = 0.0
    lower: float = 0.0
    second: int = 0

    def add(self, upper: float, lower: float, clock: DecayClock) -> None:
        """Add a sample to both sums."""
        elapsed = clock.seconds - self.second
        k = _DECAY if elapsed == 1 else 2.0 ** (-elapsed / HALF_LIFE_SECONDS)
        self.second = clock.seconds
        self.n += 1
        self.upper = self.upper * k + upper
        self.lower = self.lower * k + lower

    def ratio(self, needed: int) -> float | None:
        """Return Σ upper/Σ lower, None before `needed` samples or where Σ lower ≤ 0."""
        if self.n < needed or self.lower <= 0:
            return None
        return self.upper / self.lower
