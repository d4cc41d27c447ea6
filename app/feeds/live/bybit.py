"""Bybit, WebSocket API v5, spot: `orderbook.1`, and `publicTrade`."""

from collections.abc import Iterator, Sequence

import msgspec

from app.core.errors import FeedRefused
from app.feeds.live.venue import Batch, Update
from app.feeds.live.websocket_venue import Subscription, WebsocketVenue
from app.feeds.publish import QuoteMember, TradeMember

_AGGRESSORS = {"Buy": "buy", "Sell": "sell"}
_EMPTY = (0.0, 0.0)


class _Quote(msgspec.Struct):
    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int
    seq: int


class _Trade(msgspec.Struct, rename={"stamp_ms": "T", "symbol": "s", "side": "S", "price": "p"}):
    stamp_ms: int
    symbol: str
    side: str
    v: float
    price: float
    i: str


class _Frame(msgspec.Struct):
    topic: str = ""
    cts: int = 0
    data: msgspec.Raw = msgspec.Raw()
    op: str = ""
    success: bool = True
    ret_msg: str = ""


_frame = msgspec.json.Decoder(_Frame).decode
_quote = msgspec.json.Decoder(_Quote, strict=False).decode
_trades = msgspec.json.Decoder(list[_Trade], strict=False).decode


class Bybit(WebsocketVenue):
    """Bybit's spot market; quotes are at most one each 10 ms, all stamps the matching engine's."""

    source, scope, stamps = "bybit", "venue", "venue"
    quiet_seconds, lifetime_seconds = 6.0, None
    address = "wss://stream.bybit.com/v5/public/spot"
    symbol_separator, symbols_a_message = "", 5  # ten topics
    probe = b'{"op":"ping"}'

    def __init__(self, tickers: Sequence[str], url: str | None = None) -> None:
        super().__init__(tickers, url)
        self._newest: dict[str, int] = {}

    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield a message for both topics."""
        kinds = ("orderbook.1", "publicTrade")
        topics = [f"{kind}.{symbol}" for symbol in symbols for kind in kinds]
        yield Subscription.in_json({"op": "subscribe", "args": topics})

    def decode(self, frame: bytes) -> Batch:
        """Return the quote of an `orderbook` frame, or the prints of a `publicTrade` frame."""
        message = _frame(frame)
        if message.topic.startswith("orderbook"):
            return self._quotes(_quote(message.data), message.cts)
        if message.topic.startswith("publicTrade"):
            return [self._trade(row) for row in _trades(message.data)]
        if not message.success:
            raise FeedRefused(message.ret_msg)
        if message.op == "subscribe":
            self.confirm()
        return ()

    def _quotes(self, row: _Quote, stamp_ms: int) -> Batch:
        """Return a quote, unless it is the one that comes again where none changed for 3 s."""
        if self._newest.get(row.s) == row.u:
            return ()
        self._newest[row.s] = row.u
        touch = (*(row.b or [_EMPTY])[0], *(row.a or [_EMPTY])[0])
        return [Update(self.tickers[row.s], QuoteMember(stamp_ms, *touch), row.seq)]

    def _trade(self, row: _Trade) -> Update:
        aggressor = _AGGRESSORS.get(row.side)
        trade = TradeMember(row.stamp_ms, row.price, row.v, aggressor)
        return Update(self.tickers[row.symbol], trade, None, row.i)
