"""Tell how many minutes pass on average between events of a type and at least some statistic.

From the ticker's own past: T/(k + 1/2), but never more than was observed; T is the observed time
and k the number of earlier events with a greater statistic, equal ones half, both decayed with a
half-life of three hours.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from app.analysis.bars import SECOND_MS
from app.analysis.decay import GrowingWeight
from app.analysis.quantiles import FloatArray, IntArray

HALF_LIFE_SECONDS: Final = 10_800
MIN_OBSERVED_MINUTES: Final = 30.0
MAX_PEAKS: Final = 128
"""How many statistics of a type are kept; beyond, small ones are put together."""
_MIN_FREED: Final = 16
_FINEST_SHARE: Final = 1 / 32
MAX_WAITING: Final = 64
_MINUTE_MS: Final = 60_000.0
_MEAN_LIFE_MINUTES: Final = HALF_LIFE_SECONDS / 60 / math.log(2)
# What is less than 2^-8 of a new event is forgotten where weights are divided: after a day.
_FORGOTTEN: Final = 2.0**-8
_HEAD: Final = Struct("<qIHH")


def _decay(ms: float) -> float:
    """Return what is left of a weight after some time."""
    left: float = 2.0 ** (-ms / SECOND_MS / HALF_LIFE_SECONDS)
    return left


@dataclass(slots=True)
class ObservedTime:
    """How long a ticker was observed: not while it slept, nor in gaps. Times in ms.

    `since` is when the present stretch began, 0 between stretches. The earlier ones, which ended
    at `earlier_until`, took `earlier_minutes` in all, decayed by then `earlier_decayed_minutes`.
    """

    since: float = 0.0
    earlier_until: float = 0.0
    earlier_minutes: float = 0.0
    earlier_decayed_minutes: float = 0.0

    def begin(self, stamp: float) -> None:
        """Begin a stretch, unless one lasts."""
        self.since = self.since or stamp

    def end(self, at: float) -> None:
        """End the present stretch."""
        if self.since:
            self.earlier_decayed_minutes = self.decayed_minutes(at)
            self.earlier_minutes = self.minutes(at)
            self.earlier_until = at
            self.since = 0.0

    def leave_out(self, start: float, end: float) -> None:
        """Take a gap out, and begin a stretch at its end."""
        if self.since < start:
            self.end(start)
        self.since = end

    def minutes(self, at: float) -> float:
        """Return the minutes observed up to an instant of the present stretch."""
        present = (at - self.since) / _MINUTE_MS if self.since else 0.0
        return self.earlier_minutes + present

    def is_enough(self, at: int) -> bool:
        """Return whether return periods can be told from what was observed."""
        return self.minutes(at) >= MIN_OBSERVED_MINUTES

    def decayed_minutes(self, at: float) -> float:
        """Return them weighted by 2^(-age/half-life)."""
        present = _MEAN_LIFE_MINUTES * (1.0 - _decay(at - self.since)) if self.since else 0.0
        if not self.earlier_until:
            return present
        return present + self.earlier_decayed_minutes * _decay(at - self.earlier_until)


class ReturnPeriod(NamedTuple):
    """A return period; `at_least`: no earlier event had a statistic as great."""

    minutes: float
    at_least: bool


class Noticed(NamedTuple):
    """An event of the past: when it was noticed (ms), and its greatest statistic so far."""

    noticed_at: int
    statistic: float


class PastEvents:
    """The greatest statistics of one type's closed events, with decayed weights, in their order.

    An event that was not noticed before every event that still lives waits until these are closed:
    it does not count for them.
    """

    __slots__ = ("is_changed", "peaks", "waiting_peaks", "waiting_since", "weight", "weights")

    peaks: FloatArray
    weights: FloatArray
    waiting_since: IntArray
    waiting_peaks: FloatArray
    weight: GrowingWeight
    is_changed: bool

    def __init__(self) -> None:
        self.peaks = array("f")
        self.weights = array("d")
        self.waiting_since = array("q")
        self.waiting_peaks = array("f")
        self.weight = GrowingWeight(HALF_LIFE_SECONDS)
        self.is_changed = False

    def add(self, closed: Noticed, first_living: int) -> None:
        """Add a closed event; `first_living` is when the oldest living one was noticed, 0: none."""
        self.is_changed = True
        self.waiting_since.append(closed.noticed_at)
        self.waiting_peaks.append(closed.statistic)
        place = 0
        while place < len(self.waiting_since):
            since = self.waiting_since[place]
            is_before = not first_living or since < first_living
            if is_before or len(self.waiting_since) > MAX_WAITING:
                self._add_peak(since, self.waiting_peaks[place])
                del self.waiting_since[place], self.waiting_peaks[place]
            else:
                place += 1

    def _add_peak(self, noticed_at: int, peak: float) -> None:
        self.weight.begin(noticed_at)
        division = self.weight.division(noticed_at)
        if division != 1.0:
            self._divide(division)
        weight = self.weight.at(noticed_at)
        place = bisect_left(self.peaks, peak)
        if place < len(self.peaks) and self.peaks[place] == peak:
            self.weights[place] += weight
            return
        self.peaks.insert(place, peak)
        self.weights.insert(place, weight)
        if len(self.peaks) > MAX_PEAKS:
            self._thin_out()

    def _divide(self, factor: float) -> None:
        peaks, weights = self.peaks, self.weights
        self.peaks, self.weights = array("f"), array("d")
        for place, old in enumerate(weights):
            weight = old * factor
            if weight >= _FORGOTTEN:
                self.peaks.append(peaks[place])
                self.weights.append(weight)

    def _thin_out(self) -> None:
        """Put neighbours together where many are greater, more of them until enough is free."""
        share = _FINEST_SHARE
        while len(self.peaks) > MAX_PEAKS - _MIN_FREED:
            self._put_together(share)
            share *= 2

    def _put_together(self, share: float) -> None:
        """Make one of neighbours that weigh at most a share of all that is greater than them.

        It has the statistic of the heavier one.
        """
        peaks, weights = array("f"), array("d")
        peak, weight, greater = self.peaks[-1], self.weights[-1], 0.0
        for place in range(len(self.peaks) - 2, -1, -1):
            other = self.weights[place]
            if weight + other <= share * greater:
                peak = peak if weight >= other else self.peaks[place]
                weight += other
            else:
                peaks.append(peak)
                weights.append(weight)
                greater += weight
                peak, weight = self.peaks[place], other
        peaks.append(peak)
        weights.append(weight)
        peaks.reverse()
        weights.reverse()
        self.peaks, self.weights = peaks, weights

    def count_greater(self, statistic: float, at: int, recent: "RecentEvents") -> float:
        """Return the decayed number of earlier events of a greater statistic, equal ones half.

        `recent` are those that live or wait.
        """
        peak: float = array("f", [statistic])[0]
        greater = 0.0
        place = bisect_left(self.peaks, peak)
        if place < len(self.peaks) and self.peaks[place] == peak:
            greater = self.weights[place] / 2
            place += 1
        rest: list[float] = self.weights[place:].tolist()
        for weight in rest:
            greater += weight
        if greater:
            greater /= self.weight.at(at)
        return recent.add_greater(greater, peak)

    def packed(self) -> bytes:
        """Return the bytes from which `unpack_past_events` makes an equal object."""
        lengths = len(self.peaks), len(self.waiting_since)
        return b"".join(
            [
                _HEAD.pack(self.weight.since, self.weight.divided, *lengths),
                self.peaks.tobytes(),
                self.weights.tobytes(),
                self.waiting_since.tobytes(),
                self.waiting_peaks.tobytes(),
            ]
        )


class RecentEvents:
    """Events of a type that live or wait, noticed before `noticed_at`, as they weigh at `at`.

    Many events of one second have the same: they are taken once.
    """

    __slots__ = ("at", "noticed_at", "peaks", "weights")

    at: int
    noticed_at: int
    peaks: list[float]
    weights: list[float]

    def __init__(
        self, noticed_at: int, at: int, living: Iterable[Noticed], past: PastEvents
    ) -> None:
        self.at = at
        self.noticed_at = noticed_at
        self.peaks = []
        self.weights = []
        for event in living:
            self._add(event.noticed_at, array("f", [event.statistic])[0])
        for place, since in enumerate(past.waiting_since):
            self._add(since, past.waiting_peaks[place])

    def _add(self, noticed_at: int, peak: float) -> None:
        if noticed_at < self.noticed_at:
            self.peaks.append(peak)
            self.weights.append(_decay(self.at - noticed_at))

    def add_greater(self, count: float, peak: float) -> float:
        """Return `count` and the weights of those of a greater peak, equal ones half.

        In the order of the events: the sum's last bit depends on it.
        """
        for place, other in enumerate(self.peaks):
            if other > peak:
                count += self.weights[place]
            elif other == peak:
                count += self.weights[place] / 2
        return count


def unpack_past_events(packed: bytes) -> PastEvents:
    """Return what `PastEvents.packed` packed.

    Raises `ValueError`.
    """
    if len(packed) < _HEAD.size:
        raise ValueError("past events: cut off")
    found = PastEvents()
    weight = found.weight
    weight.since, weight.divided, peaks, waiting = _HEAD.unpack_from(packed)
    weights = _HEAD.size + 4 * peaks
    waiting_since = weights + 8 * peaks
    waiting_peaks = waiting_since + 8 * waiting
    if len(packed) != waiting_peaks + 4 * waiting:
        raise ValueError("past events: cut off")
    found.peaks.frombytes(packed[_HEAD.size : weights])
    found.weights.frombytes(packed[weights:waiting_since])
    found.waiting_since.frombytes(packed[waiting_since:waiting_peaks])
    found.waiting_peaks.frombytes(packed[waiting_peaks:])
    return found


def return_period(greater: float, observed: ObservedTime, at: int) -> ReturnPeriod:
    """Return the return period of a statistic that `greater` events exceed."""
    minutes = min(observed.decayed_minutes(at) / (greater + 0.5), observed.minutes(at))
    return ReturnPeriod(minutes, not greater)
