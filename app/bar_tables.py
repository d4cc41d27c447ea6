"""The newest seconds of a ticker as one table of numbers, and the sums of its windows."""

import math
from collections import Counter, namedtuple
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.bars import ADDITIVE, COLUMNS, SECOND_MS, Bar, row_of
from app.records import Quote

Rows = NDArray[np.float64]

_COLUMN = {name: i for i, name in enumerate(COLUMNS)}
_ADDED = len(ADDITIVE)
_MIN, _MAX = _COLUMN["min_spread"], _COLUMN["max_spread"]
_ENDING = _COLUMN["stood"]
_SPARE_ROWS: Final = 16

# Called by another name, since the fields are Bar's and no type checker can list them.
_named: Any = namedtuple  # noqa: PYI024
_BarSums = _named("_BarSums", ADDITIVE)
_BarEnding = _named("_BarEnding", COLUMNS[_ENDING:])
Sums = Any
"""Sums of a bar's additive fields, by their names."""
Ending = Any
"""How things stood at the end of a bar, by its fields' names from `stood` on."""

NOTHING_STOOD: Ending = _BarEnding._make([0.0] * (len(COLUMNS) - _ENDING))


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
    """The newest `seconds` and one bars, without holes: a second left out was silent."""

    def __init__(self, seconds: int = 300) -> None:
        self._kept = seconds + 1
        self._rows: Rows = np.zeros((self._kept + _SPARE_ROWS, len(COLUMNS)))
        self._count = 0
        self._quality: dict[int, dict[str, int]] = {}
        self.end = 0
        self.first_quote: Quote | None = None

    @classmethod
    def of(cls, bars: Iterable[Bar], seconds: int = 300) -> "BarTable":
        """Make a table of bars in order of time."""
        table = cls(seconds)
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
                self._put(row, row_of(bar))
            return
        self.fill_to(bar.end - SECOND_MS)
        self._append(bar.end, row_of(bar))

    def fill_to(self, end: int, *, is_covered: bool = True) -> None:
        """Add the silent seconds after the newest bar, up to `end`; or seconds lost in a gap."""
        if self._count:
            first = max(self.end + SECOND_MS, end - self._kept * SECOND_MS)
            for missing in range(first, end + 1, SECOND_MS):
                self._append(
                    missing, _silent_after(self._rows[self._count - 1], is_covered=is_covered)
                )

    def _append(self, end: int, row: Sequence[float] | Rows) -> None:
        if self._count == len(self._rows):
            self._rows[: self._kept] = self._rows[_SPARE_ROWS:].copy()
            self._count = self._kept
            oldest = end - self._kept * SECOND_MS
            self._quality = {e: q for e, q in self._quality.items() if e > oldest}
        self._put(self._count, row)
        self._count += 1
        self.end = end

    def _put(self, place: int, row: Sequence[float] | Rows) -> None:
        self._rows[place] = row
        if not row[_MIN]:
            self._rows[place, _MIN] = math.inf  # no spread stood: the least of others counts

    def _row_at(self, end: int) -> int:
        return self._count - 1 - (self.end - end) // SECOND_MS

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field of the `seconds` up to `as_of`, oldest first, or all there are."""
        stop = self._row_at(as_of) + 1
        values: list[float] = self._rows[max(0, stop - seconds) : stop, _COLUMN[name]].tolist()
        return values

    def ending(self, as_of: int) -> Ending | None:
        """Return how things stood at a whole second, None where no row tells."""
        row = self._row_at(as_of)
        if 0 <= row < self._count:
            return _BarEnding._make(self._rows[row, _ENDING:].tolist())
        return None

    def windows(self, as_of: int, spans: Sequence[int]) -> list[Window]:
        """Gather the windows of `spans` seconds that end at `as_of`, in one pass over the rows."""
        stop = self._row_at(as_of) + 1
        lengths = {n: min(n, stop) for span in spans for n in _parts(span)}
        tails = _Tails(
            self._rows, stop, sorted({n for n in lengths.values() if n > 0}, reverse=True)
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

    def __init__(self, rows: Rows, stop: int, lengths: list[int]) -> None:
        self._place = {length: i for i, length in enumerate(reversed(lengths))}
        if not lengths:
            return
        offsets = [lengths[0] - length for length in lengths]
        rows = rows[stop - lengths[0] : stop]
        parts = np.add.reduceat(rows[:, :_ADDED], offsets, axis=0)
        self._sums = parts[::-1].cumsum(axis=0).tolist()
        lows = np.minimum.reduceat(rows[:, _MIN], offsets).tolist()
        self._low = [*accumulate(reversed(lows), min)]
        highs = np.maximum.reduceat(rows[:, _MAX], offsets).tolist()
        self._high = [*accumulate(reversed(highs), max)]

    def sums(self, length: int) -> Sums:
        place = self._place.get(length)
        return _BarSums._make([0.0] * _ADDED if place is None else self._sums[place])

    def spread_range(self, length: int) -> tuple[float, float]:
        place = self._place.get(length)
        if place is None or not self._high[place]:
            return 0.0, 0.0
        return self._low[place], self._high[place]


def _silent_after(before: Rows, *, is_covered: bool) -> Rows:
    end = _BarEnding._make(before[_ENDING:].tolist())
    row = np.zeros(len(COLUMNS))
    row[_ENDING:] = before[_ENDING:]
    if not end.stood or not is_covered:
        return row
    row[_COLUMN["returns"]] = 1.0 if end.mid2 else before[_COLUMN["returns"]]
    standing = {"covered_ms": 1.0, "bid_size_ms": end.bid_size, "ask_size_ms": end.ask_size}
    depth = end.bid_size + end.ask_size
    if depth:
        standing |= {
            "imbalance_ms": (end.bid_size - end.ask_size) / depth,
            "imbalance_time_ms": 1.0,
        }
    if end.mid2:
        bps = 2e4 * end.spread / end.mid2
        standing |= {"spread_ms": end.spread, "spread_bps_ms": bps, "spread_time_ms": 1.0}
        row[_MIN] = row[_MAX] = end.spread
    for name, value in standing.items():
        row[_COLUMN[name]] = value * SECOND_MS
    return row
