"""A local server in a vendor's place: it speaks the vendor's protocol and fails on command.

A vendor is a subclass of `WebsocketVenue` (or `Venue`, where it speaks something else) that turns
requests into replies and events into frames. Everything else is the same for all of them: a market
that goes on by chance, switches for what goes wrong, and the truth about what was sent.

Methods without a leading underscore are called by the test's thread; the server has one of its own.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.processes import BOUND_SECONDS, free_port, wait_until
from tests.venues.market import BestQuote, Event, Market

RATE_STEP_SECONDS = 0.01
NS_PER_MS = 1_000_000
KEY = "db-0123456789abcdefghijklmnopqrs"
SECRET = "kept-to-itself"  # noqa: S105 - opens nothing

Frame = str | bytes


@dataclass
class Faults:
    """What goes wrong, from now on until it is set back."""

    repeat: bool = False
    """Every frame with events is sent twice."""
    reorder: bool = False
    """Each two frames of a burst change places."""
    slow_seconds: float = 0.0
    """How much later each frame is sent."""
    skew_ms: int = 0
    """How far the venue's clock is ahead."""
    symbol_limit: int | None = None
    """How many symbols a connection may subscribe to."""


@dataclass
class Truth:
    """What happened, in order: all, what was sent to somebody, and what nobody was sent."""

    happened: list[Event] = field(default_factory=list)
    sent: list[Event] = field(default_factory=list)
    missed: list[Event] = field(default_factory=list)


class Client:
    """One connection: what it subscribed to, and a queue so that frames stay in order."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.quotes: set[str] = set()
        self.trades: set[str] = set()
        self.is_authenticated = False
        self.is_silent = False
        self.is_stalled = False
        self.sequence = 0
        self.has_left = asyncio.Event()
        self._outgoing: asyncio.Queue[tuple[float, Frame]] = asyncio.Queue()
        self._last_due = 0.0

    def wants(self, event: Event) -> bool:
        """Tell whether it subscribed to such an event."""
        return event.symbol in (self.quotes if isinstance(event, BestQuote) else self.trades)

    def take_sequence(self) -> int:
        """Return the connection's next sequence number, from 0 on."""
        self.sequence += 1
        return self.sequence - 1

    def send(self, frame: Frame, delay_seconds: float = 0.0) -> None:
        """Send a frame after those before it."""
        self._last_due = max(time.monotonic() + delay_seconds, self._last_due)
        self._outgoing.put_nowait((self._last_due, frame))

    async def send_queued(self) -> None:
        """Send what is queued when it is due, for ever."""
        while True:
            due, frame = await self._outgoing.get()
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if self.is_silent:
                continue
            await self._write(frame)

    async def _write(self, frame: Frame) -> None:
        with contextlib.suppress(ConnectionClosed, ConnectionError):
            await self.connection.send(frame)

    def stall(self) -> None:
        """Neither read nor write any more; the connection stays open."""
        self.is_silent = self.is_stalled = True
        self.connection.transport.pause_reading()

    def kill(self) -> None:
        """Cut the connection without a word."""
        self.connection.transport.abort()

    async def close(self) -> None:
        """End the connection as the protocol has it."""
        await self.connection.close(1012, "service restart")


class Venue:
    """The part that all vendors share: thread, market, switches, truth."""

    resolution_ns = 1000
    """The unit of the venue's stamps."""
    size_step = Decimal("0.001")
    heartbeat_seconds = 1.0
    path = ""

    def __init__(self, *symbols: str, seed: int = 1, key: str = KEY, secret: str = SECRET) -> None:
        self.symbols = symbols
        self.key, self.secret = key, secret
        self.faults = Faults()
        self.market = Market(symbols, seed, self.size_step, self.now_ns())
        self.truth = Truth()
        self.clients: list[Client] = []
        self.connection_count = 0
        self.requests: list[Any] = []
        self._rate = 0.0
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    # What a vendor says.

    def greeting(self, client: Client) -> Iterable[Frame]:
        """Return what a new connection is told."""
        del client
        return ()

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        """Return the answer to a request, and note what it subscribes to."""
        raise NotImplementedError

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        """Return an event as the vendor sends it."""
        raise NotImplementedError

    def prepare(self, event: Event) -> None:
        """Note an event, once, before it is sent to whoever subscribed."""

    def heartbeat(self, client: Client) -> Iterable[Frame]:
        """Return what is sent each `heartbeat_seconds`."""
        del client
        return ()

    # What a test does.

    def __enter__(self) -> Self:
        self._thread.start()
        self.come_up()
        self._call(self._start_tasks())
        return self

    def __exit__(self, *_: object) -> None:
        self.go_down()
        self._call(self._stop_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Return the address that stands in the vendor's place."""
        return f"ws://127.0.0.1:{self.port}{self.path}"

    @property
    def happened(self) -> list[Event]:
        """Return all events, in order."""
        return self.truth.happened

    @property
    def sent(self) -> list[Event]:
        """Return the events that were sent to somebody, in order."""
        return self.truth.sent

    @property
    def missed(self) -> list[Event]:
        """Return the events that nobody was sent."""
        return self.truth.missed

    def now_ns(self) -> int:
        """Return the time by the venue's clock, in the unit of its stamps."""
        at_ns = time.time_ns() + self.faults.skew_ms * NS_PER_MS
        return at_ns - at_ns % self.resolution_ns

    @property
    def rate(self) -> float:
        """Return how many events happen a second."""
        return self._rate

    @rate.setter
    def rate(self, events_a_second: float) -> None:
        """Let so many happen a second from now on; after 0, none happens any more."""
        self._call(self._set_rate(events_a_second))

    def wait_subscribed(self, *symbols: str, connections: int = 1) -> None:
        """Wait until so many connections get quotes and trades of the symbols (default: all)."""
        wanted = set(symbols or self.symbols)

        def are_subscribed() -> bool:
            clients = [client for client in [*self.clients] if not client.is_silent]
            ready = [c for c in clients if wanted <= c.quotes and wanted <= c.trades]
            return len(ready) >= connections

        wait_until(are_subscribed, f"{connections} connections subscribed to {wanted}")

    def wait_left(self) -> None:
        """Wait until it has noticed that every connection ended: what happens then is missed."""
        wait_until(lambda: not self.clients, "the end of every connection")

    def burst(self, count: int) -> list[Event]:
        """Let so many events happen at once, and return them."""
        return self._call(self._happen(count))

    def publish(self, *events: Event) -> None:
        """Let these events happen."""
        for event in events:
            self.market.note(event)
        self._call(self._send(list(events)))

    def send_raw(self, *frames: Frame) -> None:
        """Send these frames to every connection as they are."""
        for frame in frames:
            self.send_made(lambda _, frame=frame: frame)

    def send_made(self, make: Callable[[Client], Frame]) -> None:
        """Send every connection a frame that is made for it."""
        self._call(self._each(lambda client: client.send(make(client))))

    def close_connections(self) -> None:
        """End every connection as the protocol has it, but for those that are stalled."""
        self._call(self._close_all())

    def kill_connections(self) -> None:
        """Cut every connection."""
        self._call(self._kill_all())

    def stall(self) -> None:
        """Leave the open connections dead: no data, no pong, no end. New ones are served."""
        self._call(self._each(Client.stall))

    def mute(self) -> None:
        """Send nothing more on the open connections, though pings are answered."""
        self._call(self._each(_silence))

    def go_down(self) -> None:
        """Accept no connection any more, and cut those that are open."""
        self._call(self._close_listener())

    def come_up(self) -> None:
        """Accept connections on the port of before."""
        self._call(self._listen())

    # The server's own thread.

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(BOUND_SECONDS)

    async def _listen(self) -> None:
        raise NotImplementedError

    async def _close_listener(self) -> None:
        await self._kill_all()
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
            self._listener = None
        await self._kill_all()  # who connected meanwhile

    async def _start_tasks(self) -> None:
        self._tasks = {asyncio.create_task(self._keep_rate()), asyncio.create_task(self._beat())}

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_rate(self, events_a_second: float) -> None:
        self._rate = events_a_second

    async def _keep_rate(self) -> None:
        owed = 0.0
        last = time.monotonic()
        while True:
            await asyncio.sleep(RATE_STEP_SECONDS)
            now = time.monotonic()
            owed += self._rate * (now - last)
            last = now
            await self._happen(int(owed))
            owed %= 1

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_seconds)
            for client in self.clients:
                for frame in self.heartbeat(client):
                    client.send(frame)

    async def _happen(self, count: int) -> list[Event]:
        symbols = islice(_in_turn(self.symbols, self._turn()), count)
        events = [self.market.next_event(symbol, self.now_ns()) for symbol in symbols]
        await self._send(events)
        return events

    def _turn(self) -> int:
        return len(self.truth.happened)

    async def _send(self, events: list[Event]) -> None:
        reached: set[int] = set()
        self.truth.happened += events
        for event in events:
            self.prepare(event)
        for client in self.clients:
            wanted = [event for event in events if client.wants(event)]
            if not client.is_silent:
                reached.update(map(id, wanted))
                self._send_to(client, wanted)
        for event in events:
            (self.truth.sent if id(event) in reached else self.truth.missed).append(event)

    def _send_to(self, client: Client, events: list[Event]) -> None:
        frames = [frame for event in events for frame in self.frames(client, event)]
        if self.faults.reorder:
            frames = _in_swapped_pairs(frames)
        for frame in frames:
            for _ in range(1 + self.faults.repeat):
                client.send(frame, self.faults.slow_seconds)

    async def _each(self, action: Callable[[Client], None]) -> None:
        for client in [*self.clients]:
            action(client)

    async def _close_all(self) -> None:
        closing = [client for client in self.clients if not client.is_stalled]
        await asyncio.gather(*(client.close() for client in closing))
        await _all_have_left(closing)

    async def _kill_all(self) -> None:
        killed = [*self.clients]
        await self._each(Client.kill)
        await _all_have_left(killed)

    def _admit(self, client: Client) -> asyncio.Task[None]:
        """Note a connection, greet it, and return the task that sends to it."""
        self.connection_count += 1
        self.clients.append(client)
        for frame in self.greeting(client):
            client.send(frame)
        return asyncio.create_task(client.send_queued())

    async def _part(self, client: Client, sender: asyncio.Task[None]) -> None:
        self.clients.remove(client)
        client.has_left.set()
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)

    def _answer(self, client: Client, request: Any) -> None:
        self.requests.append(request)
        for frame in self.replies(client, request):
            client.send(frame)


class WebsocketVenue(Venue):
    """A venue that speaks JSON (or what `decode` reads) over websockets, and serves pages."""

    def pages(self) -> dict[str, Any]:
        """Return what the vendor's HTTP addresses answer, by path."""
        return {}

    def decode(self, message: Frame) -> Any:
        """Return a request as an object."""
        return json.loads(message)

    async def _listen(self) -> None:
        self._listener: Server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            process_request=self._page,
            compression=None,
            ping_interval=None,
        )

    async def _serve(self, connection: ServerConnection) -> None:
        client = Client(connection)
        sender = self._admit(client)
        try:
            async for message in connection:
                self._answer(client, self.decode(message))
        except ConnectionClosed:
            pass
        finally:
            await self._part(client, sender)

    def _page(self, connection: ServerConnection, request: Request) -> Response | None:
        page = self.pages().get(request.path.split("?")[0])
        if page is None:
            return None
        response = connection.respond(200, json.dumps(page))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response


def _silence(client: Client) -> None:
    client.is_silent = True


async def _all_have_left(clients: Iterable[Client]) -> None:
    """Wait until the server has noticed that these connections ended."""
    await asyncio.gather(*(client.has_left.wait() for client in clients))


def _in_turn(symbols: tuple[str, ...], begin: int) -> Iterable[str]:
    turn = begin
    while True:
        yield symbols[turn % len(symbols)]
        turn += 1


def _in_swapped_pairs(frames: list[Frame]) -> list[Frame]:
    """Return the frames with each two of them the other way round.

    >>> _in_swapped_pairs(["a", "b", "c"])
    ['b', 'a', 'c']
    """
    return [frame for at in range(0, len(frames), 2) for frame in reversed(frames[at : at + 2])]
