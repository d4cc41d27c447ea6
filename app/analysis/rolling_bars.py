"""Keep a ticker's newest seconds as one table of numbers, and sum windows over it."""

import itertools
import math
import zlib
from collections import Counter, namedtuple
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from operator import attrgetter
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.analysis.bars import ADDITIVE_FIELDS, CLOSING_FIELDS, COUNT_FIELDS, SECOND_MS, Bar
from app.analysis.gaps import Gap, SecondSums, newest, overlap, seconds_inside
from app.analysis.price_fields import PRICE_FIELDS, PriceWalk
from app.analysis.price_units import (
    DEFAULT_DIGITS,
    EXACT_FLOAT,
    FLOAT_UNITS_PER_ONE,
    UNITS_PER_ONE,
)
from app.analysis.records import Quote
from app.analysis.window_rows import (
    BLOCK_SECONDS,
    WindowRows,
    table_shape,
    window_parts,
    window_rows,
)
from app.analysis.window_sums import BarSums

FloatRows = NDArray[np.float64]
CountRows = NDArray[np.uint32]
_BlockRows = list[NDArray[Any]]

START_FIELDS: Final = (
    "stood",
    "bid_price",
    "bid_size",
    "ask_price",
    "ask_size",
    "mid2",
    "large_bid_size",
    "large_ask_size",
)
"""Closing fields of a second that a window starting there is compared with."""

# Two columns follow the sums: the least spread, negated so that both take a maximum; the greatest.
_SPREAD_COLUMN: Final = len(ADDITIVE_FIELDS)
_FLOAT_ROW_BYTES: Final = 8 * (len(ADDITIVE_FIELDS) + 2)
_COUNT_ROW_BYTES: Final = 4 * len(COUNT_FIELDS)
_pack_float_row: Any = Struct(f"{len(ADDITIVE_FIELDS) + 2}d").pack_into
_START_ROW_BYTES: Final = 8 * len(START_FIELDS)
_pack_start_row: Any = Struct(f"{len(START_FIELDS)}d").pack_into
_pack_count_row: Any = Struct(f"{len(COUNT_FIELDS)}I").pack_into
_closing_values_of = attrgetter(*CLOSING_FIELDS)

# Untyped, since the fields are computed from Bar's and no type checker can list them.
_namedtuple: Any = namedtuple  # noqa: PYI024
_BarClosing = _namedtuple("_BarClosing", CLOSING_FIELDS)
_BarStart = _namedtuple("_BarStart", START_FIELDS)
_start_values = attrgetter(*START_FIELDS)
ClosingValues = Any
"""Closing fields of a bar, from `stood` on, by field name."""

NO_CLOSING_VALUES: ClosingValues = _BarClosing._make([0.0] * len(CLOSING_FIELDS))


class Window(NamedTuple):
    """The input of the metrics of (as_of - seconds, as_of].

    `late_half` and `late_fifth` sum the last ⌈W/2⌉ and ⌈W/5⌉ seconds. Prices and spreads are in
    units of which `units_per_one` make 1; spreads are 0 where no valid quote stood. `start` holds
    the closing values of the second before the window, None where the table is not that old;
    `first_quote` is the ticker's first quote, or the first after its newest gap.
    """

    as_of: int
    seconds: int
    sums: BarSums
    late_half: BarSums
    late_fifth: BarSums
    min_spread: float
    max_spread: float
    start: ClosingValues
    end: ClosingValues
    first_quote: Quote | None
    units_per_one: float = FLOAT_UNITS_PER_ONE[DEFAULT_DIGITS]


class RollingBars:
    """The newest `seconds` + 1 bars without holes: a second that was not added counts as silent.

    A second's row follows from its number. After the seconds come rows of sums, one for each block
    of ten seconds that ends at a multiple of ten. So all tables add in the same order, and a window
    of 300 s reads 70 rows and not 300.

    A table made for windows of given `spans` serves only those that end at its newest second. Of
    older seconds it keeps what such windows need, and packs the blocks that none of them needs at
    present. That halves the memory of each warm ticker, for 10 to 15 µs a second.

    Prices are in units of 10^-`digits`: the finest unit of its bars. Bars that were built as if a
    gap were none are cut by it as they are added; with `cut`, those that are there.
    """

    def __init__(
        self, seconds: int = 300, *, spans: tuple[int, ...] = (), gaps: Sequence[Gap] = ()
    ) -> None:
        self._gaps = [*gaps]
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
        # A table compresses its packed blocks in one second of ten; the phase spreads the tables
        # over these. `_uncompressed_blocks` still wait for it; `_block_of_slot` are unpacked.
        self._compression_phase = next(_phases) % BLOCK_SECONDS
        self._uncompressed_blocks: list[int] = []
        self._last_compression = 0
        self._block_of_slot: dict[int, int] = {}
        self._newest = Bar(0)
        self._count = 0
        self._quality: dict[int, dict[str, int]] = {}
        self._new_lost_bars: list[Bar] = []
        self.lost_to = 0
        self.end = 0
        self.first_quote: Quote | None = None
        self._earlier_first_quotes: list[Quote] = []
        self.digits = DEFAULT_DIGITS

    @classmethod
    def from_bars(
        cls,
        bars: Iterable[Bar],
        seconds: int = 300,
        *,
        spans: tuple[int, ...] = (),
        gaps: Sequence[Gap] = (),
    ) -> "RollingBars":
        """Make a table of bars in order of time, cut by the gaps that were found after them."""
        table = cls(seconds, spans=spans, gaps=gaps)
        for bar in bars:
            table.add(bar)
        return table

    def add(self, bar: Bar) -> None:
        """Append the next second, or replace one that is still in the ring."""
        if bar.digits != self.digits:
            self._bring_to_one_unit(bar)
        if bar.first_quote is not None:
            self._see_first_quote(bar.first_quote)
        if bar.quality:
            self._quality[bar.end] = bar.quality
        if self._count and bar.end <= self.end:
            if (self.end - bar.end) // SECOND_MS < min(self._count, self._replaceable_seconds):
                self._write_row(bar)
            return
        self.fill_to(bar.end - SECOND_MS)
        self._append(bar)

    def _see_first_quote(self, quote: Quote) -> None:
        """Note a first quote; those before it are kept for windows that end before it."""
        before = self.first_quote
        if before is not None and before.stamp < quote.stamp and not self._shape.far_lengths:
            self._earlier_first_quotes.append(before)
        self.first_quote = quote

    def _first_quote_until(self, as_of: int) -> Quote | None:
        """Return the newest first quote that had come by an instant."""
        newest_one = self.first_quote
        if as_of >= self.end or newest_one is None or newest_one.stamp <= as_of:
            return newest_one
        for quote in reversed(self._earlier_first_quotes):
            if quote.stamp <= as_of:
                return quote
        return None

    def add_silent_second(self, end: int, quality: dict[str, int]) -> Bar:
        """Append a second without usable records, with what its other records were; return it."""
        self.fill_to(end)
        # A copy of nothing: before the first usable record there is no bar to go on from.
        bar = self._newest if self._count and self.end == end else Bar(end)
        bar.quality = quality
        self.add(bar)
        return bar

    def _bring_to_one_unit(self, bar: Bar) -> None:
        """Bring the table to the finer unit of a bar; begin anew with one of a coarser unit.

        A ticker's unit only becomes coarser where all that was before is forgotten.
        """
        if bar.digits > self.digits:
            self.use_finer_unit(bar.digits, PriceWalk(UNITS_PER_ONE[bar.digits - self.digits]))
        else:
            self._clear()
            self.digits = bar.digits

    def _clear(self) -> None:
        for rows in (self._float_rows, self._count_rows, self._closing_rows):
            rows[:] = 0
        self._packed_blocks = [b""] * self._shape.block_count
        self._uncompressed_blocks, self._block_of_slot, self._quality = [], {}, {}
        self._count = self.end = 0
        self._newest = Bar(0)
        self.first_quote = None
        self._earlier_first_quotes = []

    def use_finer_unit(self, digits: int, walk: PriceWalk) -> None:
        """Multiply all prices; `walk` does it with those that the table shares with a state."""
        factor = float(UNITS_PER_ONE[digits - self.digits])
        self.digits = digits
        if self.first_quote is not None:
            self.first_quote = walk.visit(self.first_quote)
        self._earlier_first_quotes = [walk.visit(quote) for quote in self._earlier_first_quotes]
        walk.visit(self._newest)
        self._multiply_prices([self._float_rows, self._count_rows, self._closing_rows], factor)
        layout = self._block_rows(0)
        waiting = {block % self._shape.block_count for block in self._uncompressed_blocks}
        for index, packed in enumerate(self._packed_blocks):
            if packed:
                unpack, pack = (
                    (_from_bytes, _to_bytes) if index in waiting else (_decompress, _compress)
                )
                parts = [part.copy() for part in unpack(packed, layout)]
                self._multiply_prices(parts, factor)
                self._packed_blocks[index] = pack(parts)

    def _multiply_prices(self, rows: _BlockRows, factor: float) -> None:
        floats, _, closing = rows
        floats[:, _SPREAD_COLUMN:] *= factor
        for place, name in enumerate(ADDITIVE_FIELDS):
            if name in PRICE_FIELDS["Bar"]:
                floats[:, place] *= factor
        for place, name in enumerate(self._closing_fields):
            if name in PRICE_FIELDS["Bar"]:
                closing[:, place] *= factor

    def fill_to(self, end: int) -> None:
        """Add bars for the seconds up to `end`: lost ones up to `lost_to`, then silent ones."""
        if self._count:
            first = end - self._capacity * SECOND_MS
            if first > self.end:
                self._count = 0  # all bars are older than the capacity
            for second_end in range(max(first, self.end + SECOND_MS), end + 1, SECOND_MS):
                is_covered = second_end > self.lost_to
                bar = _silent_bar(second_end, self._newest, is_covered=is_covered)
                self._append(bar)
                if not is_covered:
                    self._new_lost_bars.append(bar)

    def take_lost_bars(self) -> list[Bar]:
        """Return the bars of lost seconds that were added since the last call."""
        lost_bars, self._new_lost_bars = self._new_lost_bars, []
        return lost_bars

    def _append(self, bar: Bar) -> None:
        number = _second_number(bar.end)
        if number % BLOCK_SECONDS == 0:
            self._begin_block(number // BLOCK_SECONDS)
        self._count = min(self._count + 1, self._max_count)
        self.end = bar.end
        self._write_row(bar)

    def cut(self, gap: Gap) -> None:
        """Take a gap's time out of the seconds that were built as if there were none."""
        self._gaps = [*newest(self._gaps, self.end - self._capacity * SECOND_MS), gap]
        oldest = self.end - (self._count - 1) * SECOND_MS
        ends = [end for end in seconds_inside(gap, SECOND_MS) if oldest <= end <= self.end]
        for block, cut_ends in itertools.groupby(
            ends, lambda end: _second_number(end) // BLOCK_SECONDS
        ):
            self._cut_block(block, list(cut_ends), gap)

    def _cut_block(self, block: int, ends: Sequence[int], gap: Gap) -> None:
        """Cut seconds of one block, in the ring or packed."""
        newest_block = _second_number(self.end) // BLOCK_SECONDS
        rows = self._block_rows(block * BLOCK_SECONDS % self._ring_rows)
        if block > newest_block - self._shape.ring_blocks:
            for end in ends:
                self._cut_second(rows, end, gap)
            if self.end >= _end_of_block(block):
                self._sum_rows(block, rows)
            return
        index = block % self._shape.block_count
        packed = self._packed_blocks[index]
        if block <= newest_block - self._shape.block_count or not packed:
            return  # no window needs it any more
        is_waiting = block in self._uncompressed_blocks
        unpack, pack = (_from_bytes, _to_bytes) if is_waiting else (_decompress, _compress)
        parts = [part.copy() for part in unpack(packed, rows)]
        for end in ends:
            self._cut_second(parts, end, gap)
        self._packed_blocks[index] = pack(parts)
        self._sum_rows(block, parts)
        self._block_of_slot = {s: b for s, b in self._block_of_slot.items() if b != block}

    def _cut_second(self, rows: _BlockRows, end: int, gap: Gap) -> None:
        """Cut one second in the rows of its block."""
        floats, counts, _ = rows
        row = _second_number(end) % BLOCK_SECONDS
        inside_ms = overlap(gap, end - SECOND_MS, end)
        sums = SecondSums(*floats[row, _TIME_COLUMNS].tolist())
        sums.leave_out(gap, inside_ms, FLOAT_UNITS_PER_ONE[self.digits])
        floats[row, _TIME_COLUMNS] = astuple(sums)
        if not sums.spread_time_ms:
            floats[row, _SPREAD_COLUMN:] = -math.inf, 0.0
        if inside_ms >= SECOND_MS:
            counts[row, _RETURNS_COLUMN] = 0

    def _begin_block(self, block: int) -> None:
        """Make room in the ring for a block, pack the one that leaves, and drop what is too old."""
        if self._shape.far_lengths:
            leaving_block = block - self._shape.ring_blocks
            if self._count > self._ring_rows - BLOCK_SECONDS:
                rows = self._block_rows(leaving_block * BLOCK_SECONDS % self._ring_rows)
                self._packed_blocks[leaving_block % self._shape.block_count] = _to_bytes(rows)
                self._uncompressed_blocks.append(leaving_block)
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
        """Return views of the ten rows from `row` on, one for each array."""
        rows = slice(row, row + BLOCK_SECONDS)
        return [self._float_rows[rows], self._count_rows[rows], self._closing_rows[rows]]

    def _compress_some_blocks(self, newest: int) -> None:
        """Compress one block for each block length that passed since the last call.

        A backlog of 300 s packs 27 blocks at once, too many to compress in one tick; the oldest of
        them are dropped before their turn.
        """
        block = (newest - self._compression_phase) // BLOCK_SECONDS
        for _ in range(
            min(block - (self._last_compression or block), len(self._uncompressed_blocks))
        ):
            index = self._uncompressed_blocks.pop() % self._shape.block_count
            layout = self._block_rows(0)  # shapes and types are those of any block
            self._packed_blocks[index] = _compress(_from_bytes(self._packed_blocks[index], layout))
        self._last_compression = block

    def _unpack_blocks(self, window: WindowRows) -> None:
        """Unpack the blocks in which parts of windows begin into their slots."""
        for slot, block in window.block_of_slot.items():
            if self._block_of_slot.get(slot) != block:
                rows = self._block_rows(self._ring_rows + slot * BLOCK_SECONDS)
                unpack = _from_bytes if block in self._uncompressed_blocks else _decompress
                parts = unpack(self._packed_blocks[block % self._shape.block_count], rows)
                for target, part in zip(rows, parts, strict=True):
                    target[:] = part
                self._block_of_slot[slot] = block

    def _write_row(self, bar: Bar) -> None:
        row = _second_number(bar.end) % self._ring_rows
        negated_min_spread = -bar.min_spread or -math.inf  # no spread: never the least
        # Packing into place takes half the time of numpy's assignment of a row.
        _pack_float_row(
            self._float_rows,
            row * _FLOAT_ROW_BYTES,
            *bar.additive_values(),
            negated_min_spread,
            bar.max_spread,
        )
        _pack_count_row(self._count_rows, row * _COUNT_ROW_BYTES, *bar.count_values())
        if self._has_start_fields_only:
            _pack_start_row(self._closing_rows, row * _START_ROW_BYTES, *_start_values(bar))
        else:
            self._closing_rows[row] = bar.closing_values()
        if bar.end == self.end:
            self._newest = bar
        block, offset = divmod(_second_number(bar.end), BLOCK_SECONDS)
        if self._gaps:
            rows = self._block_rows(block * BLOCK_SECONDS % self._ring_rows)
            for gap in self._gaps:
                if bar.end <= gap.cut_to and overlap(gap, bar.end - SECOND_MS, bar.end):
                    self._cut_second(rows, bar.end, gap)
        if self.end - bar.end >= (BLOCK_SECONDS - 1 - offset) * SECOND_MS:
            self._sum_block(block)

    def _sum_block(self, block: int) -> None:
        """Compute the row of sums of a complete block in the ring."""
        self._sum_rows(block, self._block_rows(block * BLOCK_SECONDS % self._ring_rows))

    def _sum_rows(self, block: int, rows: _BlockRows) -> None:
        float_rows, count_rows, _ = rows
        sum_row = self._shape.first_sum_row + block % self._shape.block_count
        np.add.reduce(
            float_rows[:, :_SPREAD_COLUMN], axis=0, out=self._float_rows[sum_row, :_SPREAD_COLUMN]
        )
        np.maximum.reduce(
            float_rows[:, _SPREAD_COLUMN:], axis=0, out=self._float_rows[sum_row, _SPREAD_COLUMN:]
        )
        np.add.reduce(count_rows, axis=0, dtype=np.uint32, out=self._count_rows[sum_row])

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field's values in the last `seconds` up to `as_of`, or in all there are.

        The oldest comes first. Raises `ValueError` if this table packs old blocks.
        """
        if self._shape.far_lengths:
            raise ValueError(f"column {name}: a table that packs has none")
        newer_seconds = (self.end - as_of) // SECOND_MS
        length = max(0, min(seconds, self._count - newer_seconds))
        last_number = _second_number(as_of)
        rows = np.arange(last_number + 1 - length, last_number + 1) % self._ring_rows
        values: list[float] = (
            self._float_rows[rows, ADDITIVE_FIELDS.index(name)].tolist()
            if name in ADDITIVE_FIELDS
            else self._closing_rows[rows, self._closing_fields.index(name)].tolist()
        )
        return values

    def _closing_values(self, as_of: int) -> ClosingValues:
        """Return the closing values of a second in the ring."""
        age = (self.end - as_of) // SECOND_MS
        if age == 0 and self._count:
            newest = self._newest
            closing = _BarClosing._make(newest.closing_values())
            if newest.bid_price > EXACT_FLOAT or newest.ask_price > EXACT_FLOAT:
                return closing._replace(bid_price=newest.bid_price, ask_price=newest.ask_price)
            return closing
        if 0 < age < self._count:
            return self._make_closing(
                self._closing_rows[_second_number(as_of) % self._ring_rows].tolist()
            )
        return NO_CLOSING_VALUES

    def windows(self, as_of: int, spans: tuple[int, ...]) -> list[Window]:
        """Return the windows of `spans` seconds that end at `as_of`, by one pass over the rows.

        Raises `ValueError` if the table packs old blocks and `as_of` is not its newest second.
        """
        if self._shape.far_lengths and self._count and as_of != self.end:
            raise ValueError(f"windows up to {as_of}: a table that packs has those to {self.end}")
        newest = min(as_of, self.end)
        available = max(0, min(self._count - (self.end - newest) // SECOND_MS, max(spans) + 1))
        rows = window_rows(self._shape, _second_number(newest), available, spans)
        self._unpack_blocks(rows)
        self._compress_some_blocks(_second_number(self.end))
        suffix_sums = _SuffixSums(self._float_rows, self._count_rows, rows)
        end = self._closing_values(as_of)
        first_quote = self._first_quote_until(as_of)
        units_per_one = FLOAT_UNITS_PER_ONE[self.digits]
        windows = []
        for span in spans:
            whole, half, fifth = window_parts(span)
            min_spread, max_spread = suffix_sums.spread_range(whole)
            row_before = rows.row_before[span]
            windows.append(
                Window(
                    as_of,
                    span,
                    suffix_sums.sums(whole),
                    suffix_sums.sums(half),
                    suffix_sums.sums(fifth),
                    min_spread,
                    max_spread,
                    None
                    if row_before is None
                    else self._make_closing(self._closing_rows[row_before].tolist()),
                    end,
                    first_quote,
                    units_per_one,
                )
            )
        return windows

    def quality(self, as_of: int, seconds: int) -> dict[str, int]:
        """Return the counts of faults of the window's records by name."""
        if not self._quality:
            return {}
        start = as_of - seconds * SECOND_MS
        total: Counter[str] = Counter()
        for end, counts in self._quality.items():
            if start < end <= as_of:
                total.update(counts)
        return dict(sorted(total.items()))


def _second_number(end: int) -> int:
    """Return the number of the second that ends at `end`; each block's last ends at a whole ten."""
    return end // SECOND_MS - 1


def _end_of_block(block: int) -> int:
    return (block + 1) * BLOCK_SECONDS * SECOND_MS


def _to_bytes(blocks: _BlockRows) -> bytes:
    """Return the bytes of a block's rows."""
    return b"".join([part.tobytes() for part in blocks])


def _from_bytes(packed: bytes, layout: _BlockRows) -> _BlockRows:
    """Return the rows that `_to_bytes` packed; `layout` gives shapes and types."""
    parts, start = [], 0
    for part in layout:
        parts.append(np.frombuffer(packed, part.dtype, part.size, start).reshape(part.shape))
        start += part.nbytes
    return parts


def _compress(parts: _BlockRows) -> bytes:
    """Compress a block, its bytes sorted by field and by their place in the number."""
    planes = [part.T.copy().view(np.uint8).reshape(-1, part.itemsize).T.tobytes() for part in parts]
    # Level 6 takes 20 % more time for less than 1 % fewer bytes.
    return zlib.compress(b"".join(planes), 5)


def _decompress(packed: bytes, layout: _BlockRows) -> _BlockRows:
    """Return the rows that `_compress` packed; `layout` gives shapes and types."""
    values, parts, start = zlib.decompress(packed), [], 0
    for part in layout:
        planes = np.frombuffer(values, np.uint8, part.nbytes, start)
        numbers = planes.reshape(part.itemsize, -1).T.copy().view(part.dtype)
        parts.append(numbers.reshape(part.shape[::-1]).T)
        start += part.nbytes
    return parts


class _SuffixSums:
    """Sums, and least and greatest spread, over the last n seconds for several n at once."""

    def __init__(self, float_rows: FloatRows, count_rows: CountRows, window: WindowRows) -> None:
        rows, starts, self._segment_of_length = (
            window.rows,
            window.segment_starts,
            window.segment_of_length,
        )
        if not len(rows):
            self._sums, self._ranges = [[0.0] * (_SPREAD_COLUMN + len(COUNT_FIELDS))], [[0.0, 0.0]]
            return
        float_rows = float_rows.take(rows, axis=0)
        # One array for both: adding up and converting to Python's numbers cost by the call.
        sums = np.empty((len(starts), _SPREAD_COLUMN + len(COUNT_FIELDS)))
        np.add.reduceat(
            float_rows[:, :_SPREAD_COLUMN], starts, axis=0, out=sums[:, :_SPREAD_COLUMN]
        )
        np.add.reduceat(
            count_rows.take(rows, axis=0),
            starts,
            axis=0,
            dtype=np.float64,
            out=sums[:, _SPREAD_COLUMN:],
        )
        self._sums = sums.cumsum(axis=0).tolist()
        ranges = np.maximum.reduceat(float_rows[:, _SPREAD_COLUMN:], starts, axis=0)
        self._ranges = np.maximum.accumulate(ranges, axis=0).tolist()

    def sums(self, length: int) -> BarSums:
        """Return the sums over the last `length` seconds."""
        values: list[float] = self._sums[self._segment_of_length[length]]
        return BarSums(values)

    def spread_range(self, length: int) -> tuple[float, float]:
        """Return the least and the greatest spread of the last `length` seconds, 0 if none."""
        negated_min, maximum = self._ranges[self._segment_of_length[length]]
        return (-negated_min, maximum) if maximum else (0.0, 0.0)


_RETURNS_COLUMN = COUNT_FIELDS.index("returns")
_TIME_START = ADDITIVE_FIELDS.index("covered_ms")
_TIME_COLUMNS = slice(_TIME_START, _TIME_START + len(fields(SecondSums)))
_phases = itertools.count()


def _silent_bar(end: int, previous: Bar, *, is_covered: bool) -> Bar:
    """Return the bar of a second without records that follows `previous`."""
    bar = Bar(end).set_fields(zip(CLOSING_FIELDS, _closing_values_of(previous), strict=True))
    bar.digits = previous.digits
    if not previous.stood or not is_covered:
        return bar
    # Seconds are left out while a ticker sleeps: by then a mid was seen at the second's start, or
    # none since a gap.
    bar.returns = previous.returns
    bar.covered_ms = float(SECOND_MS)
    bar.bid_size_ms = previous.bid_size * SECOND_MS
    bar.ask_size_ms = previous.ask_size * SECOND_MS
    depth = previous.bid_size + previous.ask_size
    if depth:
        bar.imbalance_ms = (previous.bid_size - previous.ask_size) / depth * SECOND_MS
        bar.imbalance_time_ms = float(SECOND_MS)
    if previous.mid2:
        bar.spread_ms = float(previous.spread * SECOND_MS)
        bar.spread_bps_ms = 2e4 * previous.spread / previous.mid2 * SECOND_MS
        bar.spread_time_ms = float(SECOND_MS)
        bar.min_spread = bar.max_spread = float(previous.spread)
    return bar
