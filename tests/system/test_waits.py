"""Waits over HTTP: longer than other requests, and continued over restarts and lost connections."""

import asyncio
import json
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from mcp import Client

from mcp_app.http import STOP_SECONDS
from mcp_app.limits import ANSWER_SECONDS
from mcp_app.wait_room import MAX_A_SESSION, MAX_IN_ALL
from mcp_app.wait_tool import MAX_SECONDS
from tests.key_writer import KeyWriter
from tests.mcp_app.market import Market
from tests.processes import BOUND_SECONDS, Start, wait_until
from tests.system.serving import HEADERS, Served
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

TOOL = "wait_for"


@pytest.fixture
def market(writer: KeyWriter, redis_client: redis.Redis) -> Market:
    writer.healthy_ticker()
    return Market(redis_client, writer)


def waited(served: Served, mode: str = "auto", **asked: Any) -> dict[str, Any]:
    """Return the answer of a wait for icebergs in SPY."""

    async def session() -> dict[str, Any]:
        async with Client(f"{served.address}/mcp", mode=mode) as client:
            arguments = {"tickers": ["SPY"], "condition": "iceberg"} | asked
            result = await asyncio.wait_for(client.call_tool(TOOL, arguments), BOUND_SECONDS)
            assert not result.is_error, result.content
            assert result.structured_content is not None
            return result.structured_content

    return asyncio.run(session())


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_wait_may_last_longer_than_other_requests(
    start: Start, market: Market, redis_client: redis.Redis, mode: str
) -> None:
    served = Served(start)
    noticed: list[str] = []

    def notice_later() -> None:
        wait_until(lambda: redis_client.pubsub_numpat() == 1, "the server listens")
        time.sleep(ANSWER_SECONDS + 1)  # what is tested is a duration
        noticed.append(market.notice())

    thread = threading.Thread(target=notice_later)
    thread.start()
    answer = waited(served, mode, since=market.as_of)
    thread.join()

    assert [event["id"] for event in answer["events"]] == noticed
    assert answer["waited_seconds"] > ANSWER_SECONDS


def test_waits_go_on_over_a_restart_of_the_server(start: Start, market: Market) -> None:
    first = Served(start)
    before = waited(first, timeout=0)
    noticed = [market.notice()]
    told = waited(first, since=before["answer_id"])
    first.running.end()
    noticed += [market.notice(), market.notice()]
    second = Served(start)

    more = waited(second, since=told["answer_id"])
    last = waited(second, since=more["answer_id"], timeout=0)

    found = [[event["id"] for event in one.get("events", ())] for one in (told, more, last)]
    assert found == [noticed[:1], noticed[1:], []]


def test_a_wait_survives_the_loss_of_its_connections_to_redis(
    start: Start, market: Market, redis_client: redis.Redis
) -> None:
    served = Served(start)
    noticed: list[str] = []

    def lose_and_notice() -> None:
        wait_until(lambda: redis_client.pubsub_numpat() == 1, "the server listens")
        for kind in ("pubsub", "normal"):
            redis_client.client_kill_filter(_type=kind, skipme=True)
        noticed.append(market.notice())

    thread = threading.Thread(target=lose_and_notice)
    thread.start()
    answer = waited(served, since=market.as_of)
    thread.join()

    assert [event["id"] for event in answer["events"]] == noticed


def request_of(served: Served, *, closes: bool = False, **asked_too: Any) -> bytes:
    """Return the request of a wait, in a new session of protocol 2025."""
    asked = {"name": TOOL, "arguments": {"tickers": ["SPY"]} | asked_too}
    body = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": asked})
    head = {**HEADERS, "Host": "localhost", "Mcp-Session-Id": served.session()}
    head |= {"Connection": "close"} if closes else {}
    lines = [f"{name}: {text}\r\n" for name, text in head.items()]
    sent = f"POST /mcp HTTP/1.1\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n{body}"
    return sent.encode()


@pytest.mark.usefixtures("market")
def test_one_address_never_takes_all_waits_however_many_sessions_it_has(start: Start) -> None:
    served = Served(start, ORDERFLOW_MCP_REQUESTS_PER_MINUTE="10000")

    with ExitStack() as open_waits:
        for _ in range(MAX_IN_ALL // 2 // MAX_A_SESSION):
            request = request_of(served)
            for _ in range(MAX_A_SESSION):
                open_waits.enter_context(served.wire(request))
        last = request_of(served, timeout=0, closes=True)
        wait_until(lambda: b"waits of this address are open" in served.raw(last), "all are taken")
        others = served.raw(request_of(served, timeout=0, closes=True), "127.0.0.2")

    assert b'"nothing":true' in others


def test_a_wait_ends_when_its_client_goes(
    start: Start, market: Market, redis_client: redis.Redis, assert_within: AssertWithin
) -> None:
    served = Served(start)
    with served.wire(request_of(served)):
        wait_until(lambda: redis_client.pubsub_numpat() == 1, "the server listens")
        began = time.monotonic()

    def nobody_listens() -> bool:
        market.tick()
        return redis_client.pubsub_numpat() == 0

    assert_within(20, wait_until(nobody_listens, "the server listens no more"))
    assert time.monotonic() - began < MAX_SECONDS


@pytest.mark.usefixtures("market")
def test_a_server_that_stops_does_not_stay_for_a_wait(
    start: Start, redis_client: redis.Redis, assert_within: AssertWithin
) -> None:
    served = Served(start)
    with served.wire(request_of(served)):
        wait_until(lambda: redis_client.pubsub_numpat() == 1, "the server listens")
        began = time.monotonic()
        served.running.end()

    assert_within(STOP_SECONDS + 3, time.monotonic() - began)
