"""Parse the broker's JSON records, and sort them into stream order.

All records are parsed here and nowhere else.
"""

import math
from typing import Any, Final

from msgspec.structs import astuple

from app.analysis.price_units import DEFAULT_DIGITS, EXACT_DIGITS, NOT_HELD, to_price_units
from app.analysis.record_schemas import (
    AGGRESSORS,
    DECODE_ERRORS,
    MAX_PRICE,
    MAX_SEQ,
    MAX_SIZE,
    MIN_SIZE,
    OrdinaryQuote,
    RawQuote,
    RawTrade,
    RecordChecks,
    decode_any,
    decode_ordinary,
    decode_python_json,
    decode_quote,
    decode_trade,
    first_reason,
    quote_checks,
    trade_checks,
)
from app.analysis.records import (
    NO_SEQ,
    UNSIGNED,
    Batch,
    Fault,
    Quote,
    Record,
    Trade,
    stream_order,
)
from app.core.errors import RecordRejected

MAX_RECORD_BYTES: Final = 4096
INEXACT_PRICE: Final = "inexact_price"
MAX_STAMP_MISMATCH_MS: Final = 1.0

# A decoded quote's fields, unpacked at once: in compiled code each access by name is a lookup.
_Fields = tuple[float, float, float, float, float | None, int]


def _as_number(value: object) -> float:
    """Return a JSON number or a numeric string as a finite float.

    Raises `RecordRejected`.
    """
    if isinstance(value, bool):
        raise RecordRejected("boolean_number")
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise RecordRejected("missing_number") from None
    if not isinstance(value, (int, float)):
        raise RecordRejected("missing_number")
    try:
        number = float(value)
    except OverflowError:
        raise RecordRejected("not_finite") from None
    if not math.isfinite(number):
        raise RecordRejected("not_finite")
    return number


def _as_seq(value: object) -> int | None:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value if is_int and 0 <= value < 2**63 else None  # type: ignore[operator,return-value]


def _number_or_none(value: object) -> float | None:
    try:
        return _as_number(value)
    except RecordRejected:
        return None


def _decode_object(member: bytes) -> dict[str, Any]:
    """Decode a JSON object.

    Raises `RecordRejected`.
    """
    try:
        fields = decode_any(member)
    except DECODE_ERRORS:
        try:
            fields = decode_python_json(member)
        except (ValueError, RecursionError):
            raise RecordRejected("not_json") from None
    if not isinstance(fields, dict):
        raise RecordRejected("not_json")
    return fields


def _coerce_quote(member: bytes) -> RawQuote:
    """Read a quote leniently: numbers in strings, any type of `seq` and `timestamp`."""
    fields = _decode_object(member)
    bid_price, bid_size = _coerce_side(fields.get("bid_price"), fields.get("bid_size"))
    ask_price, ask_size = _coerce_side(fields.get("ask_price"), fields.get("ask_size"))
    return RawQuote(
        bid_price=bid_price,
        bid_size=bid_size,
        ask_price=ask_price,
        ask_size=ask_size,
        timestamp=_number_or_none(fields.get("timestamp")),
        seq=_as_seq(fields.get("seq")),
    )


def _coerce_side(price: object, size: object) -> tuple[float, float]:
    """Read the price and size of a side leniently; a side of size 0 needs no price."""
    if _number_or_none(size) == 0:
        return 0.0, 0.0
    return _as_number(price), _as_number(size)


def _coerce_trade(member: bytes) -> RawTrade:
    """Read a trade as leniently as `_coerce_quote` does a quote."""
    fields = _decode_object(member)
    aggressor = fields.get("aggressor")
    return RawTrade(
        price=_as_number(fields.get("price")),
        size=_as_number(fields.get("size")),
        timestamp=_number_or_none(fields.get("timestamp")),
        seq=_as_seq(fields.get("seq")),
        aggressor=aggressor if aggressor is None or isinstance(aggressor, str) else "",
    )


def _check_quote(bid_price: float, bid_size: float, ask_price: float, ask_size: float) -> None:
    # The checks are interpreted code, which nearly all records do not need.
    if not (_is_side_allowed(bid_price, bid_size) and _is_side_allowed(ask_price, ask_size)):
        _raise_first(quote_checks(bid_price, bid_size, ask_price, ask_size))


def _is_side_allowed(price: float, size: float) -> bool:
    return size == 0 or _is_allowed(price, size)


def _price_of_side(price: float | None, size: float) -> float:
    """Return a side's price, 0 for an empty side, whatever stands there.

    Raises `RecordRejected`.
    """
    if size == 0:
        return 0.0
    if price is None:
        raise RecordRejected("missing_number")
    return price


def _check_trade(raw: RawTrade) -> None:
    if not _is_allowed(raw.price, raw.size):
        _raise_first(trade_checks(raw.price, raw.size))


def _is_allowed(price: float, size: float) -> bool:
    return 0 < price <= MAX_PRICE and MIN_SIZE <= size <= MAX_SIZE


def _raise_first(checks: RecordChecks) -> None:
    reason = first_reason(checks)
    if reason is not None:
        raise RecordRejected(reason)


def parse_quote(member: bytes, score: float, digits: int = DEFAULT_DIGITS) -> tuple[Quote, bool]:
    """Parse a quote stored under `score`; return it and whether its timestamp contradicts that.

    Its prices are in units of 10^-digits. Raises `RecordRejected` with the reason that is counted,
    `INEXACT_PRICE` where this unit can't hold a price.
    """
    if len(member) > MAX_RECORD_BYTES:
        raise RecordRejected("too_long")
    try:
        raw = decode_ordinary(member)
    except DECODE_ERRORS:
        raw = _decode_unusual_quote(member)
    fields: _Fields = astuple(raw)
    bid_price, bid_size, ask_price, ask_size, timestamp, seq = fields
    stamp, mismatch = score, False
    if timestamp != score:
        stamp, mismatch = _choose_stamp(timestamp, score)
    # An empty side has no price: what stands there asks for no unit.
    bid_units = to_price_units(bid_price, digits) if bid_size > 0 else 0
    ask_units = to_price_units(ask_price, digits) if ask_size > 0 else 0
    if min(bid_units, ask_units) == NOT_HELD:
        raise RecordRejected(INEXACT_PRICE)
    return Quote(stamp, seq, bid_units, bid_size, ask_units, ask_size), mismatch


def _decode_unusual_quote(member: bytes) -> OrdinaryQuote:
    """Decode a quote that the fast decoder refused: one-sided, leniently written, or invalid."""
    try:
        raw = decode_quote(member)
    except DECODE_ERRORS:
        raw = _coerce_quote(member)
    bid_price = _price_of_side(raw.bid_price, raw.bid_size)
    ask_price = _price_of_side(raw.ask_price, raw.ask_size)
    _check_quote(bid_price, raw.bid_size, ask_price, raw.ask_size)
    # Plus 0.0: -0.0 is a valid size of 0, but its sign would be lost when the state is stored.
    return OrdinaryQuote(
        bid_price,
        raw.bid_size + 0.0,
        ask_price,
        raw.ask_size + 0.0,
        raw.timestamp,
        _valid_seq(raw.seq),
    )


def parse_trade(member: bytes, score: float, digits: int = DEFAULT_DIGITS) -> tuple[Trade, bool]:
    """Parse a trade; arguments, result and errors are those of `parse_quote`."""
    trade, mismatch, _ = _parse_trade(member, score, digits)
    return trade, mismatch


def _parse_trade(member: bytes, score: float, digits: int) -> tuple[Trade, bool, bool]:
    """Parse a trade; return also whether its aggressor is none of the known words."""
    if len(member) > MAX_RECORD_BYTES:
        raise RecordRejected("too_long")
    try:
        raw = decode_trade(member)
    except DECODE_ERRORS:
        raw = _coerce_trade(member)
    _check_trade(raw)
    stamp, mismatch = _choose_stamp(raw.timestamp, score)
    seq = _valid_seq(raw.seq)
    aggressor = UNSIGNED if raw.aggressor is None else _aggressor_of(raw.aggressor)
    is_unknown = aggressor == UNSIGNED and raw.aggressor is not None
    units = to_price_units(raw.price, digits)
    if units == NOT_HELD:
        raise RecordRejected(INEXACT_PRICE)
    return Trade(stamp, seq, units, raw.size, aggressor), mismatch, is_unknown


def _aggressor_of(word: str) -> int:
    """Return the aggressor that a word names in any letter case, UNSIGNED for any other word."""
    aggressor = AGGRESSORS.get(word)
    return AGGRESSORS.get(word.lower(), UNSIGNED) if aggressor is None else aggressor


def _valid_seq(seq: int | None) -> int:
    """Return the sequence number, NO_SEQ where it is missing or does not fit the stored state."""
    return seq if seq is not None and 0 <= seq <= MAX_SEQ else NO_SEQ


def _choose_stamp(timestamp: float | None, score: float) -> tuple[float, bool]:
    """Return the record's time, and whether its timestamp contradicts its score."""
    if timestamp is None:
        return score, False
    if abs(timestamp - score) > MAX_STAMP_MISMATCH_MS:
        return score, True
    return timestamp, False


ScoredMembers = list[tuple[bytes, float]]
"""Members of one of the broker's sorted sets with their scores, in the set's order."""


def parse_batch(
    quotes: ScoredMembers, trades: ScoredMembers, digits: int = DEFAULT_DIGITS
) -> Batch:
    """Parse stored quotes and trades, and merge them into stream order without duplicates.

    The order is (stamp, seq); where `seq` is missing, trades come before quotes of the same stamp,
    each kind in the order of its set.

    Prices are in units of 10^-digits; in units of 10^-`EXACT_DIGITS` where the former can't hold
    all of them: which of them the ticker's unit can be made to hold, the engine decides, record by
    record.
    """
    faults: list[Fault] = []
    rejected_trades: list[Fault] = []
    rejected_quotes: list[Fault] = []
    # One loop for each parser: a call through a variable is slower in compiled code.
    parsed_trades: list[Record] = []
    for member, score in trades:
        try:
            trade, mismatch, is_unknown = _parse_trade(member, score, digits)
        except RecordRejected as rejected:
            if rejected.reason == INEXACT_PRICE and digits != EXACT_DIGITS:
                return parse_batch(quotes, trades, EXACT_DIGITS)
            rejected_trades.append((score, rejected.reason))
            faults.append((score, rejected.reason))
        else:
            parsed_trades.append(trade)
            _add_faults(trade, faults, mismatch=mismatch)
            if is_unknown:
                faults.append((trade.stamp, "unknown_aggressor"))
    parsed_quotes: list[Record] = []
    for member, score in quotes:
        try:
            quote, mismatch = parse_quote(member, score, digits)
        except RecordRejected as rejected:
            if rejected.reason == INEXACT_PRICE and digits != EXACT_DIGITS:
                return parse_batch(quotes, trades, EXACT_DIGITS)
            rejected_quotes.append((score, rejected.reason))
            faults.append((score, rejected.reason))
        else:
            parsed_quotes.append(quote)
            _add_faults(quote, faults, mismatch=mismatch)
    _sort_if_needed(parsed_trades)
    _sort_if_needed(parsed_quotes)
    records = _drop_duplicates(_merge(parsed_trades, parsed_quotes), faults)
    return Batch(records, faults, digits, rejected_quotes, rejected_trades)


def _add_faults(record: Record, faults: list[Fault], *, mismatch: bool) -> None:
    if mismatch:
        faults.append((record.stamp, "stamp_mismatch"))
    if record.seq == NO_SEQ:
        faults.append((record.stamp, "unnumbered"))


def _is_before(one: Record, other: Record) -> bool:
    """Return whether `one` comes before `other` by (stamp, seq)."""
    return one.stamp < other.stamp or (one.stamp == other.stamp and one.seq < other.seq)


def _sort_if_needed(records: list[Record]) -> None:
    """Sort by (stamp, seq) in place; most lists are sorted already and only checked."""
    for index in range(1, len(records)):
        if _is_before(records[index], records[index - 1]):
            records.sort(key=stream_order)
            return


def _merge(first: list[Record], second: list[Record]) -> list[Record]:
    """Merge two sorted lists; at equal stamp and seq, records of `first` come first."""
    if not first:
        return second
    merged: list[Record] = []
    index = 0
    for record in first:
        while index < len(second) and _is_before(second[index], record):
            merged.append(second[index])
            index += 1
        merged.append(record)
    return merged + second[index:]


def _drop_duplicates(records: list[Record], faults: list[Fault]) -> list[Record]:
    unique: list[Record] = []
    last_stamp, last_seq = -1.0, NO_SEQ
    for record in records:
        if record.seq == last_seq and record.stamp == last_stamp and last_seq != NO_SEQ:
            faults.append((record.stamp, "duplicate"))
            continue
        last_stamp, last_seq = record.stamp, record.seq
        unique.append(record)
    return unique
