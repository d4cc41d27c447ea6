"""Tapes of others: what they hold becomes the records that the venue's own feed would give."""

import gzip
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import databento_dbn as dbn
import pytest
from click.testing import CliRunner

from app.analysis.records import BUY, SELL, UNSIGNED, Quote, Record, Trade
from app.core.errors import SettingError, TapeError
from app.evaluation.analyze_tape import analyze
from app.evaluation.scorecard.command import scorecard
from app.feeds.formats import FORMATS
from app.feeds.replay import find_tapes, read_tapes
from app.feeds.tape_clock import read_usable_tape
from app.operations.feed_setting import read_feed_setting

NS = 1_704_196_800_000_000_000
"""2024-01-02 12:00 UTC."""
MS = NS / 1_000_000
PRICE = 1_000_000_000
UNITS = 100_000_000


def mapped(names: dict[str, int]) -> list[SimpleNamespace]:
    first, last = date(2024, 1, 2), date(2024, 1, 3)
    return [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[SimpleNamespace(start_date=first, end_date=last, symbol=str(number))],
        )
        for name, number in names.items()
    ]


def metadata(names: dict[str, int], schema: str = "mbp-1") -> bytes:
    return bytes(
        dbn.Metadata(
            dataset="XNAS.ITCH",
            start=NS,
            stype_in=dbn.SType.RAW_SYMBOL,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=dbn.Schema.from_str(schema),
            symbols=list(names),
            mappings=mapped(names),  # type: ignore[arg-type]
        )
    )


def message(  # noqa: PLR0913 - the fields of the message
    at_ns: int,
    action: str,
    bid: tuple[float, int] | None,
    ask: tuple[float, int] | None,
    trade: tuple[float, int, str] = (0, 0, "N"),
    *,
    instrument: int = 42,
    publisher: int = 2,
) -> bytes:
    """Return an MBP-1 message; a side that is None is undefined."""
    price, size, side = trade
    sides = [
        (dbn.UNDEF_PRICE, 0) if it is None else (int(it[0] * PRICE), it[1]) for it in (bid, ask)
    ]
    (bid_px, bid_sz), (ask_px, ask_sz) = sides
    level = dbn.BidAskPair(bid_px=bid_px, bid_sz=bid_sz, ask_px=ask_px, ask_sz=ask_sz)
    return bytes(
        dbn.MBP1Msg(
            *(publisher, instrument, NS + at_ns, int(price * PRICE), size),
            *(dbn.Action.from_str(action), dbn.Side.from_str(side), 0, NS + at_ns + 500),
            levels=level,
        )
    )


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def records_of(path: Path, form: str | None = None, **options: str) -> list[Record]:
    (tape,) = read_tapes(find_tapes([path], form=form, **options)).values()
    assert not tape.faults
    return tape.records


MESSAGES = (
    message(1_000, "A", (10, 3), None),
    message(2_000, "A", (10, 3), (10.5, 7)),
    message(2_000, "T", (10, 3), (10.5, 7), (10.5, 2, "B")),
    message(2_000, "M", (10, 3), (10.5, 5)),
    message(3_000, "M", (10, 3), (10.5, 5)),
    message(4_000, "T", (10, 3), (10.5, 5), (10, 1, "A")),
    message(4_000, "T", (10, 3), (10.5, 5), (10.25, 4, "N")),
)
RECORDS = [
    Quote(MS + 0.001, 0, 10 * UNITS, 3.0, 0, 0.0),
    Quote(MS + 0.002, 2, 10 * UNITS, 3.0, 1_050_000_000, 7.0),
    Trade(MS + 0.002, 5, 1_050_000_000, 2.0, BUY),
    Quote(MS + 0.002, 6, 10 * UNITS, 3.0, 1_050_000_000, 5.0),
    Trade(MS + 0.004, 11, 10 * UNITS, 1.0, SELL),
    Trade(MS + 0.004, 13, 1_025_000_000, 4.0, UNSIGNED),
]


def test_a_dbn_file_is_a_tape_of_quotes_and_trades_in_one_sequence(tmp_path: Path) -> None:
    path = written(tmp_path / "day.dbn", metadata({"SPY": 42}), *MESSAGES)

    (files,) = find_tapes([path])

    assert files.ticker == "SPY"
    assert records_of(path) == RECORDS


def test_a_compressed_dbn_file_is_the_same_tape(tmp_path: Path) -> None:
    text = metadata({"SPY": 42}) + b"".join(MESSAGES)
    path = tmp_path / "day.dbn.zst"
    with path.open("wb") as out:
        transcoder = dbn.Transcoder(out, dbn.Encoding.DBN, dbn.Compression.ZSTD)
        transcoder.write(text)
        transcoder.flush()
    assert path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"

    assert records_of(path) == RECORDS


def test_in_tbbo_the_quote_is_the_one_before_the_trade(tmp_path: Path) -> None:
    path = written(
        tmp_path / "day.dbn",
        metadata({"SPY": 42}, "tbbo"),
        message(1_000, "T", (10, 3), (10.5, 7), (10.5, 2, "B")),
        message(2_000, "T", (10, 3), (10.5, 7), (10, 1, "A")),
    )

    assert [type(record) for record in records_of(path)] == [Quote, Trade, Trade]


def test_a_dbn_file_of_several_symbols_is_a_tape_each(tmp_path: Path) -> None:
    path = written(
        tmp_path / "day.dbn",
        metadata({"SPY": 42, "BRK.B": 7}),
        message(1_000, "A", (10, 3), (10.5, 7)),
        message(1_000, "A", (20, 3), (20.5, 7), instrument=7),
    )

    tapes = read_tapes(find_tapes([path]))

    bids = {name: [one.bid_price for one in tape.records] for name, tape in tapes.items()}
    assert bids == {"SPY": [10 * UNITS], "BRK.B": [20 * UNITS]}
    assert records_of(path, ticker="BRK.B") == tapes["BRK.B"].records
    with pytest.raises(TapeError, match="holds 2 symbols; choose one by --ticker"):
        read_usable_tape(path)


def test_the_books_of_several_publishers_are_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path / "day.dbn",
        metadata({"SPY": 42}),
        message(1_000, "A", (10, 3), (10.5, 7)),
        message(1_000, "A", (10, 3), (10.5, 7), publisher=3),
    )

    with pytest.raises(TapeError, match="the books of 2 publishers; allowed is one"):
        records_of(path)


def test_another_schema_is_refused_with_those_that_are_allowed(tmp_path: Path) -> None:
    path = written(tmp_path / "day.dbn", metadata({"SPY": 42}, "mbo"))

    with pytest.raises(TapeError, match="of the schema mbo; allowed are mbp-1, tbbo"):
        find_tapes([path])


@pytest.mark.parametrize("name", ["day.dbn", "day.dbn.zst"])
def test_what_is_no_dbn_is_one_line(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, b"ts_ms,bid_price\n" * 20)

    with pytest.raises(TapeError, match="can't be read as DBN"):
        find_tapes([path])


def test_a_missing_extra_is_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "day.dbn", metadata({"SPY": 42}), *MESSAGES)
    monkeypatch.setitem(sys.modules, "databento_dbn", None)

    result = CliRunner().invoke(
        analyze, ["--quotes", str(path), "--ticker", "SPY", "--out", str(tmp_path / "out")]
    )

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Databento's files need the extra databento: pip install 'orderflow[databento]'\n"
    )
    with pytest.raises(SettingError, match="the extra databento"):
        read_feed_setting(str(path))


def test_make_run_takes_a_dbn_file_and_knows_its_ticker(tmp_path: Path) -> None:
    path = written(tmp_path / "day.dbn", metadata({"SPY": 42}), *MESSAGES)

    setting = read_feed_setting(str(path))

    assert setting.first_ticker == "SPY"


def gzipped(path: Path, lines: Iterable[str]) -> Path:
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def tardis_files(folder: Path, quotes_kind: str = "quotes") -> tuple[Path, Path]:
    head = "exchange,symbol,timestamp,local_timestamp"
    quotes = gzipped(
        folder / f"binance_{quotes_kind}_2024-01-02_BTCUSDT.csv.gz",
        [
            f"{head},ask_amount,ask_price,bid_price,bid_amount",
            f"binance,BTCUSDT,{NS // 1000 - 9},{NS // 1000 + 1},7,10.5,10,3",
            f"binance,BTCUSDT,{NS // 1000 - 9},{NS // 1000 + 2},,,10,4",
        ],
    )
    trades = gzipped(
        folder / "binance_trades_2024-01-02_BTCUSDT.csv.gz",
        [
            f"{head},id,side,price,amount",
            f"binance,BTCUSDT,{NS // 1000 - 8},{NS // 1000 + 2},1,buy,10.5,0.25",
            f"binance,BTCUSDT,{NS // 1000 - 8},{NS // 1000 + 3},2,unknown,10,1",
        ],
    )
    return quotes, trades


@pytest.mark.parametrize("kind", ["quotes", "book_ticker"])
def test_tardis_files_are_stamped_by_when_they_were_received(tmp_path: Path, kind: str) -> None:
    quotes, trades = tardis_files(tmp_path, kind)
    expected = [
        Quote(MS + 0.001, 0, 10 * UNITS, 3.0, 1_050_000_000, 7.0),
        Trade(MS + 0.002, 1, 1_050_000_000, 0.25, BUY),
        Quote(MS + 0.002, 2, 10 * UNITS, 4.0, 0, 0.0),
        Trade(MS + 0.003, 3, 10 * UNITS, 1.0, UNSIGNED),
    ]

    assert records_of(quotes, "tardis") == expected
    assert records_of(trades, "tardis") == expected
    assert [files.ticker for files in find_tapes([quotes], form="tardis")] == ["BTCUSDT"]


def lobster_files(folder: Path, messages: list[str], book: list[str]) -> tuple[Path, Path]:
    stem = "AAPL_2012-06-21_34200000_57600000"
    made = []
    for kind, lines in (("orderbook", book), ("message", messages)):
        path = folder / f"{stem}_{kind}_1.csv"
        path.write_text("\n".join(lines) + "\n")
        made.append(path)
    return made[0], made[1]


def test_lobster_files_give_changes_of_the_best_quote_and_executions(tmp_path: Path) -> None:
    nine_thirty_ms = 1_340_285_400_000.0
    book, messages = lobster_files(
        tmp_path,
        [
            "34200.5,1,11,100,5859400,-1",
            "34200.5,1,12,18,5853300,1",
            "34201.25,4,11,40,5859400,-1",
            "34201.5,1,13,5,5800000,1",
            "34202,5,0,10,5856000,1",
            "34203,6,-1,500,5855000,-1",
            "34204,7,0,0,-1,-1",
        ],
        [
            "5859400,100,-9999999999,0",
            "5859400,100,5853300,18",
            "5859400,60,5853300,18",
            "5859400,60,5853300,18",
            "5859400,60,5853300,18",
            "5859400,60,5853300,18",
            "5859400,60,5853300,18",
        ],
    )
    bid, ask = 58_533_000_000, 58_594_000_000
    expected = [
        Quote(nine_thirty_ms + 500, 1, 0, 0.0, ask, 100.0),
        Quote(nine_thirty_ms + 500, 3, bid, 18.0, ask, 100.0),
        Trade(nine_thirty_ms + 1250, 4, ask, 40.0, BUY),
        Quote(nine_thirty_ms + 1250, 5, bid, 18.0, ask, 60.0),
        Trade(nine_thirty_ms + 2000, 8, 58_560_000_000, 10.0, SELL),
        Trade(nine_thirty_ms + 3000, 10, 58_550_000_000, 500.0, UNSIGNED),
    ]

    assert records_of(book, "lobster") == expected
    assert records_of(messages, "lobster") == expected
    assert find_tapes([book], form="lobster")[0].ticker == "AAPL"


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"databento"}))
def test_a_name_of_another_form_is_one_line(tmp_path: Path, form: str) -> None:
    with pytest.raises(TapeError, match="such a tape's name is like"):
        find_tapes([tmp_path / "SPY.quotes.csv"], form=form)


def test_a_file_of_another_form_is_one_line(tmp_path: Path) -> None:
    book, _ = lobster_files(tmp_path, ["a,b,c,d,e,f"], ["1,2,3,4"])
    with pytest.raises(TapeError, match="is no LOBSTER file"):
        records_of(book, "lobster")

    book, _ = lobster_files(tmp_path, ["34200,1,1,1,1,1"], ["1,2,3,4"] * 2)
    with pytest.raises(TapeError, match="has 2 rows, its messages have 1"):
        records_of(book, "lobster")

    quotes = gzipped(tmp_path / "b_quotes_2024-01-02_X.csv.gz", ["exchange,symbol", "b,X"])
    with pytest.raises(TapeError, match="can't be read as CSV"):
        records_of(quotes, "tardis")


def test_analyze_and_scorecard_take_them_by_format(tmp_path: Path) -> None:
    quotes, _ = tardis_files(tmp_path)
    day = written(tmp_path / "day.dbn", metadata({"SPY": 42}), *MESSAGES)
    run = CliRunner().invoke

    ticker = ("--ticker", "BTCUSDT", "--out", str(tmp_path / "out"))
    analysed = run(analyze, ["--quotes", str(quotes), "--format", "tardis", *ticker])
    scored = run(
        scorecard, ["--tape", str(day), "--quick", "--out", str(tmp_path / "scorecard.md")]
    )
    ours = run(scorecard, ["--tape", str(quotes), "--quick"])

    assert analysed.exit_code == 0, analysed.output
    assert "4 records" in analysed.stderr
    assert scored.exit_code == 0, scored.output
    assert "each --tape needs its --trades" in ours.output
