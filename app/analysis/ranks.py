"""Rank a window's metrics within the ticker's own past.

Each whole second adds the metrics of each window, as they are then, to a decayed histogram a metric
and window. A rank is the share of that past which was smaller, equal bins half. The second itself
is not in its own past: it waits in its bin until the next one is added.
"""

import math
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from struct import Struct
from typing import Final

from app.analysis.decay import GrowingWeight
from app.analysis.metric_table import RANKED, RATIO, UNIT_OF
from app.analysis.metrics import Fields, Value
from app.analysis.quantiles import FloatArray, IntArray
from app.analysis.windows import WINDOWS

HALF_LIVES_SECONDS: Final = {"10s": 1800, "1min": 1800, "5min": 7200}
MIN_PAST_SECONDS: Final = 1200
MIN_SAMPLES: Final = 300.0
"""Of a metric, decayed seconds: under these its rank is not known."""
MIN_COVERED: Final = 0.9
"""The share of a window that must be covered for its second to be ranked and added."""
KNOWN: Final = "known"
WARMING: Final = "warming"

BINS_AN_OCTAVE: Final = 8
_RATIO_BINS: Final = 32
# Lowest of the exponents that a float has, so that bins of positive values are positive.
_LOWEST_EXPONENT: Final = -1074
_TINY: Final = 1e-9
# Edges of bins lie that little below round values, which rounding would else put into either bin.
_EDGE: Final = 1e-6
# What is less than 2^-16 of a new second is forgotten where weights are divided.
_FORGOTTEN: Final = 2.0**-16
_HEAD: Final = Struct("<qIq")
_ENTRY: Final = Struct("<HhBddd")
_CHECKSUM_BYTES: Final = 4

_IS_RATIO: Final = [UNIT_OF[name] == RATIO for name in RANKED]
_OFI: Final = RANKED.index("ofi")
_SIGNED_VOLUME: Final = RANKED.index("signed_volume")
_IS_NEAR_ONE: Final = [name in {"log_ofi", "effective_spread_bps"} for name in RANKED]


def log_bin(value: float) -> int:
    """Return the bin of a value: 8 an octave, signs apart, 0 alone; in the order of values.

    The grid is absolute, and exact under multiplication by powers of two.

    >>> log_bin(2.0) - log_bin(1.0), log_bin(-1.0) + log_bin(1.0), log_bin(0.0)
    (8, 0, 0)
    """
    if value == 0:
        return 0
    mantissa, exponent = math.frexp(abs(value))
    found = _log_bin(_part_of_octave(mantissa), exponent)
    return found if value > 0 else -found


def _part_of_octave(mantissa: float) -> int:
    """Return the part, of eight, in which a mantissa in [1/2, 1) is; 8 just below 1."""
    return int(BINS_AN_OCTAVE * (math.log2(mantissa) + 1.0) + _EDGE)


def _log_bin(part: int, exponent: int) -> int:
    return BINS_AN_OCTAVE * (exponent - _LOWEST_EXPONENT) + part + 1


def ratio_bin(value: float) -> int:
    """Return the bin of a value in -1 ... 1: in steps of 1/32; -1, 0 and 1 alone.

    >>> [ratio_bin(x) for x in (-1.0, -0.99, 0.0, 0.01, 1 / 32, 0.99, 1.0)]
    [-33, -32, 0, 1, 2, 32, 33]
    """
    size = abs(value)
    if size < _TINY:
        return 0
    found = _RATIO_BINS + 1 if size > 1.0 - _TINY else 1 + int(_RATIO_BINS * size + _EDGE)
    return found if value > 0 else -found


# Where the bins of an octave begin, for mantissas in [1/2, 1), and well inside of them: there a
# value is in its bin however its logarithm is rounded.
_EDGES: Final = [2.0 ** ((n - _EDGE) / BINS_AN_OCTAVE - 1.0) for n in range(BINS_AN_OCTAVE + 1)]
_INSIDE: Final = 1e-12


class RankHistogram:
    """One metric's past: decayed weights by bin, only of bins that occurred.

    The weight `below` the newest value's `bin`, which is at or before `place`, moves with it: from
    one second to the next that takes a few steps. `is_waiting`: the newest second is not added yet.
    `gathered` is the weight of the present bin that is not in its cell yet: most seconds stay in
    theirs, and reaching into an array takes longer than to add up.
    Values from `low` to below `high` are surely in the present bin: most stay in theirs, and a
    logarithm takes longer than all else.
    """

    __slots__ = (
        "below",
        "bin",
        "bins",
        "gathered",
        "has_cell",
        "high",
        "is_waiting",
        "low",
        "place",
        "total",
        "weights",
    )

    bins: IntArray
    weights: FloatArray
    bin: int
    place: int
    below: float
    gathered: float
    total: float
    is_waiting: bool
    has_cell: bool
    low: float
    high: float

    def __init__(self) -> None:
        self.bins = array("h")
        self.weights = array("f")
        self.bin = self.place = 0
        self.below = self.gathered = self.total = 0.0
        self.is_waiting = self.has_cell = False
        self.low = self.high = 0.0

    def add_waiting(self, weight: float) -> None:
        """Add the second that waits, if one does."""
        if self.is_waiting:
            self.is_waiting = False
            self.gathered += weight
            self.total += weight

    def _store_gathered(self) -> None:
        """Put what was gathered into the present bin's cell, which holds 32 bits of it."""
        gathered, place, weights = self.gathered, self.place, self.weights
        if not gathered:
            return
        self.gathered = before = 0.0
        if self.has_cell:
            before = weights[place]
            weights[place] = before + gathered
        else:
            self.bins.insert(place, self.bin)
            weights.insert(place, gathered)
            self.has_cell = True
        self.total += weights[place] - before - gathered

    def move_to(self, value_bin: int) -> None:
        """Move to the newest value's bin; it waits."""
        self.is_waiting = True
        if value_bin == self.bin:
            return
        self._store_gathered()
        if value_bin > self.bin:
            self._move_up(value_bin)
        else:
            self._move_down(value_bin)
        self.bin = value_bin

    def _move_up(self, value_bin: int) -> None:
        # Each number of an array is read once: reading costs more than all else.
        bins, weights = self.bins, self.weights
        place, below, count, found = self.place, self.below, len(self.bins), self.bin
        while place < count:
            found = bins[place]
            if found >= value_bin:
                break
            below += weights[place]
            place += 1
        self.place, self.below = place, below
        self.has_cell = found == value_bin

    def _move_down(self, value_bin: int) -> None:
        bins, weights = self.bins, self.weights
        place, below, found = self.place, self.below, self.bin
        while place > 0:
            lower = bins[place - 1]
            if lower < value_bin:
                break
            found = lower
            place -= 1
            below -= weights[place]
        self.place, self.below = place, below
        self.has_cell = found == value_bin

    def move_to_log(self, value: float) -> None:
        """Move to the bin of a value on the logarithmic grid."""
        if self.low <= value < self.high:
            self.is_waiting = True
            return
        self.low = self.high = 0.0
        if not value:
            self.move_to(0)
            return
        mantissa, exponent = math.frexp(abs(value))
        part = _part_of_octave(mantissa)
        found = _log_bin(part, exponent)
        self.move_to(found if value > 0 else -found)
        if part < BINS_AN_OCTAVE:
            low = math.ldexp(_EDGES[part], exponent) * (1.0 + _INSIDE)
            high = math.ldexp(_EDGES[part + 1], exponent) * (1.0 - _INSIDE)
            self.low, self.high = (low, high) if value > 0 else (-high, -low)

    def rank(self) -> float:
        """Return the share of the past below the newest value, equal ones half."""
        equal: float = self.gathered
        if self.has_cell:
            equal += self.weights[self.place]
        share = (self.below + equal / 2) / self.total
        return min(max(share, 0.0), 1.0)

    def divide(self, factor: float) -> None:
        """Multiply all weights by a power of two, and forget what is negligible then."""
        self._store_gathered()
        bins, weights = self.bins, self.weights
        self.bins, self.weights = array("h"), array("f")
        self.total = self.below = 0.0
        for place, old in enumerate(weights):
            weight = old * factor
            if weight < _FORGOTTEN:
                continue
            self.bins.append(bins[place])
            self.weights.append(weight)
            self.total += weight
            if bins[place] < self.bin:
                self.below += weight
        self.find_place()

    def find_place(self) -> None:
        """Find the place of the newest value's bin."""
        self.place = bisect_left(self.bins, self.bin)
        self.has_cell = self.place < len(self.bins) and self.bins[self.place] == self.bin

    def packed(self) -> bytes:
        """Return the bytes from which `_unpack_histogram` makes an equal object."""
        sums = self.total, self.below, self.gathered
        head = _ENTRY.pack(len(self.bins), self.bin, self.is_waiting, *sums)
        return head + self.bins.tobytes() + self.weights.tobytes()


def _unpack_histogram(packed: bytes, start: int) -> tuple[RankHistogram, int]:
    """Return the histogram that begins at `start`, and where the next one does."""
    found = RankHistogram()
    if len(packed) < start + _ENTRY.size:
        raise ValueError("ranks: cut off")
    count, found.bin, is_waiting, *sums = _ENTRY.unpack_from(packed, start)
    found.total, found.below, found.gathered = sums
    found.is_waiting = bool(is_waiting)
    bins = start + _ENTRY.size
    weights = bins + 2 * count
    end = weights + 4 * count
    found.bins.frombytes(packed[bins:weights])
    found.weights.frombytes(packed[weights:end])
    if len(found.weights) != count:
        raise ValueError("ranks: cut off")
    found.find_place()
    return found, end


class WindowRanks:
    """The published ranks of one window: `shares` by metric, from `independent_windows` of past."""

    __slots__ = ("independent_windows", "shares", "status")

    status: str
    shares: dict[str, float]
    independent_windows: float

    def __init__(self) -> None:
        self.status = WARMING
        self.shares = {}
        self.independent_windows = 0.0


class WindowPast:
    """The past of one window's metrics; `waiting_second` (ms) is the newest, not added yet."""

    __slots__ = ("histograms", "seconds", "waiting_second", "weight")

    def __init__(self, seconds: int, half_life_seconds: int) -> None:
        self.seconds = seconds
        self.weight = GrowingWeight(half_life_seconds)
        self.histograms = [RankHistogram() for _ in RANKED]
        self.waiting_second = 0

    def is_covered(self, fields: Fields) -> bool:
        """Return whether enough of the window is covered for it to be compared."""
        covered = fields["covered_seconds"]
        return isinstance(covered, float) and covered >= MIN_COVERED * self.seconds

    def close_second(self, fields: Fields, end: int) -> None:
        """Add the second that waits, and let this one wait."""
        self._add_waiting()
        if not self.is_covered(fields):
            return
        self.waiting_second = end
        for place, histogram in enumerate(self.histograms):
            value = fields.get(RANKED[place])
            if isinstance(value, float):
                number = value
            elif isinstance(value, int):
                number = float(value)
            else:
                continue
            if _IS_RATIO[place]:
                histogram.move_to(ratio_bin(number))
            else:
                histogram.move_to_log(_without_rounding(place, number, fields))

    def _add_waiting(self) -> None:
        second = self.waiting_second
        if not second:
            return
        self.waiting_second = 0
        self.weight.begin(second)
        division = self.weight.division(second)
        if division != 1.0:
            for histogram in self.histograms:
                histogram.divide(division)
        weight = self.weight.at(second)
        for histogram in self.histograms:
            histogram.add_waiting(weight)

    def ranks(self, as_of: int, past_seconds: float) -> WindowRanks:
        """Return the ranks of the window's metrics at `as_of` among the seconds before it."""
        found = WindowRanks()
        if past_seconds < MIN_PAST_SECONDS or not self.weight.since:
            return found
        weight = self.weight.at(as_of)
        most = 0.0
        for histogram in self.histograms:
            most = max(most, histogram.total)
        if most < MIN_SAMPLES * weight:
            return found
        found.status = KNOWN
        found.independent_windows = most / weight / self.seconds
        if self.waiting_second != as_of:
            return found
        for place, histogram in enumerate(self.histograms):
            if histogram.is_waiting and histogram.total >= MIN_SAMPLES * weight:
                # Four digits; a rank is not known better.
                found.shares[RANKED[place]] = int(histogram.rank() * 1e4 + 0.5) / 1e4
        return found


def _without_rounding(place: int, value: float, fields: Fields) -> float:
    """Return a metric's value; 0 where it is what rounding leaves of terms that cancel."""
    if place == _OFI:
        nothing = _number(fields, "avg_bid_size") + _number(fields, "avg_ask_size")
    elif place == _SIGNED_VOLUME:
        nothing = _number(fields, "buy_volume") + _number(fields, "sell_volume")
    elif _IS_NEAR_ONE[place]:
        nothing = 1.0
    else:
        return value
    return 0.0 if abs(value) <= _TINY * nothing else value


def _number(fields: Fields, name: str) -> float:
    value: Value = fields.get(name, 0.0)
    return 0.0 if isinstance(value, str) else float(value)


class Ranks:
    """The past of the metrics of all windows of a ticker."""

    __slots__ = ("windows",)

    windows: list[WindowPast]

    def __init__(self) -> None:
        self.windows = [
            WindowPast(seconds, HALF_LIVES_SECONDS[name]) for name, seconds in WINDOWS.items()
        ]

    def close_second(self, metrics: Mapping[str, Fields], end: int) -> None:
        """Take the metrics of each window, by its name, at a whole second that ended."""
        for place, name in enumerate(WINDOWS):
            self.windows[place].close_second(metrics[name], end)

    def of_windows(self, as_of: int, past_seconds: float) -> dict[str, WindowRanks]:
        """Return the ranks of each window at `as_of`, by its name."""
        return {
            name: past.ranks(as_of, past_seconds)
            for name, past in zip(WINDOWS, self.windows, strict=True)
        }

    def packed(self) -> bytes:
        """Return the bytes from which `unpack_ranks` makes an equal object."""
        parts: list[bytes] = []
        for window in self.windows:
            weight = window.weight
            parts.append(_HEAD.pack(weight.since, weight.divided, window.waiting_second))
            parts += [histogram.packed() for histogram in window.histograms]
        body = b"".join(parts)
        return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big") + body


def unpack_ranks(packed: bytes) -> Ranks:
    """Return what `Ranks.packed` packed.

    Raises `ValueError`.
    """
    found = Ranks()
    if zlib.crc32(packed[_CHECKSUM_BYTES:]) != int.from_bytes(packed[:_CHECKSUM_BYTES], "big"):
        raise ValueError("ranks: the checksum differs")
    start = _CHECKSUM_BYTES
    for window in found.windows:
        if len(packed) < start + _HEAD.size:
            raise ValueError("ranks: cut off")
        weight = window.weight
        weight.since, weight.divided, window.waiting_second = _HEAD.unpack_from(packed, start)
        start += _HEAD.size
        for place in range(len(window.histograms)):
            window.histograms[place], start = _unpack_histogram(packed, start)
    return found
