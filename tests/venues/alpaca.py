"""Alpaca's market data streams in MessagePack, as its documentation has the messages."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from msgspec.msgpack import Ext, decode, encode

from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import Client, Frame, WebsocketVenue

EXCHANGES = ("V", "D", "Q")
TAKER_SIDES = {"buy": "B", "sell": "S"}
NS_PER_SECOND = 10**9
TIMESTAMP = -1


class AlpacaVenue(WebsocketVenue):
    """The stock streams: a key first, then subscriptions; nothing that keeps a connection alive."""

    path = "/v2/iex"
    resolution_ns = 1
    size_step = Decimal(1)

    def greeting(self, client: Client) -> Iterable[Frame]:
        del client
        yield _pack({"T": "success", "msg": "connected"})

    def decode(self, message: Frame) -> Any:
        return decode(message)

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        if request["action"] == "auth":
            yield self._authenticate(client, request)
        elif not client.is_authenticated:
            yield _error(401, "not authenticated")
        else:
            yield self._subscribe(client, request)

    def _authenticate(self, client: Client, request: Any) -> Frame:
        if (request["key"], request["secret"]) != (self.key, self.secret):
            return _error(402, "auth failed")
        client.is_authenticated = True
        return _pack({"T": "success", "msg": "authenticated"})

    def _subscribe(self, client: Client, request: Any) -> Frame:
        quotes = client.quotes | set(request.get("quotes", ()))
        trades = client.trades | set(request.get("trades", ()))
        limit = self.faults.symbol_limit
        if limit is not None and len(quotes) > limit:
            return _error(405, "symbol limit exceeded")
        client.quotes, client.trades = quotes, trades
        return _pack(
            {
                "T": "subscription",
                "trades": sorted(trades),
                "quotes": sorted(quotes),
                "bars": [],
                "updatedBars": [],
                "dailyBars": [],
                "statuses": [],
                "lulds": [],
                "corrections": sorted(trades),
                "cancelErrors": sorted(trades),
            }
        )

    def frames(self, client: Client, event: Event) -> Iterator[Frame]:
        del client
        yield _pack(self.quote(event) if isinstance(event, BestQuote) else self.trade(event))

    def quote(self, quote: BestQuote) -> dict[str, Any]:
        """Return a quote of a stock."""
        return {
            "T": "q",
            "S": quote.symbol,
            "bx": "V",
            "bp": float(quote.bid),
            "bs": int(quote.bid_size),
            "ax": "V",
            "ap": float(quote.ask),
            "as": int(quote.ask_size),
            "c": ["R"],
            "z": "B",
            "t": _time(quote.at_ns),
        }

    def trade(self, one: Print) -> dict[str, Any]:
        """Return a trade of a stock; each exchange has numbers of its own."""
        return {
            "T": "t",
            "S": one.symbol,
            "i": 52_983_525_029_461 - one.number,
            "x": EXCHANGES[one.number % len(EXCHANGES)],
            "p": float(one.price),
            "s": int(one.size),
            "c": ["@", "I"],
            "z": "B",
            "t": _time(one.at_ns),
        }

    def correct(self, one: Print) -> None:
        """Send a correction of a trade."""
        original = {"oi": one.number, "op": float(one.price), "os": int(one.size), "oc": ["@"]}
        corrected = {"ci": one.number + 1, "cp": float(one.price), "cs": 1, "cc": ["@"]}
        rest = {"S": one.symbol, "x": "V", "z": "B", "t": _time(self.now_ns())}
        self.send_raw(_pack({"T": "c", **rest, **original, **corrected}))

    def cancel(self, one: Print) -> None:
        """Send that a trade is cancelled."""
        rest = {"S": one.symbol, "x": "V", "z": "B", "t": _time(self.now_ns())}
        number = {"i": one.number, "p": float(one.price), "s": int(one.size), "a": "C"}
        self.send_raw(_pack({"T": "x", **rest, **number}))

    def send_error(self, code: int, message: str) -> None:
        """Send every connection an error."""
        self.send_raw(_error(code, message))


class AlpacaCryptoVenue(AlpacaVenue):
    """The crypto stream: no exchanges, and the taker's side of a trade."""

    path = "/v1beta3/crypto/us"
    size_step = Decimal("0.001")

    def quote(self, quote: BestQuote) -> dict[str, Any]:
        """Return a quote of a pair."""
        return {
            "T": "q",
            "S": quote.symbol,
            "bp": float(quote.bid),
            "bs": float(quote.bid_size),
            "ap": float(quote.ask),
            "as": float(quote.ask_size),
            "t": _time(quote.at_ns),
        }

    def trade(self, one: Print) -> dict[str, Any]:
        """Return a trade of a pair."""
        return {
            "T": "t",
            "S": one.symbol,
            "p": float(one.price),
            "s": float(one.size),
            "t": _time(one.at_ns),
            "i": one.number,
            "tks": TAKER_SIDES[one.aggressor],
        }


def _pack(*messages: dict[str, Any]) -> bytes:
    return encode(messages)


def _error(code: int, message: str) -> Frame:
    return _pack({"T": "error", "code": code, "msg": message})


def _time(at_ns: int) -> Ext:
    """Return a time in MessagePack's form of 96 bits, which keeps the nanoseconds."""
    seconds, ns = divmod(at_ns, NS_PER_SECOND)
    return Ext(TIMESTAMP, ns.to_bytes(4) + seconds.to_bytes(8))
