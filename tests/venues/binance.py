"""Binance's spot and USD-M futures streams, as its documentation has the frames."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import NS_PER_MS, Client, Frame, WebsocketVenue

MAX_STREAMS = 1024


class BinanceVenue(WebsocketVenue):
    """Spot: quotes have no time; a stream that does not exist is confirmed and stays silent."""

    path = "/stream"
    resolution_ns = NS_PER_MS
    list_of_symbols = "/api/v3/exchangeInfo"

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        result = None
        if request["method"] == "LIST_SUBSCRIPTIONS":
            result = _streams(client)
        elif not self._subscribe(client, request["params"]):
            error = {"code": 2, "msg": "Invalid request: too many subscriptions"}
            yield json.dumps({"error": error, "id": request["id"]})
            return
        yield json.dumps({"result": result, "id": request["id"]})

    def _subscribe(self, client: Client, streams: list[str]) -> bool:
        """Note what a connection wants; tell whether it may have so many."""
        names = {stream.partition("@")[0].upper() for stream in streams}
        if len(client.quotes | names) > (self.faults.symbol_limit or MAX_STREAMS // 2):
            return False
        for stream in streams:
            name, _, kind = stream.partition("@")
            (client.quotes if kind == "bookTicker" else client.trades).add(name.upper())
        return True

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        del client
        is_quote = isinstance(event, BestQuote)
        data = self.quote(event) if isinstance(event, BestQuote) else self.trade(event)
        kind = "bookTicker" if is_quote else "trade"
        yield json.dumps({"stream": f"{event.symbol.lower()}@{kind}", "data": data})

    def quote(self, quote: BestQuote) -> dict[str, Any]:
        """Return a `bookTicker`."""
        return {
            "u": quote.number,
            "s": quote.symbol,
            "b": _text(quote.bid),
            "B": _text(quote.bid_size),
            "a": _text(quote.ask),
            "A": _text(quote.ask_size),
        }

    def trade(self, trade: Print) -> dict[str, Any]:
        """Return a `trade`; `m` tells that the buyer was in the book."""
        at_ms = trade.at_ns // NS_PER_MS
        return {
            "e": "trade",
            "E": at_ms + 1,
            "s": trade.symbol,
            "t": trade.number,
            "p": _text(trade.price),
            "q": _text(trade.size),
            "T": at_ms,
            "m": trade.aggressor == "sell",
            "M": True,
        }

    def pages(self) -> dict[str, Any]:
        symbols = [
            {
                "symbol": symbol,
                "status": "TRADING",
                "baseAsset": symbol.removesuffix("USDT"),
                "quoteAsset": "USDT",
            }
            for symbol in self.symbols
        ]
        return {self.list_of_symbols: {"symbols": symbols}}


class BinanceFuturesVenue(BinanceVenue):
    """USD-M futures: quotes have a time."""

    list_of_symbols = "/fapi/v1/exchangeInfo"

    def quote(self, quote: BestQuote) -> dict[str, Any]:
        """Return a `bookTicker` with its times."""
        at_ms = quote.at_ns // NS_PER_MS
        return {"e": "bookTicker", **super().quote(quote), "T": at_ms, "E": at_ms + 1}


def _streams(client: Client) -> list[str]:
    quotes = [f"{symbol.lower()}@bookTicker" for symbol in sorted(client.quotes)]
    return quotes + [f"{symbol.lower()}@trade" for symbol in sorted(client.trades)]


def _text(number: Decimal) -> str:
    return f"{number:.8f}"
