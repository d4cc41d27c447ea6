"""Choose the rows of a table of seconds that each window sums.

The choice is the same for the tables of all tickers in a second, so it is cached.

Seconds are numbered; ten of them, up to a multiple of ten, form a block. A table has three
parts: a ring with one row for each second of the newest blocks; room for the unpacked blocks in
which a longer part of a window begins (one block for each `far` length); and one row of sums for
each block.
"""

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS: Final = 10
# A table that packs old blocks keeps this many seconds, and the one before them, in its ring.
_RING_SECONDS: Final = 30


def window_parts(span: int) -> tuple[int, int, int]:
    """Return the seconds in a window's parts: the whole, its last half, its last fifth."""
    return span, -(-span // 2), -(-span // 5)


def _part_lengths(spans: tuple[int, ...]) -> list[int]:
    return sorted({n for span in spans for n in window_parts(span)})


class TableShape(NamedTuple):
    """Layout of a table: its number of blocks, how many are in the ring, and the far lengths.

    Far lengths are the lengths of window parts that begin before the ring.
    """

    block_count: int
    ring_blocks: int
    far_lengths: tuple[int, ...]

    @property
    def first_sum_row(self) -> int:
        """Return the first of the rows that hold sums of blocks."""
        return (self.ring_blocks + len(self.far_lengths)) * BLOCK_SECONDS

    @property
    def row_count(self) -> int:
        """Return the number of rows."""
        return self.first_sum_row + self.block_count


def table_shape(seconds: int, spans: tuple[int, ...]) -> TableShape:
    """Return the layout of a table of `seconds` for windows of `spans`, of any length if empty."""
    block_count = -(-seconds // BLOCK_SECONDS)
    lengths = _part_lengths(spans)
    far_lengths = tuple(n for n in lengths if n > _RING_SECONDS)
    longest_near = max((n for n in lengths if n <= _RING_SECONDS), default=0)
    # One block more: the newest may hold a single second.
    return TableShape(
        block_count,
        -(-longest_near // BLOCK_SECONDS) + 1 if far_lengths else block_count,
        far_lengths,
    )


class WindowRows(NamedTuple):
    """The rows of the last n seconds for some lengths n, the newest first.

    The rows of a length are those of all shorter lengths and a segment of its own. `segment_starts`
    holds where each segment starts in `rows`; `segment_of_length` maps a length to the number of
    its last segment. `row_before` maps a window length to the row of the second before the window,
    None where the table holds none. `block_of_slot` maps each slot for an unpacked block to the
    number of the block that these rows expect in it.
    """

    rows: NDArray[np.intp]
    segment_starts: NDArray[np.intp]
    segment_of_length: dict[int, int]
    row_before: dict[int, int | None]
    block_of_slot: dict[int, int]


class _RowFinder:
    """Finds the rows of seconds up to `newest`, and collects the blocks that must be unpacked."""

    def __init__(self, shape: TableShape, newest: int) -> None:
        self._shape = shape
        self._newest = newest
        self._ring_rows = shape.ring_blocks * BLOCK_SECONDS
        self._oldest_in_ring = (newest // BLOCK_SECONDS - shape.ring_blocks + 1) * BLOCK_SECONDS
        self.slot_of_block: dict[int, int] = {}

    def row_of(self, second: int, length: int) -> int:
        """Return a second's row: in the ring or in its block's slot, which `length` may assign."""
        if not self._shape.far_lengths or second >= self._oldest_in_ring:
            return second % self._ring_rows
        block, offset = divmod(second, BLOCK_SECONDS)
        slot = self.slot_of_block.setdefault(block, self._shape.far_lengths.index(length))
        return self._ring_rows + slot * BLOCK_SECONDS + offset

    def rows_between(self, age: int, end: int, length: int) -> list[int]:
        """Return the rows of the seconds with ages in [age, end); whole blocks by their sums."""
        rows = []
        while age < end:
            second = self._newest - age
            block, offset = divmod(second, BLOCK_SECONDS)
            if offset == BLOCK_SECONDS - 1 and age + BLOCK_SECONDS <= end:
                rows.append(self._shape.first_sum_row + block % self._shape.block_count)
                age += BLOCK_SECONDS
            else:
                rows.append(self.row_of(second, length))
                age += 1
        return rows


@functools.lru_cache(maxsize=8)
def window_rows(
    shape: TableShape, newest: int, available: int, spans: tuple[int, ...]
) -> WindowRows:
    """Choose the rows of the windows that end at second `newest`.

    `available` is how many seconds up to it the table holds.
    """
    finder = _RowFinder(shape, newest)
    rows: list[int] = []
    segment_starts: list[int] = []
    ends: list[int] = []
    for length in _part_lengths(spans):
        age, end = ends[-1] if ends else 0, min(length, available)
        if end > age or not ends:
            segment_starts.append(len(rows))
            ends.append(end)
        rows += finder.rows_between(age, end, length)
    row_before = {
        span: finder.row_of(newest - span, span) if span < available else None for span in spans
    }
    return WindowRows(
        np.array(rows, np.intp),
        np.array(segment_starts, np.intp),
        {length: ends.index(min(length, available)) for length in _part_lengths(spans)},
        row_before,
        {slot: block for block, slot in finder.slot_of_block.items()},
    )
