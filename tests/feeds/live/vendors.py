"""The vendors that have an adapter: how each is reached, and what its records have to be."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.feeds.live.alpaca import Alpaca
from app.feeds.live.binance import BinanceSpot, BinanceUsdm
from app.feeds.live.bybit import Bybit
from app.feeds.live.coinbase import Coinbase
from app.feeds.live.databento import Databento
from app.feeds.live.kraken import Kraken
from app.feeds.live.okx import Okx
from app.feeds.live.stamps import stamp_ms_of_ns
from app.feeds.live.venue import Update
from app.feeds.publish import QuoteMember, TradeMember
from tests.venues.alpaca import AlpacaCryptoVenue, AlpacaVenue
from tests.venues.binance import BinanceFuturesVenue, BinanceVenue
from tests.venues.bybit import BybitVenue
from tests.venues.coinbase import CoinbaseVenue
from tests.venues.databento import DatabentoVenue
from tests.venues.kraken import KrakenVenue
from tests.venues.listener import Listener
from tests.venues.market import BestQuote, Event
from tests.venues.okx import OkxVenue
from tests.venues.server import Venue


class Pair(NamedTuple):
    """A ticker as people write it, and as the venue does."""

    ticker: str
    symbol: str


@dataclass(frozen=True)
class Vendor:
    """An adapter, the local server in its vendor's place, and what the vendor is like."""

    adapter: Any
    venue: type[Venue]
    pairs: tuple[Pair, ...]
    dataset: str | None = None
    """What stands before the tickers, where the source has that."""
    sends_standing_quote: bool = True
    """Whether a subscription is answered with the standing quote."""
    prints_show_the_quote: bool = False
    """Whether a print comes with the quote that stands."""
    may_repeat: bool = True
    """Whether a frame that comes twice can be told from two of equal content."""
    may_reorder: bool = True
    """Whether frames out of order are taken; else the connection is opened again."""
    needs_key: bool = False
    tells_aggressor: bool = True
    refuses_unknown_symbols: bool = True

    @property
    def stamps_quotes(self) -> bool:
        """Tell whether the records have the venue's times."""
        return bool(self.adapter.stamps == "venue")

    def open_venue(self, **options: Any) -> Venue:
        """Return a server that has the pairs."""
        return self.venue(*(pair.symbol for pair in self.pairs), **options)

    def listen(self, venue: Venue, *tickers: str) -> Listener:
        """Return a connection to a server, for the tickers or else all."""
        wanted = tickers or tuple(pair.ticker for pair in self.pairs)
        rest = () if self.dataset is None else (self.dataset,)
        return Listener(self.adapter(wanted, venue.url, *rest))

    def updates(self, events: Iterable[Event]) -> list[Update]:
        """Return what the adapter has to make of events."""
        tickers = {pair.symbol: pair.ticker for pair in self.pairs}
        return [Update(tickers[event.symbol], self._member(event)) for event in events]

    def _member(self, event: Event) -> QuoteMember | TradeMember:
        stamp = stamp_ms_of_ns(event.at_ns) if self.stamps_quotes else 0.0
        if isinstance(event, BestQuote):
            bid, ask = float(event.bid), float(event.ask)
            return QuoteMember(stamp, bid, float(event.bid_size), ask, float(event.ask_size))
        aggressor = event.aggressor if self.tells_aggressor else None
        return TradeMember(stamp, float(event.price), float(event.size), aggressor)


SLASHED = (Pair("BTC/USD", "BTC/USD"), Pair("ETH/USD", "ETH/USD"))
DASHED = (Pair("BTC/USD", "BTC-USD"), Pair("ETH/USD", "ETH-USD"))
TETHERED = (Pair("BTC/USDT", "BTC-USDT"), Pair("ETH/USDT", "ETH-USDT"))
JOINED = (Pair("BTC/USDT", "BTCUSDT"), Pair("ETH/USDT", "ETHUSDT"))
STOCKS = (Pair("SPY", "SPY"), Pair("BRK.B", "BRK.B"))
SILENT = {"sends_standing_quote": False, "refuses_unknown_symbols": False}

VENDORS = {
    "alpaca": Vendor(
        Alpaca, AlpacaVenue, STOCKS, "iex", needs_key=True, tells_aggressor=False, **SILENT
    ),
    "alpaca-crypto": Vendor(Alpaca, AlpacaCryptoVenue, SLASHED, "crypto", needs_key=True, **SILENT),
    "kraken": Vendor(Kraken, KrakenVenue, SLASHED),
    "binance": Vendor(BinanceSpot, BinanceVenue, JOINED, **SILENT),
    "binance-usdm": Vendor(BinanceUsdm, BinanceFuturesVenue, JOINED, **SILENT),
    "bybit": Vendor(Bybit, BybitVenue, JOINED),
    "coinbase": Vendor(Coinbase, CoinbaseVenue, DASHED, may_reorder=False),
    "databento": Vendor(
        Databento,
        DatabentoVenue,
        STOCKS,
        "XNAS.ITCH",
        sends_standing_quote=False,
        prints_show_the_quote=True,
        may_repeat=False,
        needs_key=True,
    ),
    "okx": Vendor(Okx, OkxVenue, TETHERED),
}


def names_of(trait: str) -> list[str]:
    """Return the vendors that are so: `needs_key`, `refuses_unknown_symbols` ..."""
    return [name for name, vendor in VENDORS.items() if getattr(vendor, trait)]


def by_kind(updates: Iterable[Update]) -> dict[tuple[str, str], list[Any]]:
    """Group records by ticker and kind, each group in order, without the venues' own numbers.

    Between quotes and prints a venue's order is its own affair: some send prints in batches.
    """
    groups: dict[tuple[str, str], list[Any]] = {}
    for update in updates:
        kind = type(update.record).__name__
        groups.setdefault((update.ticker, kind), []).append(update.record)
    return groups
