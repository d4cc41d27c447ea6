"""Alpaca's market data streams: US stocks (IEX, SIP), options (OPRA), its own crypto market.

They are read without `alpaca-py`, which logs what a venue refuses instead of raising it.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from app.core.errors import FeedInterrupted, FeedRefused
from app.feeds.live.alpaca_streams import STREAMS
from app.feeds.live.stamps import stamp_ms
from app.feeds.live.venue import Batch, Update
from app.feeds.live.websocket_venue import Subscription, WebsocketVenue
from app.feeds.publish import QuoteMember, TradeMember

FINAL_ERRORS = {400, 401, 402, 405, 409, 410}
_AGGRESSORS = {"B": "buy", "S": "sell"}
_LEFT_OUT = {"c": "correction", "x": "cancel"}


class _Message(msgspec.Struct, rename={"kind": "T", "symbol": "S", "time": "t", "asize": "as"}):
    kind: str
    symbol: str = ""
    time: datetime | None = None
    bp: float = 0.0
    bs: float = 0.0
    ap: float = 0.0
    asize: float = 0.0
    p: float = 0.0
    s: float = 0.0
    tks: str = ""
    x: str = ""
    i: int | str | None = None
    msg: str = ""
    code: int = 0


_messages = msgspec.msgpack.Decoder(list[_Message]).decode


class Alpaca(WebsocketVenue):
    """One of Alpaca's streams; stamps are the exchanges' or the SIP's, kept to the µs."""

    stamps, quiet_seconds, lifetime_seconds = "venue", 20.0, None
    headers, sends_text = {"Content-Type": "application/msgpack"}, False
    symbols_a_message = 300  # a message has 16 KB at most

    def __init__(
        self, tickers: Sequence[str], url: str | None = None, dataset: str = "iex"
    ) -> None:
        stream = STREAMS[dataset]
        super().__init__(tickers, url or stream.address)
        self.source, self.scope = f"alpaca.{dataset}", stream.scope
        # Answered by the list of subscriptions.
        self.probe = next(self.subscribe([*self.tickers][:1])).message

    def first(self) -> Iterator[Subscription]:
        """Yield the key."""
        key, secret = os.environ["APCA_API_KEY_ID"], os.environ["APCA_API_SECRET_KEY"]
        yield Subscription.in_msgpack({"action": "auth", "key": key, "secret": secret})

    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield a message for quotes and trades."""
        message = {"action": "subscribe", "quotes": symbols, "trades": symbols}
        yield Subscription.in_msgpack(message)

    def decode(self, frame: bytes) -> Batch:
        """Return the quotes and trades of a frame, in order; count corrections and cancels."""
        return [update for message in _messages(frame) for update in self._updates(message)]

    def _updates(self, message: _Message) -> Iterator[Update]:
        match message.kind:
            case "q" if message.time:
                sides = (message.bp, message.bs, message.ap, message.asize)
                quote = QuoteMember(stamp_ms(message.time), *sides)
                yield Update(self.tickers[message.symbol], quote)
            case "t" if message.time:
                yield self._trade(message, stamp_ms(message.time))
            case "c" | "x":
                self.counts[_LEFT_OUT[message.kind]] += 1
            case "error":
                failure = FeedRefused if message.code in FINAL_ERRORS else FeedInterrupted
                raise failure(f"{message.msg} ({message.code})")
            case "subscription":
                self.confirm()
            case "success" if message.msg == "authenticated":
                self.confirm()

    def _trade(self, message: _Message, stamp: float) -> Update:
        trade = TradeMember(stamp, message.p, message.s, _AGGRESSORS.get(message.tks))
        # Numbers are each exchange's own; options have none.
        identity = None if message.i is None else (message.x, message.i)
        return Update(self.tickers[message.symbol], trade, None, identity)
