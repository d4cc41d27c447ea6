"""The newest seconds of a ticker as one table of numbers, and the sums of its windows."""

import math
from collections import Counter, namedtuple
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import attrgetter
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.bars import COUNTS, ENDINGS, FLOWS, SECOND_MS, Bar
from app.records import Quote

Flows = NDArray[np.float64]
Counts = NDArray[np.uint32]

STARTS: Final = ("stood", "bid_price", "bid_size", "ask_price", "ask_size", "mid2")
"""What a window is compared with that begins where a second ended."""

_SPARE_ROWS: Final = 8
_MIN, _MAX = len(FLOWS), len(FLOWS) + 1
_FLOWS_BYTES: Final = 8 * (len(FLOWS) + 2)
_COUNTS_BYTES: Final = 4 * len(COUNTS)
_pack_flows: Any = Struct(f"{len(FLOWS) + 2}d").pack_into
_pack_counts: Any = Struct(f"{len(COUNTS)}I").pack_into
_counts_of = attrgetter(*COUNTS)
_flows_of = attrgetter(*FLOWS, "min_spread", "max_spread")
_ending_of = attrgetter(*ENDINGS)

# Called by another name, since the fields are Bar's and no type checker can list them.
_named: Any = namedtuple  # noqa: PYI024
_BarSums = _named("_BarSums", (*FLOWS, *COUNTS))
_BarEnding = _named("_BarEnding", ENDINGS)
_BarStart = _named("_BarStart", STARTS)
_start_of = attrgetter(*STARTS)
Sums = Any
"""Sums of a bar's additive fields, by their names."""
Ending = Any
"""How things stood at the end of a bar, by its fields' names from `stood` on."""

NOTHING_STOOD: Ending = _BarEnding._make([0.0] * len(ENDINGS))
_NOTHING: Sums = _BarSums._make([0.0] * (len(FLOWS) + len(COUNTS)))


class Window(NamedTuple):
    """All that the metrics of (as_of - seconds, as_of] are made from.

    `late_half` and `late_fifth` sum the last ⌈W/2⌉ and ⌈W/5⌉ seconds; spreads are in 1e-8, 0 where
    none stood; `start` is None where the table holds nothing that old, `first_quote` the ticker's
    first ever.
    """

    as_of: int
    seconds: int
    sums: Sums
    late_half: Sums
    late_fifth: Sums
    min_spread: float
    max_spread: float
    start: Ending
    end: Ending
    first_quote: Quote | None


class BarTable:
    """The newest `seconds` and one bars, without holes: a second left out was silent.

    A `lean` one keeps of all seconds but the newest only what windows need that end with the
    newest: two thirds of the memory, which every ticker of a worker takes.
    """

    def __init__(self, seconds: int = 300, *, lean: bool = False) -> None:
        self._kept = seconds + 1
        rows = self._kept + _SPARE_ROWS
        self._flows: Flows = np.zeros((rows, len(FLOWS) + 2))
        self._counts: Counts = np.zeros((rows, len(COUNTS)), np.uint32)
        self._is_lean = lean
        self._kept_endings = STARTS if lean else ENDINGS
        self._make_ending = _BarStart._make if lean else _BarEnding._make
        self._endings: Flows = np.zeros((rows, len(self._kept_endings)))
        self._newest = NOTHING_STOOD
        self._count = 0
        self._quality: dict[int, dict[str, int]] = {}
        self._uncovered: list[Bar] = []
        self.lost_to = 0
        self.end = 0
        self.first_quote: Quote | None = None

    @classmethod
    def of(cls, bars: Iterable[Bar], seconds: int = 300, *, lean: bool = False) -> "BarTable":
        """Make a table of bars in order of time."""
        table = cls(seconds, lean=lean)
        for bar in bars:
            table.add(bar)
        return table

    def add(self, bar: Bar) -> None:
        """Append the next second, or replace one that is here."""
        if bar.first_quote is not None:
            self.first_quote = bar.first_quote
        if bar.quality:
            self._quality[bar.end] = bar.quality
        if self._count and bar.end <= self.end:
            row = self._row_at(bar.end)
            if row >= 0:
                self._put(row, bar)
            return
        self.fill_to(bar.end - SECOND_MS)
        self._append(bar)

    def fill_to(self, end: int) -> None:
        """Add the seconds after the newest bar up to `end`: lost up to `lost_to`, then silent."""
        if self._count:
            first = max(self.end + SECOND_MS, end - self._kept * SECOND_MS)
            for missing in range(first, end + 1, SECOND_MS):
                returned = int(self._counts[self._count - 1, _RETURNS])
                is_covered = missing > self.lost_to
                bar = _silent(missing, self._newest, returned, is_covered=is_covered)
                self._append(bar)
                if not is_covered:
                    self._uncovered.append(bar)

    def take_uncovered(self) -> list[Bar]:
        """Return the bars of lost seconds that were added since this was last asked."""
        taken, self._uncovered = self._uncovered, []
        return taken

    def _append(self, bar: Bar) -> None:
        if self._count == len(self._flows):
            for rows in (self._flows, self._counts, self._endings):
                rows[: self._kept] = rows[_SPARE_ROWS:].copy()
            self._count = self._kept
            oldest = bar.end - self._kept * SECOND_MS
            self._quality = {e: q for e, q in self._quality.items() if e > oldest}
        self._count += 1
        self.end = bar.end
        self._put(self._count - 1, bar)

    def _put(self, place: int, bar: Bar) -> None:
        # Packed into place: half of what numpy takes to assign a row.
        _pack_flows(self._flows, place * _FLOWS_BYTES, *_flows_of(bar))
        if not bar.min_spread:
            self._flows[place, _MIN] = math.inf  # no spread stood: the least of others counts
        _pack_counts(self._counts, place * _COUNTS_BYTES, *_counts_of(bar))
        self._endings[place] = _start_of(bar) if self._is_lean else _ending_of(bar)
        if place == self._count - 1:
            self._newest = _BarEnding._make(map(float, _ending_of(bar)))

    def _row_at(self, end: int) -> int:
        return self._count - 1 - (self.end - end) // SECOND_MS

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field of the `seconds` up to `as_of`, oldest first, or all there are."""
        stop = self._row_at(as_of) + 1
        rows = slice(max(0, stop - seconds), stop)
        values: list[float] = (
            self._flows[rows, FLOWS.index(name)].tolist()
            if name in FLOWS
            else self._endings[rows, self._kept_endings.index(name)].tolist()
        )
        return values

    def ending(self, as_of: int) -> Ending | None:
        """Return how things stood at a whole second, None where no row tells."""
        row = self._row_at(as_of)
        if row == self._count - 1:
            return self._newest
        if 0 <= row < self._count:
            return self._make_ending(self._endings[row].tolist())
        return None

    def windows(self, as_of: int, spans: Sequence[int]) -> list[Window]:
        """Gather the windows of `spans` seconds that end at `as_of`, in one pass over the rows."""
        stop = min(self._row_at(as_of) + 1, self._count)
        lengths = {n: min(n, stop) for span in spans for n in _parts(span)}
        tails = _Tails(
            self._flows,
            self._counts,
            stop,
            sorted({n for n in lengths.values() if n > 0}, reverse=True),
        )
        end = self.ending(as_of) or NOTHING_STOOD
        found = []
        for span in spans:
            whole, half, fifth = (lengths[n] for n in _parts(span))
            low, high = tails.spread_range(whole)
            start = self.ending(as_of - span * SECOND_MS)
            found.append(
                Window(
                    as_of,
                    span,
                    tails.sums(whole),
                    tails.sums(half),
                    tails.sums(fifth),
                    low,
                    high,
                    start,
                    end,
                    self.first_quote,
                )
            )
        return found

    def quality(self, as_of: int, seconds: int) -> dict[str, int]:
        """Count by name what was odd about the window's records."""
        if not self._quality:
            return {}
        start = as_of - seconds * SECOND_MS
        total: Counter[str] = Counter()
        for end, counts in self._quality.items():
            if start < end <= as_of:
                total.update(counts)
        return dict(sorted(total.items()))


def _parts(span: int) -> tuple[int, int, int]:
    return span, -(-span // 2), -(-span // 5)


class _Tails:
    """Sums, least and greatest over the last n rows, for some n at once."""

    def __init__(self, flows: Flows, counts: Counts, stop: int, lengths: list[int]) -> None:
        self._place = {length: i for i, length in enumerate(reversed(lengths))}
        if not lengths:
            return
        offsets = [lengths[0] - length for length in lengths]
        flows, counts = flows[stop - lengths[0] : stop], counts[stop - lengths[0] : stop]
        parts = np.add.reduceat(flows[:, :_MIN], offsets, axis=0)
        self._flows = parts[::-1].cumsum(axis=0).tolist()
        number = np.add.reduceat(counts, offsets, axis=0, dtype=np.int64)
        self._counts = number[::-1].cumsum(axis=0).tolist()
        lows = np.minimum.reduceat(flows[:, _MIN], offsets).tolist()
        self._low = [*accumulate(reversed(lows), min)]
        highs = np.maximum.reduceat(flows[:, _MAX], offsets).tolist()
        self._high = [*accumulate(reversed(highs), max)]

    def sums(self, length: int) -> Sums:
        place = self._place.get(length)
        if place is None:
            return _NOTHING
        return _BarSums._make(self._flows[place] + self._counts[place])

    def spread_range(self, length: int) -> tuple[float, float]:
        place = self._place.get(length)
        if place is None or not self._high[place]:
            return 0.0, 0.0
        return self._low[place], self._high[place]


_RETURNS = COUNTS.index("returns")


def _silent(end: int, before: Ending, returned: int, *, is_covered: bool) -> Bar:
    """Make the bar of a second without records, after one that ended so."""
    bar = Bar(end)
    for name in ENDINGS:
        setattr(bar, name, type(getattr(bar, name))(getattr(before, name)))
    if not before.stood or not is_covered:
        return bar
    bar.returns = 1 if before.mid2 else returned
    bar.covered_ms = float(SECOND_MS)
    bar.bid_size_ms = before.bid_size * SECOND_MS
    bar.ask_size_ms = before.ask_size * SECOND_MS
    depth = before.bid_size + before.ask_size
    if depth:
        bar.imbalance_ms = (before.bid_size - before.ask_size) / depth * SECOND_MS
        bar.imbalance_time_ms = float(SECOND_MS)
    if before.mid2:
        bar.spread_ms = before.spread * SECOND_MS
        bar.spread_bps_ms = 2e4 * before.spread / before.mid2 * SECOND_MS
        bar.spread_time_ms = float(SECOND_MS)
        bar.min_spread = bar.max_spread = before.spread
    return bar
