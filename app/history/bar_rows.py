"""Turn bars into rows of a file of seconds, and back, without loss.

Numbers stand as they are in `Bar`: prices as whole numbers of 10^-digits. A bar that is read back
packs to the same bytes.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from app.analysis.bars import Bar
from app.analysis.records import Quote
from app.history.columns import QUOTE_COLUMNS, SCHEMAS

_NOT_NUMBERS = ("first_quote", "quality")
_NUMBERS = tuple(name for name in Bar.__dataclass_fields__ if name not in _NOT_NUMBERS)
_QUOTE_FIELDS = tuple(name.removeprefix("first_quote_") for name in QUOTE_COLUMNS)
_numbers_of = attrgetter(*_NUMBERS)
_quote_of = attrgetter(*_QUOTE_FIELDS)
_NO_QUOTE = (None,) * len(_QUOTE_FIELDS)
_encode = msgspec.json.Encoder().encode
_decode_counts = msgspec.json.Decoder(dict[str, int]).decode


def table_of_bars(bars: Sequence[Bar]) -> pa.Table:
    """Return a table with a row a bar."""
    schema = SCHEMAS["seconds"]
    columns: dict[str, Any] = dict(
        zip(_NUMBERS, zip(*map(_numbers_of, bars), strict=True), strict=True)
        if bars
        else ((name, ()) for name in _NUMBERS)
    )
    quotes = [_NO_QUOTE if it.first_quote is None else _quote_of(it.first_quote) for it in bars]
    for place, name in enumerate(QUOTE_COLUMNS):
        columns[name] = [quote[place] for quote in quotes]
    columns["quality"] = [
        None if it.quality is None else _encode(it.quality).decode() for it in bars
    ]
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def bars_of_table(table: pa.Table) -> list[Bar]:
    """Return the bars of a table with all columns, in its order.

    A number that an older layout did not have is that of an empty bar.
    """
    names = _NUMBERS[1:]
    ends = table["end"].cast(pa.int64()).to_pylist()
    numbers = [table[name].to_pylist() for name in names]
    quotes = zip(*(table[name].to_pylist() for name in QUOTE_COLUMNS), strict=True)
    qualities = table["quality"].to_pylist()
    bars = []
    for end, values, quote, quality in zip(
        ends, zip(*numbers, strict=True), quotes, qualities, strict=True
    ):
        known = [(n, value) for n, value in zip(names, values, strict=True) if value is not None]
        bar = Bar(end).set_fields(known)
        if quote[0] is not None:
            bar.first_quote = Quote(*quote)
        bar.quality = None if quality is None else _decode_counts(quality)
        bars.append(bar)
    return bars
