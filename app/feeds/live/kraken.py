"""Kraken, WebSocket API v2: `ticker` at each change of the best quote, and `trade`."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from app.core.errors import FeedInterrupted, FeedRefused
from app.feeds.live.stamps import stamp_ms
from app.feeds.live.venue import Batch, Update
from app.feeds.live.websocket_venue import Subscription, WebsocketVenue
from app.feeds.publish import QuoteMember, TradeMember

_CHANNELS: dict[str, dict[str, object]] = {
    "ticker": {"event_trigger": "bbo"},
    "trade": {"snapshot": False},
}

_FINAL = ("not supported", "maximum number", "Invalid")
"""Words of errors that the same request would meet again; others are those of a busy venue."""


class _Quote(msgspec.Struct):
    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    timestamp: datetime | None = None


class _Trade(msgspec.Struct):
    symbol: str
    side: str
    price: float
    qty: float
    trade_id: int
    timestamp: datetime


class _Frame(msgspec.Struct):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw()
    method: str = ""
    success: bool = True
    error: str = ""


_frame = msgspec.json.Decoder(_Frame).decode
_quotes = msgspec.json.Decoder(list[_Quote]).decode
_trades = msgspec.json.Decoder(list[_Trade]).decode


class Kraken(WebsocketVenue):
    """Kraken's spot market; all stamps are its own, in µs."""

    source, scope, stamps = "kraken", "venue", "venue"
    quiet_seconds, lifetime_seconds = 5.0, None  # a heartbeat comes each second
    address, symbols_a_message = "wss://ws.kraken.com/v2", 100
    probe = b'{"method":"ping"}'

    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield a message a channel; each symbol is confirmed on its own."""
        for channel, options in _CHANNELS.items():
            params = {"channel": channel, "symbol": symbols} | options
            yield Subscription.in_json({"method": "subscribe", "params": params}, len(symbols))

    def decode(self, frame: bytes) -> Batch:
        """Return the quotes of a `ticker` frame, or the trades of a `trade` frame."""
        message = _frame(frame)
        if message.channel == "ticker":
            return [self._quote(row) for row in _quotes(message.data)]
        if message.channel == "trade":
            return [self._trade(row) for row in _trades(message.data)]
        if not message.success:
            is_final = any(words in message.error for words in _FINAL)
            raise FeedRefused(message.error) if is_final else FeedInterrupted(message.error)
        if message.method == "subscribe":
            self.confirm()
        return ()

    def _quote(self, row: _Quote) -> Update:
        stamp = 0.0 if row.timestamp is None else stamp_ms(row.timestamp)
        quote = QuoteMember(stamp, row.bid, row.bid_qty, row.ask, row.ask_qty)
        return Update(self.tickers[row.symbol], quote)

    def _trade(self, row: _Trade) -> Update:
        trade = TradeMember(stamp_ms(row.timestamp), row.price, row.qty, row.side)
        return Update(self.tickers[row.symbol], trade, row.trade_id)
