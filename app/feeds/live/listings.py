"""The symbols that a venue lists, read from its public HTTP interface."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, Protocol

import httpx2
import msgspec
import structlog

from app.core.errors import FeedInterrupted, FeedRefused
from app.core.tickers import is_ticker
from app.feeds.live.sources import LiveRequest
from app.feeds.live.symbols import Listed, find_ticker

TIMEOUT_SECONDS = 10.0
# Kraken's HTTP interface has older names than its feed.
_RENAMED_BY_KRAKEN = {"XBT": "BTC", "XDG": "DOGE"}

_PAIR = re.compile(r"[A-Z0-9]+/[A-Z0-9]+")

log = structlog.get_logger()


class _Page(Protocol):
    def listed(self) -> Iterator[Listed]:
        """Yield the symbols of a page."""


class _Listing(NamedTuple):
    """Where a list is, and its form."""

    host: str
    path: str
    form: type[_Page]


class _KrakenPair(msgspec.Struct):
    wsname: str = ""


class _KrakenPage(msgspec.Struct):
    result: dict[str, _KrakenPair]

    def listed(self) -> Iterator[Listed]:
        for pair in self.result.values():
            name = "/".join(_RENAMED_BY_KRAKEN.get(one, one) for one in pair.wsname.split("/"))
            yield Listed(name, name)


class _BinanceSymbol(msgspec.Struct):
    symbol: str
    status: str = ""
    base: str = msgspec.field(default="", name="baseAsset")
    quote: str = msgspec.field(default="", name="quoteAsset")


class _BinancePage(msgspec.Struct):
    symbols: list[_BinanceSymbol]

    def listed(self) -> Iterator[Listed]:
        for row in self.symbols:
            if row.status == "TRADING":
                yield _pair(row.symbol, row.base, row.quote)


class _BybitSymbol(msgspec.Struct):
    symbol: str
    base: str = msgspec.field(default="", name="baseCoin")
    quote: str = msgspec.field(default="", name="quoteCoin")


class _BybitSymbols(msgspec.Struct):
    list: list[_BybitSymbol]


class _BybitPage(msgspec.Struct):
    result: _BybitSymbols

    def listed(self) -> Iterator[Listed]:
        return (_pair(row.symbol, row.base, row.quote) for row in self.result.list)


class _OkxInstrument(msgspec.Struct):
    name: str = msgspec.field(name="instId")


class _OkxPage(msgspec.Struct):
    data: list[_OkxInstrument]

    def listed(self) -> Iterator[Listed]:
        return (_dashed(row.name) for row in self.data)


class _CoinbaseProduct(msgspec.Struct):
    name: str = msgspec.field(name="product_id")


class _CoinbasePage(msgspec.Struct):
    products: list[_CoinbaseProduct]

    def listed(self) -> Iterator[Listed]:
        return (_dashed(row.name) for row in self.products)


def _dashed(symbol: str) -> Listed:
    return Listed(symbol, symbol.replace("-", "/"))


def _pair(symbol: str, base: str, quote: str) -> Listed:
    """Return a pair; a future that expires, and whose symbol so holds more, keeps its symbol."""
    return Listed(symbol, f"{base}/{quote}" if symbol == f"{base}{quote}" else symbol)


LISTINGS = {
    "kraken": _Listing("https://api.kraken.com", "/0/public/AssetPairs", _KrakenPage),
    "binance": _Listing("https://api.binance.com", "/api/v3/exchangeInfo", _BinancePage),
    "binance-usdm": _Listing("https://fapi.binance.com", "/fapi/v1/exchangeInfo", _BinancePage),
    "bybit": _Listing(
        "https://api.bybit.com", "/v5/market/instruments-info?category=spot", _BybitPage
    ),
    "okx": _Listing("https://www.okx.com", "/api/v5/public/instruments?instType=SPOT", _OkxPage),
    "coinbase": _Listing(
        "https://api.coinbase.com", "/api/v3/brokerage/market/products", _CoinbasePage
    ),
}
"""The sources whose lists are public; the others take symbols as they are written."""


def read_listing(source: str, feed_url: str | None) -> list[Listed]:
    """Return a source's symbols; `feed_url` is the address that stands in its feed's place.

    Raises `FeedRefused` where the source has no public list, `FeedInterrupted` where it can't be
    read now.
    """
    if source not in LISTINGS:
        raise FeedRefused(f"{source} has no public list of symbols; {', '.join(LISTINGS)} have")
    listing = LISTINGS[source]
    try:
        address = (listing.host if feed_url is None else _host_of(feed_url)) + listing.path
        answer = httpx2.get(address, timeout=TIMEOUT_SECONDS, follow_redirects=True)
        answer.raise_for_status()
        page = msgspec.json.decode(answer.content, type=listing.form)
        return [one for one in page.listed() if is_ticker(one.ticker)]
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise FeedInterrupted(f"the symbols of {source} can't be read: {_told(error)}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise FeedInterrupted(f"the symbols of {source} can't be read: another form") from None


def _told(error: Exception) -> str:
    """Return what happened without the address, which may hold a password."""
    if isinstance(error, httpx2.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    return "no connection" if isinstance(error, httpx2.ConnectError) else type(error).__name__


def _host_of(feed_url: str) -> str:
    """Return the HTTP address of the server of a feed's address.

    >>> _host_of("wss://user:word@gateway:8443/kraken")
    'https://user:word@gateway:8443'
    """
    url = httpx2.URL(feed_url)
    scheme = "https" if url.scheme == "wss" else "http"
    return str(url.copy_with(scheme=scheme, raw_path=b"/")).removesuffix("/")


def resolve(request: LiveRequest, feed_url: str | None) -> LiveRequest:
    """Return the request with the tickers that its symbols mean.

    Where the source has no public list, they are what is written, in capitals. Raises
    `FeedRefused` for an unknown symbol, `FeedInterrupted` where the list can't be read now.
    """
    if request.name not in LISTINGS:
        return _with_tickers(request, map(str.upper, request.tickers))
    listed = read_listing(request.name, feed_url)
    return _with_tickers(
        request, (find_ticker(text, listed, request.name) for text in request.tickers)
    )


def _with_tickers(request: LiveRequest, tickers: Iterable[str]) -> LiveRequest:
    return replace(request, tickers=tuple(dict.fromkeys(tickers)))


def resolve_if_possible(request: LiveRequest, feed_url: str | None) -> LiveRequest:
    """Resolve a request; where the list can't be read, log it, and take pairs as they are written.

    The feed itself then tells which of them it does not know. Raises `FeedRefused` for an unknown
    symbol, `FeedInterrupted` where only the list can tell what a symbol means.
    """
    try:
        return resolve(request, feed_url)
    except FeedInterrupted as error:
        check_as_written(request, error)
        log.warning("symbols are taken as written", reason=str(error))
        return request


def check_as_written(request: LiveRequest, error: FeedInterrupted) -> None:
    """Raise `FeedInterrupted` unless all tickers are pairs in full: `BTC/USD`, not `btcusd`.

    What else is written may be another symbol for the venue, or none, and a ticker that nobody
    asks for. `error` says why the list can't be read.
    """
    for ticker in request.tickers:
        if not _PAIR.fullmatch(ticker):
            example = request.source.example
            raise FeedInterrupted(f"{error}; without them {ticker!r} has to be as in {example}")
