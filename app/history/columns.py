"""Declare the columns of the history's files, with their units."""

from typing import Final

import pyarrow as pa

from app.analysis.bars import Bar
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.session import SESSION_PRICES

_TIME: Final = pa.timestamp("ms", tz="UTC")
_WORD: Final = pa.dictionary(pa.int32(), pa.string())
_NUMBER_TYPES: Final = {int: pa.int64(), float: pa.float64()}

_PRICE_UNITS: Final = ("min_spread", "max_spread", "bid_price", "ask_price", "spread")
_SECONDS_UNITS: Final = {
    "end": "time",
    **dict.fromkeys(("covered_ms", "imbalance_ms", "imbalance_time_ms", "spread_time_ms"), "ms"),
    **dict.fromkeys(("bid_size_ms", "ask_size_ms"), "shares * ms"),
    "spread_ms": "10^-digits of price * ms",
    "spread_bps_ms": "bp * ms",
    **dict.fromkeys(_PRICE_UNITS, "10^-digits of price"),
    "mid2": "10^-digits of price, twice the mid",
    **dict.fromkeys(
        (
            "ofi",
            "size_turnover",
            "buy_volume",
            "sell_volume",
            "unsigned_volume",
            "effective_spread_volume",
            "inside_volume",
            "bid_size",
            "ask_size",
            "large_bid_size",
            "large_ask_size",
            "depth",
        ),
        "shares",
    ),
    "notional": "price * shares",
    "effective_spread_bps_volume": "bp * shares",
    "weighted_mid": "price",
}
"""Units of the fields of `Bar`; those left out are counts and pure numbers."""

QUOTE_COLUMNS: Final = tuple(
    f"first_quote_{name}"
    for name in ("stamp", "seq", "bid_price", "bid_size", "ask_price", "ask_size")
)
_QUOTE_UNITS: Final = dict(
    zip(
        QUOTE_COLUMNS,
        ("ms", "1", "10^-digits of price", "shares", "10^-digits of price", "shares"),
        strict=True,
    )
)
_QUOTE_TYPES: Final = (
    pa.float64(),
    pa.int64(),
    pa.int64(),
    pa.float64(),
    pa.int64(),
    pa.float64(),
)


def _bar_columns() -> list[tuple[str, pa.DataType, str]]:
    example = Bar(0)
    columns: list[tuple[str, pa.DataType, str]] = []
    for name in Bar.__dataclass_fields__:
        unit = _SECONDS_UNITS.get(name, "1")
        if name == "end":
            columns.append((name, _TIME, unit))
        elif name == "first_quote":
            columns += [
                (quoted, kind, _QUOTE_UNITS[quoted])
                for quoted, kind in zip(QUOTE_COLUMNS, _QUOTE_TYPES, strict=True)
            ]
        elif name == "quality":
            columns.append((name, pa.string(), "JSON"))
        elif name == "mid2":
            columns.append((name, pa.uint64(), unit))  # the sum of two prices
        else:
            columns.append((name, _NUMBER_TYPES[type(getattr(example, name))], unit))
    return columns


SECONDS: Final = tuple(_bar_columns())
"""All of a bar: name, type and unit, in the order of its fields."""

MOVE_COLUMNS: Final = tuple(f"move_{seconds}s_bps" for seconds in HORIZON_SECONDS)
"""What followed an event: the move of the mid after it was noticed, null where it is not known."""

EVENTS: Final = (
    ("id", pa.string(), "1"),
    ("type", _WORD, "1"),
    ("side", _WORD, "1"),
    ("status", _WORD, "1"),
    ("opened_at", pa.float64(), "ms"),
    ("noticed_at", _TIME, "time"),
    ("updated_at", _TIME, "time"),
    ("closed_at", pa.float64(), "ms"),
    ("close_reason", _WORD, "1"),
    ("price_low", pa.float64(), "price"),
    ("price_high", pa.float64(), "price"),
    ("strength", pa.float64(), "1"),
    ("evidence_class", _WORD, "1"),
    ("statistic", pa.float64(), "1"),
    ("threshold", pa.float64(), "1"),
    ("evidence", pa.string(), "JSON"),
    ("return_minutes", pa.float64(), "minutes"),
    ("at_least", pa.bool_(), "1"),
    *((name, pa.float64(), "bp") for name in MOVE_COLUMNS),
)

SESSIONS: Final = (
    ("calendar", pa.string(), "1"),
    ("phase", pa.string(), "1"),
    ("as_of", _TIME, "time"),
    ("opened_at", _TIME, "time"),
    ("closes_at", _TIME, "time"),
    ("covered_seconds", pa.float64(), "s"),
    ("since", pa.float64(), "ms"),
    ("volume", pa.float64(), "shares"),
    ("cvd", pa.float64(), "shares"),
    ("cvd_large", pa.float64(), "shares"),
    ("cvd_large_since", pa.float64(), "ms"),
    *((name, pa.float64(), "price") for name in SESSION_PRICES),
    ("is_final", pa.bool_(), "1"),
)
"""One row: the session as of its end, or, while it lasts (`is_final` is false), of the newest."""

DICTIONARY_COLUMNS: Final = (
    *("buy_volume", "sell_volume", "unsigned_volume", "effective_spread_volume", "inside_volume"),
    *("min_spread", "max_spread", "spread", "quality"),
    *(name for name, data_type, _ in EVENTS if data_type == _WORD),
)
"""Columns with few different values."""
_SMALL_NUMBERS: Final = ("ofi", "size_turnover", "bid_size", "ask_size")
ENCODINGS: Final = {
    "end": "DELTA_BINARY_PACKED",
    **{
        name: "BYTE_STREAM_SPLIT"
        for name, data_type, unit in SECONDS
        if name in _SMALL_NUMBERS or (data_type == pa.int64() and unit == "1")
    },
}
"""How columns are written before they are compressed, where not plainly: measured, decision 28."""

COLUMNS: Final = {"seconds": SECONDS, "events": EVENTS, "sessions": SESSIONS}
SCHEMAS: Final = {
    kind: pa.schema([pa.field(name, data_type) for name, data_type, _ in columns])
    for kind, columns in COLUMNS.items()
}
UNITS: Final = {
    kind: {name: unit for name, _, unit in columns if unit != "1"}
    for kind, columns in COLUMNS.items()
}
