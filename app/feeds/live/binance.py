"""Binance, spot and USD-M futures: `bookTicker` at each change of the best quote, and `trade`."""

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from app.core.errors import FeedRefused
from app.feeds.live.venue import Batch, Stamps, Update
from app.feeds.live.websocket_venue import Subscription, WebsocketVenue
from app.feeds.publish import QuoteMember, TradeMember


class _Quote(msgspec.Struct, rename={"symbol": "s", "time": "T", "number": "u"}):
    symbol: str
    b: float
    B: float
    a: float
    A: float
    number: int
    time: int = 0


class _Trade(msgspec.Struct, rename={"symbol": "s", "price": "p", "size": "q", "number": "t"}):
    symbol: str
    price: float
    size: float
    number: int
    T: int
    m: bool


class _Error(msgspec.Struct):
    msg: str = ""


class _Frame(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    id: int = 0


_frame = msgspec.json.Decoder(_Frame).decode
_quote = msgspec.json.Decoder(_Quote, strict=False).decode
_trade = msgspec.json.Decoder(_Trade, strict=False).decode


class BinanceSpot(WebsocketVenue):
    """Binance's spot market; its quotes bear no time, so quotes and trades get that of arrival."""

    source, scope = "binance", "venue"
    stamps: ClassVar[Stamps] = "receive"
    quiet_seconds, lifetime_seconds = 10.0, 24 * 3600.0
    address = "wss://stream.binance.com:443/stream"
    symbol_separator, symbols_a_message = "", 100
    probe = b'{"method":"LIST_SUBSCRIPTIONS","id":0}'

    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield a message for both streams, which is confirmed as a whole."""
        kinds = ("bookTicker", "trade")
        streams = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in kinds]
        yield Subscription.in_json({"method": "SUBSCRIBE", "params": streams, "id": 1})

    def decode(self, frame: bytes) -> Batch:
        """Return the quote or the trade of a frame; the rest are answers to what was sent."""
        message = _frame(frame)
        if message.stream.endswith("@bookTicker"):
            return (self._quote(_quote(message.data)),)
        if message.stream:
            return (self._trade(_trade(message.data)),)
        if message.error is not None:
            raise FeedRefused(message.error.msg)
        if message.id:
            self.confirm()
        return ()

    def _quote(self, row: _Quote) -> Update:
        quote = QuoteMember(self._stamp(row.time), row.b, row.B, row.a, row.A)
        return Update(self.tickers[row.symbol], quote, row.number)

    def _trade(self, row: _Trade) -> Update:
        aggressor = "sell" if row.m else "buy"  # m: the buyer was in the book
        trade = TradeMember(self._stamp(row.T), row.price, row.size, aggressor)
        return Update(self.tickers[row.symbol], trade, row.number)

    def _stamp(self, time: int) -> float:
        return float(time) if self.stamps == "venue" else 0.0


class BinanceUsdm(BinanceSpot):
    """Binance's USD-M futures; quotes and trades bear the time of the matching, in ms."""

    source, stamps = "binance-usdm", "venue"
    address = "wss://fstream.binance.com/public/stream"
