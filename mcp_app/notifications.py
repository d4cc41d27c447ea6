"""Notify subscribed clients of what changed in tickers, at most once a second.

A change is what somebody would want to be told of: an event that opened or closed, one whose
statistic grew, a ticker that is new. That a tick renewed the numbers is none.

Clients of protocol 2025 subscribe by `resources/subscribe`; those of 2026 listen to the SDK's bus.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from app.answers.reader import Reader
from app.core import clock
from app.core.errors import StoreUnavailable
from app.waiting.changes import ChangeFinder
from app.waiting.looks import TickerLook
from mcp_app.resource_addresses import TICKERS, known_uri, resource_uris, ticker_of
from mcp_app.sdk_seam import add_request_handler, connection_of, end_session
from mcp_app.subscription_bounds import SubscriptionBounds
from mcp_app.tick_looks import TickLooks
from mcp_app.watchers import Watcher

MIN_INTERVAL_SECONDS = 1.0
FIRST_LOOK_SECONDS = 1.0


class ResourceNotifier:
    """Hold the subscriptions to resources, and notify their clients of changes."""

    windows: Sequence[str] = ()

    def __init__(self, looks: TickLooks) -> None:
        self.bus = InMemorySubscriptionBus()
        self.bounds = SubscriptionBounds(self._other_uris, self._streaming)
        self._looks = looks
        self._server: MCPServer[Reader] | None = None
        self._watchers: dict[Connection, Watcher] = {}
        self._watchers_of: defaultdict[str, dict[Watcher, None]] = defaultdict(dict)
        self._subscriptions: Counter[str] = Counter()
        """How many clients want each resource."""
        self._found = ChangeFinder()
        self._looked = asyncio.Event()
        """Set, and replaced by another, with each look."""
        self._changed: dict[str, None] = {}
        self._has_changed = asyncio.Event()

    def add_handlers(self, server: MCPServer[Reader]) -> None:
        """Handle `resources/subscribe` and `resources/unsubscribe`."""
        self._server = server
        add_request_handler(server, "resources/subscribe", SubscribeRequestParams, self._subscribe)
        add_request_handler(
            server, "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )

    async def _other_uris(self) -> frozenset[str]:
        """Return the URIs of the resources that have no ticker in them."""
        found = await self._server.list_resources() if self._server else []
        return frozenset(str(resource.uri) for resource in found)

    async def _subscribe(
        self, ctx: ServerRequestContext[Reader], params: SubscribeRequestParams
    ) -> EmptyResult:
        written = str(params.uri)
        uri = await self.bounds.usual_form(written)
        watcher = self._watcher_of(connection_of(ctx))
        if uri not in watcher.uris:
            self.bounds.add(1, len(watcher.uris))
            self._begin(uri)
        watcher.uris[uri] = written
        self._watchers_of[uri][watcher] = None
        await self._first_looks([uri])
        return EmptyResult()

    def _watcher_of(self, connection: Connection) -> Watcher:
        watcher = self._watchers.get(connection)
        if watcher is None:
            watcher = Watcher(connection, self._end_session)
            self._watchers[connection] = watcher
            connection.exit_stack.callback(self._forget, connection)
        return watcher

    async def _end_session(self, session_id: str) -> None:
        if self._server is not None:
            await end_session(self._server, session_id)

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Reader], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        watcher = self._watchers.get(connection_of(ctx))
        uri = known_uri(str(params.uri)) or str(params.uri)
        if watcher is not None:
            self._remove(watcher, uri)
        return EmptyResult()

    def _forget(self, connection: Connection) -> None:
        """Remove all that a connection subscribed to."""
        watcher = self._watchers.pop(connection)
        watcher.stop()
        for uri in list(watcher.uris):
            self._remove(watcher, uri)

    def _remove(self, watcher: Watcher, uri: str) -> None:
        """Remove a subscription, and the resource's entry if it was the last."""
        if watcher.uris.pop(uri, None) is None:
            return
        self.bounds.remove(1)
        self._end(uri)
        self._watchers_of[uri].pop(watcher, None)
        if not self._watchers_of[uri]:
            del self._watchers_of[uri]

    @asynccontextmanager
    async def _streaming(self, uris: Iterable[str]) -> AsyncIterator[None]:
        """Watch the resources of a stream as long as the context lasts."""
        usual = [known_uri(uri) or uri for uri in uris]
        for uri in usual:
            self._begin(uri)
        try:
            await self._first_looks(usual)
            yield
        finally:
            for uri in usual:
                self._end(uri)

    async def _first_looks(self, uris: Iterable[str]) -> None:
        """Wait until the tickers of resources were looked at: later changes are all told.

        Where Redis does not answer, what it tells once it does is compared with nothing.
        """
        waiting = {ticker for uri in uris if (ticker := ticker_of(uri)) is not None}
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                while not self._found.knows(waiting):
                    await self._looked.wait()

    def _begin(self, uri: str) -> None:
        self._subscriptions[uri] += 1
        if self._subscriptions[uri] > 1:
            return
        ticker = ticker_of(uri)
        if ticker is not None:
            self._looks.add(self, [ticker])
        elif uri == TICKERS:
            self._looks.add_to_all(self)

    def _end(self, uri: str) -> None:
        self._subscriptions[uri] -= 1
        if self._subscriptions[uri] > 0:
            return
        del self._subscriptions[uri]
        ticker = ticker_of(uri)
        if uri == TICKERS:
            self._looks.remove_from_all(self)
        elif ticker is not None and self._subscriptions.keys().isdisjoint(resource_uris(ticker)):
            self._looks.remove(self, [ticker])
        if not self._subscriptions:
            self._found.forget()

    def oldest_ms(self, ticker: str, now_ms: float) -> float:
        """Return the opening from which on a ticker's events are needed."""
        return self._found.oldest_ms(ticker, now_ms)

    def take(self, looks: Sequence[TickerLook]) -> None:
        """Find out what changed."""
        now_ms = clock.now_ms()
        for look in looks:
            change = self._found.change(look, now_ms)
            if change.is_new or change.has_opened_or_closed:
                self._changed[TICKERS] = None
            if change.has_changed:
                self._changed |= dict.fromkeys(resource_uris(look.ticker))
        self._changed = {uri: None for uri in self._changed if uri in self._subscriptions}
        self._looked.set()
        self._looked = asyncio.Event()
        if self._changed:
            self._has_changed.set()

    def fail(self, error: StoreUnavailable | None) -> None:
        """Wait until Redis answers again: what changed meanwhile is found then."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Notify clients of changes as long as the context lasts."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            changed, self._changed = self._changed, {}
            for uri in changed:
                await self.bus.publish(ResourceUpdated(uri))
                for watcher in self._watchers_of.get(uri, ()):
                    watcher.tell(uri)
            await asyncio.sleep(MIN_INTERVAL_SECONDS)
