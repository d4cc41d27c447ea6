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


def parts_of(span: int) -> tuple[int, int, int]:
    """Return the lengths of a window: the whole, its late half, its late fifth."""
    return span, -(-span // 2), -(-span // 5)


class Shape(NamedTuple):
    """How many blocks a table tells, how many of them are in its ring, and its far lengths."""

    blocks: int
    near_blocks: int
    far: tuple[int, ...]

    @property
    def sums(self) -> int:
        """Return the row where the sums of blocks begin."""
        return (self.near_blocks + len(self.far)) * BLOCK_SECONDS

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return self.sums + self.blocks


def shape_of(seconds: int, spans: tuple[int, ...]) -> Shape:
    """Return the shape of a table for windows of `spans`, or without spans for any windows."""
    blocks = -(-seconds // BLOCK_SECONDS)
    lengths = sorted({n for span in spans for n in parts_of(span)})
    far = tuple(n for n in lengths if n > _NEAR_SECONDS)
    near = max((n for n in lengths if n <= _NEAR_SECONDS), default=0)
    # Of the newest block there may be one second only.
    return Shape(blocks, -(-near // BLOCK_SECONDS) + 1 if far else blocks, far)


class Plan(NamedTuple):
    """The rows of the last n seconds for some n, the newest first.

    `starts` tells where those of each n start that no lesser n has, `places` which n's they are;
    `before` is by span the row of the second before it, None where the table has none. `opened` are
    by far place the numbers of the blocks that have to lie there.
    """

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    places: dict[int, int]
    before: dict[int, int | None]
    opened: dict[int, int]


@functools.lru_cache(maxsize=8)
def plan_of(shape: Shape, newest: int, last: int, there: int, spans: tuple[int, ...]) -> Plan:
    """Choose the rows of the windows that end with second `last`, `there` seconds up to it.

    `newest` is the number of the table's newest second.
    """
    ring = shape.near_blocks * BLOCK_SECONDS
    oldest_near = (newest // BLOCK_SECONDS - shape.near_blocks + 1) * BLOCK_SECONDS
    opened: dict[int, int] = {}

    def row_of(second: int, length: int) -> int:
        if not shape.far or second >= oldest_near:
            return second % ring
        block, before = divmod(second, BLOCK_SECONDS)
        place = opened.setdefault(block, shape.far.index(length))
        return ring + place * BLOCK_SECONDS + before

    rows: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    age = 0
    lengths = sorted({n for span in spans for n in parts_of(span)})
    for length in lengths:
        end = min(length, there)
        if end > age or not ends:
            starts.append(len(rows))
            ends.append(end)
        while age < end:
            second = last - age
            block, before = divmod(second, BLOCK_SECONDS)
            if before == BLOCK_SECONDS - 1 and age + BLOCK_SECONDS <= end:
                rows.append(shape.sums + block % shape.blocks)
                age += BLOCK_SECONDS
            else:
                rows.append(row_of(second, length))
                age += 1
    return Plan(
        np.array(rows, np.intp),
        np.array(starts, np.intp),
        {n: ends.index(min(n, there)) for n in lengths},
        {span: row_of(last - span, span) if span < there else None for span in spans},
        {place: block for block, place in opened.items()},
    )
