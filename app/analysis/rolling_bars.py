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

FloatRows = NDArray[np.float64]
CountRows = NDArray[np.uint32]
_BlockRows = list[NDArray[Any]]

START_FIELDS: Final = ("stood", "bid_price", "bid_size", "ask_price", "ask_size", "mid2")
"""What a window is compared with that begins where a second ended."""

# Behind what is summed: the least spread, negative so that the greatest is wanted; the greatest.
_SPREAD_COLUMN: Final = len(ADDITIVE_FIELDS)
_FLOAT_ROW_BYTES: Final = 8 * (len(ADDITIVE_FIELDS) + 2)
_COUNT_ROW_BYTES: Final = 4 * len(COUNT_FIELDS)
_pack_float_row: Any = Struct(f"{len(ADDITIVE_FIELDS) + 2}d").pack_into
_START_ROW_BYTES: Final = 8 * len(START_FIELDS)
_pack_start_row: Any = Struct(f"{len(START_FIELDS)}d").pack_into
_pack_count_row: Any = Struct(f"{len(COUNT_FIELDS)}I").pack_into
_count_values = attrgetter(*COUNT_FIELDS)
_float_values = attrgetter(*ADDITIVE_FIELDS)
_closing_values_of = attrgetter(*CLOSING_FIELDS)

# Called by another name, since the fields are Bar's and no type checker can list them.
_namedtuple: Any = namedtuple  # noqa: PYI024
_BarSums = _namedtuple("_BarSums", (*ADDITIVE_FIELDS, *COUNT_FIELDS))
_BarClosing = _namedtuple("_BarEnding", CLOSING_FIELDS)
_BarStart = _namedtuple("_BarStart", START_FIELDS)
_start_values = attrgetter(*START_FIELDS)
Sums = Any
"""Sums of a bar's additive fields, by their names."""
ClosingValues = Any
"""How things stood at the end of a bar, by its fields' names from `stood` on."""

NO_CLOSING_VALUES: ClosingValues = _BarClosing._make([0.0] * len(CLOSING_FIELDS))


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
        self._capacity = seconds + 1
        self._shape = table_shape(self._capacity, spans)
        self._ring_rows = self._shape.ring_blocks * BLOCK_SECONDS
        self._max_count = self._capacity if self._shape.far_lengths else self._ring_rows
        self._replaceable_seconds = (
            self._ring_rows - BLOCK_SECONDS + 1 if self._shape.far_lengths else self._ring_rows
        )
        self._float_rows: FloatRows = np.zeros((self._shape.row_count, len(ADDITIVE_FIELDS) + 2))
        self._count_rows: CountRows = np.zeros(
            (self._shape.row_count, len(COUNT_FIELDS)), np.uint32
        )
        self._has_start_fields_only = bool(spans)
        self._closing_fields = START_FIELDS if spans else CLOSING_FIELDS
        self._make_closing = _BarStart._make if spans else _BarClosing._make
        self._closing_rows: FloatRows = np.zeros(
            (self._shape.first_sum_row, len(self._closing_fields))
        )
        self._packed_blocks = [b""] * self._shape.block_count
        # Blocks laid away are squeezed in one second of ten, not those of all tables in the same.
        # Loose are those that are not yet; opened are, by far place, those that lie there.
        self._compression_phase = next(_phases) % BLOCK_SECONDS
        self._uncompressed_blocks: list[int] = []
        self._last_compression = 0
        self._unpacked_blocks: dict[int, int] = {}
        self._newest = Bar(0)
        self._count = 0
        self._quality: dict[int, dict[str, int]] = {}
        self._uncovered: list[Bar] = []
        self.lost_to = 0
        self.end = 0
        self.first_quote: Quote | None = None

    @classmethod
    def from_bars(
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
            if (self.end - bar.end) // SECOND_MS < min(self._count, self._replaceable_seconds):
                self._write_row(bar)
            return
        self.fill_to(bar.end - SECOND_MS)
        self._append(bar)

    def fill_to(self, end: int) -> None:
        """Add the seconds after the newest bar up to `end`: lost up to `lost_to`, then silent."""
        if self._count:
            first = end - self._capacity * SECOND_MS
            if first > self.end:
                self._count = 0  # all that is here is older than what is kept
            for second_end in range(max(first, self.end + SECOND_MS), end + 1, SECOND_MS):
                last_returns = int(
                    self._count_rows[_second_number(self.end) % self._ring_rows, _RETURNS_COLUMN]
                )
                is_covered = second_end > self.lost_to
                bar = _silent_bar(second_end, self._newest, last_returns, is_covered=is_covered)
                self._append(bar)
                if not is_covered:
                    self._uncovered.append(bar)

    def take_uncovered(self) -> list[Bar]:
        """Return the bars of lost seconds that were added since this was last asked."""
        taken, self._uncovered = self._uncovered, []
        return taken

    def _append(self, bar: Bar) -> None:
        number = _second_number(bar.end)
        if number % BLOCK_SECONDS == 0:
            self._begin_block(number // BLOCK_SECONDS)
        self._count = min(self._count + 1, self._max_count)
        self.end = bar.end
        self._write_row(bar)

    def _begin_block(self, block: int) -> None:
        """Make room in the ring for a block's seconds; what is older than all windows goes."""
        if self._shape.far_lengths:
            oldest_block = block - self._shape.ring_blocks
            if self._count > self._ring_rows - BLOCK_SECONDS:
                rows = self._block_rows(oldest_block * BLOCK_SECONDS % self._ring_rows)
                self._packed_blocks[oldest_block % self._shape.block_count] = _to_bytes(rows)
                self._uncompressed_blocks.append(oldest_block)
            self._packed_blocks[block % self._shape.block_count] = b""
            self._uncompressed_blocks = [
                pending
                for pending in self._uncompressed_blocks
                if pending > block - self._shape.block_count
            ]
        if self._quality:
            oldest = self.end - self._capacity * SECOND_MS
            self._quality = {e: q for e, q in self._quality.items() if e > oldest}

    def _block_rows(self, row: int) -> _BlockRows:
        """Return the part of all rows that holds the ten seconds from a row on."""
        rows = slice(row, row + BLOCK_SECONDS)
        return [self._float_rows[rows], self._count_rows[rows], self._closing_rows[rows]]

    def _compress_some_blocks(self, newest: int) -> None:
        """Squeeze as many loose blocks as turns passed since this was last asked.

        A backlog of 300 s lays 27 blocks away at once, too many to squeeze in one tick; the oldest
        of them are gone before it is their turn.
        """
        block = (newest - self._compression_phase) // BLOCK_SECONDS
        for _ in range(
            min(block - (self._last_compression or block), len(self._uncompressed_blocks))
        ):
            place = self._uncompressed_blocks.pop() % self._shape.block_count
            like = self._block_rows(0)  # of the same form as any other
            self._packed_blocks[place] = _compress(_from_bytes(self._packed_blocks[place], like))
        self._last_compression = block

    def _unpack_blocks(self, plan: WindowRows) -> None:
        """Lay blocks in which windows begin where their rows are looked for."""
        for place, block in plan.opened.items():
            if self._unpacked_blocks.get(place) != block:
                rows = self._block_rows(self._ring_rows + place * BLOCK_SECONDS)
                unpack = _from_bytes if block in self._uncompressed_blocks else _decompress
                parts = unpack(self._packed_blocks[block % self._shape.block_count], rows)
                for available, part in zip(rows, parts, strict=True):
                    available[:] = part
                self._unpacked_blocks[place] = block

    def _write_row(self, bar: Bar) -> None:
        row = _second_number(bar.end) % self._ring_rows
        low = -bar.min_spread or -math.inf  # where no spread stood, the least of others counts
        # Packed into place: half of what numpy takes to assign a row.
        _pack_float_row(
            self._float_rows, row * _FLOAT_ROW_BYTES, *_float_values(bar), low, bar.max_spread
        )
        _pack_count_row(self._count_rows, row * _COUNT_ROW_BYTES, *_count_values(bar))
        if self._has_start_fields_only:
            _pack_start_row(self._closing_rows, row * _START_ROW_BYTES, *_start_values(bar))
        else:
            self._closing_rows[row] = _closing_values_of(bar)
        if bar.end == self.end:
            self._newest = bar
        block, before = divmod(_second_number(bar.end), BLOCK_SECONDS)
        if self.end - bar.end >= (BLOCK_SECONDS - 1 - before) * SECOND_MS:
            self._sum_block(block)

    def _sum_block(self, block: int) -> None:
        """Sum a block whose seconds are all there."""
        flows, counts, _ = self._block_rows(block * BLOCK_SECONDS % self._ring_rows)
        to = self._shape.first_sum_row + block % self._shape.block_count
        np.add.reduce(flows[:, :_SPREAD_COLUMN], axis=0, out=self._float_rows[to, :_SPREAD_COLUMN])
        np.maximum.reduce(
            flows[:, _SPREAD_COLUMN:], axis=0, out=self._float_rows[to, _SPREAD_COLUMN:]
        )
        np.add.reduce(counts, axis=0, dtype=np.uint32, out=self._count_rows[to])

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field of the `seconds` up to `as_of`, oldest first, or all there are.

        Raises `ValueError` where the table packs.
        """
        if self._shape.far_lengths:
            raise ValueError(f"column {name}: a table that packs has none")
        newer = (self.end - as_of) // SECOND_MS
        number = max(0, min(seconds, self._count - newer))
        last = _second_number(as_of)
        rows = np.arange(last + 1 - number, last + 1) % self._ring_rows
        values: list[float] = (
            self._float_rows[rows, ADDITIVE_FIELDS.index(name)].tolist()
            if name in ADDITIVE_FIELDS
            else self._closing_rows[rows, self._closing_fields.index(name)].tolist()
        )
        return values

    def _closing_values(self, as_of: int) -> ClosingValues:
        """Return how things stood at a second that is not packed."""
        age = (self.end - as_of) // SECOND_MS
        if age == 0 and self._count:
            return _BarClosing._make(map(float, _closing_values_of(self._newest)))
        if 0 < age < self._count:
            return self._make_closing(
                self._closing_rows[_second_number(as_of) % self._ring_rows].tolist()
            )
        return NO_CLOSING_VALUES

    def windows(self, as_of: int, spans: tuple[int, ...]) -> list[Window]:
        """Gather the windows of `spans` seconds that end at `as_of`, in one pass over the rows.

        Raises `ValueError` where the table packs and `as_of` is not its newest second.
        """
        if self._shape.far_lengths and self._count and as_of != self.end:
            raise ValueError(f"windows up to {as_of}: a table that packs has those to {self.end}")
        last = min(as_of, self.end)
        available = max(0, min(self._count - (self.end - last) // SECOND_MS, max(spans) + 1))
        plan = window_rows(self._shape, _second_number(last), available, spans)
        self._unpack_blocks(plan)
        self._compress_some_blocks(_second_number(self.end))
        suffix_sums = _SuffixSums(self._float_rows, self._count_rows, plan)
        end = self._closing_values(as_of)
        windows = []
        for span in spans:
            whole, half, fifth = window_parts(span)
            low, high = suffix_sums.spread_range(whole)
            before = plan.before[span]
            windows.append(
                Window(
                    as_of,
                    span,
                    suffix_sums.sums(whole),
                    suffix_sums.sums(half),
                    suffix_sums.sums(fifth),
                    low,
                    high,
                    None
                    if before is None
                    else self._make_closing(self._closing_rows[before].tolist()),
                    end,
                    self.first_quote,
                )
            )
        return windows

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


def _second_number(end: int) -> int:
    """Return a second's number, such that a block's last one ends with a whole ten."""
    return end // SECOND_MS - 1


def _to_bytes(blocks: _BlockRows) -> bytes:
    """Take ten seconds out of their rows."""
    return b"".join([part.tobytes() for part in blocks])


def _from_bytes(raw: bytes, like: _BlockRows) -> _BlockRows:
    """Return what `_raw` took, in arrays like those of which it was."""
    parts, start = [], 0
    for part in like:
        parts.append(np.frombuffer(raw, part.dtype, part.size, start).reshape(part.shape))
        start += part.nbytes
    return parts


def _compress(parts: _BlockRows) -> bytes:
    """Pack ten seconds, by field, and by each byte's place in its number: like comes to like."""
    planes = [part.T.copy().view(np.uint8).reshape(-1, part.itemsize).T.tobytes() for part in parts]
    # The next level takes 20 % more time for less than 1 % fewer bytes.
    return zlib.compress(b"".join(planes), 5)


def _decompress(squeezed: bytes, like: _BlockRows) -> _BlockRows:
    """Return what `_squeezed` took, in arrays like those that it took."""
    values, parts, start = zlib.decompress(squeezed), [], 0
    for part in like:
        planes = np.frombuffer(values, np.uint8, part.nbytes, start)
        numbers = planes.reshape(part.itemsize, -1).T.copy().view(part.dtype)
        parts.append(numbers.reshape(part.shape[::-1]).T)
        start += part.nbytes
    return parts


class _SuffixSums:
    """Sums, least and greatest over the last n seconds, for some n at once."""

    def __init__(self, flows: FloatRows, counts: CountRows, plan: WindowRows) -> None:
        rows, starts, self._place_of_length = plan.rows, plan.segment_starts, plan.places
        if not len(rows):
            self._sums, self._ranges = [[0.0] * (_SPREAD_COLUMN + len(COUNT_FIELDS))], [[0.0, 0.0]]
            return
        flows = flows.take(rows, axis=0)
        # Into one: adding up and making Python's numbers of them costs by the call.
        sums = np.empty((len(starts), _SPREAD_COLUMN + len(COUNT_FIELDS)))
        np.add.reduceat(flows[:, :_SPREAD_COLUMN], starts, axis=0, out=sums[:, :_SPREAD_COLUMN])
        np.add.reduceat(
            counts.take(rows, axis=0),
            starts,
            axis=0,
            dtype=np.float64,
            out=sums[:, _SPREAD_COLUMN:],
        )
        self._sums = sums.cumsum(axis=0).tolist()
        ranges = np.maximum.reduceat(flows[:, _SPREAD_COLUMN:], starts, axis=0)
        self._ranges = np.maximum.accumulate(ranges, axis=0).tolist()

    def sums(self, length: int) -> Sums:
        return _BarSums._make(self._sums[self._place_of_length[length]])

    def spread_range(self, length: int) -> tuple[float, float]:
        low, high = self._ranges[self._place_of_length[length]]
        return (-low, high) if high else (0.0, 0.0)


_RETURNS_COLUMN = COUNT_FIELDS.index("returns")
_phases = itertools.count()


def _silent_bar(end: int, before: Bar, returned: int, *, is_covered: bool) -> Bar:
    """Make the bar of a second without records, after one that ended so."""
    bar = Bar(end).set_fields(zip(CLOSING_FIELDS, _closing_values_of(before), strict=True))
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
