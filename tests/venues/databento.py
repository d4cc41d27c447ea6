"""Databento's live gateway: a challenge, lines of fields, then DBN records."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

from databento_dbn import (
    UNDEF_PRICE,
    Action,
    BidAskPair,
    ErrorCode,
    ErrorMsg,
    MBP1Msg,
    Metadata,
    Side,
    SType,
    SymbolMappingMsg,
    SystemCode,
    SystemMsg,
)

from tests.venues.market import BestQuote, Event
from tests.venues.server import Client, Frame, Venue

CHALLENGE = "t7kNhwj4xqR0QYjzFKtBEG2ec2pXJ4FK"
DATASET = "XNAS.ITCH"
PUBLISHER = 2
LAST_OF_EVENT = 128
UNITS_PER_ONE = 10**9
SIDES = {"buy": Side.BID, "sell": Side.ASK}
NEVER_ENDS = 2**64 - 1


class Stream:
    """A TCP connection with the methods that a `Client` uses."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.transport: Any = writer.transport

    async def send(self, frame: Frame) -> None:
        """Write a frame."""
        self._writer.write(frame if isinstance(frame, bytes) else frame.encode())
        await self._writer.drain()

    async def close(self, *_: object) -> None:
        """End the connection after what was written."""
        self._writer.close()


class DatabentoVenue(Venue):
    """Confirms subscriptions once the session has started; neither schema has standing quotes."""

    resolution_ns = 1
    size_step = Decimal(1)

    def __init__(self, *symbols: str, **options: Any) -> None:
        super().__init__(*symbols, **options)
        self._touches = {quote.symbol: _level(quote) for quote in self.market.standing.values()}
        self._levels: dict[int, BidAskPair] = {}
        self._subscribed: defaultdict[Client, list[str]] = defaultdict(list)
        self._lines: Counter[Client] = Counter()
        self._schemas: dict[Client, str] = {}

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def greeting(self, client: Client) -> Iterable[Frame]:
        del client
        yield "lsg_version=0.7.2\n"
        yield f"cram={CHALLENGE}\n"

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        if "auth" in request:
            yield self._authenticate(client, request)
        elif "symbols" in request:
            self._lines[client] += 1
            self._subscribed[client] += request["symbols"].split(",")
            self._schemas[client] = request["schema"]
        elif "start_session" in request:
            yield from self._start(client)

    def _authenticate(self, client: Client, request: dict[str, str]) -> Frame:
        answer = sha256(f"{CHALLENGE}|{self.key}".encode()).hexdigest()
        if request["auth"] != f"{answer}-{self.key[-5:]}":
            return "success=0|error=Authentication failed.\n"
        client.is_authenticated = True
        return "success=1|session_id=1764504000\n"

    def _start(self, client: Client) -> Iterator[Frame]:
        symbols = self._subscribed[client]
        limit = self.faults.symbol_limit
        yield bytes(_metadata())
        unknown = [symbol for symbol in symbols if symbol not in self.symbols]
        if unknown:
            text = f"Failed to resolve symbols: {', '.join(unknown)}"
            yield self._error(text, ErrorCode.SYMBOL_RESOLUTION_FAILED)
            return
        if limit is not None and len(symbols) > limit:
            yield self._error("Too many symbols", ErrorCode.INVALID_SUBSCRIPTION)
            return
        text = f"Subscription request 1 for {self._schemas[client]} data succeeded"
        code = SystemCode.SUBSCRIPTION_ACK
        for _ in range(self._lines[client]):
            yield bytes(SystemMsg(self.now_ns(), text, code=code))
        yield from (self.mapping(symbol) for symbol in symbols)
        if self._schemas[client] == "mbp-1":
            client.quotes.update(symbols)
        client.trades.update(symbols)

    def mapping(self, symbol: str) -> Frame:
        """Return which instrument a symbol is."""
        number = self.instrument(symbol)
        raw, numbered = SType.RAW_SYMBOL, SType.INSTRUMENT_ID
        names = (raw, symbol, numbered, str(number))
        return bytes(SymbolMappingMsg(PUBLISHER, number, 0, *names, 0, NEVER_ENDS))

    def instrument(self, symbol: str) -> int:
        """Return a symbol's number."""
        return 1000 + self.symbols.index(symbol)

    def prepare(self, event: Event) -> None:
        if isinstance(event, BestQuote):
            self._touches[event.symbol] = _level(event)
        self._levels[event.number] = self._touches[event.symbol]

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        del client
        level = self._levels[event.number]
        if isinstance(event, BestQuote):
            yield self.record(event, level, Action.MODIFY, Side.BID, level.bid_px, level.bid_sz)
        else:
            price, size = _units(event.price), int(event.size)
            yield self.record(event, level, Action.TRADE, SIDES[event.aggressor], price, size)

    def record(  # noqa: PLR0913, PLR0917 - a record has so many fields
        self,
        event: Event,
        level: BidAskPair,
        action: Action,
        side: Side,
        price: int,
        size: int,
        *,
        flags: int = LAST_OF_EVENT,
        publisher: int = PUBLISHER,
    ) -> Frame:
        """Return a record of `mbp-1`."""
        return bytes(
            MBP1Msg(
                publisher,
                self.instrument(event.symbol),
                event.at_ns,
                price,
                size,
                action,
                side,
                0,
                event.at_ns + 165_000,
                flags=flags,
                sequence=event.number,
                levels=level,
            )
        )

    def heartbeat(self, client: Client) -> Iterable[Frame]:
        if client.trades:
            yield bytes(SystemMsg(self.now_ns(), "Heartbeat", code=SystemCode.HEARTBEAT))

    def send_error(self, text: str, code: ErrorCode) -> None:
        """Send every connection an error."""
        self.send_raw(self._error(text, code))

    def _error(self, text: str, code: ErrorCode) -> Frame:
        return bytes(ErrorMsg(self.now_ns(), text, code=code))

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(Stream(writer))
        sender = self._admit(client)
        try:
            while line := await reader.readline():
                fields = line.decode().strip().split("|")
                self._answer(client, dict(field.split("=", 1) for field in fields))
        except ConnectionError:
            pass
        finally:
            await self._part(client, sender)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _metadata() -> Metadata:
    return Metadata(
        dataset=DATASET,
        start=0,
        stype_in=None,
        stype_out=SType.INSTRUMENT_ID,
        schema=None,
        ts_out=False,
        version=3,
    )


def _level(quote: BestQuote) -> BidAskPair:
    return BidAskPair(
        bid_px=_units(quote.bid) if quote.bid_size else UNDEF_PRICE,
        ask_px=_units(quote.ask) if quote.ask_size else UNDEF_PRICE,
        bid_sz=int(quote.bid_size),
        ask_sz=int(quote.ask_size),
        bid_ct=1,
        ask_ct=1,
    )


def _units(price: Decimal) -> int:
    return int(price * UNITS_PER_ONE)
