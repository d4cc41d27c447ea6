"""The live sources by name, and what `SOURCE:ARGUMENTS` asks of one."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol, cast

from app.core.errors import BadTicker, SettingError
from app.core.feed_url import is_websocket
from app.core.tickers import parse_tickers
from app.feeds.live.venue import Venue

REFUSED_EXIT_CODE = 78
"""A feed's code where starting it again would change nothing; EX_CONFIG of sysexits.h."""


class Extra(NamedTuple):
    """An optional set of packages of this project, and the package that tells if it is there."""

    name: str
    package: str


CRYPTO = Extra("crypto", "websockets")
ALPACA = Extra("alpaca", "websockets")
DATABENTO = Extra("databento", "databento_dbn")


class Source(NamedTuple):
    """A live source: its adapter, the extra that it needs, and what it needs besides."""

    module: str
    adapter: str
    extra: Extra
    example: str
    variables: tuple[str, ...] = ()
    """Environment variables that hold its key."""
    datasets: tuple[str, ...] | None = None
    """What may stand before the tickers: `iex` in `alpaca:iex:SPY`; () allows any, None nothing."""
    schemas: tuple[str, ...] = ()
    """What may stand behind a dataset: `tbbo` in `databento:XNAS.ITCH/tbbo:SPY`."""
    is_websocket: bool = True
    """Whether it is read over a WebSocket; else its address is `HOST:PORT`."""


_HERE = "app.feeds.live"
SOURCES = {
    "kraken": Source(f"{_HERE}.kraken", "Kraken", CRYPTO, "kraken:BTC/USD,ETH/USD"),
    "binance": Source(f"{_HERE}.binance", "BinanceSpot", CRYPTO, "binance:BTC/USDT"),
    "binance-usdm": Source(f"{_HERE}.binance", "BinanceUsdm", CRYPTO, "binance-usdm:BTC/USDT"),
    "bybit": Source(f"{_HERE}.bybit", "Bybit", CRYPTO, "bybit:BTC/USDT"),
    "okx": Source(f"{_HERE}.okx", "Okx", CRYPTO, "okx:BTC/USDT"),
    "coinbase": Source(f"{_HERE}.coinbase", "Coinbase", CRYPTO, "coinbase:BTC/USD"),
    "alpaca": Source(
        f"{_HERE}.alpaca",
        "Alpaca",
        ALPACA,
        "alpaca:iex:SPY,AAPL",
        variables=("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"),
        datasets=("iex", "sip", "delayed_sip", "crypto", "opra", "indicative"),
    ),
    "databento": Source(
        f"{_HERE}.databento",
        "Databento",
        DATABENTO,
        "databento:XNAS.ITCH:SPY",
        variables=("DATABENTO_API_KEY",),
        datasets=(),
        schemas=("mbp-1", "tbbo"),
        is_websocket=False,
    ),
}


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What a live feed is asked for: `kraken:BTC/USD`, or `alpaca:iex:SPY` with a dataset."""

    name: str
    dataset: str | None
    tickers: tuple[str, ...]

    def __str__(self) -> str:
        return ":".join(filter(None, (self.name, self.dataset, ",".join(self.tickers))))

    @property
    def source(self) -> Source:
        """Return the source that is named."""
        return SOURCES[self.name]

    def check(self, url: str | None = None) -> None:
        """Raise `SettingError` where the source can't be read.

        Its extra is not installed, a key is missing, or `url` is no address of such a source.
        """
        extra, name = self.source.extra, self.name
        if find_spec(extra.package) is None:
            raise SettingError(
                f"{name} needs the extra {extra.name!r}, which is not installed: "
                f"pip install 'orderflow[{extra.name}]'"
            )
        missing = [variable for variable in self.source.variables if not os.environ.get(variable)]
        if missing:
            raise SettingError(f"{name} needs a key: set {' and '.join(missing)}")
        if url is not None and is_websocket(url) != self.source.is_websocket:
            form = "ws:// or wss:// with a host" if self.source.is_websocket else "HOST:PORT"
            raise SettingError(f"{name} is read at {form}: ORDERFLOW_FEED_URL is another address")

    def adapter(self, url: str | None) -> "Callable[[], Venue]":
        """Return what makes the adapter of one connection, to `url` if it is not the venue's own.

        Raises `SettingError` as `check` does.
        """
        self.check(url)
        make = cast("_Adapter", getattr(import_module(self.source.module), self.source.adapter))
        if self.dataset is None:
            return lambda: make(self.tickers, url)
        return lambda: make(self.tickers, url, self.dataset)


class _Adapter(Protocol):
    def __call__(
        self, tickers: Sequence[str], url: str | None, dataset: str | None = None, /
    ) -> Venue: ...


def is_live(word: str) -> bool:
    """Tell whether a word of ORDERFLOW_FEED names a live source."""
    return word.partition(":")[0] in SOURCES


def parse_request(word: str) -> LiveRequest:
    """Return what `SOURCE:ARGUMENTS` asks for.

    Raises `SettingError` for an unknown source or dataset, or for tickers that can't be any.

    >>> parse_request("kraken:BTC/USD,ETH/USD").tickers
    ('BTC/USD', 'ETH/USD')
    """
    name, _, rest = word.partition(":")
    if name not in SOURCES:
        raise SettingError(f"there is no live source {name!r}; sources: {', '.join(SOURCES)}")
    source, dataset = SOURCES[name], None
    if source.datasets is not None:
        dataset, _, rest = rest.partition(":")
        _check_schema(word, dataset, source)
        if not dataset or (source.datasets and dataset not in source.datasets):
            allowed = ", ".join(source.datasets) or "its name"
            raise SettingError(
                f"{word!r} names no dataset ({allowed}): write it as in {source.example}"
            )
    if not rest.strip():
        raise SettingError(f"{word!r} names no ticker: write it as in {source.example}")
    try:
        return LiveRequest(name, dataset, tuple(parse_tickers(rest)))
    except BadTicker as error:
        raise SettingError(f"{word!r}: {error}") from None


def _check_schema(word: str, dataset: str, source: Source) -> None:
    """Raise `SettingError` where a schema is named that the source does not have."""
    _, slash, schema = dataset.partition("/")
    if slash and source.schemas and schema not in source.schemas:
        allowed = ", ".join(source.schemas)
        raise SettingError(f"{word!r}: there is no schema {schema!r}; schemas: {allowed}")
