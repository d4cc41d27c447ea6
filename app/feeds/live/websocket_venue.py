"""A venue that speaks over a WebSocket: connect, subscribe, read frames, keep alive."""

import asyncio
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import ClassVar, NamedTuple

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from app.core.errors import FeedInterrupted, FeedRefused
from app.core.rare_events import shown
from app.feeds.live.book import Book
from app.feeds.live.venue import Batch, Update, Venue

OPEN_SECONDS = 10.0
SUBSCRIBE_SECONDS = 10.0
SUBSCRIBE_PAUSE_SECONDS = 0.25  # venues take some five messages a second
MAX_FRAME_BYTES = 16 * 2**20
MAX_QUEUED_FRAMES = 1024
REFUSING_STATUSES = {401: "the key is refused", 403: "access is refused", 404: "no such address"}

log = structlog.get_logger()


class Subscription(NamedTuple):
    """A message that subscribes some symbols, and how many confirmations answer it."""

    message: bytes
    confirmations: int

    @classmethod
    def in_json(cls, message: object, confirmations: int = 1) -> "Subscription":
        """Return one whose message is this object in JSON."""
        return cls(msgspec.json.encode(message), confirmations)

    @classmethod
    def in_msgpack(cls, message: object, confirmations: int = 1) -> "Subscription":
        """Return one whose message is this object in MessagePack."""
        return cls(msgspec.msgpack.encode(message), confirmations)


def _keep_nothing(_: bytes) -> None:
    """Keep no frame."""


class WebsocketVenue(Venue):
    """A connection's course; a subclass says what to send and what a frame means."""

    address: ClassVar[str]
    symbol_separator: ClassVar[str] = "/"
    """What stands between the two currencies of a pair: `-` in `BTC-USD`."""
    symbols_a_message: ClassVar[int]
    """How many symbols one message may subscribe."""
    headers: ClassVar[dict[str, str]] = {}
    """What the request for a connection says besides."""
    sends_text: ClassVar[bool] = True
    """Whether the messages are text, as JSON is, or binary."""
    probe: bytes | None = None
    """A message that the venue answers, sent twice in `quiet_seconds`: the answer is a frame."""

    def __init__(self, tickers: Sequence[str], url: str | None = None) -> None:
        self.tickers = {self.symbol_of(ticker): ticker for ticker in tickers}
        self.counts: Counter[str] = Counter()
        self.books: defaultdict[str, Book] = defaultdict(Book)
        """By symbol, where the venue sends the whole book."""
        self._url = url or self.address
        self._unconfirmed = 0
        self._next_number = 0
        self.on_frame: Callable[[bytes], None] = _keep_nothing
        """Called with each frame as it came, for who keeps frames."""

    @classmethod
    def symbol_of(cls, ticker: str) -> str:
        """Return the symbol of a pair, such as BTC/USD or btc-usd, or of anything else."""
        return ticker.replace("-", "/").replace("/", cls.symbol_separator).upper()

    def subscriptions(self) -> Iterator[Subscription]:
        """Yield what comes first, then what subscribes all symbols, within what the venue takes."""
        yield from self.first()
        symbols = [*self.tickers]
        for start in range(0, len(symbols), self.symbols_a_message):
            yield from self.subscribe(symbols[start : start + self.symbols_a_message])

    def first(self) -> Iterator[Subscription]:
        """Yield the messages that come once and first, such as the key; usually none."""
        yield from ()

    @abstractmethod
    def subscribe(self, symbols: list[str]) -> Iterator[Subscription]:
        """Yield the messages that subscribe quotes and trades of some symbols."""

    @abstractmethod
    def decode(self, frame: bytes) -> Batch:
        """Return a frame's records, none for a heartbeat; call `confirm` for a confirmation.

        Raises `FeedRefused` or `FeedInterrupted` where the frame is an error, and msgspec's errors
        where it is not what the venue documents.
        """

    def confirm(self) -> None:
        """Note that one of a subscription's confirmations came."""
        self._unconfirmed -= 1

    def is_repeated(self, number: int) -> bool:
        """Count a frame that came already, by the number that grows by 1 along a connection.

        Raises `FeedInterrupted` where one is missing.
        """
        if number < self._next_number:
            self.counts["repeated"] += 1
            return True
        if number > self._next_number:
            raise FeedInterrupted(f"message {self._next_number} is missing")
        self._next_number += 1
        return False

    async def records(self) -> AsyncGenerator[Batch, None]:
        """Open one connection, subscribe, and yield the records of each frame."""
        try:
            async with self._connection() as socket:
                yield await self._subscribe(socket)
                while True:
                    yield self._records_of(await socket.recv(decode=False))
        except InvalidStatus as error:
            status = error.response.status_code
            if status in REFUSING_STATUSES:
                raise FeedRefused(f"{REFUSING_STATUSES[status]} (HTTP {status})") from None
            raise FeedInterrupted(f"refused for now (HTTP {status})") from None
        except ConnectionClosed as error:
            raise FeedInterrupted(str(error), is_complete=error.rcvd is not None) from None
        except WebSocketException as error:
            raise FeedInterrupted(str(error)) from None

    def _records_of(self, frame: bytes) -> Batch:
        """Return a frame's records; one that is not as documented is counted and left out."""
        self.on_frame(frame)
        try:
            return self.decode(frame)
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            if not self.counts["not_understood"]:
                shown_frame = shown(frame.decode(errors="replace"))
                log.warning("frame not understood", frame=shown_frame, error=str(error))
            self.counts["not_understood"] += 1
            return ()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[ClientConnection]:
        """Connect, and send the probe as long as the connection is used."""
        async with connect(
            self._url,
            additional_headers=self.headers,
            open_timeout=OPEN_SECONDS,
            ping_interval=None,  # a probe proves more: not only that the socket's end lives
            close_timeout=1.0,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=MAX_QUEUED_FRAMES,
        ) as socket:
            probing = asyncio.create_task(self._send_probes(socket))
            try:
                yield socket
            finally:
                probing.cancel()

    async def _send_probes(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException):  # reading the frames meets the same error
            while self.probe is not None:
                await asyncio.sleep(self.quiet_seconds / 2)
                await socket.send(self.probe, text=self.sends_text)

    async def _subscribe(self, socket: ClientConnection) -> Batch:
        """Subscribe batch by batch, and return the records that came meanwhile."""
        early: list[Update] = []
        try:
            for number, subscription in enumerate(self.subscriptions()):
                await asyncio.sleep(SUBSCRIBE_PAUSE_SECONDS if number else 0.0)
                self._unconfirmed = subscription.confirmations
                await socket.send(subscription.message, text=self.sends_text)
                async with asyncio.timeout(SUBSCRIBE_SECONDS):
                    while self._unconfirmed > 0:
                        early += self._records_of(await socket.recv(decode=False))
        except TimeoutError:
            raise FeedInterrupted("a subscription was not confirmed") from None
        return early
