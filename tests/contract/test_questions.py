"""Each field that docs/questions.md names is in the form of its tool's answer, and in an answer."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import redis
from mcp import Client

from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from mcp_app import deadlines
from mcp_app.server import make_server
from tests.contract.documents import text_of
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, call
from tests.mcp_app.test_tools import FOLLOWED, bars_of
from tests.processes import BOUND_SECONDS

PAGE = text_of("docs/questions.md")
ANSWERED, NOT_OBSERVABLE = PAGE.split("\n## Not observable")
MIN_QUESTIONS = 40


def cells(text: str) -> list[list[str]]:
    """Return the rows of the table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and "?" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(schema: Any) -> Iterator[str]:
    """Yield the names of all fields of a schema."""
    match schema:
        case dict():
            yield from schema.get("properties", {})
            for inner in schema.values():
                yield from names_in(inner)
        case list():
            for inner in schema:
                yield from names_in(inner)


@pytest.fixture(scope="module")
def fields() -> dict[str, set[str]]:
    async def listed() -> dict[str, set[str]]:
        async with Client(make_server(Settings())) as client:
            tools = (await client.list_tools()).tools
        return {tool.name: {*names_in(tool.output_schema)} for tool in tools}

    return asyncio.run(listed())


def test_there_are_forty_questions_and_reasons_for_what_is_not_observable() -> None:
    assert len(cells(ANSWERED)) >= MIN_QUESTIONS
    assert all(len(row) == 3 for row in cells(ANSWERED))
    assert len(cells(NOT_OBSERVABLE)) > 5
    assert all(reason for _, reason in cells(NOT_OBSERVABLE))


@pytest.mark.parametrize("row", cells(ANSWERED), ids=lambda row: row[0])
def test_each_named_field_is_one_of_its_tools_answer(
    fields: dict[str, set[str]], row: list[str]
) -> None:
    _, tool, named = row
    found = fields_named(named)

    assert found
    assert found <= fields[tool.strip("`")]


def fields_named(named: str) -> set[str]:
    """Return the fields that a cell names."""
    # Arguments have a value, and what stands after "by" or "with" is how to ask.
    told = re.split(r", by |, with |: see ", named)[0]
    return {*re.findall(r"`([a-z_]+)`", told), *re.findall(r": see `([a-z_]+)`", named)}


ASKED: Mapping[str, list[dict[str, Any]]] = {
    **{tool: [dict(arguments)] for tool, arguments in CALLS.items()},
    "analyze_order_flow_tool": [
        {"ticker": "SPY", "limit": 50},
        {"ticker": "SPY", "history": "1min", "as_of": "30 seconds ago"},
    ],
    "explain_pattern": [{"id": "SPY~k3f9x2ab"}, {"id": "SPY~zzzzzzz2"}],
    "wait_for": [
        {"tickers": ["SPY"], "condition": "any", "timeout": "0", "since": "10 minutes ago"},
        {"tickers": ["SPY"], "condition": "ofi rank >= 0.9", "timeout": "0"},
        {"tickers": ["SPY"], "condition": "sweep bid", "timeout": "0"},
    ],
}
"""How each tool is asked, so that its answers have all fields."""


def write_healthy(writer: KeyWriter, client: redis.Redis) -> None:
    """Write a ticker of which everything is known that is known of a healthy one."""
    writer.healthy_ticker()
    writer.bars(bars_of(writer.as_of, 600), recent=5)
    writer.tick(quality={"gaps": [[writer.as_of - 60_000, writer.as_of - 55_000]]})
    for window in WINDOWS:
        ranked = {"ranks": '{"ofi": 0.97, "trade_imbalance": 0.6, "spread_bps": 0.4}'}
        client.hset(f"orderflow:metrics:SPY:{window}", mapping=ranked | {"rank_windows": "9"})
    session = {"calendar": "XNYS", "phase": "regular", "opened_at": writer.now - 60_000}
    client.hset("orderflow:session:SPY", mapping=session)
    client.hset("orderflow:feed:SPY", mapping={"source": "kraken", "alive_at": writer.now})
    client.hset("orderflow:outcomes:SPY", "absorption:bid:60", json.dumps(FOLLOWED))
    closed = {"status": "closed", "closed_at": writer.now - 5000, "close_reason": "faded"}
    rare = {"return_minutes": 60.0, "at_least": True, "opened_age_seconds": 20}
    writer.event(id="SPY~rareaaaa", type="wall", **rare, **closed)
    writer.event(id="SPY~routineb", type="wall", return_minutes=0.5)


def write_troubled(writer: KeyWriter, client: redis.Redis) -> None:
    """Write a young ticker whose feed is late, silent, in part unusable, and whose ticks fail."""
    writer.healthy_ticker()
    writer.clear_quotes()
    writer.quote(age_seconds=90)
    writer.refused_quotes(age_seconds=40)
    writer.rejected(since_age_seconds=40, not_json=3)
    writer.tick(age_seconds=70, covered_seconds=12.0)
    writer.failures()
    client.hset("orderflow:lags", "SPY", 20)


def test_each_named_field_stands_in_an_answer(
    writer: KeyWriter,
    settings: Settings,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "DEADLINE_SECONDS", BOUND_SECONDS)
    told: dict[str, set[str]] = {tool: set() for tool in ASKED}
    for write in (write_healthy, write_troubled):
        redis_client.flushall()
        write(writer, redis_client)
        for tool, questions in ASKED.items():
            for arguments in questions:
                answer = call(settings, tool, **arguments)
                assert not answer.is_error, (tool, arguments, answer.content)
                told[tool] |= {*keys_in(answer.structured_content)}

    missing = [
        (question, sorted(fields_named(named) - told[tool.strip("`")]))
        for question, tool, named in cells(ANSWERED)
        if not fields_named(named) <= told[tool.strip("`")]
    ]
    assert not missing, missing


def keys_in(answer: Any) -> Iterator[str]:
    """Yield the names of all fields of an answer."""
    match answer:
        case dict():
            yield from answer
            for inner in answer.values():
                yield from keys_in(inner)
        case list():
            for inner in answer:
                yield from keys_in(inner)
