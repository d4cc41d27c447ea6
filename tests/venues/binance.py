"""Binance's spot and USD-M futures streams, as its documentation has the frames."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import Client, Frame, WebsocketVenue

MAX_STREAMS = 1024


class BinanceVenue(WebsocketVenue):
    """Spot: quotes have no time; a stream that does not exist is confirmed and stays silent."""

    path = "/stream"
    resolution_ns = 1_000_000
    print_stream = "trade"

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        streams = request["params"]
        limit = self.faults.symbol_limit or MAX_STREAMS // 2
        if len(client.quotes | {stream.split("@")[0] for stream in streams}) > limit:
            yield _error(request, "Invalid request: too many subscriptions")
            return
        for stream in streams:
            name, _, kind = stream.partition("@")
            if kind not in {"bookTicker", "trade", "aggTrade"}:
                yield _error(request, f"Invalid request: unknown stream {stream}")
                return
            (client.quotes if kind == "bookTicker" else client.trades).add(name.upper())
        yield json.dumps({"result": None, "id": request["id"]})

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        data = self.quote(client, event) if isinstance(event, BestQuote) else self.trade(event)
        kind = "bookTicker" if isinstance(event, BestQuote) else self.print_stream
        yield json.dumps({"stream": f"{event.symbol.lower()}@{kind}", "data": data})

    def quote(self, client: Client, quote: BestQuote) -> dict[str, Any]:
        """Return a `bookTicker`, whose number all connections share."""
        del client
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
        at_ms = trade.at_ns // 1_000_000
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
        symbols = [{"symbol": symbol, "status": "TRADING"} for symbol in self.symbols]
        return {path: {"symbols": symbols} for path in self.page_paths()}

    def page_paths(self) -> Iterator[str]:
        """Yield the addresses of the list of symbols."""
        yield "/api/v3/exchangeInfo"


class BinanceFuturesVenue(BinanceVenue):
    """USD-M futures: quotes have a time."""

    print_stream = "aggTrade"

    def quote(self, client: Client, quote: BestQuote) -> dict[str, Any]:
        """Return a `bookTicker` with its times."""
        at_ms = quote.at_ns // 1_000_000
        return {
            "e": "bookTicker",
            **super().quote(client, quote),
            "T": at_ms,
            "E": at_ms + 1,
        }

    def trade(self, trade: Print) -> dict[str, Any]:
        """Return a print as the stream that was asked for has it: trades of one order together."""
        at_ms = trade.at_ns // 1_000_000
        return {
            "e": "aggTrade",
            "E": at_ms + 1,
            "s": trade.symbol,
            "a": trade.number,
            "p": _text(trade.price),
            "q": _text(trade.size),
            "f": trade.number,
            "l": trade.number,
            "T": at_ms,
            "m": trade.aggressor == "sell",
        }

    def page_paths(self) -> Iterator[str]:
        """Yield the addresses of the list of symbols."""
        yield "/fapi/v1/exchangeInfo"


def _text(number: Decimal) -> str:
    return f"{number:.8f}"


def _error(request: Any, message: str) -> Frame:
    return json.dumps({"error": {"code": 2, "msg": message}, "id": request["id"]})
