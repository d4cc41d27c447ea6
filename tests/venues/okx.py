"""OKX's public stream, WebSocket API v5, as its documentation has the frames."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import NS_PER_MS, Client, Frame, WebsocketVenue

PING = "ping"
CONNECTION = {"connId": "a4d3ae55"}


class OkxVenue(WebsocketVenue):
    """Confirms each channel of an instrument on its own; a text `ping` is answered by `pong`."""

    path = "/ws/v5/public"
    resolution_ns = NS_PER_MS

    def decode(self, message: Frame) -> Any:
        return PING if message == PING else json.loads(message)

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        if request == PING:
            yield "pong"
            return
        for argument in request["args"]:
            yield from self._subscribe(client, argument)

    def _subscribe(self, client: Client, argument: dict[str, str]) -> Iterator[Frame]:
        channel, symbol = argument["channel"], argument["instId"]
        limit = self.faults.symbol_limit
        if channel not in {"bbo-tbt", "trades"} or symbol not in self.symbols:
            reason = f"Wrong URL or channel:{channel},instId:{symbol} doesn't exist. "
            yield _error("60018", f"{reason}Please use the correct URL, channel and parameters")
        elif limit is not None and len(client.quotes | {symbol}) > limit:
            yield _error("60012", "Illegal request: too many channels")
        else:
            yield json.dumps({"event": "subscribe", "arg": argument, **CONNECTION})
            if channel == "trades":
                client.trades.add(symbol)
            else:
                client.quotes.add(symbol)
                yield _quote(self.market.standing[symbol])

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        del client
        yield _quote(event) if isinstance(event, BestQuote) else _trade(event)

    def announce_upgrade(self) -> None:
        """Tell every connection that it will be closed soon."""
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        notice = {"event": "notice", "code": "64008", "msg": text, **CONNECTION}
        self.send_raw(json.dumps(notice))

    def refuse_for_now(self) -> None:
        """Send every connection an error that passes."""
        self.send_raw(_error("63999", "Login failed due to internal error. Please try again later"))

    def pages(self) -> dict[str, Any]:
        rows = [{"instType": "SPOT", "instId": name, "state": "live"} for name in self.symbols]
        return {"/api/v5/public/instruments": {"code": "0", "msg": "", "data": rows}}


def _error(code: str, message: str) -> Frame:
    return json.dumps({"event": "error", "code": code, "msg": message, **CONNECTION})


def _quote(quote: BestQuote) -> Frame:
    row = {
        "asks": _level(quote.ask, quote.ask_size),
        "bids": _level(quote.bid, quote.bid_size),
        "ts": str(quote.at_ns // NS_PER_MS),
        "seqId": quote.number,
    }
    return json.dumps({"arg": {"channel": "bbo-tbt", "instId": quote.symbol}, "data": [row]})


def _level(price: Decimal, size: Decimal) -> list[list[str]]:
    return [[str(price), str(size), "0", "2"]] if size else []


def _trade(one: Print) -> Frame:
    row = {
        "instId": one.symbol,
        "tradeId": str(one.number),
        "px": str(one.price),
        "sz": str(one.size),
        "side": one.aggressor,
        "ts": str(one.at_ns // NS_PER_MS),
        "count": "3",
        "seqId": one.number,
        "source": "0",
    }
    return json.dumps({"arg": {"channel": "trades", "instId": one.symbol}, "data": [row]})
