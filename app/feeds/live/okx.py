"""OKX, WebSocket API v5: `bbo-tbt`, and `trades`."""

from collections.abc import Iterator

import msgspec

from app.core.errors import FeedInterrupted, FeedRefused
from app.feeds.live.venue import Batch, Update
from app.feeds.live.websocket_venue import Subscription, WebsocketVenue
from app.feeds.publish import QuoteMember, TradeMember

_CHANNELS = ("bbo-tbt", "trades")
_REFUSALS = {"60012": "the request is not allowed", "60018": "no such instrument"}
_NO_LEVEL = ("0", "0", "0", "0")


class _Argument(msgspec.Struct, frozen=True):
    channel: str = ""
    instId: str = ""  # noqa: N815 - OKX's name


class _Quote(msgspec.Struct):
    asks: list[tuple[str, str, str, str]]
    bids: list[tuple[str, str, str, str]]
    ts: int
    seqId: int  # noqa: N815


class _Trade(msgspec.Struct):
    tradeId: int  # noqa: N815
    px: float
    sz: float
    side: str
    ts: int


class _Frame(msgspec.Struct):
    arg: _Argument = _Argument()
    data: msgspec.Raw = msgspec.Raw()
    event: str = ""
    code: str = ""
    msg: str = ""


_frame = msgspec.json.Decoder(_Frame).decode
_quotes = msgspec.json.Decoder(list[_Quote], strict=False).decode
_trades = msgspec.json.Decoder(list[_Trade], strict=False).decode


class Okx(WebsocketVenue):
    """OKX; quotes are at most one each 10 ms, a print is one order's trades at one price."""

    source, scope, stamps = "okx", "venue", "venue"
    quiet_seconds, lifetime_seconds = 6.0, None
    address = "wss://ws.okx.com:8443/ws/v5/public"
    symbol_separator, symbols_a_message = "-", 50
    probe = b"ping"

    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield a message for both channels; each channel of an instrument is confirmed."""
        arguments = [_Argument(name, symbol) for symbol in symbols for name in _CHANNELS]
        yield Subscription.in_json({"op": "subscribe", "args": arguments}, len(arguments))

    def decode(self, frame: bytes) -> Batch:
        """Return the quotes of a `bbo-tbt` frame, or the prints of a `trades` frame."""
        if frame == b"pong":
            return ()
        message = _frame(frame)
        if message.event == "error":
            if message.code in _REFUSALS:
                raise FeedRefused(f"{_REFUSALS[message.code]}: {message.msg}")
            raise FeedInterrupted(f"error {message.code}: {message.msg}")
        if message.event == "subscribe":
            self.confirm()
        if not message.data:
            return ()
        ticker = self.tickers[message.arg.instId]
        if message.arg.channel == "trades":
            return [_trade(ticker, row) for row in _trades(message.data)]
        return [_quote(ticker, row) for row in _quotes(message.data)]


def _quote(ticker: str, row: _Quote) -> Update:
    bid, bid_size, *_ = (row.bids or [_NO_LEVEL])[0]
    ask, ask_size, *_ = (row.asks or [_NO_LEVEL])[0]
    quote = QuoteMember(row.ts, float(bid), float(bid_size), float(ask), float(ask_size))
    return Update(ticker, quote, row.seqId)


def _trade(ticker: str, row: _Trade) -> Update:
    return Update(ticker, TradeMember(row.ts, row.px, row.sz, row.side), row.tradeId)
