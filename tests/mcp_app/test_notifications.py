"""Clients of both protocol eras are notified when a ticker's resources change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import redis
from mcp import Client
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import ResourceUpdatedNotification

from app.core.settings import Settings
from app.storage.keys import ticked_channels
from mcp_app.server import make_server
from tests.processes import BOUND_SECONDS

ADDRESS = "orderflow://BTC%2FUSDT/patterns"
LEFT = "orderflow://BTC%2FUSDT/snapshot"
Watching = Callable[[Client], AbstractAsyncContextManager[None]]


async def tick_until(seen: asyncio.Event, redis_client: redis.Redis) -> None:
    """Publish ticks until one is seen: the server may not have subscribed yet."""
    while not seen.is_set():
        redis_client.publish(f"{ticked_channels(0)}BTC/USDT", "1")
        await asyncio.sleep(0.05)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_a_client_of_2025_is_told(settings: Settings, redis_client: redis.Redis) -> None:
    async def session() -> None:
        seen = asyncio.Event()

        async def noticed(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification) and message.params.uri == ADDRESS:
                seen.set()

        async with Client(make_server(settings), mode="legacy", message_handler=noticed) as client:
            await client.subscribe_resource(ADDRESS)
            await asyncio.wait_for(tick_until(seen, redis_client), BOUND_SECONDS)

    asyncio.run(session())


def test_a_client_of_2026_is_told(settings: Settings, redis_client: redis.Redis) -> None:
    async def session() -> str:
        async with (
            Client(make_server(settings)) as client,
            client.listen(resource_subscriptions=[ADDRESS]) as heard,
        ):
            seen = asyncio.Event()
            ticking = asyncio.create_task(tick_until(seen, redis_client))
            try:
                async with asyncio.timeout(BOUND_SECONDS):
                    async for event in heard:
                        assert isinstance(event, ResourceUpdated)
                        return event.uri
            finally:
                seen.set()
                await ticking
        pytest.fail("the stream ended")

    assert asyncio.run(session()) == ADDRESS


@asynccontextmanager
async def subscribed(client: Client) -> AsyncIterator[None]:
    """Subscribe as a client of 2025 does."""
    await client.subscribe_resource(ADDRESS)
    yield
    await client.unsubscribe_resource(ADDRESS)


@asynccontextmanager
async def listening(client: Client) -> AsyncIterator[None]:
    """Subscribe as a client of 2026 does."""
    async with client.listen(resource_subscriptions=[ADDRESS]):
        yield


async def subscriptions_become(number: int, redis_client: redis.Redis) -> None:
    """Publish ticks until so many connections subscribe to them."""
    while redis_client.pubsub_numpat() != number:
        redis_client.publish(f"{ticked_channels(0)}BTC/USDT", "1")
        await asyncio.sleep(0.05)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
@pytest.mark.parametrize(("mode", "watching"), [("legacy", subscribed), ("auto", listening)])
def test_a_server_hears_of_ticks_only_while_somebody_watches(
    settings: Settings, redis_client: redis.Redis, mode: str, watching: Watching
) -> None:
    async def session() -> None:
        async with Client(make_server(settings), mode=mode) as client:
            assert redis_client.pubsub_numpat() == 0
            for _ in range(2):
                async with watching(client):
                    await subscriptions_become(1, redis_client)
                await subscriptions_become(0, redis_client)

    asyncio.run(asyncio.wait_for(session(), BOUND_SECONDS))


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_who_unsubscribed_is_told_no_more_and_who_watches_at_most_once_a_second(
    settings: Settings, redis_client: redis.Redis
) -> None:
    async def session() -> tuple[list[float], list[str]]:
        times: list[float] = []
        told: list[str] = []
        enough = asyncio.Event()

        async def noticed(message: Any) -> None:
            if not isinstance(message, ResourceUpdatedNotification):
                return
            told.append(str(message.params.uri))
            if told[-1] == ADDRESS:
                times.append(asyncio.get_running_loop().time())
            if len(times) == 4:
                enough.set()

        async with Client(make_server(settings), mode="legacy", message_handler=noticed) as client:
            await client.subscribe_resource(ADDRESS)
            await client.subscribe_resource(LEFT)
            await client.unsubscribe_resource(LEFT)
            await asyncio.wait_for(tick_until(enough, redis_client), BOUND_SECONDS)
        return times, told

    times, told = asyncio.run(session())

    assert set(told) == {ADDRESS}
    # Three seconds apart when they are sent; on a busy machine the first may be seen late.
    assert times[3] - times[0] > 2
