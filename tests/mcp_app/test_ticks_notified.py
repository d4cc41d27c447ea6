"""Subscribers of both protocol eras are notified of real ticks, at most once a second."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import redis
from mcp import Client
from mcp.types import ResourceUpdatedNotification

from app.core.clock import now_ms
from app.core.settings import Settings
from app.storage.tick_store import TickStore
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.processes import BOUND_SECONDS, wait_until

# What the first tick of any ticker changes: the sharpest test of "at most".
ADDRESS = "orderflow://tickers"
A_SECOND = 5
ENOUGH = 4


@contextmanager
def ticking(settings: Settings, client: redis.Redis) -> Iterator[None]:
    """Quote and tick a further ticker, five times a second."""
    over = threading.Event()
    store = TickStore(settings)

    def tick() -> None:
        for number in itertools.count():
            KeyWriter(client).quote(f"T{number}", age_seconds=1.2)
            store.run_tick(f"T{number}", int(now_ms() // 1000 * 1000))
            if over.wait(1 / A_SECOND):
                break

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def assert_at_most_one_a_second(moments: list[float]) -> None:
    """Check the time from the first to the last; on a busy machine the first may be seen late."""
    assert len(moments) >= ENOUGH
    assert moments[ENOUGH - 1] - moments[0] > ENOUGH - 2


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_ticks_reach_a_client_of_2025(settings: Settings, redis_client: redis.Redis) -> None:
    async def session() -> list[float]:
        moments: list[float] = []
        enough = asyncio.Event()

        async def noticed(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification) and message.params.uri == ADDRESS:
                moments.append(time.monotonic())
                if len(moments) == ENOUGH:
                    enough.set()

        async with Client(make_server(settings), mode="legacy", message_handler=noticed) as client:
            await client.subscribe_resource(ADDRESS)
            await asyncio.wait_for(enough.wait(), BOUND_SECONDS)
            read = await client.read_resource("orderflow://T0/snapshot")
            assert "\nlast 300 s, covered " in read.contents[0].text
        return moments

    with ticking(settings, redis_client):
        assert_at_most_one_a_second(asyncio.run(session()))


def test_ticks_reach_a_client_of_2026(settings: Settings, redis_client: redis.Redis) -> None:
    async def session() -> list[float]:
        moments: list[float] = []
        async with (
            Client(make_server(settings)) as client,
            client.listen(resource_subscriptions=[ADDRESS]) as heard,
            asyncio.timeout(BOUND_SECONDS),
        ):
            async for event in heard:
                assert event.uri == ADDRESS
                moments.append(time.monotonic())
                if len(moments) == ENOUGH:
                    break
        return moments

    with ticking(settings, redis_client):
        assert_at_most_one_a_second(asyncio.run(session()))


@pytest.mark.parametrize(("ticked", "listening"), [(1, 0), (0, 1), (11, 1)])
def test_ticks_of_another_database_of_the_server_reach_nobody(
    settings: Settings, redis_client: redis.Redis, ticked: int, listening: int
) -> None:
    ours = settings.model_copy(update={"redis_db": listening})
    theirs = settings.model_copy(update={"redis_db": ticked})
    port = settings.redis_port
    where = {number: redis.Redis(port=port, db=number) for number in (ticked, listening)}
    uris: list[str] = []
    theirs_uri, ours_uri = "orderflow://SPY/snapshot", "orderflow://QQQ/snapshot"

    async def session() -> None:
        async with (
            Client(make_server(ours)) as client,
            client.listen(resource_subscriptions=[theirs_uri, ours_uri]) as heard,
            asyncio.timeout(BOUND_SECONDS),
        ):
            listens = partial(redis_client.execute_command, "PUBSUB", "NUMPAT")
            await asyncio.to_thread(wait_until, lambda: listens() == 1, "the server listens")
            store, other = TickStore(theirs), TickStore(ours)
            for number, ticker in ((ticked, "SPY"), (listening, "QQQ")):
                KeyWriter(where[number]).event(ticker, id=f"{ticker}~k3f9x2ab")
                KeyWriter(where[number]).quote(ticker, age_seconds=1.2)
            assert store.run_tick("SPY", int(now_ms() // 1000 * 1000)).outcome == "written"
            await asyncio.sleep(1.2)  # longer than notices are kept together
            other.run_tick("QQQ", int(now_ms() // 1000 * 1000))
            async for event in heard:
                uris.append(str(event.uri))
                break

    asyncio.run(session())
    assert uris == [ours_uri]
