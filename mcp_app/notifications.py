"""Notify subscribed clients of the resources that ticks changed, at most once a second.

Clients of protocol 2025 subscribe by `resources/subscribe`; those of 2026 listen to the SDK's bus.

Without subscribers the server does not subscribe to Redis: 1,500 ticks a second take 4 % of a core
in every server, and over stdio each client has a server of its own.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import redis
import redis.asyncio
import structlog
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from app.answers.reader import Reader
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage.keys import ticked_channels
from mcp_app.resource_addresses import TICKERS, known_uri, resource_uris
from mcp_app.sdk_seam import add_request_handler, connection_of, end_session
from mcp_app.subscription_bounds import SubscriptionBounds
from mcp_app.watchers import Watcher

MIN_INTERVAL_SECONDS = 1.0
RETRY_SECONDS = 2.0

_log = structlog.get_logger()


class ListenerCountingBus(InMemorySubscriptionBus):
    """The SDK's bus, which also reports whether it has listeners."""

    def __init__(self, on_subscribe: Callable[[], None]) -> None:
        super().__init__()
        self._on_subscribe = on_subscribe
        self._subscriptions: set[object] = set()

    @property
    def has_listeners(self) -> bool:
        """Return whether there are listeners."""
        return bool(self._subscriptions)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a listener; return a function that removes it."""
        remove, subscription = super().subscribe(listener), object()
        self._subscriptions.add(subscription)
        self._on_subscribe()

        def unsubscribe() -> None:
            self._subscriptions.discard(subscription)
            remove()

        return unsubscribe


class ResourceNotifier:
    """Hold the subscriptions to resources, and notify their clients of changes."""

    def __init__(self, settings: Settings) -> None:
        self._subscribed = asyncio.Event()
        self.bus = ListenerCountingBus(self._subscribed.set)
        self.bounds = SubscriptionBounds(self._other_uris)
        self._settings = settings
        self._server: MCPServer[Reader] | None = None
        self._watchers: dict[Connection, Watcher] = {}
        self._watchers_of: defaultdict[str, dict[Watcher, None]] = defaultdict(dict)

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
        watcher.uris[uri] = written
        self._watchers_of[uri][watcher] = None
        self._subscribed.set()
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
        self._watchers_of[uri].pop(watcher, None)
        if not self._watchers_of[uri]:
            del self._watchers_of[uri]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Notify clients of ticks as long as the context lasts."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self._subscribed.wait()
            self._subscribed.clear()
            try:
                await self._notify_while_subscribed()
            except (redis.RedisError, OSError) as error:
                # Tools report that Redis is away; here it is enough to try again.
                _log.debug("updates_wait_for_redis", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._subscribed.set()

    def _has_subscribers(self) -> bool:
        return bool(self._watchers_of) or self.bus.has_listeners

    async def _notify_while_subscribed(self) -> None:
        """Notify clients of ticks until there are no subscribers."""
        channels = ticked_channels(self._settings.redis_database)
        client = redis.asyncio.Redis.from_url(self._settings.redis_url, socket_timeout=None)
        async with client, client.pubsub() as channel:
            await channel.psubscribe(f"{channels}*")
            while self._has_subscribers():
                await self._notify(await _next_ticked(channel, channels))
                await asyncio.sleep(MIN_INTERVAL_SECONDS)

    async def _notify(self, tickers: Iterable[str]) -> None:
        names = {uri for ticker in tickers for uri in resource_uris(ticker)}
        for uri in names | {TICKERS} if names else names:
            await self.bus.publish(ResourceUpdated(uri))
            for watcher in self._watchers_of.get(uri, ()):
                watcher.tell(uri)


async def _next_ticked(channel: "redis.asyncio.client.PubSub", channels: str) -> set[str]:
    """Wait for a tick; return the tickers of all ticks received by then."""
    tickers: set[str] = set()
    message = await channel.get_message(ignore_subscribe_messages=True, timeout=None)
    while message is not None:
        name = message["channel"].decode("ascii", "replace").removeprefix(channels)
        if is_ticker(name):
            tickers.add(name)
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=0)
    return tickers
