"""Tells clients of both eras that a resource changed, when a tick was made; at most each second.

While nobody watches, nothing is heard of ticks: 1,500 a second take 4 % of a core in every server,
and over stdio each client has its own.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import redis
import redis.asyncio
import structlog
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from app.answers.reader import Reader
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage.keys import TICKED_CHANNEL
from mcp_app.resources import PATTERNS, SNAPSHOT, TICKERS

PAUSE_SECONDS = 1.0
RETRY_SECONDS = 2.0

_log = structlog.get_logger()


class Bus(InMemorySubscriptionBus):
    """The SDK's, which also tells whether anybody listens."""

    def __init__(self, came: Callable[[], None]) -> None:
        super().__init__()
        self._came = came
        self._listening: set[object] = set()

    @property
    def is_listened_to(self) -> bool:
        """Tell whether anybody listens."""
        return bool(self._listening)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a listener; returns how to leave."""
        leave, one = super().subscribe(listener), object()
        self._listening.add(one)
        self._came()

        def left() -> None:
            self._listening.discard(one)
            leave()

        return left


class ResourceNotifier:
    """Who watches what, and the loop that tells them."""

    def __init__(self, settings: Settings) -> None:
        self._somebody_came = asyncio.Event()
        self.bus = Bus(self._somebody_came.set)
        self._settings = settings
        self._watchers: defaultdict[str, dict[Connection, ServerSession]] = defaultdict(dict)

    def serve(self, server: MCPServer[Reader]) -> None:
        """Let clients of 2025 subscribe; those of 2026 listen to the bus."""
        low = server._lowlevel_server  # noqa: SLF001 - the SDK's own advice: no public way yet
        low.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._leave)

    async def _subscribe(
        self, ctx: ServerRequestContext[Reader], params: SubscribeRequestParams
    ) -> EmptyResult:
        connection, uri = _connection(ctx), str(params.uri)
        if connection not in self._watchers[uri]:
            connection.exit_stack.callback(self._forget, connection, uri)
        self._watchers[uri][connection] = ctx.session
        self._somebody_came.set()
        return EmptyResult()

    async def _leave(
        self, ctx: ServerRequestContext[Reader], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._forget(_connection(ctx), str(params.uri))
        return EmptyResult()

    def _forget(self, connection: Connection, uri: str) -> None:
        """Let a connection no longer watch; of an address that nobody watches nothing is kept."""
        watchers = self._watchers.get(uri, {})
        watchers.pop(connection, None)
        if not watchers:
            self._watchers.pop(uri, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell of ticks as long as the context lasts."""
        telling = asyncio.create_task(self._tell_for_ever())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    async def _tell_for_ever(self) -> None:
        while True:
            await self._somebody_came.wait()
            self._somebody_came.clear()
            try:
                await self._tell()
            except (redis.RedisError, OSError) as error:
                # Tools say themselves that Redis is away; here it is enough to come back.
                _log.debug("updates_wait_for_redis", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._somebody_came.set()

    def _is_watched(self) -> bool:
        return bool(self._watchers) or self.bus.is_listened_to

    async def _tell(self) -> None:
        """Tell of ticks until one comes that nobody watches for."""
        client = redis.asyncio.Redis.from_url(self._settings.redis_url, socket_timeout=None)
        async with client, client.pubsub() as channel:
            await channel.psubscribe(f"{TICKED_CHANNEL}*")
            while self._is_watched():
                await self._told(await _ticked(channel))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _told(self, tickers: Iterable[str]) -> None:
        names = {uri for ticker in tickers for uri in addresses_of(ticker)}
        for uri in names | {TICKERS} if names else names:
            await self.bus.publish(ResourceUpdated(uri))
            for session in list(self._watchers.get(uri, {}).values()):
                with suppress(Exception):  # a client that left is no news
                    await session.send_resource_updated(uri)


def _connection(ctx: ServerRequestContext[Reader]) -> Connection:
    # A session lives for one request only; what it speaks over lives as long as the client.
    return ctx.session._connection  # noqa: SLF001


def addresses_of(ticker: str) -> list[str]:
    """Return the addresses of a ticker's resources.

    >>> addresses_of("BTC/USDT")
    ['orderflow://BTC%2FUSDT/snapshot', 'orderflow://BTC%2FUSDT/patterns']
    """
    return [form.replace("{ticker}", quote(ticker, safe="")) for form in (SNAPSHOT, PATTERNS)]


async def _ticked(channel: "redis.asyncio.client.PubSub") -> set[str]:
    """Wait for a tick, and return all tickers that have had one by now."""
    tickers: set[str] = set()
    message = await channel.get_message(ignore_subscribe_messages=True, timeout=None)
    while message is not None:
        name = message["channel"].decode("ascii", "replace").removeprefix(TICKED_CHANNEL)
        if is_ticker(name):
            tickers.add(name)
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=0)
    return tickers
