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
from mcp_app.resource_addresses import TICKERS
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.mcp_app.market import Market
from tests.processes import BOUND_SECONDS, wait_until

ADDRESS = "orderflow://BTC%2FUSDT/patterns"
LEFT = "orderflow://BTC%2FUSDT/snapshot"
Watching = Callable[[Client], AbstractAsyncContextManager[None]]


async def change_until(seen: asyncio.Event, redis_client: redis.Redis) -> None:
    """Notice an event with each tick until one is seen: the server may not have looked yet."""
    market = Market(redis_client, KeyWriter(redis_client))
    while not seen.is_set():
        market.notice(ticker="BTC/USDT")
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
            await asyncio.wait_for(change_until(seen, redis_client), BOUND_SECONDS)

    asyncio.run(session())


def test_a_client_of_2026_is_told(settings: Settings, redis_client: redis.Redis) -> None:
    async def session() -> str:
        async with (
            Client(make_server(settings)) as client,
            client.listen(resource_subscriptions=[ADDRESS]) as heard,
        ):
            seen = asyncio.Event()
            ticking = asyncio.create_task(change_until(seen, redis_client))
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
            await asyncio.wait_for(change_until(enough, redis_client), BOUND_SECONDS)
        return times, told

    times, told = asyncio.run(session())

    assert set(told) == {ADDRESS}
    # Three seconds apart when they are sent; on a busy machine the first may be seen late.
    assert times[3] - times[0] > 2


@pytest.mark.parametrize("uri", ["orderflow://SPY/snapshot", "orderflow://tickers"])
def test_a_tick_that_changes_no_event_is_told_to_nobody(
    settings: Settings, redis_client: redis.Redis, uri: str
) -> None:
    writer = KeyWriter(redis_client)
    writer.healthy_ticker()
    market = Market(redis_client, writer)
    told: list[float] = []

    async def session() -> None:
        async with (
            Client(make_server(settings)) as client,
            client.listen(resource_subscriptions=[uri]) as heard,
            asyncio.timeout(BOUND_SECONDS),
        ):
            await asyncio.to_thread(
                wait_until, lambda: redis_client.pubsub_numpat() == 1, "the server listens"
            )
            # What is told first is that the ticker is new to the server, or that the event is.
            market.notice()
            async for _ in heard:
                told.append(market.as_of)
                if len(told) == 1:
                    for _ in range(3):
                        market.tick(ranks="{}")
                        await asyncio.sleep(0.05)
                    market.notice()
                else:
                    break

    ticking = market.as_of
    asyncio.run(session())
    assert told[1] - ticking >= 4000


def test_an_event_that_grows_or_closes_is_told(
    settings: Settings, redis_client: redis.Redis
) -> None:
    writer = KeyWriter(redis_client)
    writer.healthy_ticker()
    market = Market(redis_client, writer)
    told: list[str] = []

    async def session() -> None:
        async with (
            Client(make_server(settings)) as client,
            client.listen(resource_subscriptions=["orderflow://SPY/patterns"]) as heard,
            asyncio.timeout(BOUND_SECONDS),
        ):
            begun = await client.read_resource("orderflow://SPY/patterns")
            assert begun.contents
            event_id = market.notice()
            changes = [{"statistic": 3.5}, {"status": "closed", "closed_at": market.as_of}]
            async for event in heard:
                told.append(str(event.uri))
                if not changes:
                    break
                market.change(event_id, **changes.pop(0))

    asyncio.run(session())
    assert told == ["orderflow://SPY/patterns"] * 3


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_who_watches_the_tickers_is_told_though_others_leave_another_resource(
    settings: Settings, redis_client: redis.Redis
) -> None:
    async def session() -> None:
        seen = asyncio.Event()

        async def noticed(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification) and message.params.uri == TICKERS:
                seen.set()

        async with Client(make_server(settings), mode="legacy", message_handler=noticed) as client:
            others = {str(one.uri) for one in (await client.list_resources()).resources}
            [other] = others - {TICKERS}
            for uri in (TICKERS, other):
                await client.subscribe_resource(uri)
            await client.unsubscribe_resource(other)
            await asyncio.wait_for(change_until(seen, redis_client), BOUND_SECONDS)

    asyncio.run(session())
