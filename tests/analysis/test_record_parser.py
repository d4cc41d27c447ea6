"""Members become records in the ticker's one order, with prices in whole units."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.record_parser import parse_batch, parse_quote
from app.analysis.records import NO_SEQ, PRICE_UNITS, Quote, Trade

STAMP = 1_700_000_000_000.0

# Few of each, so that many are equal.
stamps = st.integers(0, 3).map(lambda ms: STAMP + ms / 2)
seqs = st.none() | st.integers(0, 3)


def quote_member(price: float, stamp: float = STAMP, **others: object) -> tuple[bytes, float]:
    fields = {"bid_price": price, "bid_size": 1, "ask_price": price, "ask_size": 1}
    return msgspec.json.encode({**fields, "timestamp": stamp, **others}), stamp


def test_every_number_of_a_quote_stands_in_its_own_place() -> None:
    fields = {"bid_price": 1.5, "bid_size": 2, "ask_price": 3.25, "ask_size": 4}
    member = msgspec.json.encode({**fields, "timestamp": STAMP, "seq": 5})

    quote, mismatch = parse_quote(member, STAMP)

    assert quote == Quote(STAMP, 5, 150_000_000, 2.0, 325_000_000, 4.0)
    assert not mismatch


def test_what_is_odd_about_members_is_told_by_stamp_prints_first_and_duplicates_last() -> None:
    quotes = [
        quote_member(1, STAMP, seq=1),
        quote_member(1, STAMP, seq=1),
        quote_member(1, STAMP + 1),
        (b"{}", STAMP + 2),
    ]
    trades = [
        (msgspec.json.encode({"price": 1, "size": 1, "timestamp": STAMP + 3}), STAMP + 3),
        (msgspec.json.encode({"price": 1, "size": 0}), STAMP + 4),
        (msgspec.json.encode({"price": 1, "size": 1, "timestamp": STAMP, "seq": 9}), STAMP + 5),
    ]

    faults = parse_batch(quotes, trades).faults

    assert faults == [
        (STAMP + 3, "unnumbered"),
        (STAMP + 4, "zero_size"),
        (STAMP + 5, "stamp_mismatch"),
        (STAMP + 1, "unnumbered"),
        (STAMP + 2, "missing_number"),
        (STAMP, "duplicate"),
    ]


@given(st.lists(st.tuples(stamps, seqs)), st.lists(st.tuples(stamps, seqs)))
def test_records_come_by_stamp_and_number_and_prints_before_quotes(
    shown: list[tuple[float, int | None]], printed: list[tuple[float, int | None]]
) -> None:
    quotes = [quote_member(100 + n, at, seq=seq) for n, (at, seq) in enumerate(shown)]
    trades = [
        (msgspec.json.encode({"price": 1 + n, "size": 1, "timestamp": at, "seq": seq}), at)
        for n, (at, seq) in enumerate(printed)
    ]

    records = parse_batch(quotes, trades).records

    expected = sorted(
        [
            *((at, NO_SEQ if seq is None else seq, 0, n) for n, (at, seq) in enumerate(printed)),
            *((at, NO_SEQ if seq is None else seq, 1, n) for n, (at, seq) in enumerate(shown)),
        ]
    )
    first_of = {(it[0], it[1]): it for it in reversed(expected)}
    once = [it for it in expected if it[1] == NO_SEQ or first_of[it[0], it[1]] is it]
    assert [_place_of(record) for record in records] == once


def _place_of(record: Quote | Trade) -> tuple[float, int, int, int]:
    """Return a record's place, and which of its kind it is, read from its price."""
    if isinstance(record, Quote):
        return record.stamp, record.seq, 1, record.bid_price // PRICE_UNITS - 100
    return record.stamp, record.seq, 0, record.price // PRICE_UNITS - 1
