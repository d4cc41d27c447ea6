"""Coinbase Advanced Trade: the touch of the book that `level2` describes, and `market_trades`."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from app.core.errors import FeedRefused
from app.feeds.live.stamps import stamp_ms
from app.feeds.live.venue import Batch, Update
from app.feeds.live.websocket_venue import Subscription, WebsocketVenue
from app.feeds.publish import QuoteMember, TradeMember

_AGGRESSORS = {"BUY": "sell", "SELL": "buy"}  # `side` is the maker's


class _Level(msgspec.Struct):
    side: str
    event_time: datetime
    price_level: float
    new_quantity: float


class _Trade(msgspec.Struct):
    product_id: str
    trade_id: int
    price: float
    size: float
    side: str
    time: datetime


class _Event(msgspec.Struct):
    type: str = ""
    product_id: str = ""
    updates: list[_Level] = []
    trades: list[_Trade] = []


class _Frame(msgspec.Struct):
    channel: str = ""
    type: str = ""
    message: str = ""
    reason: str = ""
    timestamp: datetime | None = None
    sequence_num: int = 0
    events: list[_Event] = []


_frame = msgspec.json.Decoder(_Frame, strict=False).decode


class Coinbase(WebsocketVenue):
    """Coinbase's spot market; prints come up to 250 ms after the quotes of their time."""

    source, scope, stamps = "coinbase", "venue", "venue"
    quiet_seconds, lifetime_seconds = 5.0, None  # a heartbeat comes each second
    address = "wss://advanced-trade-ws.coinbase.com"
    symbol_separator, symbols_a_message = "-", 50

    def first(self) -> Iterator[Subscription]:
        """Yield what subscribes the heartbeats."""
        yield Subscription.in_json({"type": "subscribe", "channel": "heartbeats"})

    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield a message a channel."""
        for channel in ("level2", "market_trades"):
            message = {"type": "subscribe", "channel": channel, "product_ids": symbols}
            yield Subscription.in_json(message)

    def decode(self, frame: bytes) -> Batch:
        """Return the moves of the touch in an `l2_data` frame, or a `market_trades` frame's prints.

        Raises `FeedInterrupted` where a message of the connection is missing: the book is unknown.
        """
        message = _frame(frame)
        if message.type == "error":
            raise FeedRefused(f"{message.message} {message.reason}".strip())
        if self.is_repeated(message.sequence_num):
            return ()
        if message.channel == "subscriptions":
            self.confirm()
        return [update for event in message.events for update in self._updates(event, message)]

    def _updates(self, event: _Event, message: _Frame) -> Iterator[Update]:
        if event.updates:
            rows = ((row.side == "bid", row.price_level, row.new_quantity) for row in event.updates)
            touch = self.books[event.product_id].touch_after(rows)
            time = event.updates[-1].event_time if event.type == "update" else message.timestamp
            if touch and time:
                yield Update(self.tickers[event.product_id], QuoteMember(stamp_ms(time), *touch))
        elif event.type == "update":  # prints of a snapshot are older than the connection
            yield from map(self._trade, event.trades)

    def _trade(self, row: _Trade) -> Update:
        trade = TradeMember(stamp_ms(row.time), row.price, row.size, _AGGRESSORS.get(row.side))
        return Update(self.tickers[row.product_id], trade, row.trade_id)
