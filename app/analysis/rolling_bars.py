"""The newest seconds of a ticker as one table of numbers, and the sums of its windows."""

import itertools
import math
import zlib
from collections import Counter, namedtuple
from collections.abc import Iterable
from operator import attrgetter
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.analysis.bars import ADDITIVE_FIELDS, CLOSING_FIELDS, COUNT_FIELDS, SECOND_MS, Bar
from app.analysis.records import Quote
from app.analysis.window_rows import (
    BLOCK_SECONDS,
    WindowRows,
    table_shape,
    window_parts,
    window_rows,
)

Flows = NDArray[np.float64]
Counts = NDArray[np.uint32]
_Blocks = list[NDArray[Any]]

STARTS: Final = ("stood", "bid_price", "bid_size", "ask_price", "ask_size", "mid2")
"""What a window is compared with that begins where a second ended."""

# Behind what is summed: the least spread, negative so that the greatest is wanted; the greatest.
_SPREADS: Final = len(ADDITIVE_FIELDS)
_FLOWS_BYTES: Final = 8 * (len(ADDITIVE_FIELDS) + 2)
_COUNTS_BYTES: Final = 4 * len(COUNT_FIELDS)
_pack_flows: Any = Struct(f"{len(ADDITIVE_FIELDS) + 2}d").pack_into
_START_BYTES: Final = 8 * len(STARTS)
_pack_start: Any = Struct(f"{len(STARTS)}d").pack_into
_pack_counts: Any = Struct(f"{len(COUNT_FIELDS)}I").pack_into
_counts_of = attrgetter(*COUNT_FIELDS)
_flows_of = attrgetter(*ADDITIVE_FIELDS)
_ending_of = attrgetter(*CLOSING_FIELDS)

# Called by another name, since the fields are Bar's and no type checker can list them.
_named: Any = namedtuple  # noqa: PYI024
_BarSums = _named("_BarSums", (*ADDITIVE_FIELDS, *COUNT_FIELDS))
_BarEnding = _named("_BarEnding", CLOSING_FIELDS)
_BarStart = _named("_BarStart", STARTS)
_start_of = attrgetter(*STARTS)
Sums = Any
"""Sums of a bar's additive fields, by their names."""
ClosingValues = Any
"""How things stood at the end of a bar, by its fields' names from `stood` on."""

NOTHING_STOOD: ClosingValues = _BarEnding._make([0.0] * len(CLOSING_FIELDS))


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
    start: ClosingValues
    end: ClosingValues
    first_quote: Quote | None


class RollingBars:
    """The newest `seconds` and one bars, without holes: a second left out was silent.

    A second's row is found by its number; behind the seconds lie rows of sums, one for each block
    of ten that ends with a whole ten. So all tables add alike, and a window of 300 s touches 70
    rows and not 300. A table made for windows of some `spans` answers for those that end with its
    newest second, and nothing else: of all seconds but the newest it keeps only what such windows
    need, and packed what none of them needs for now. That is half of the memory, which every ticker
    of a worker takes, for 10 to 15 µs a second.
    """

    def __init__(self, seconds: int = 300, *, spans: tuple[int, ...] = ()) -> None:
        self._kept = seconds + 1
        self._shape = table_shape(self._kept, spans)
        self._near = self._shape.near_blocks * BLOCK_SECONDS
        self._most = self._kept if self._shape.far else self._near
        self._replaceable = self._near - BLOCK_SECONDS + 1 if self._shape.far else self._near
        self._flows: Flows = np.zeros((self._shape.rows, len(ADDITIVE_FIELDS) + 2))
        self._counts: Counts = np.zeros((self._shape.rows, len(COUNT_FIELDS)), np.uint32)
        self._is_lean = bool(spans)
        self._kept_endings = STARTS if spans else CLOSING_FIELDS
        self._make_ending = _BarStart._make if spans else _BarEnding._make
        self._endings: Flows = np.zeros((self._shape.sums, len(self._kept_endings)))
        self._away = [b""] * self._shape.blocks
        # Blocks laid away are squeezed in one second of ten, not those of all tables in the same.
        # Loose are those that are not yet; opened are, by far place, those that lie there.
        self._turn = next(_turns) % BLOCK_SECONDS
        self._loose: list[int] = []
        self._turns_had = 0
        self._opened: dict[int, int] = {}
        self._newest = Bar(0)
        self._count = 0
        self._quality: dict[int, dict[str, int]] = {}
        self._uncovered: list[Bar] = []
        self.lost_to = 0
        self.end = 0
        self.first_quote: Quote | None = None

    @classmethod
    def of(
        cls, bars: Iterable[Bar], seconds: int = 300, *, spans: tuple[int, ...] = ()
    ) -> "RollingBars":
        """Make a table of bars in order of time."""
        table = cls(seconds, spans=spans)
        for bar in bars:
            table.add(bar)
        return table

    def add(self, bar: Bar) -> None:
        """Append the next second, or replace one that is not packed."""
        if bar.first_quote is not None:
            self.first_quote = bar.first_quote
        if bar.quality:
            self._quality[bar.end] = bar.quality
        if self._count and bar.end <= self.end:
            if (self.end - bar.end) // SECOND_MS < min(self._count, self._replaceable):
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
                returned = int(self._counts[_number(self.end) % self._near, _RETURNS])
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
        number = _number(bar.end)
        if number % BLOCK_SECONDS == 0:
            self._begin_block(number // BLOCK_SECONDS)
        self._count = min(self._count + 1, self._most)
        self.end = bar.end
        self._put(bar)

    def _begin_block(self, block: int) -> None:
        """Make room in the ring for a block's seconds; what is older than all windows goes."""
        if self._shape.far:
            leaving = block - self._shape.near_blocks
            if self._count > self._near - BLOCK_SECONDS:
                rows = self._blocks_of(leaving * BLOCK_SECONDS % self._near)
                self._away[leaving % self._shape.blocks] = _raw(rows)
                self._loose.append(leaving)
            self._away[block % self._shape.blocks] = b""
            self._loose = [it for it in self._loose if it > block - self._shape.blocks]
        if self._quality:
            oldest = self.end - self._kept * SECOND_MS
            self._quality = {e: q for e, q in self._quality.items() if e > oldest}

    def _blocks_of(self, row: int) -> _Blocks:
        """Return the part of all rows that holds the ten seconds from a row on."""
        rows = slice(row, row + BLOCK_SECONDS)
        return [self._flows[rows], self._counts[rows], self._endings[rows]]

    def _squeeze(self, newest: int) -> None:
        """Squeeze as many loose blocks as turns passed since this was last asked.

        A backlog of 300 s lays 27 blocks away at once, too many to squeeze in one tick; the oldest
        of them are gone before it is their turn.
        """
        block = (newest - self._turn) // BLOCK_SECONDS
        for _ in range(min(block - (self._turns_had or block), len(self._loose))):
            place = self._loose.pop() % self._shape.blocks
            like = self._blocks_of(0)  # of the same form as any other
            self._away[place] = _squeezed(_from_raw(self._away[place], like))
        self._turns_had = block

    def _open(self, plan: WindowRows) -> None:
        """Lay blocks in which windows begin where their rows are looked for."""
        for place, block in plan.opened.items():
            if self._opened.get(place) != block:
                rows = self._blocks_of(self._near + place * BLOCK_SECONDS)
                back = _from_raw if block in self._loose else _from_squeezed
                parts = back(self._away[block % self._shape.blocks], rows)
                for there, part in zip(rows, parts, strict=True):
                    there[:] = part
                self._opened[place] = block

    def _put(self, bar: Bar) -> None:
        row = _number(bar.end) % self._near
        low = -bar.min_spread or -math.inf  # where no spread stood, the least of others counts
        # Packed into place: half of what numpy takes to assign a row.
        _pack_flows(self._flows, row * _FLOWS_BYTES, *_flows_of(bar), low, bar.max_spread)
        _pack_counts(self._counts, row * _COUNTS_BYTES, *_counts_of(bar))
        if self._is_lean:
            _pack_start(self._endings, row * _START_BYTES, *_start_of(bar))
        else:
            self._endings[row] = _ending_of(bar)
        if bar.end == self.end:
            self._newest = bar
        block, before = divmod(_number(bar.end), BLOCK_SECONDS)
        if self.end - bar.end >= (BLOCK_SECONDS - 1 - before) * SECOND_MS:
            self._add_up(block)

    def _add_up(self, block: int) -> None:
        """Sum a block whose seconds are all there."""
        flows, counts, _ = self._blocks_of(block * BLOCK_SECONDS % self._near)
        to = self._shape.sums + block % self._shape.blocks
        np.add.reduce(flows[:, :_SPREADS], axis=0, out=self._flows[to, :_SPREADS])
        np.maximum.reduce(flows[:, _SPREADS:], axis=0, out=self._flows[to, _SPREADS:])
        np.add.reduce(counts, axis=0, dtype=np.uint32, out=self._counts[to])

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field of the `seconds` up to `as_of`, oldest first, or all there are.

        Raises `ValueError` where the table packs.
        """
        if self._shape.far:
            raise ValueError(f"column {name}: a table that packs has none")
        newer = (self.end - as_of) // SECOND_MS
        number = max(0, min(seconds, self._count - newer))
        last = _number(as_of)
        rows = np.arange(last + 1 - number, last + 1) % self._near
        values: list[float] = (
            self._flows[rows, ADDITIVE_FIELDS.index(name)].tolist()
            if name in ADDITIVE_FIELDS
            else self._endings[rows, self._kept_endings.index(name)].tolist()
        )
        return values

    def _ending(self, as_of: int) -> ClosingValues:
        """Return how things stood at a second that is not packed."""
        age = (self.end - as_of) // SECOND_MS
        if age == 0 and self._count:
            return _BarEnding._make(map(float, _ending_of(self._newest)))
        if 0 < age < self._count:
            return self._make_ending(self._endings[_number(as_of) % self._near].tolist())
        return NOTHING_STOOD

    def windows(self, as_of: int, spans: tuple[int, ...]) -> list[Window]:
        """Gather the windows of `spans` seconds that end at `as_of`, in one pass over the rows.

        Raises `ValueError` where the table packs and `as_of` is not its newest second.
        """
        if self._shape.far and self._count and as_of != self.end:
            raise ValueError(f"windows up to {as_of}: a table that packs has those to {self.end}")
        last = min(as_of, self.end)
        there = max(0, min(self._count - (self.end - last) // SECOND_MS, max(spans) + 1))
        plan = window_rows(self._shape, _number(last), there, spans)
        self._open(plan)
        self._squeeze(_number(self.end))
        tails = _Tails(self._flows, self._counts, plan)
        end = self._ending(as_of)
        found = []
        for span in spans:
            whole, half, fifth = window_parts(span)
            low, high = tails.spread_range(whole)
            before = plan.before[span]
            found.append(
                Window(
                    as_of,
                    span,
                    tails.sums(whole),
                    tails.sums(half),
                    tails.sums(fifth),
                    low,
                    high,
                    None if before is None else self._make_ending(self._endings[before].tolist()),
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


def _number(end: int) -> int:
    """Return a second's number, such that a block's last one ends with a whole ten."""
    return end // SECOND_MS - 1


def _raw(blocks: _Blocks) -> bytes:
    """Take ten seconds out of their rows."""
    return b"".join([part.tobytes() for part in blocks])


def _from_raw(raw: bytes, like: _Blocks) -> _Blocks:
    """Return what `_raw` took, in arrays like those of which it was."""
    parts, start = [], 0
    for part in like:
        parts.append(np.frombuffer(raw, part.dtype, part.size, start).reshape(part.shape))
        start += part.nbytes
    return parts


def _squeezed(parts: _Blocks) -> bytes:
    """Pack ten seconds, by field, and by each byte's place in its number: like comes to like."""
    planes = [part.T.copy().view(np.uint8).reshape(-1, part.itemsize).T.tobytes() for part in parts]
    # The next level takes 20 % more time for less than 1 % fewer bytes.
    return zlib.compress(b"".join(planes), 5)


def _from_squeezed(squeezed: bytes, like: _Blocks) -> _Blocks:
    """Return what `_squeezed` took, in arrays like those that it took."""
    values, parts, start = zlib.decompress(squeezed), [], 0
    for part in like:
        planes = np.frombuffer(values, np.uint8, part.nbytes, start)
        numbers = planes.reshape(part.itemsize, -1).T.copy().view(part.dtype)
        parts.append(numbers.reshape(part.shape[::-1]).T)
        start += part.nbytes
    return parts


class _Tails:
    """Sums, least and greatest over the last n seconds, for some n at once."""

    def __init__(self, flows: Flows, counts: Counts, plan: WindowRows) -> None:
        rows, starts, self._places = plan.rows, plan.starts, plan.places
        if not len(rows):
            self._sums, self._ranges = [[0.0] * (_SPREADS + len(COUNT_FIELDS))], [[0.0, 0.0]]
            return
        flows = flows.take(rows, axis=0)
        # Into one: adding up and making Python's numbers of them costs by the call.
        sums = np.empty((len(starts), _SPREADS + len(COUNT_FIELDS)))
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


_RETURNS = COUNT_FIELDS.index("returns")
_turns = itertools.count()


def _silent(end: int, before: Bar, returned: int, *, is_covered: bool) -> Bar:
    """Make the bar of a second without records, after one that ended so."""
    bar = Bar(end).filled(zip(CLOSING_FIELDS, _ending_of(before), strict=True))
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
