"""Which rows of a table of seconds make its windows; the same for all tickers' in a second.

Seconds have numbers, and ten of them, up to a whole ten, are a block. The newest blocks lie row by
row in a ring; in `far` places lie the blocks in which a longer part of a window begins; behind them
the sums of all blocks.
"""

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS: Final = 10
# A table that packs what is old keeps so many seconds, and the one before them, in its ring.
_NEAR_SECONDS: Final = 30


def window_parts(span: int) -> tuple[int, int, int]:
    """Return the lengths of a window: the whole, its late half, its late fifth."""
    return span, -(-span // 2), -(-span // 5)


def _part_lengths(spans: tuple[int, ...]) -> list[int]:
    return sorted({n for span in spans for n in window_parts(span)})


class TableShape(NamedTuple):
    """How many blocks a table tells, how many of them are in its ring, and its far lengths."""

    block_count: int
    ring_blocks: int
    far_lengths: tuple[int, ...]

    @property
    def first_sum_row(self) -> int:
        """Return the row where the sums of blocks begin."""
        return (self.ring_blocks + len(self.far_lengths)) * BLOCK_SECONDS

    @property
    def row_count(self) -> int:
        """Return how many rows there are."""
        return self.first_sum_row + self.block_count


def table_shape(seconds: int, spans: tuple[int, ...]) -> TableShape:
    """Return the shape of a table for windows of `spans`, or without spans for any windows."""
    block_count = -(-seconds // BLOCK_SECONDS)
    lengths = _part_lengths(spans)
    far_lengths = tuple(n for n in lengths if n > _NEAR_SECONDS)
    near = max((n for n in lengths if n <= _NEAR_SECONDS), default=0)
    # Of the newest block there may be one second only.
    return TableShape(
        block_count, -(-near // BLOCK_SECONDS) + 1 if far_lengths else block_count, far_lengths
    )


class WindowRows(NamedTuple):
    """The rows of the last n seconds for some n, the newest first.

    `starts` tells where those of each n start that no lesser n has, `places` which n's they are;
    `before` is by span the row of the second before it, None where the table has none. `opened` are
    by far place the numbers of the blocks that have to lie there.
    """

    rows: NDArray[np.intp]
    segment_starts: NDArray[np.intp]
    places: dict[int, int]
    before: dict[int, int | None]
    opened: dict[int, int]


class _RowFinder:
    """Finds the rows of seconds up to the `last`, and notes the blocks that have to be opened."""

    def __init__(self, shape: TableShape, last: int) -> None:
        self._shape = shape
        self._last = last
        self._ring = shape.ring_blocks * BLOCK_SECONDS
        self._oldest_in_ring = (last // BLOCK_SECONDS - shape.ring_blocks + 1) * BLOCK_SECONDS
        self.places: dict[int, int] = {}

    def row_of(self, second: int, length: int) -> int:
        """Return a second's row; where it is far, in the place of `length` or of its block."""
        if not self._shape.far_lengths or second >= self._oldest_in_ring:
            return second % self._ring
        block, before = divmod(second, BLOCK_SECONDS)
        place = self.places.setdefault(block, self._shape.far_lengths.index(length))
        return self._ring + place * BLOCK_SECONDS + before

    def rows_between(self, age: int, end: int, length: int) -> list[int]:
        """Return the rows of seconds that are `age` to under `end` old, whole blocks by sums."""
        rows = []
        while age < end:
            second = self._last - age
            block, before = divmod(second, BLOCK_SECONDS)
            if before == BLOCK_SECONDS - 1 and age + BLOCK_SECONDS <= end:
                rows.append(self._shape.first_sum_row + block % self._shape.block_count)
                age += BLOCK_SECONDS
            else:
                rows.append(self.row_of(second, length))
                age += 1
        return rows


@functools.lru_cache(maxsize=8)
def window_rows(shape: TableShape, last: int, available: int, spans: tuple[int, ...]) -> WindowRows:
    """Choose the rows of the windows that end with second `last`, `there` seconds up to it."""
    finder = _RowFinder(shape, last)
    rows: list[int] = []
    segment_starts: list[int] = []
    ends: list[int] = []
    for length in _part_lengths(spans):
        age, end = ends[-1] if ends else 0, min(length, available)
        if end > age or not ends:
            segment_starts.append(len(rows))
            ends.append(end)
        rows += finder.rows_between(age, end, length)
    before = {
        span: finder.row_of(last - span, span) if span < available else None for span in spans
    }
    return WindowRows(
        np.array(rows, np.intp),
        np.array(segment_starts, np.intp),
        {length: ends.index(min(length, available)) for length in _part_lengths(spans)},
        before,
        {place: block for block, place in finder.places.items()},
    )
