"""Members become records in the ticker's one order, with prices in whole units."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.record_parser import parse_batch, parse_quote
from app.analysis.records import BUY, NO_SEQ, PRICE_UNITS, SELL, UNSIGNED, Quote, Trade
from app.core.errors import RecordRejected

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


ABSENT = object()
NO_PRICES = {
    "null": None,
    "absent": ABSENT,
    "zero": 0,
    "negative": -5,
    "absurd": 1e300,
    "text": "no quote",
    "empty text": "",
    "boolean": True,
    "list": [1],
    "object": {"a": 1},
    "NaN": math.nan,
    "infinite": math.inf,
    "digits": 10**300,
    "a price": 10.5,
}


@pytest.mark.parametrize("size", [0, 0.0, -0.0, "0", "0.00"], ids=repr)
@pytest.mark.parametrize("side", ["bid", "ask"])
@pytest.mark.parametrize("price", NO_PRICES.values(), ids=NO_PRICES)
def test_a_side_of_size_0_needs_no_price(price: object, side: str, size: object) -> None:
    fields = {"bid_price": 10, "bid_size": 3, "ask_price": 11, "ask_size": 4}
    fields |= {f"{side}_price": price, f"{side}_size": size}  # type: ignore[dict-item]
    known = {name: value for name, value in fields.items() if value is not ABSENT}

    # `json`, as brokers in Python write it: with NaN and Infinity, which no JSON has.
    quote, _ = parse_quote(json.dumps(known).encode(), STAMP)

    bid = (0, 0.0) if side == "bid" else (10 * PRICE_UNITS, 3.0)
    ask = (0, 0.0) if side == "ask" else (11 * PRICE_UNITS, 4.0)
    assert (quote.bid_price, quote.bid_size) == bid
    assert (quote.ask_price, quote.ask_size) == ask
    assert math.copysign(1, quote.bid_size) == math.copysign(1, quote.ask_size) == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"bid_price": None}, "missing_number"),
        ({"ask_price": ABSENT}, "missing_number"),
        ({"bid_price": math.nan}, "not_finite"),
        ({"bid_price": math.inf}, "not_finite"),
        ({"bid_price": True}, "boolean_number"),
        ({"bid_price": 0}, "non_positive_price"),
        ({"bid_price": None, "bid_size": 0, "ask_price": None}, "missing_number"),
        ({"bid_price": None, "bid_size": 0, "ask_size": -1}, "negative_size"),
        ({"bid_price": None, "bid_size": None}, "missing_number"),
        ({"bid_price": None, "bid_size": False}, "missing_number"),
        ({"bid_size": False}, "boolean_number"),
    ],
)
def test_a_side_with_size_needs_its_price(changed: dict[str, object], reason: str) -> None:
    fields = {"bid_price": 10, "bid_size": 3, "ask_price": 11, "ask_size": 4, **changed}
    known = {name: value for name, value in fields.items() if value is not ABSENT}

    with pytest.raises(RecordRejected) as rejected:
        parse_quote(json.dumps(known).encode(), STAMP)

    assert rejected.value.reason == reason


@pytest.mark.parametrize(
    "number", ["1e999", "1E+400", "-1e999", "1.5e308", "1e0999", "NaN", "1" * 400 + ".5"]
)
def test_a_number_that_no_double_holds_is_no_price_either(number: str) -> None:
    member = '{"bid_price": %s, "bid_size": %d, "ask_price": 11, "ask_size": 4}'

    quote, _ = parse_quote((member % (number, 0)).encode(), STAMP)
    with pytest.raises(RecordRejected) as rejected:
        parse_quote((member % (number, 1)).encode(), STAMP)

    assert quote == Quote(STAMP, NO_SEQ, 0, 0.0, 11 * PRICE_UNITS, 4.0)
    assert rejected.value.reason in {"not_finite", "out_of_range"}


def test_two_empty_sides_need_nothing_but_their_sizes() -> None:
    quote, _ = parse_quote(b'{"bid_size": 0, "ask_size": "0"}', STAMP)

    assert quote == Quote(STAMP, NO_SEQ, 0, 0.0, 0, 0.0)


def trade_member(**fields: object) -> tuple[bytes, float]:
    record = {"price": 10, "size": 1, "timestamp": STAMP, "seq": 1, **fields}
    return json.dumps(record).encode(), STAMP


@pytest.mark.parametrize(
    ("word", "side"),
    [("buy", BUY), ("BUY", BUY), ("Buy", BUY), ("sell", SELL), ("SELL", SELL), ("sELL", SELL)],
)
def test_an_aggressor_is_taken_in_any_letter_case(word: str, side: int) -> None:
    batch = parse_batch([], [trade_member(aggressor=word)])

    assert [it.aggressor for it in batch.records if isinstance(it, Trade)] == [side]
    assert batch.faults == []


@pytest.mark.parametrize(
    "word",
    ["B", "S", "b", "bid", "ask", True, False, 1, 0, -1.5, "", " buy", "unknown", [], {"a": 1}],
    ids=repr,
)
def test_any_other_aggressor_counts_as_null_and_is_counted(word: object) -> None:
    batch = parse_batch([], [trade_member(aggressor=word)])

    assert [it.aggressor for it in batch.records if isinstance(it, Trade)] == [UNSIGNED]
    assert batch.faults == [(STAMP, "unknown_aggressor")]


def test_a_trade_without_an_aggressor_is_not_odd() -> None:
    batch = parse_batch([], [trade_member(), trade_member(aggressor=None, seq=2)])

    assert [it.aggressor for it in batch.records if isinstance(it, Trade)] == [UNSIGNED] * 2
    assert batch.faults == []


def test_what_is_rejected_is_told_by_kind() -> None:
    quotes = [quote_member(1, STAMP, seq=1), (b"{}", STAMP + 1), (b"x", STAMP + 2)]
    trades = [trade_member(size=0), trade_member()]

    batch = parse_batch(quotes, trades)

    assert batch.rejected_quotes == [(STAMP + 1, "missing_number"), (STAMP + 2, "not_json")]
    assert batch.rejected_trades == [(STAMP, "zero_size")]


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
