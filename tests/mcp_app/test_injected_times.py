"""A time that can't be one, in whatever key, takes no answer away."""

import asyncio
import json
from typing import Any

import pytest
import redis
from mcp import Client

from app.core.settings import Settings
from app.storage.published import read_quality
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import text_of
from tests.mcp_app.test_tools import bars_of

IMPOSSIBLE = ("1e300", "-1e300", "1e15", "0")
QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("analyze_order_flow_tool", {"ticker": "SPY"}),
    ("analyze_order_flow_tool", {"ticker": "SPY", "as_of": "-2m"}),
    ("wait_for", {"tickers": ["SPY"], "condition": "any", "timeout": "0", "since": "-60s"}),
    ("compare_order_flow", {"tickers": ["SPY", "QQQ"]}),
    ("scan_order_flow", {}),
    ("list_tickers", {}),
    ("order_flow_series", {"ticker": "SPY"}),
    ("explain_pattern", {"id": "SPY~zzzzzzz2"}),
)


@pytest.fixture
def healthy(writer: KeyWriter, redis_client: redis.Redis) -> None:
    writer.healthy_ticker()
    writer.quote("QQQ")
    writer.tick("QQQ")
    writer.discovered("SPY", "QQQ")
    writer.bars(bars_of(writer.as_of, 600))
    times = {"opened_at": writer.as_of - 9000, "closes_at": writer.as_of + 9000}
    told = {"calendar": "XNYS", "phase": "regular", "since": writer.as_of - 5000}
    redis_client.hset("orderflow:session:SPY", mapping=times | told)


def refusals(settings: Settings) -> list[str]:
    """Ask every tool; return what they say that do not answer."""

    async def session() -> list[str]:
        async with Client(make_server(settings)) as client:
            results = [await client.call_tool(name, asked) for name, asked in QUESTIONS]
            return [text_of(result) for result in results if result.is_error]

    return asyncio.run(session())


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("session:SPY", "since"),
        ("session:SPY", "opened_at"),
        ("session:SPY", "closes_at"),
        ("state:SPY", "as_of"),
        ("metrics:SPY:1min", "as_of"),
        ("failures:SPY", "as_of"),
    ],
)
def test_a_field_takes_no_answer_away(
    settings: Settings, redis_client: redis.Redis, key: str, field: str
) -> None:
    for value in IMPOSSIBLE:
        redis_client.hset(f"orderflow:{key}", field, value)
        assert refusals(settings) == []


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("field", ["opened_at", "noticed_at", "updated_at", "closed_at"])
def test_an_event_takes_no_answer_away_but_its_own(
    settings: Settings, redis_client: redis.Redis, field: str
) -> None:
    key = "orderflow:patterns:SPY"
    members = redis_client.zrange(key, 0, -1, withscores=True)
    for value in IMPOSSIBLE:
        redis_client.delete(key)
        for member, opened in members:
            event = json.loads(member) | {field: float(value)}
            redis_client.zadd(key, {json.dumps(event): opened})
        refused = refusals(settings)
        assert all("no such event is kept" in text for text in refused)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("key", ["pulse", "metrics:SPY:5min"])
def test_where_a_time_can_not_be_read_it_counts_as_none(
    settings: Settings, redis_client: redis.Redis, key: str
) -> None:
    for value in IMPOSSIBLE:
        for field in ("fanout", "tick") if key == "pulse" else ("as_of",):
            redis_client.hset(f"orderflow:{key}", field, value)
        assert not any("Error executing" in text for text in refusals(settings))


def test_a_rebuilding_has_a_time_that_can_be_one() -> None:
    told = read_quality(b'{"rebuilt_at": 1e300, "clock_corrected_at": 1340285400000}')

    assert (told.rebuilt_at, told.clock_corrected_at) == (None, 1_340_285_400_000)
