"""All tools and forms of one moment tell the same; what is cut is said."""

import asyncio
from typing import Any

import pytest
import redis
from mcp import Client
from mcp.types import TextResourceContents

from app.core.settings import Settings
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import call, text_of
from tests.mcp_app.test_tools import bars_of

METRICS = ("bid_price", "ask_price", "ofi", "trade_imbalance")
RARE = {"return_minutes": 48.0, "noticed_at": 0.0}


@pytest.fixture
def spy(writer: KeyWriter, redis_client: redis.Redis) -> KeyWriter:
    """Give a healthy ticker with a rare open event and ranks."""
    writer.healthy_ticker()
    writer.bars(bars_of(writer.as_of, 600), recent=5)
    writer.event(id="SPY~rareaaaa", type="iceberg", side="ask", return_minutes=95.0)
    redis_client.hset("orderflow:metrics:SPY:5min", "ranks", '{"ofi": 0.974}')
    return writer


def said(settings: Settings, tool: str, **arguments: Any) -> dict[str, Any]:
    found = call(settings, tool, **arguments).structured_content
    assert found is not None
    return found


def test_brief_full_compared_and_listed_tell_the_same(spy: KeyWriter, settings: Settings) -> None:
    assert spy.as_of
    full = said(settings, "analyze_order_flow_tool", ticker="SPY")
    brief = said(settings, "analyze_order_flow_tool", ticker="SPY", detail="brief")
    [compared] = said(settings, "compare_order_flow", tickers=["SPY"])["tickers"]
    [listed] = said(settings, "list_tickers")["tickers"]

    for name in METRICS:
        assert brief["metrics"][name] == pytest.approx(full["metrics"][name], rel=5e-3)
        assert compared[name] == brief["metrics"][name]
    assert brief["as_of"] == full["as_of"] == compared["as_of"]
    on = {name: state for name, state in full["behaviors"].items() if state in ("on", "up", "down")}
    assert brief["behaviors"] == on
    named = ["iceberg ask once in 95 min", "absorption bid"]
    assert brief["open_patterns"] == compared["open_patterns"] == listed["open_patterns"] == named
    assert [event["type"] for event in full["events"]][:2] == ["iceberg", "absorption"]
    assert brief["headline"].startswith("ask 585.3..585.31: iceberg")
    assert full["headline"].startswith("ask 585.3..585.31: iceberg")
    assert "above usual (p97)" in full["headline"]


def test_the_first_line_is_the_headline_in_both_lengths(spy: KeyWriter, settings: Settings) -> None:
    assert spy.as_of
    for detail in ("full", "brief"):
        result = call(settings, "analyze_order_flow_tool", ticker="SPY", detail=detail)

        assert result.structured_content is not None
        first = text_of(result).splitlines()[0]
        assert first == f"SPY: {result.structured_content['headline']}"


def test_a_full_answer_names_open_events_that_it_only_counts(
    spy: KeyWriter, settings: Settings
) -> None:
    spy.event(id="SPY~routinaa", type="wall", return_minutes=1.4)
    spy.event(id="SPY~routinab", type="wall", return_minutes=2.0, status="closed")

    full = said(settings, "analyze_order_flow_tool", ticker="SPY")
    every = said(settings, "analyze_order_flow_tool", ticker="SPY", min_return_minutes=0, limit=9)

    assert full["open_patterns"] == ["wall bid once in 1.4 min"]
    shown = [event["type"] for event in full["events"] if event["status"] == "open"]
    assert shown == ["iceberg", "absorption"]
    assert "open_patterns" not in every
    text = text_of(call(settings, "analyze_order_flow_tool", ticker="SPY"))
    assert "\nopen of those left out: wall bid once in 1.4 min\n" in text


def test_events_under_a_given_return_period_are_counted(spy: KeyWriter, settings: Settings) -> None:
    spy.event(id="SPY~routinaa", type="wall", return_minutes=12.0)

    def shown(**given: Any) -> list[str]:
        answer = said(settings, "analyze_order_flow_tool", ticker="SPY", **given)
        return [event["id"] for event in answer["events"]]

    assert "SPY~routinaa" in shown()
    assert "SPY~routinaa" not in shown(min_return_minutes=30)
    counted = said(settings, "analyze_order_flow_tool", ticker="SPY", min_return_minutes=30)
    assert counted["other_events"]["wall bid"] == [1]


async def _read(settings: Settings, address: str) -> str:
    async with Client(make_server(settings)) as client:
        [content] = (await client.read_resource(address)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


def test_the_resource_of_patterns_says_how_many_it_leaves_out(
    spy: KeyWriter, settings: Settings
) -> None:
    for number in range(30):
        spy.event(id=f"SPY~eventa{'abcdefghijklmnopqrstuvwxyz234567'[number]}a", type="wall")

    text = asyncio.run(_read(settings, "orderflow://SPY/patterns"))

    first, *events = text.splitlines()
    assert "20 shown, 13 left out" in first
    assert len(events) == 21
    assert events[20].startswith('more: analyze_order_flow_tool with history="1h"')
    assert "iceberg" in events[0]


def test_the_pages_tool_tells_its_data_as_text_too(spy: KeyWriter, settings: Settings) -> None:
    assert spy.as_of
    result = call(settings, "order_flow_page", ticker="SPY")

    assert result.structured_content is not None
    lines = text_of(result).splitlines()
    columns = result.structured_content["columns"]
    assert {line.partition(":")[0] for line in lines} >= set(columns)
