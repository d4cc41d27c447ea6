"""Every name that is allowed goes the whole way: records, discovery, tick, each tool, resources."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import redis
from hypothesis import strategies as st
from mcp import Client

from app.answers.chart import preload_matplotlib
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from mcp_app.notifications import resource_uris
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, text_of

CHARACTERS = "ABYZabyz0189._-/:^=#*+&!@$~"
PADDED = st.from_regex(r"\A[A-Z]{1,3}   241220[CP][0-9]{8}\Z").filter(is_ticker)
NAMES = st.text(CHARACTERS, min_size=1, max_size=32).filter(is_ticker) | PADDED
ODD = [
    "WFC+", "WYND#", "BAC-I*", "M&M", "^SPX", "ES=F", "/ESZ6", "SPY   241220C00450000", "x" * 32,
    "*", ".", "..", "~", "A~aaaaaaaa", "$a^$", "$x_^$", "@1000", "SPY@1000", "A:10s", "A:bid", "_a",
    "#", "!", "&amp", "+1", "=1+1", "O:SPY", "%",
]  # fmt: skip


def named(arguments: Any, ticker: str) -> dict[str, Any]:
    """Return a tool's arguments with another ticker than SPY."""
    return json.loads(json.dumps(arguments).replace("SPY", ticker))  # type: ignore[no-any-return]


def feed_and_tick(client: redis.Redis, settings: Settings, tickers: list[str]) -> list[str]:
    """Quote the tickers, discover them, and run their ticks; return what discovery found."""
    writer = KeyWriter(client)
    writer.heartbeat()
    for ticker in tickers:
        for age_seconds in (2.5, 1.5, 0.5):
            writer.quote(ticker, age_seconds=age_seconds)
    activity = ActiveTickers(client, Keys())
    activity.scan_slice(writer.now)
    found = activity.active(writer.as_of)
    store = TickStore(settings)
    for ticker in found:
        store.run_tick(ticker, writer.as_of)
        writer.event(ticker, id=f"{ticker}~k3f9x2ab")
    return found


async def ask_everything(settings: Settings, tickers: list[str]) -> None:
    async with Client(make_server(settings)) as client:
        for ticker in tickers:
            for tool, given in CALLS.items():
                result = await client.call_tool(tool, named(given, ticker))
                assert not result.is_error, (ticker, tool, text_of(result))
                assert result.structured_content is not None
                one = result.structured_content
                if tool != "scan_order_flow":
                    told = [row["ticker"] for row in one.get("tickers", [one])]
                    assert ticker in told
                if "SPY" in str(given):
                    assert ticker in text_of(result)
                assert all(line.isprintable() for line in text_of(result).splitlines())
            for uri in resource_uris(ticker):
                read = await client.read_resource(uri)
                assert read.contents[0].text.startswith(f"{ticker}: ")


@pytest.fixture(autouse=True)
def _drawing() -> None:
    preload_matplotlib()


def test_odd_names_go_the_whole_way_side_by_side(
    redis_client: redis.Redis, settings: Settings
) -> None:
    tickers = [name for name in ODD if name != "%"]

    assert sorted(feed_and_tick(redis_client, settings, ODD)) == sorted(tickers)
    asyncio.run(ask_everything(settings, tickers))


@hypothesis.settings(
    max_examples=6, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(st.lists(NAMES, min_size=4, max_size=4, unique=True))
def test_any_allowed_names_go_the_whole_way(
    redis_client: redis.Redis, settings: Settings, tickers: list[str]
) -> None:
    redis_client.flushall()

    assert sorted(feed_and_tick(redis_client, settings, tickers)) == sorted(tickers)
    asyncio.run(ask_everything(settings, tickers))


@hypothesis.given(NAMES)
def test_the_keys_of_a_tick_are_those_of_its_ticker(ticker: str) -> None:
    for names in (Keys(), Keys(cluster=True)):
        assert names.ticker_of_quotes(names.quotes(ticker)) == ticker
        first = [names.state(ticker), names.quotes(ticker), names.trades(ticker)]
        assert names.of_tick(ticker)[:3] == first
        assert names.of_tick(ticker)[-1] == names.metrics(ticker, "5min")


@hypothesis.given(NAMES)
def test_the_address_of_a_resource_holds_no_character_that_parts_addresses(ticker: str) -> None:
    for uri in resource_uris(ticker):
        assert quote(ticker, safe="") in uri
        assert set(uri.removeprefix("orderflow://")) & set("?#@:& ") == set()
