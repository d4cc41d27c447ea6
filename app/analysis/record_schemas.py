"""Schemas of the broker's records for msgspec, and the rules by which a record is rejected.

This module stays interpreted where the analysis is compiled: msgspec reads bounds and defaults
from annotations, which compiled classes do not keep.
"""

import json
import re
from typing import Annotated, Any

import msgspec

from app.analysis.records import BUY, NO_SEQ, SELL

MAX_PRICE = 9e10
MAX_SIZE = 1e15
# Ratios of two smaller sizes can overflow a float.
MIN_SIZE = 1e-15
MAX_SEQ = 2**63 - 1
# Below it a stamp counts seconds, not milliseconds.
MIN_EPOCH_MS = 1e12

AGGRESSORS = {"buy": BUY, "sell": SELL}
"""An aggressor as brokers and tapes write it, in any letter case."""
NO_AGGRESSOR = "unknown"
"""What a tape may also write where the feed gives no aggressor; a broker writes null."""
AGGRESSOR_NAMES = {side: name for name, side in AGGRESSORS.items()}

# Floats, or numpy arrays of them: the checks below are the same for a record and for a tape.
_Numbers = Any
RecordChecks = list[tuple[str, Any]]
"""Reasons to refuse a record with whether each applies; the first that does is the reason."""


def quote_checks(
    bid_price: _Numbers, bid_size: _Numbers, ask_price: _Numbers, ask_size: _Numbers
) -> RecordChecks:
    """Check a quote's finite prices and sizes."""
    return [
        ("negative_size", (bid_size < 0) | (ask_size < 0)),
        (
            "non_positive_price",
            ((bid_size > 0) & (bid_price <= 0)) | ((ask_size > 0) & (ask_price <= 0)),
        ),
        (
            "out_of_range",
            (abs(bid_price) > MAX_PRICE)
            | (abs(ask_price) > MAX_PRICE)
            | _is_size_out_of_range(bid_size)
            | _is_size_out_of_range(ask_size),
        ),
    ]


def trade_checks(price: _Numbers, size: _Numbers) -> RecordChecks:
    """Check a trade's finite price and size."""
    return [
        ("negative_size", size < 0),
        ("zero_size", size == 0),
        ("non_positive_price", price <= 0),
        ("out_of_range", (price > MAX_PRICE) | _is_size_out_of_range(size)),
    ]


def _is_size_out_of_range(size: _Numbers) -> Any:  # noqa: ANN401 - a flag or an array of them
    return (size != 0) & ((size < MIN_SIZE) | (size > MAX_SIZE))


def first_reason(checks: RecordChecks) -> str | None:
    """Return the reason to refuse a record, None where no check applies.

    >>> first_reason(trade_checks(10.0, 1e-20)), first_reason(trade_checks(10.0, 100.0))
    ('out_of_range', None)
    """
    return next((reason for reason, applies in checks if applies), None)


_Price = Annotated[float, msgspec.Meta(gt=0, le=MAX_PRICE)]
_Size = Annotated[float, msgspec.Meta(ge=MIN_SIZE, le=MAX_SIZE)]
_Seq = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class OrdinaryQuote(msgspec.Struct, gc=False):
    """The usual quote: both sides show a price and a size within bounds."""

    bid_price: _Price
    bid_size: _Size
    ask_price: _Price
    ask_size: _Size
    timestamp: float | None = None
    seq: _Seq = NO_SEQ


class RawQuote(msgspec.Struct, gc=False):
    """Any quote whose numbers are JSON numbers, in whatever range; prices may be missing."""

    bid_size: float
    ask_size: float
    bid_price: float | None = None
    ask_price: float | None = None
    timestamp: float | None = None
    seq: int | None = None


class RawTrade(msgspec.Struct, gc=False):
    """Any trade whose numbers are JSON numbers, in whatever range."""

    price: float
    size: float
    timestamp: float | None = None
    seq: int | None = None
    aggressor: str | None = None


DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
decode_ordinary = msgspec.json.Decoder(OrdinaryQuote).decode
decode_quote = msgspec.json.Decoder(RawQuote).decode
decode_trade = msgspec.json.Decoder(RawTrade).decode
decode_any = msgspec.json.Decoder().decode


def decode_python_json(member: bytes) -> object:
    """Decode what Python's `json` writes beyond JSON: NaN and infinite numbers.

    >>> decode_python_json(b'{"bid_price": NaN, "bid_size": 0}')
    {'bid_price': nan, 'bid_size': 0}

    Raises `ValueError` or `RecursionError`.
    """
    # Most of what is no JSON is none of Python's either, which would take as long again to see.
    if _BEYOND_JSON.search(member) is None:
        raise ValueError("not JSON")
    return json.loads(member.decode())


# The last two: numbers that may be too great for a double.
_BEYOND_JSON = re.compile(rb"NaN|Infinity|[0-9][eE]\+?[0-9]{3}|[0-9]{309}")
