"""Bybit's public spot stream, WebSocket API v5, as its documentation has the frames."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import NS_PER_MS, Client, Frame, WebsocketVenue

MAX_TOPICS = 10
KINDS = {"orderbook.1", "publicTrade"}
SIDES = {"buy": "Buy", "sell": "Sell"}


class BybitVenue(WebsocketVenue):
    """One unknown topic fails a whole request; a quote that stands 3 s is sent again."""

    path = "/v5/public/spot"
    resolution_ns = NS_PER_MS

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        if request["op"] == "ping":
            yield json.dumps({"success": True, "ret_msg": "pong", "conn_id": "0970", "op": "ping"})
            return
        topics = [tuple(topic.rsplit(".", 1)) for topic in request["args"]]
        refusal = self._refusal(client, topics)
        reply = {"success": not refusal, "ret_msg": refusal, "conn_id": "0970", "op": "subscribe"}
        yield json.dumps(reply)
        if not refusal:
            yield from self._subscribe(client, topics)

    def _refusal(self, client: Client, topics: list[tuple[str, ...]]) -> str:
        if len(topics) > MAX_TOPICS:
            return "args size >10"
        for kind, symbol in topics:
            if kind not in KINDS or symbol not in self.symbols:
                return f"error:handler not found,topic:{kind}.{symbol}"
        limit = self.faults.symbol_limit
        if limit is not None and len(client.quotes | {symbol for _, symbol in topics}) > limit:
            return "error:too many topics"
        return ""

    def _subscribe(self, client: Client, topics: list[tuple[str, ...]]) -> Iterator[Frame]:
        for kind, symbol in topics:
            if kind == "publicTrade":
                client.trades.add(symbol)
            else:
                client.quotes.add(symbol)
                yield _quote(self.market.standing[symbol])

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        del client
        yield _quote(event) if isinstance(event, BestQuote) else _trade(event)

    def send_standing_quotes_again(self) -> None:
        """Do what Bybit does where no quote changed for three seconds."""
        self.send_raw(*map(_quote, self.market.standing.values()))

    def pages(self) -> dict[str, Any]:
        rows = [
            {
                "symbol": symbol,
                "status": "Trading",
                "baseCoin": symbol.removesuffix("USDT"),
                "quoteCoin": "USDT",
            }
            for symbol in self.symbols
        ]
        result = {"category": "spot", "list": rows}
        return {"/v5/market/instruments-info": {"retCode": 0, "retMsg": "OK", "result": result}}


def _quote(quote: BestQuote) -> Frame:
    at_ms = quote.at_ns // NS_PER_MS
    data = {
        "s": quote.symbol,
        "b": _level(quote.bid, quote.bid_size),
        "a": _level(quote.ask, quote.ask_size),
        "u": quote.number,
        "seq": 7_961_638_724 + quote.number,
    }
    frame = {
        "topic": f"orderbook.1.{quote.symbol}",
        "type": "snapshot",
        "ts": at_ms + 2,
        "data": data,
        "cts": at_ms,
    }
    return json.dumps(frame)


def _level(price: Decimal, size: Decimal) -> list[list[str]]:
    return [[str(price), str(size)]] if size else []


def _trade(one: Print) -> Frame:
    at_ms = one.at_ns // NS_PER_MS
    row = {
        "i": f"22900000000{one.number:08}",
        "T": at_ms,
        "p": str(one.price),
        "v": str(one.size),
        "S": SIDES[one.aggressor],
        "s": one.symbol,
        "BT": False,
        "RPI": False,
    }
    topic = f"publicTrade.{one.symbol}"
    return json.dumps({"topic": topic, "ts": at_ms + 2, "type": "snapshot", "data": [row]})
