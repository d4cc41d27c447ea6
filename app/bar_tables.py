"""The newest seconds of a ticker as one table of numbers, and the sums of its windows."""

import functools
import math
from collections import Counter, namedtuple
from collections.abc import Iterable, Sequence
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

_BLOCK_SECONDS: Final = 10
# Behind what is summed: the least spread, negative so that the greatest is wanted; the greatest.
_SPREADS: Final = len(FLOWS)
_FLOWS_BYTES: Final = 8 * (len(FLOWS) + 2)
_COUNTS_BYTES: Final = 4 * len(COUNTS)
_pack_flows: Any = Struct(f"{len(FLOWS) + 2}d").pack_into
_START_BYTES: Final = 8 * len(STARTS)
_pack_start: Any = Struct(f"{len(STARTS)}d").pack_into
_pack_counts: Any = Struct(f"{len(COUNTS)}I").pack_into
_counts_of = attrgetter(*COUNTS)
_flows_of = attrgetter(*FLOWS)
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

    A second's row is found by its number; behind the seconds lie rows of sums, one for each block
    of ten that ends with a whole ten. So all tables add alike, and a window of 300 s touches 70
    rows and not 300, most of which no cache holds a second later. A `lean` one keeps of all seconds
    but the newest only what windows need that end with the newest: two thirds of the memory, which
    every ticker of a worker takes.
    """

    def __init__(self, seconds: int = 300, *, lean: bool = False) -> None:
        self._kept = seconds + 1
        blocks = -(-self._kept // _BLOCK_SECONDS)
        self._rows = blocks * _BLOCK_SECONDS
        rows = self._rows + blocks
        self._flows: Flows = np.zeros((rows, len(FLOWS) + 2))
        self._counts: Counts = np.zeros((rows, len(COUNTS)), np.uint32)
        self._is_lean = lean
        self._kept_endings = STARTS if lean else ENDINGS
        self._make_ending = _BarStart._make if lean else _BarEnding._make
        self._endings: Flows = np.zeros((self._rows, len(self._kept_endings)))
        self._newest = Bar(0)
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
            if (self.end - bar.end) // SECOND_MS < self._count:
                self._put(bar)
            return
        self.fill_to(bar.end - SECOND_MS)
        self._append(bar)

    def fill_to(self, end: int) -> None:
        """Add the seconds after the newest bar up to `end`: lost up to `lost_to`, then silent."""
        if self._count:
            first = end - self._kept * SECOND_MS
            if first > self.end:
                self._count = 0  # all that is here is older than what is kept
            for missing in range(max(first, self.end + SECOND_MS), end + 1, SECOND_MS):
                returned = int(self._counts[self._place(self.end), _RETURNS])
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
        self._count = min(self._count + 1, self._rows)
        self.end = bar.end
        self._put(bar)
        if self._quality and self._place(bar.end) % _BLOCK_SECONDS == 0:
            oldest = bar.end - self._kept * SECOND_MS
            self._quality = {e: q for e, q in self._quality.items() if e > oldest}

    def _put(self, bar: Bar) -> None:
        place = self._place(bar.end)
        low = -bar.min_spread or -math.inf  # where no spread stood, the least of others counts
        # Packed into place: half of what numpy takes to assign a row.
        _pack_flows(self._flows, place * _FLOWS_BYTES, *_flows_of(bar), low, bar.max_spread)
        _pack_counts(self._counts, place * _COUNTS_BYTES, *_counts_of(bar))
        if self._is_lean:
            _pack_start(self._endings, place * _START_BYTES, *_start_of(bar))
        else:
            self._endings[place] = _ending_of(bar)
        if bar.end == self.end:
            self._newest = bar
        block, before = divmod(place, _BLOCK_SECONDS)
        if self.end - bar.end >= (_BLOCK_SECONDS - 1 - before) * SECOND_MS:
            self._add_up(block)

    def _add_up(self, block: int) -> None:
        """Sum a block whose seconds are all there."""
        rows = slice(block * _BLOCK_SECONDS, (block + 1) * _BLOCK_SECONDS)
        flows, to = self._flows[rows], self._rows + block
        np.add.reduce(flows[:, :_SPREADS], axis=0, out=self._flows[to, :_SPREADS])
        np.maximum.reduce(flows[:, _SPREADS:], axis=0, out=self._flows[to, _SPREADS:])
        np.add.reduce(self._counts[rows], axis=0, dtype=np.uint32, out=self._counts[to])

    def _place(self, end: int) -> int:
        return (end // SECOND_MS - 1) % self._rows

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field of the `seconds` up to `as_of`, oldest first, or all there are."""
        newer = (self.end - as_of) // SECOND_MS
        number = max(0, min(seconds, self._count - newer))
        last = self._place(as_of)
        rows = np.arange(last + 1 - number, last + 1) % self._rows
        values: list[float] = (
            self._flows[rows, FLOWS.index(name)].tolist()
            if name in FLOWS
            else self._endings[rows, self._kept_endings.index(name)].tolist()
        )
        return values

    def ending(self, as_of: int) -> Ending | None:
        """Return how things stood at a whole second, None where no row tells."""
        age = (self.end - as_of) // SECOND_MS
        if age == 0:
            return _BarEnding._make(map(float, _ending_of(self._newest))) if self._count else None
        if 0 < age < self._count:
            return self._make_ending(self._endings[self._place(as_of)].tolist())
        return None

    def windows(self, as_of: int, spans: Sequence[int]) -> list[Window]:
        """Gather the windows of `spans` seconds that end at `as_of`, in one pass over the rows."""
        last = min(as_of, self.end)
        number = self._count - (self.end - last) // SECOND_MS
        segments = _segments(self._place(last), self._rows, max(0, min(number, max(spans))), *spans)
        tails = _Tails(self._flows, self._counts, segments)
        end = self.ending(as_of) or NOTHING_STOOD
        found = []
        for span in spans:
            whole, half, fifth = _parts(span)
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


class _Segments(NamedTuple):
    """The rows of the last n seconds for some n, the newest first.

    `starts` tells where those of each n start that no lesser n has, `places` which n's they are.
    """

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    places: dict[int, int]


@functools.lru_cache(maxsize=8)
def _segments(newest: int, number: int, there: int, *spans: int) -> _Segments:
    """Choose the rows of windows in a table of `number` seconds, of which `there` may be asked.

    All tickers' tables want the same in the same second.
    """
    lengths = sorted({min(n, there) for span in spans for n in _parts(span)})
    rows: list[int] = []
    starts, age = [], 0
    for length in lengths:
        starts.append(len(rows))
        while age < length:
            second = (newest - age) % number
            block, before = divmod(second, _BLOCK_SECONDS)
            if before == _BLOCK_SECONDS - 1 and age + _BLOCK_SECONDS <= length:
                rows.append(number + block)
                age += _BLOCK_SECONDS
            else:
                rows.append(second)
                age += 1
    places = {n: lengths.index(min(n, there)) for span in spans for n in _parts(span)}
    return _Segments(np.array(rows, np.intp), np.array(starts, np.intp), places)


class _Tails:
    """Sums, least and greatest over the last n seconds, for some n at once."""

    def __init__(self, flows: Flows, counts: Counts, segments: _Segments) -> None:
        rows, starts, self._places = segments
        if not len(rows):
            self._sums, self._ranges = [[0.0] * (_SPREADS + len(COUNTS))], [[0.0, 0.0]]
            return
        flows = flows.take(rows, axis=0)
        # Into one: adding up and making Python's numbers of them costs by the call.
        sums = np.empty((len(starts), _SPREADS + len(COUNTS)))
        np.add.reduceat(flows[:, :_SPREADS], starts, axis=0, out=sums[:, :_SPREADS])
        np.add.reduceat(
            counts.take(rows, axis=0), starts, axis=0, dtype=np.float64, out=sums[:, _SPREADS:]
        )
        self._sums = sums.cumsum(axis=0).tolist()
        ranges = np.maximum.reduceat(flows[:, _SPREADS:], starts, axis=0)
        self._ranges = np.maximum.accumulate(ranges, axis=0).tolist()

    def sums(self, length: int) -> Sums:
        return _BarSums._make(self._sums[self._places[length]])

    def spread_range(self, length: int) -> tuple[float, float]:
        low, high = self._ranges[self._places[length]]
        return (-low, high) if high else (0.0, 0.0)


_RETURNS = COUNTS.index("returns")


def _silent(end: int, before: Bar, returned: int, *, is_covered: bool) -> Bar:
    """Make the bar of a second without records, after one that ended so."""
    bar = Bar(end).filled(zip(ENDINGS, _ending_of(before), strict=True))
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
        bar.spread_ms = float(before.spread * SECOND_MS)
        bar.spread_bps_ms = 2e4 * before.spread / before.mid2 * SECOND_MS
        bar.spread_time_ms = float(SECOND_MS)
        bar.min_spread = bar.max_spread = float(before.spread)
    return bar
