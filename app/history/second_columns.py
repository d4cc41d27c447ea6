"""Turn a file's seconds into columns of numbers, without making an object of each."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.records import Quote
from app.history.columns import QUOTE_COLUMNS
from app.history.window_table import NUMBER_FIELDS, StoredSeconds

_decode_counts = msgspec.json.Decoder(dict[str, int]).decode


def seconds_of_table(table: pa.Table) -> StoredSeconds:
    """Return the seconds of a table that has all columns, in its order.

    A number that an older layout did not have is 0, as in an empty bar.
    """
    ends = table["end"].cast(pa.int64()).to_numpy()
    numbers = np.column_stack([_column(table, name, 0) for name in NUMBER_FIELDS])
    return StoredSeconds(
        ends,
        numbers.astype(np.float64, copy=False).reshape(len(ends), len(NUMBER_FIELDS)),
        _column(table, "digits", DEFAULT_DIGITS).astype(np.int64),
        {end: Quote(*row) for end, row in _known(table, ends, *QUOTE_COLUMNS)},
        {end: _decode_counts(text) for end, (text,) in _known(table, ends, "quality")},
    )


def _column(table: pa.Table, name: str, absent: int) -> NDArray[Any]:
    column = table[name]
    values: NDArray[Any] = (column.fill_null(absent) if column.null_count else column).to_numpy()
    return values


def _known(
    table: pa.Table, ends: NDArray[np.int64], *names: str
) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the values of some columns, by the second, where the first of them is not null."""
    places = np.flatnonzero(pc.is_valid(table[names[0]]).to_numpy())
    rows = table.select(names).take(places)
    columns = [rows[name].to_pylist() for name in names]
    return list(zip(ends[places].tolist(), zip(*columns, strict=True), strict=True))
