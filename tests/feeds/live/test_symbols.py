"""Symbols as people write them, matched with what a venue lists."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from app.core.errors import FeedInterrupted, FeedRefused
from app.core.settings import settings
from app.feeds.group import feed
from app.feeds.live.listings import LISTINGS, read_listing, resolve, resolve_if_possible
from app.feeds.live.sources import parse_request
from app.feeds.live.symbols import Listed, find_ticker, matching
from tests.feeds.live.vendors import VENDORS
from tests.processes import free_port
from tests.venues.kraken import KrakenVenue
from tests.venues.server import Venue

Run = Callable[..., Result]

STOCKS = [
    Listed(name, name) for name in ("SPY", "BRK.B", "SPY   241220C00450000", "BF.A", "BF.B", "BFB")
]
CRYPTO = [Listed("BTC-USD", "BTC/USD"), Listed("ETH-USD", "ETH/USD"), Listed("A-BC", "A/BC")]
CRYPTO += [Listed("AB-C", "AB/C"), Listed("BTC-USDT", "BTC/USDT")]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Give `orderflow feed` with a local server in the venue's place; its log is undone."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)

    def run_command(venue: Venue, *arguments: str) -> Result:
        monkeypatch.setenv("ORDERFLOW_FEED_URL", venue.url)
        settings.cache_clear()
        return CliRunner().invoke(feed, arguments, catch_exceptions=False)

    yield run_command
    settings.cache_clear()
    structlog.reset_defaults()


@pytest.mark.parametrize("text", ["BTC/USD", "BTC-USD", "btcusd", "btc-usd", "Btc_Usd"])
def test_a_pair_is_meant_however_it_is_written(text: str) -> None:
    assert find_ticker(text, CRYPTO, "coinbase") == "BTC/USD"


@pytest.mark.parametrize(
    ("text", "ticker"),
    [
        ("spy", "SPY"),
        ("brk.b", "BRK.B"),
        ("BRK-B", "BRK.B"),
        ("SPY241220C00450000", "SPY   241220C00450000"),
        ("BFB", "BFB"),
        ("bf.b", "BF.B"),
    ],
)
def test_a_stock_or_option_is_meant_however_it_is_written(text: str, ticker: str) -> None:
    assert find_ticker(text, STOCKS, "alpaca") == ticker


def test_an_unknown_symbol_names_near_ones() -> None:
    with pytest.raises(FeedRefused, match=r"coinbase has no symbol 'BTC/USX'; near ones: BTC/USD"):
        find_ticker("BTC/USX", CRYPTO, "coinbase")


def test_a_symbol_that_is_like_none_says_where_all_are() -> None:
    with pytest.raises(FeedRefused, match="`orderflow feed symbols coinbase` has all"):
        find_ticker("QQQQQQ", CRYPTO, "coinbase")


def test_a_symbol_that_may_mean_several_names_them() -> None:
    with pytest.raises(FeedRefused, match="'abc' may mean A/BC or AB/C"):
        find_ticker("abc", CRYPTO, "coinbase")


def test_tickers_are_found_by_a_part_of_them() -> None:
    assert matching("btc", CRYPTO) == ["BTC/USD", "BTC/USDT"]
    assert matching("", CRYPTO) == sorted(one.ticker for one in CRYPTO)


@pytest.mark.parametrize("name", sorted({*VENDORS} & {*LISTINGS}))
def test_every_venues_list_is_read(name: str) -> None:
    vendor = VENDORS[name]
    with vendor.open_venue() as venue:
        listed = read_listing(name, venue.url)

    assert set(listed) == {Listed(pair.symbol, pair.ticker) for pair in vendor.pairs}


def test_symbols_are_taken_as_written_where_the_list_can_not_be_read() -> None:
    away = f"ws://127.0.0.1:{free_port()}/v2"
    request = parse_request("kraken:BTC/USD,ETH/USD")

    with pytest.raises(FeedInterrupted, match="the symbols of kraken can't be read"):
        read_listing("kraken", away)
    assert resolve_if_possible(request, away) == request


@pytest.mark.parametrize("text", ["btcusd", "BTC-USD", "btc/usd", "BTCUSD"])
def test_a_loose_symbol_is_not_guessed_where_the_list_can_not_be_read(text: str) -> None:
    away = f"ws://127.0.0.1:{free_port()}/v2"
    request = parse_request(f"kraken:BTC/USD,{text}")

    with pytest.raises(
        FeedInterrupted,
        match=f"no connection; without them '{text}' has to be as in kraken:BTC/USD",
    ):
        resolve_if_possible(request, away)


def test_symbols_of_a_source_without_a_list_are_taken_in_capitals() -> None:
    request = resolve(parse_request("alpaca:iex:spy,brk.b,SPY"), None)

    assert request.tickers == ("SPY", "BRK.B")


def test_a_request_gets_the_tickers_that_are_meant_each_once() -> None:
    with KrakenVenue("BTC/USD", "ETH/USD") as venue:
        request = resolve(parse_request("kraken:btcusd,ETH-USD,BTC/USD"), venue.url)

    assert request.tickers == ("BTC/USD", "ETH/USD")


def test_feed_symbols_lists_them(run: Run) -> None:
    with KrakenVenue("BTC/USD", "ETH/USD", "ETH/BTC") as venue:
        assert run(venue, "symbols", "kraken").output.split() == [
            "BTC/USD",
            "ETH/BTC",
            "ETH/USD",
        ]
        assert run(venue, "symbols", "kraken", "eth/u").output.split() == ["ETH/USD"]
        unknown = run(venue, "symbols", "kraken", "btcuse")

    assert unknown.exit_code == 1
    assert unknown.output == (
        "Error: kraken has no symbol with 'btcuse' in it; near ones: BTC/USD\n"
    )


def test_feed_check_refuses_an_unknown_symbol(run: Run) -> None:
    with KrakenVenue("BTC/USD") as venue:
        refused = run(venue, "check", "kraken:BTC/EUR", "--seconds", "1")

    assert refused.exit_code == 78
    assert "\nError: kraken has no symbol 'BTC/EUR'; near ones: BTC/USD\n" in "\n" + refused.output


def test_feed_check_says_what_it_found(run: Run, tmp_path: Path) -> None:
    frames = tmp_path / "frames.jsonl.gz"
    with KrakenVenue("BTC/USD") as venue:
        venue.rate = 100.0
        arguments = ("kraken:btcusd", "--seconds", "3", "--frames", str(frames))
        found = run(venue, "check", *arguments)

    assert found.exit_code == 0, found.output
    assert "checking kraken:BTC/USD for 3 s" in found.output
    assert f"frames in {frames}" in found.output
