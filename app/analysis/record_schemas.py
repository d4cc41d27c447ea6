"""Declare the JSON schemas by which msgspec decodes the broker's quotes and trades.

This module stays interpreted where the analysis is compiled: msgspec reads bounds and defaults
from annotations, which compiled classes do not keep.
"""

from typing import Annotated

import msgspec

from app.analysis.records import NO_SEQ, PRICE_UNITS

MAX_PRICE = 2**53 / PRICE_UNITS
MAX_SIZE = 1e15
# Ratios of two smaller sizes can overflow a float.
MIN_SIZE = 1e-15
MAX_SEQ = 2**63 - 1

_Price = Annotated[float, msgspec.Meta(gt=0, lt=MAX_PRICE)]
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
    """Any quote whose numbers are JSON numbers, in whatever range."""

    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
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
