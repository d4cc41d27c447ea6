"""`wait_for` returns what newly meets a condition, once, and goes on behind its last answer."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from mcp import Client
from mcp.types import CallToolResult

from app.core.settings import Settings
from mcp_app import wait_room
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import call, text_of
from tests.mcp_app.market import Market
from tests.mcp_app.test_tools import bars_of
from tests.processes import BOUND_SECONDS, wait_until

TOOL = "wait_for"


@pytest.fixture
def market(writer: KeyWriter, redis_client: redis.Redis) -> Market:
    writer.healthy_ticker()
    writer.quote("QQQ")
    writer.tick("QQQ")
    writer.discovered("SPY", "QQQ")
    return Market(redis_client, writer)


def said(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


def waiting(
    settings: Settings, redis_client: redis.Redis, happens: Callable[[], Any], **asked: Any
) -> CallToolResult:
    """Return what a wait answers to something that happens once the server listens."""

    async def session() -> CallToolResult:
        async with Client(make_server(settings)) as client:
            question = asyncio.create_task(client.call_tool(TOOL, {"timeout": "55s"} | asked))
            await asyncio.to_thread(
                wait_until, lambda: redis_client.pubsub_numpat() == 1, "the server listens"
            )
            await asyncio.to_thread(happens)
            return await asyncio.wait_for(question, BOUND_SECONDS)

    return asyncio.run(session())


def test_an_event_that_meets_the_condition_ends_the_wait(
    settings: Settings, redis_client: redis.Redis, market: Market
) -> None:
    since = market.as_of

    def happens() -> None:
        market.notice("wall")
        market.notice("iceberg", side="bid")
        market.notice("iceberg", side="ask", return_minutes=34.0)

    result = waiting(
        settings,
        redis_client,
        happens,
        tickers=["spy", "QQQ"],
        condition="icebergs, ask",
        since=since,
    )

    answer = said(result)
    [found] = answer["events"]
    assert (found["ticker"], found["type"], found["side"]) == ("SPY", "iceberg", "ask")
    assert found["return_minutes"] == 34
    assert answer["condition"] == "iceberg ask"
    assert "once in 34 min" in text_of(result)
    assert "nothing" not in answer


def test_a_number_that_comes_to_meet_the_condition_ends_the_wait(
    settings: Settings, redis_client: redis.Redis, market: Market
) -> None:
    def happens() -> None:
        market.tick(ranks=json.dumps({"ofi": 0.5}))
        market.tick(ranks=json.dumps({"ofi": 0.96}))

    result = waiting(settings, redis_client, happens, tickers="SPY", condition="ofi rank >= 95%")

    [found] = said(result)["numbers"]
    assert found == {
        "ticker": "SPY",
        "metric": "ofi",
        "window": "1min",
        "rank": 0.96,
        "value": 1234,
        "as_of": market.as_of,
    }
    assert "SPY ofi 1234, rank 0.96 in 1min" in text_of(result)


def test_nothing_is_said_once_the_time_is_over(settings: Settings, market: Market) -> None:
    began = time.monotonic()
    result = call(settings, TOOL, tickers=["SPY"], timeout=1)

    assert time.monotonic() - began >= 1
    assert said(result)["nothing"] is True
    assert "\nnothing\n" in text_of(result)
    assert said(result)["tickers"] == [{"ticker": "SPY", "as_of": market.as_of}]


def test_a_wait_goes_on_behind_the_answer_before_without_a_gap_or_a_double(
    settings: Settings, market: Market
) -> None:
    asked = {"tickers": ["SPY", "QQQ"], "condition": "iceberg", "timeout": 0}
    before = said(call(settings, TOOL, **asked))
    noticed = [market.notice(), market.notice(), market.notice()]

    # Each call has a server of its own: nothing depends on what one remembers.
    first = said(call(settings, TOOL, **asked, since=before["answer_id"]))
    second = said(call(settings, TOOL, **asked, since=first["answer_id"]))
    noticed.append(market.notice())
    third = said(call(settings, TOOL, **asked, since=second["answer_id"]))
    again = said(call(settings, TOOL, **asked, since=first["answer_id"]))

    told = [[event["id"] for event in it.get("events", ())] for it in (first, second, third, again)]
    assert told == [noticed[:3], [], noticed[3:], noticed[3:]]


def test_a_wait_goes_on_behind_another_tools_answer_or_a_moment(
    settings: Settings, market: Market
) -> None:
    answer = said(call(settings, "analyze_order_flow_tool", ticker="SPY"))
    asked = {"tickers": ["SPY"], "condition": "iceberg", "timeout": 0}
    noticed = market.notice()

    for since in (answer["answer_id"], answer["as_of"], "-30s"):
        [found] = said(call(settings, TOOL, **asked, since=since))["events"]
        assert found["id"] == noticed
    assert said(call(settings, TOOL, **asked, since=market.as_of))["nothing"] is True


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"tickers": ["SPX"]}, "SPX: no record of this ticker"),
        ({"tickers": []}, "0 given, 1 to 10 accepted"),
        ({"tickers": ["SPY"], "condition": "avalanche"}, "'avalanche' is not understood"),
        ({"tickers": ["SPY"], "timeout": "soon"}, "timeout 'soon'"),
        ({"tickers": ["SPY"], "since": "aaaaaaaa"}, "no answer 'aaaaaaaa' is kept"),
        ({"tickers": ["SPY"], "since": "3 hours ago"}, "since '3 hours ago' lies 3.0 h ago"),
        ({"tickers": ["SPY"], "sinze": "x"}, "unknown argument 'sinze'"),
    ],
)
@pytest.mark.usefixtures("market")
def test_what_can_not_be_waited_for_is_refused_in_a_line(
    settings: Settings, asked: dict[str, Any], fault: str
) -> None:
    result = call(settings, TOOL, **asked)

    assert result.is_error
    assert fault in text_of(result)
    assert "\n" not in text_of(result)


def test_a_wait_in_vain_says_what_is_in_its_way(settings: Settings, market: Market) -> None:
    assert market.as_of
    healthy = said(call(settings, TOOL, tickers=["SPY"], condition="iceberg", timeout=0))
    young = said(call(settings, TOOL, tickers=["SPY"], condition="ofi p95", timeout=0))

    assert "note" not in healthy
    assert young["note"] == "SPY: too young for ranks, which need 20 min of its past"


def test_a_wait_says_that_a_young_ticker_has_no_return_periods(
    settings: Settings, redis_client: redis.Redis, market: Market, writer: KeyWriter
) -> None:
    assert market.as_of
    answers = []
    for seconds in (1500, 1800):
        redis_client.delete("orderflow:bars:SPY")
        writer.bars(bars_of(writer.as_of, seconds))
        answers.append(said(call(settings, TOOL, tickers=["SPY"], timeout=0)))

    notes = [answer.get("note") for answer in answers]
    assert notes == ["SPY: too young for return periods, which need 30 min of its past", None]


def test_a_wait_says_that_a_feed_is_down(
    settings: Settings, market: Market, redis_client: redis.Redis
) -> None:
    for age_ms, is_down in ((5_000, False), (40_000, True)):
        redis_client.hset("orderflow:feed:SPY", "alive_at", market.as_of - age_ms)
        answer = said(call(settings, TOOL, tickers=["SPY"], condition="sweep", timeout=0))
        assert answer.get("note", "").startswith("SPY: its feed is down") == is_down


def test_a_wait_names_the_metrics_that_have_no_rank(
    settings: Settings, market: Market, redis_client: redis.Redis
) -> None:
    assert market.as_of
    for window in ("10s", "1min"):
        redis_client.hset(f"orderflow:metrics:SPY:{window}", "ranks", json.dumps({"ofi": 0.5}))

    asked = {"tickers": ["SPY"], "condition": "ofi p95 or trade_imbalance p95", "timeout": 0}
    answer = said(call(settings, TOOL, **asked))

    assert answer["note"] == "SPY: no rank is known of trade_imbalance in 1min"


@pytest.mark.usefixtures("market")
def test_waits_of_a_client_are_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_room, "MAX_A_SESSION", 3)

    async def session() -> list[CallToolResult]:
        async with Client(make_server(settings)) as client:
            asked = {"tickers": ["SPY"], "timeout": 2}
            return await asyncio.gather(*(client.call_tool(TOOL, asked) for _ in range(5)))

    results = asyncio.run(session())

    refused = [text_of(one) for one in results if one.is_error]
    assert len(refused) == 2
    assert all("3 waits of this client are open" in text for text in refused)


def test_many_waits_are_told_of_one_event_once(
    settings: Settings, redis_client: redis.Redis, market: Market
) -> None:
    async def session() -> list[dict[str, Any]]:
        async with Client(make_server(settings)) as client:
            asked = {"tickers": ["SPY"], "condition": "sweep", "since": market.as_of}
            waits = [asyncio.create_task(client.call_tool(TOOL, asked)) for _ in range(20)]
            await asyncio.to_thread(
                wait_until, lambda: redis_client.pubsub_numpat() == 1, "the server listens"
            )
            await asyncio.to_thread(market.notice, "sweep")
            return [said(one) for one in await asyncio.wait_for(asyncio.gather(*waits), 60)]

    answers = asyncio.run(session())

    assert [len(it["events"]) for it in answers] == [1] * 20
