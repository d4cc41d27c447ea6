"""The MCP server, in memory, against keys written by hand; in both protocol eras."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult

from app.answers.answer_model import Answer
from app.answers.ask import ask
from app.answers.reader import Reader
from app.answers.ticker_text import as_text
from app.core.settings import Settings
from mcp_app.server import make_server
from tests.key_writer import KeyWriter
from tests.timing import AssertWithin

TOOL = "analyze_order_flow_tool"
Asked = Callable[[Client], Coroutine[Any, Any, Any]]
Agent = Callable[[Asked], Any]


@pytest.fixture(params=["auto", "legacy"])
def agent(request: pytest.FixtureRequest, settings: Settings) -> Agent:
    """Give a way to talk to the server as a client of 2026 and of 2025."""

    def talk(asked: Asked) -> Any:
        async def session() -> Any:
            async with Client(make_server(settings), mode=request.param) as client:
                return await asked(client)

        return asyncio.run(session())

    return talk


@pytest.fixture
def call(agent: Agent) -> Callable[..., CallToolResult]:
    """Give a way to call the tool with arguments."""
    return lambda **arguments: agent(lambda client: client.call_tool(TOOL, arguments))


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert content.type == "text"
    return content.text


def test_the_tool_answers_with_text_and_structure_of_the_same_answer(
    writer: KeyWriter, call: Callable[..., CallToolResult]
) -> None:
    writer.healthy_ticker()

    result = call(ticker="SPY")

    assert not result.is_error
    answer = Answer.model_validate(result.structured_content)
    assert text_of(result) == as_text(answer)
    assert answer.answer_id is not None
    assert (answer.ticker, answer.history_seconds, answer.as_of) == ("SPY", 300, writer.as_of)
    assert (answer.stale, answer.quiet, answer.warming) == (False, False, False)
    assert answer.metrics.bid_price == 585.33


def test_the_history_is_answered_exactly(
    writer: KeyWriter, call: Callable[..., CallToolResult]
) -> None:
    writer.healthy_ticker()

    result = call(ticker="SPY", history="45sec")

    assert result.structured_content is not None
    assert result.structured_content["history_seconds"] == 45


def test_patterns_can_be_left_out(writer: KeyWriter, call: Callable[..., CallToolResult]) -> None:
    writer.healthy_ticker()

    result = call(ticker="SPY", include_patterns=False)

    assert result.structured_content is not None
    assert "events" not in result.structured_content
    assert "events: not asked for" in text_of(result)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"ticker": "SPY", "histroy": "10s"},
            "unknown argument 'histroy'. Arguments: ticker, history",
        ),
        ({}, "argument 'ticker' is missing"),
        ({"ticker": True}, "argument 'ticker': Input should be a valid string"),
        ({"ticker": None}, "argument 'ticker' is missing"),
        ({"ticker": "S P"}, "ticker 'S P' is not allowed"),
        (
            {"ticker": "SPY", "history": "banana"},
            "history 'banana' is not understood; accepted: 30s",
        ),
        ({"ticker": "SPX"}, "SPX: no record of this ticker in Redis; active, nearest first: SPY"),
    ],
)
def test_what_is_asked_wrongly_is_an_error_that_says_how_to_ask(
    writer: KeyWriter, call: Callable[..., CallToolResult], arguments: dict[str, object], said: str
) -> None:
    writer.discovered("SPY")

    result = call(**arguments)

    assert result.is_error
    assert said in text_of(result)
    assert "http" not in text_of(result)
    assert "\n" not in text_of(result)


def test_a_stale_answer_says_so_first(
    writer: KeyWriter, call: Callable[..., CallToolResult]
) -> None:
    writer.quote()
    writer.tick(age_seconds=30)

    result = call(ticker="SPY")

    assert result.structured_content is not None
    assert result.structured_content["stale"] is True
    assert "fan-out was never seen" in result.structured_content["note"]
    first, _, warning, *_ = text_of(result).splitlines()
    assert first.startswith("SPY: STALE; ")
    assert warning.startswith("STALE: no tick for over 3 intervals")


def test_without_redis_the_error_names_it_within_two_seconds(
    settings: Settings, assert_within: AssertWithin
) -> None:
    nowhere = settings.model_copy(update={"redis_port": 1})

    async def session() -> CallToolResult:
        async with Client(make_server(nowhere)) as client:
            return await client.call_tool(TOOL, {"ticker": "SPY"})

    began = time.monotonic()
    result = asyncio.run(session())

    assert_within(2, time.monotonic() - began)
    assert result.is_error
    assert "Redis at 127.0.0.1:1 can't be reached" in text_of(result)


def test_an_unknown_tool_is_a_protocol_error(agent: Agent) -> None:
    async def refusal(client: Client) -> str:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("analyse", {})
        return str(raised.value)

    assert agent(refusal).startswith(f"unknown tool 'analyse'; there are: {TOOL}, compare_order_")


def test_the_tool_is_read_only_strict_and_free_of_unions(agent: Agent) -> None:
    [tool, *_] = agent(lambda client: client.list_tools()).tools

    assert tool.name == TOOL
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint
    assert tool.annotations.destructive_hint is False
    assert tool.input_schema["additionalProperties"] is False
    assert list(tool.input_schema["properties"]) == [
        "ticker",
        "history",
        "include_patterns",
        "detail",
        "as_of",
        "min_return_minutes",
        "limit",
    ]
    assert tool.input_schema["required"] == ["ticker"]
    assert "anyOf" not in str(tool.input_schema)
    assert tool.output_schema is not None
    assert "null" not in str(tool.output_schema)


def test_many_questions_at_once_share_one_pool(writer: KeyWriter, agent: Agent) -> None:
    writer.healthy_ticker()

    async def thirty(client: Client) -> list[CallToolResult]:
        calls = (client.call_tool(TOOL, {"ticker": "SPY"}) for _ in range(30))
        return list(await asyncio.gather(*calls))

    assert [result.is_error for result in agent(thirty)] == [False] * 30


def test_asking_in_the_shell_gives_the_same_text(writer: KeyWriter, reader: Reader) -> None:
    writer.healthy_ticker()

    first, second, *_ = as_text(ask(reader, "SPY", "1m").answer).splitlines()
    assert first.startswith("SPY: ")
    assert second.startswith("last 60 s, covered 60 s, as of ")
