"""A broker's members: the only parser of a record, and the order that records are put in."""

import math
from typing import Any, Final

from msgspec.structs import astuple

from app.analysis.record_schemas import (
    AGGRESSORS,
    MAX_PRICE,
    MAX_SEQ,
    MAX_SIZE,
    MIN_SIZE,
    UNREADABLE,
    OrdinaryQuote,
    RawQuote,
    RawTrade,
    RecordChecks,
    decode_any,
    decode_ordinary,
    decode_quote,
    decode_trade,
    first_reason,
    quote_checks,
    trade_checks,
)
from app.analysis.records import (
    NO_SEQ,
    PRICE_UNITS,
    UNSIGNED,
    Batch,
    Quote,
    Record,
    Trade,
    in_stream_order,
)
from app.core.errors import RecordRejected

MAX_RECORD_BYTES: Final = 4096
MAX_STAMP_MISMATCH_MS: Final = 1.0

# A quote's as they are decoded, taken out at once: compiled, each by its name is a search.
_Fields = tuple[float, float, float, float, float | None, int]


def _as_number(value: object) -> float:
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
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**63 else None  # type: ignore[operator,return-value]


def _as_stamp(value: object) -> float | None:
    try:
        return _as_number(value)
    except RecordRejected:
        return None


def _loaded(member: bytes) -> dict[str, Any]:
    try:
        fields = decode_any(member)
    except UNREADABLE:
        raise RecordRejected("not_json") from None
    if not isinstance(fields, dict):
        raise RecordRejected("not_json")
    return fields


def _raw_quote(member: bytes) -> RawQuote:
    """Read a quote with care: numbers in strings, odd `seq` or `timestamp`."""
    fields = _loaded(member)
    return RawQuote(
        bid_price=_as_number(fields.get("bid_price")),
        bid_size=_as_number(fields.get("bid_size")),
        ask_price=_as_number(fields.get("ask_price")),
        ask_size=_as_number(fields.get("ask_size")),
        timestamp=_as_stamp(fields.get("timestamp")),
        seq=_as_seq(fields.get("seq")),
    )


def _raw_trade(member: bytes) -> RawTrade:
    fields = _loaded(member)
    aggressor = fields.get("aggressor")
    return RawTrade(
        price=_as_number(fields.get("price")),
        size=_as_number(fields.get("size")),
        timestamp=_as_stamp(fields.get("timestamp")),
        seq=_as_seq(fields.get("seq")),
        aggressor=aggressor if isinstance(aggressor, str) else None,
    )


def _check_quote(raw: RawQuote) -> None:
    # The checks are interpreted code, which nearly all records do not need.
    if not (
        _is_side_allowed(raw.bid_price, raw.bid_size)
        and _is_side_allowed(raw.ask_price, raw.ask_size)
    ):
        _raise_first(quote_checks(raw.bid_price, raw.bid_size, raw.ask_price, raw.ask_size))


def _is_side_allowed(price: float, size: float) -> bool:
    return _is_allowed(price, size) or (size == 0 and abs(price) < MAX_PRICE)


def _check_trade(raw: RawTrade) -> None:
    if not _is_allowed(raw.price, raw.size):
        _raise_first(trade_checks(raw.price, raw.size))


def _is_allowed(price: float, size: float) -> bool:
    return 0 < price < MAX_PRICE and MIN_SIZE <= size <= MAX_SIZE


def _raise_first(checks: RecordChecks) -> None:
    reason = first_reason(checks)
    if reason is not None:
        raise RecordRejected(reason)


def parse_quote(member: bytes, score: float) -> tuple[Quote, bool]:
    """Read a quote as the broker stored it; the flag tells that its stamp contradicts the score.

    Raises `RecordRejected` with the reason that is counted.
    """
    if len(member) > MAX_RECORD_BYTES:
        raise RecordRejected("too_long")
    try:
        raw = decode_ordinary(member)
    except UNREADABLE:
        raw = _unusual_quote(member)
    fields: _Fields = astuple(raw)
    bid_price, bid_size, ask_price, ask_size, timestamp, seq = fields
    stamp, mismatch = score, False
    if timestamp != score:
        stamp, mismatch = _stamp_of(timestamp, score)
    quote = Quote(stamp, seq, _in_units(bid_price), bid_size, _in_units(ask_price), ask_size)
    return quote, mismatch


def _unusual_quote(member: bytes) -> OrdinaryQuote:
    """Read what is one-sided, oddly written, or no quote."""
    try:
        raw = decode_quote(member)
    except UNREADABLE:
        raw = _raw_quote(member)
    _check_quote(raw)
    # Plus nothing: -0.0 is a size like 0, and would not come back from what is stored as such.
    return OrdinaryQuote(
        raw.bid_price,
        raw.bid_size + 0.0,
        raw.ask_price,
        raw.ask_size + 0.0,
        raw.timestamp,
        _seq_of(raw.seq),
    )


def parse_trade(member: bytes, score: float) -> tuple[Trade, bool]:
    """Read a trade as the broker stored it; like `parse_quote`."""
    if len(member) > MAX_RECORD_BYTES:
        raise RecordRejected("too_long")
    try:
        raw = decode_trade(member)
    except UNREADABLE:
        raw = _raw_trade(member)
    _check_trade(raw)
    stamp, mismatch = _stamp_of(raw.timestamp, score)
    seq = _seq_of(raw.seq)
    side = AGGRESSORS.get(raw.aggressor or "", UNSIGNED)
    return Trade(stamp, seq, _in_units(raw.price), raw.size, side), mismatch


def _in_units(price: float) -> int:
    """Round to whole units; `round` is a call of Python's, and seldom says anything else."""
    scaled = price * PRICE_UNITS
    whole = int(scaled)
    return whole if abs(scaled - whole) < 0.5 else round(scaled)  # noqa: PLR2004 - a half


def _seq_of(seq: int | None) -> int:
    """Return a number that stored state can hold, NO_SEQ where the broker's is none."""
    return seq if seq is not None and 0 <= seq <= MAX_SEQ else NO_SEQ


def _stamp_of(timestamp: float | None, score: float) -> tuple[float, bool]:
    """Return what stands as a record's time, and whether its two times contradict each other."""
    if timestamp is None:
        return score, False
    if abs(timestamp - score) > MAX_STAMP_MISMATCH_MS:
        return score, True
    return timestamp, False


ScoredMembers = list[tuple[bytes, float]]
"""Members of a broker's sorted set with their scores, in the set's order."""


def parse_batch(quotes: ScoredMembers, trades: ScoredMembers) -> Batch:
    """Parse what a broker stored and put it into the ticker's one order, duplicates left out.

    Order is (stamp, seq); where `seq` is missing, prints come before quotes at an equal stamp,
    each in the set's own order.
    """
    faults: list[tuple[float, str]] = []
    # A loop each: through a variable, compiled code calls Python's way.
    prints: list[Record] = []
    for member, score in trades:
        try:
            trade, mismatch = parse_trade(member, score)
        except RecordRejected as rejected:
            faults.append((score, rejected.reason))
        else:
            prints.append(trade)
            _note_faults(trade, faults, mismatch=mismatch)
    shown: list[Record] = []
    for member, score in quotes:
        try:
            quote, mismatch = parse_quote(member, score)
        except RecordRejected as rejected:
            faults.append((score, rejected.reason))
        else:
            shown.append(quote)
            _note_faults(quote, faults, mismatch=mismatch)
    _put_in_order(prints)
    _put_in_order(shown)
    return Batch(_without_duplicates(_merged(prints, shown), faults), faults)


def _note_faults(record: Record, faults: list[tuple[float, str]], *, mismatch: bool) -> None:
    if mismatch:
        faults.append((record.stamp, "stamp_mismatch"))
    if record.seq == NO_SEQ:
        faults.append((record.stamp, "unnumbered"))


def _is_before(one: Record, other: Record) -> bool:
    """Compare by (stamp, seq)."""
    return one.stamp < other.stamp or (one.stamp == other.stamp and one.seq < other.seq)


def _put_in_order(records: list[Record]) -> None:
    """Sort by (stamp, seq) what does not come so already, as it nearly always does."""
    for place in range(1, len(records)):
        if _is_before(records[place], records[place - 1]):
            records.sort(key=in_stream_order)
            return


def _merged(first: list[Record], second: list[Record]) -> list[Record]:
    """Merge two lists in order; those of `first` come first where stamp and seq are equal."""
    if not first:
        return second
    merged: list[Record] = []
    place = 0
    for record in first:
        while place < len(second) and _is_before(second[place], record):
            merged.append(second[place])
            place += 1
        merged.append(record)
    return merged + second[place:]


def _without_duplicates(records: list[Record], faults: list[tuple[float, str]]) -> list[Record]:
    kept: list[Record] = []
    last_stamp, last_seq = -1.0, NO_SEQ
    for record in records:
        if record.seq == last_seq and record.stamp == last_stamp and last_seq != NO_SEQ:
            faults.append((record.stamp, "duplicate"))
            continue
        last_stamp, last_seq = record.stamp, record.seq
        kept.append(record)
    return kept
