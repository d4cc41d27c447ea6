"""ORDERFLOW_FEED names the feed that `make run` starts, and whose ticker is asked for first."""

import gzip
import re
from pathlib import Path

import pytest

from app.core.errors import SettingError
from app.core.settings import Settings
from app.operations.feed_setting import FeedSetting, from_lists, read_feed_setting
from app.operations.supervisor import feeds, programs
from tests.processes import free_port
from tests.venues.kraken import KrakenVenue

QUOTES = "ts_ms,bid_price,bid_size,ask_price,ask_size\n1340285400123,10,1,11,1\n"
HEADER = QUOTES.split("\n", 1)[0]


@pytest.fixture
def tapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make some tapes in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my tapes").mkdir()
    for name in ("a.quotes.csv", "my tapes/b.quotes.csv", "c,d.quotes.csv"):
        (tmp_path / name).write_text(QUOTES)
    (tmp_path / "e.quotes.csv.gz").write_bytes(gzip.compress(QUOTES.encode()))
    return tmp_path


@pytest.mark.parametrize(
    ("given", "files", "ticker"),
    [
        ("a.quotes.csv", ["a.quotes.csv"], "a"),
        (
            "'my tapes/b.quotes.csv' a.quotes.csv",
            ["my tapes/b.quotes.csv", "a.quotes.csv"],
            "b",
        ),
        ("a.quotes.csv,e.quotes.csv.gz", ["a.quotes.csv", "e.quotes.csv.gz"], "a"),
        ("e.quotes.csv.gz, a.quotes.csv", ["e.quotes.csv.gz", "a.quotes.csv"], "e"),
        ("'my tapes/b.quotes.csv,a.quotes.csv'", ["my tapes/b.quotes.csv", "a.quotes.csv"], "b"),
    ],
)
def test_tapes_are_replayed_and_the_first_ones_ticker_is_named(
    tapes: Path, given: str, files: list[str], ticker: str
) -> None:
    setting = read_feed_setting(given)

    arguments = ("replay", *(str(tapes / file) for file in files), "--loop")
    assert setting == FeedSetting((arguments,), ticker)
    [program] = feeds(setting)
    assert program.command[-len(arguments) - 1 :] == ("feed", *arguments)


def test_a_name_with_a_comma_is_one_file_where_there_is_such_a_file(tapes: Path) -> None:
    with pytest.raises(SettingError, match="'c,d' is not allowed"):
        read_feed_setting("c,d.quotes.csv")

    (tapes / "c,d.quotes.csv").rename(tapes / "c_1,2.quotes.csv")
    assert read_feed_setting("c_1,2.quotes.csv").first_ticker == "c"


@pytest.mark.parametrize("given", ["simulate", " simulate "])
def test_the_simulation_is_the_feed_of_spy(given: str) -> None:
    setting = read_feed_setting(given)

    assert setting == FeedSetting((("simulate",),), "SPY")
    assert feeds(setting)[0].command[-2:] == ("feed", "simulate")


def test_none_is_no_feed() -> None:
    assert feeds(read_feed_setting("none")) == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("'a.csv", "No closing quotation"),
        (" ", "nothing is named"),
        (",", "nothing is named"),
        ("gone.quotes.csv", "gone.quotes.csv: there is no such file"),
        ("a.quotes.csv,gone.quotes.csv.gz", "gone.quotes.csv.gz: there is no such file"),
        ("simulate none", "none: there is no such file"),
        ("'my tapes'", "my tapes: is no file"),
        ("a.quotes.csv a.quotes.csv.gz", "a.quotes.csv.gz: there is no such file"),
        ("notes.txt", "a tape's name ends in"),
        ("empty.quotes.csv", "has no column ts_ms"),
        ("header.quotes.csv", "has no row"),
        ("text.quotes.csv.gz", "can't be read"),
        ("x.trades.csv", "x.quotes.csv: can't be read"),
    ],
)
def test_what_would_end_the_feed_at_once_is_refused_with_the_reason(
    tapes: Path, given: str, why: str
) -> None:
    (tapes / "notes.txt").write_text("no tape")
    (tapes / "empty.quotes.csv").write_text("")
    (tapes / "header.quotes.csv").write_text(f"{HEADER}\n")
    (tapes / "text.quotes.csv.gz").write_text(QUOTES)
    (tapes / "x.trades.csv").write_text("ts_ms,price,size\n1340285400123,10,1\n")

    with pytest.raises(
        SettingError,
        match=rf"ORDERFLOW_FEED=.* is not allowed: .*{re.escape(why)}.*; allowed: simulate",
    ):
        read_feed_setting(given)


UNREADABLE = (
    "ORDERFLOW_FEED='kraken:btcusd' can't be asked for now: the symbols of kraken can't be read: "
    "no connection; without them 'btcusd' has to be as in kraken:BTC/USD,ETH/USD"
)


def test_live_sources_are_fed_each_by_a_process_of_its_own() -> None:
    setting = read_feed_setting("kraken:BTC/USD,ETH/USD simulate binance:BTC/USDT")

    assert setting.first_ticker == "BTC/USD"
    assert [(one.name, one.command[-2:]) for one in feeds(setting)] == [
        ("feed.1", ("live", "kraken:BTC/USD,ETH/USD")),
        ("feed.2", ("live", "binance:BTC/USDT")),
        ("feed.3", ("feed", "simulate")),
    ]


def test_a_live_source_is_asked_for_the_tickers_that_its_symbols_mean() -> None:
    with KrakenVenue("BTC/USD", "ETH/USD") as venue:
        setting = read_feed_setting("kraken:eth-usd,btcusd", from_lists(venue.url))

    assert setting == FeedSetting((("live", "kraken:ETH/USD,BTC/USD"),), "ETH/USD")


def test_two_spellings_of_one_ticker_are_not_fed_twice() -> None:
    with KrakenVenue("BTC/USD") as venue, pytest.raises(SettingError, match="BTC/USD is asked of"):
        read_feed_setting("kraken:btcusd kraken:BTC/USD", from_lists(venue.url))


def test_a_live_source_is_asked_as_written_where_its_list_can_not_be_read() -> None:
    setting = read_feed_setting("kraken:BTC/USD", from_lists(f"ws://127.0.0.1:{free_port()}"))

    assert setting.first_ticker == "BTC/USD"


def test_a_symbol_that_only_a_list_can_tell_is_refused_where_that_can_not_be_read() -> None:
    nowhere = from_lists(f"ws://127.0.0.1:{free_port()}")

    with pytest.raises(SettingError, match=re.escape(UNREADABLE)):
        read_feed_setting("kraken:btcusd", nowhere)


def test_a_tape_is_replayed_beside_a_live_source(tapes: Path) -> None:
    setting = read_feed_setting("a.quotes.csv kraken:BTC/USD")

    replay = ("replay", str(tapes / "a.quotes.csv"), "--loop")
    assert setting == FeedSetting((("live", "kraken:BTC/USD"), replay), "BTC/USD")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("kraken:", "'kraken:' names no ticker: write it as in kraken:BTC/USD,ETH/USD"),
        ("kraken", "'kraken' names no ticker"),
        ("kraken:BTC/USD,", "ticker '' is not allowed"),
        ("kraken:BTC/USD kraken:BTC/USD,ETH/USD", "BTC/USD is asked of both kraken and kraken"),
        ("krakn:BTC/USD", "there is no such file, and no such live source (kraken, binance"),
    ],
)
def test_a_live_source_that_can_not_be_asked_is_refused_with_the_reason(
    given: str, why: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(why)):
        read_feed_setting(given)


def test_a_live_source_whose_extra_is_missing_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.feeds.live.sources.find_spec", lambda _: None)

    with pytest.raises(SettingError, match=re.escape("pip install 'orderflow[crypto]'")):
        read_feed_setting("kraken:BTC/USD")


def test_a_live_source_whose_key_is_missing_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "an id")
    monkeypatch.delenv("APCA_API_SECRET_KEY", raising=False)

    with pytest.raises(SettingError, match="alpaca needs a key: set APCA_API_SECRET_KEY;"):
        read_feed_setting("alpaca:iex:SPY")


def test_the_server_and_live_feeds_run_without_the_caches_that_make_ticks_faster() -> None:
    fed = read_feed_setting("kraken:BTC/USD")
    tuned = {it.name: "GLIBC_TUNABLES" not in it.environment for it in programs(Settings(), fed)}

    assert (tuned["mcp"], tuned["feed"]) == (False, False)
    assert tuned["worker.1"]
