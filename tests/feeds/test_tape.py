"""Tapes: which rows of a CSV file become records, in which order, and how the rest is reported."""

import gzip
from pathlib import Path

import pytest

from app.analysis.records import BUY, PRICE_UNITS, SELL, UNSIGNED, Quote, Trade
from app.core.errors import TapeError
from app.feeds.tape import read_tape

NOON_MS = 1_704_196_800_000
QUOTE_HEADER = "ts_ms,bid_price,bid_size,ask_price,ask_size"
TRADE_HEADER = "ts_ms,price,size,aggressor"


def written(path: Path, header: str, *rows: str) -> Path:
    """Write a CSV file, compressed where its name ends in .gz."""
    text = "\n".join((header, *rows)) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_rows_come_in_the_order_of_stamp_and_seq(tmp_path: Path) -> None:
    quotes = written(
        tmp_path / "q.csv.gz",
        QUOTE_HEADER + ",seq",
        f"{NOON_MS + 1},10.0,1,10.1,2,4",
        f"{NOON_MS},10.0,3,10.1,4,1",
        f"{NOON_MS + 1},10.0,5,10.1,6,3",
    )
    trades = written(
        tmp_path / "t.csv", TRADE_HEADER + ",hidden,seq", f"{NOON_MS + 1},10.1,7,buy,0,2"
    )

    tape = read_tape(quotes, trades)

    assert tape.records == [
        Quote(NOON_MS, 1, 1_000_000_000, 3.0, 1_010_000_000, 4.0),
        Trade(NOON_MS + 1, 2, 1_010_000_000, 7.0, BUY),
        Quote(NOON_MS + 1, 3, 1_000_000_000, 5.0, 1_010_000_000, 6.0),
        Quote(NOON_MS + 1, 4, 1_000_000_000, 1.0, 1_010_000_000, 2.0),
    ]
    assert not tape.rejected


def test_without_seq_prints_come_before_quotes_each_in_the_files_order(tmp_path: Path) -> None:
    quotes = written(
        tmp_path / "q.csv",
        QUOTE_HEADER,
        f"{NOON_MS},10,2,11,1",
        f"{NOON_MS},10,1,11,1",
        f"{NOON_MS - 1},10,3,11,1",
    )
    trades = written(
        tmp_path / "t.csv", TRADE_HEADER, f"{NOON_MS},11,2,sell", f"{NOON_MS},10,1,unknown"
    )

    records = read_tape(quotes, trades).records

    assert [record.seq for record in records] == [0, 1, 2, 3, 4]
    assert [type(record) for record in records] == [Quote, Trade, Trade, Quote, Quote]
    assert [record.size for record in records if isinstance(record, Trade)] == [2.0, 1.0]
    assert [record.bid_size for record in records if isinstance(record, Quote)] == [3.0, 2.0, 1.0]


def test_a_single_row_without_seq_has_the_whole_tape_numbered_anew(tmp_path: Path) -> None:
    quotes = written(
        tmp_path / "q.csv", QUOTE_HEADER + ",seq", f"{NOON_MS},10,1,11,1,9", f"{NOON_MS},10,2,11,1,"
    )

    records = read_tape(quotes).records

    assert [(record.seq, record.bid_size) for record in records if isinstance(record, Quote)] == [
        (0, 1.0),
        (1, 2.0),
    ]


def test_only_the_first_of_two_rows_with_one_stamp_and_seq_is_kept(tmp_path: Path) -> None:
    quotes = written(
        tmp_path / "q.csv",
        QUOTE_HEADER + ",seq",
        f"{NOON_MS},10,1,11,1,5",
        f"{NOON_MS},10,2,11,1,5",
        f"{NOON_MS + 1},10,3,11,1,5",
    )

    tape = read_tape(quotes)

    assert [record.bid_size for record in tape.records if isinstance(record, Quote)] == [1.0, 3.0]
    assert tape.faults == [(NOON_MS, "duplicate")]


def test_a_stamp_is_the_very_double_that_its_digits_denote(tmp_path: Path) -> None:
    texts = [f"{NOON_MS}.{n * 7919 % 1_000_000:06d}" for n in range(2000)]
    quotes = written(
        tmp_path / "q.csv", QUOTE_HEADER, *(f"{text},10,0.1,11,2.507" for text in texts)
    )

    records = read_tape(quotes).records

    assert [record.stamp for record in records] == sorted(float(text) for text in texts)
    assert {record.ask_size for record in records if isinstance(record, Quote)} == {2.507}


def test_a_shift_is_added_to_every_stamp(tmp_path: Path) -> None:
    quotes = written(tmp_path / "q.csv", QUOTE_HEADER, f"{NOON_MS}.125,10,1,11,1")

    (record,) = read_tape(quotes, shift_ms=86_400_000).records

    assert record.stamp == NOON_MS + 86_400_000.125


def test_aggressors_are_buy_sell_or_not_known(tmp_path: Path) -> None:
    quotes = written(tmp_path / "q.csv", QUOTE_HEADER, f"{NOON_MS},10,1,11,1")
    trades = written(
        tmp_path / "t.csv",
        TRADE_HEADER,
        *(
            f"{NOON_MS + n},10,1,{text}"
            for n, text in enumerate(("buy", "sell", "unknown", "", "BUY", "Unknown", "B"))
        ),
    )

    tape = read_tape(quotes, trades)

    sides = [record.aggressor for record in tape.records if isinstance(record, Trade)]
    assert sides == [BUY, SELL, UNSIGNED, UNSIGNED, BUY, UNSIGNED, UNSIGNED]
    assert tape.faults == [(NOON_MS + 6, "unknown_aggressor")]
    assert tape.rejected == {}
    assert tape.unknown_aggressors == 1


@pytest.mark.parametrize("price", ["", "null", "-5", "1e300", "n/a", "0"])
def test_a_side_of_size_0_needs_no_price(tmp_path: Path, price: str) -> None:
    quotes = written(
        tmp_path / "q.csv", QUOTE_HEADER, f"{NOON_MS},{price},0,11,1", f"{NOON_MS + 1},10,1,11,1"
    )

    tape = read_tape(quotes)

    assert tape.faults == []
    assert tape.records[0] == Quote(NOON_MS, 0, 0, 0.0, 11 * PRICE_UNITS, 1.0)


def test_a_side_without_size_needs_no_price(tmp_path: Path) -> None:
    quotes = written(tmp_path / "q.csv", QUOTE_HEADER, f"{NOON_MS},0,0,11,1")

    assert read_tape(quotes).records == [Quote(NOON_MS, 0, 0, 0.0, 1_100_000_000, 1.0)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{NOON_MS},,1,11,1", "missing_number"),
        (f"{NOON_MS},inf,1,11,1", "not_finite"),
        (f"{NOON_MS},10,-1,11,1", "negative_size"),
        (f"{NOON_MS},0,1,11,1", "non_positive_price"),
        (f"{NOON_MS},10,1,1e12,1", "out_of_range"),
        (f"{NOON_MS // 1000},10,1,11,1", "seconds_not_ms"),
    ],
)
def test_a_quote_that_no_broker_may_send_is_left_out_and_counted(
    tmp_path: Path, row: str, reason: str
) -> None:
    tape = read_tape(written(tmp_path / "q.csv", QUOTE_HEADER, row, f"{NOON_MS},10,1,11,1"))

    assert len(tape.records) == 1
    assert tape.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{NOON_MS},10,,buy", "missing_number"),
        (f"{NOON_MS},-inf,1,buy", "not_finite"),
        (f"{NOON_MS},10,-1,buy", "negative_size"),
        (f"{NOON_MS},10,0,buy", "zero_size"),
        (f"{NOON_MS},0,1,buy", "non_positive_price"),
        (f"{NOON_MS},1e12,1,buy", "out_of_range"),
    ],
)
def test_a_trade_that_no_broker_may_send_is_left_out_and_counted(
    tmp_path: Path, row: str, reason: str
) -> None:
    quotes = written(tmp_path / "q.csv", QUOTE_HEADER, f"{NOON_MS},10,1,11,1")

    tape = read_tape(quotes, written(tmp_path / "t.csv", TRADE_HEADER, row))

    assert len(tape.records) == 1
    assert tape.rejected == {reason: 1}


@pytest.mark.parametrize("value", ["abc", "True"])
def test_a_text_for_a_number_is_named_with_file_column_and_row(tmp_path: Path, value: str) -> None:
    path = written(
        tmp_path / "q.csv", QUOTE_HEADER, f"{NOON_MS},10,1,11,1", f"{NOON_MS},10,{value},11,1"
    )

    with pytest.raises(TapeError, match=rf"q\.csv: column bid_size, row 2: '{value}' .* a number"):
        read_tape(path)


def test_a_row_without_a_stamp_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "q.csv", QUOTE_HEADER, ",10,1,11,1")

    with pytest.raises(TapeError, match="column ts_ms, row 1"):
        read_tape(path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "q.csv", "ts_ms,bid_price,bid_size,ask_price", f"{NOON_MS},10,1,11")

    with pytest.raises(TapeError, match="column 'ask_size' is missing"):
        read_tape(path)


def test_a_file_that_is_not_there_or_not_zipped_is_named(tmp_path: Path) -> None:
    unzipped = tmp_path / "q.csv.gz"
    unzipped.write_text(QUOTE_HEADER)

    for path in (tmp_path / "none.csv", unzipped):
        with pytest.raises(TapeError, match=path.name):
            read_tape(path)


def test_a_tape_of_a_header_alone_holds_nothing(tmp_path: Path) -> None:
    assert read_tape(written(tmp_path / "q.csv", QUOTE_HEADER)).records == []
