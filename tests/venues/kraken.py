"""Kraken, WebSocket API v2, as its documentation has the frames."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import Client, Frame, WebsocketVenue

STATUS = {
    "channel": "status",
    "type": "update",
    "data": [
        {
            "version": "2.0.10",
            "system": "online",
            "api_version": "v2",
            "connection_id": 12893521369662712,
        }
    ],
}


class KrakenVenue(WebsocketVenue):
    """Confirms each symbol on its own; a heartbeat comes each second."""

    path = "/v2"

    def greeting(self, client: Client) -> Iterable[Frame]:
        del client
        yield json.dumps(STATUS)

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        if request["method"] == "ping":
            yield json.dumps({"method": "pong", **self._times()})
            return
        params = request["params"]
        for symbol in params["symbol"]:
            yield from self._subscribe(client, params, symbol)

    def _subscribe(self, client: Client, params: Any, symbol: str) -> Iterator[Frame]:
        channel = params["channel"]
        subscribed = client.quotes if channel == "ticker" else client.trades
        refusal = self._refusal(symbol, len(subscribed))
        if refusal:
            reply = {"error": refusal, "method": "subscribe", "success": False, "symbol": symbol}
            yield json.dumps({**reply, **self._times()})
            return
        subscribed.add(symbol)
        wants_snapshot = params.get("snapshot", True)
        result: dict[str, Any] = {"channel": channel, "snapshot": wants_snapshot, "symbol": symbol}
        if channel == "ticker":
            result["event_trigger"] = params.get("event_trigger", "trades")
        reply = {"method": "subscribe", "result": result, "success": True}
        yield json.dumps({**reply, **self._times()})
        if wants_snapshot:
            yield from self._snapshot(channel, symbol)

    def _refusal(self, symbol: str, count: int) -> str:
        if symbol not in self.symbols:
            return f"Currency pair not supported {symbol}"
        if self.faults.symbol_limit is not None and count >= self.faults.symbol_limit:
            return "Exceeded maximum number of subscriptions"
        return ""

    def _snapshot(self, channel: str, symbol: str) -> Iterator[Frame]:
        if channel == "ticker":
            yield _frame("ticker", "snapshot", _ticker(self.market.standing[symbol]))
        else:
            yield _frame("trade", "snapshot", *map(_trade, self.market.prints[symbol]))

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        del client
        if isinstance(event, BestQuote):
            yield _frame("ticker", "update", _ticker(event))
        else:
            yield _frame("trade", "update", _trade(event))

    def heartbeat(self, client: Client) -> Iterable[Frame]:
        del client
        yield '{"channel":"heartbeat"}'

    def pages(self) -> dict[str, Any]:
        pairs = {
            symbol.replace("/", ""): {
                "altname": symbol.replace("/", ""),
                "wsname": symbol,
                "status": "online",
            }
            for symbol in self.symbols
        }
        return {"/0/public/AssetPairs": {"error": [], "result": pairs}}

    def _times(self) -> dict[str, str]:
        now = rfc3339(self.now_ns())
        return {"time_in": now, "time_out": now}


def rfc3339(at_ns: int) -> str:
    """Return a time as Kraken writes it, in µs.

    >>> rfc3339(1671960659_123456_000)
    '2022-12-25T09:30:59.123456Z'
    """
    seconds, ns = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1000:06}Z"


def _frame(channel: str, kind: str, *data: dict[str, Any]) -> Frame:
    return json.dumps({"channel": channel, "type": kind, "data": data})


def _ticker(quote: BestQuote) -> dict[str, Any]:
    return {
        "symbol": quote.symbol,
        "bid": float(quote.bid),
        "bid_qty": float(quote.bid_size),
        "ask": float(quote.ask),
        "ask_qty": float(quote.ask_size),
        "last": float(quote.bid),
        "volume": 163.28908096,
        "vwap": 105904.39279,
        "low": 104711.0,
        "high": 106613.1,
        "change": 250.0,
        "change_pct": 0.24,
        "timestamp": rfc3339(quote.at_ns),
    }


def _trade(trade: Print) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": trade.aggressor,
        "price": float(trade.price),
        "qty": float(trade.size),
        "ord_type": "market",
        "trade_id": trade.number,
        "timestamp": rfc3339(trade.at_ns),
    }
