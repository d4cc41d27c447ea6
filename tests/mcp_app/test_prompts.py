"""Prompts that brief on facts, and completion of what they are asked about."""

import pytest
from mcp import Client
from mcp.types import PromptReference, ResourceTemplateReference

from app.answers.history_argument import parse_history
from app.core.settings import Settings
from mcp_app.completion import HISTORIES, MAX_VALUES, complete_word
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, talk

PROMPT = PromptReference(type="ref/prompt", name="brief_ticker")
TEMPLATE = ResourceTemplateReference(type="ref/resource", uri="orderflow://{ticker}/snapshot")
ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])


def complete(
    settings: Settings,
    reference: PromptReference | ResourceTemplateReference,
    name: str,
    begun: str,
    mode: str = "auto",
) -> list[str]:
    """Complete one argument."""

    async def asked(client: Client) -> list[str]:
        result = await client.complete(reference, {"name": name, "value": begun})
        return list(result.completion.values)

    found: list[str] = talk(settings, asked, mode)
    return found


@ERAS
@pytest.mark.parametrize(
    ("name", "given", "tool", "about"),
    [
        ("brief_ticker", {"ticker": "SPY", "history": "1h"}, "analyze_order_flow_tool", "SPY"),
        ("brief_ticker", {}, "analyze_order_flow_tool", "the first ticker of list_tickers"),
        ("compare_tickers", {"tickers": "SPY,QQQ"}, "compare_order_flow", "SPY,QQQ"),
        ("compare_tickers", {}, "compare_order_flow", "the first five tickers"),
    ],
)
def test_a_prompt_asks_a_tool_for_facts_alone(  # noqa: PLR0913, PLR0917 - a table of cases
    settings: Settings, name: str, given: dict[str, str], tool: str, about: str, mode: str
) -> None:
    result = talk(settings, lambda client: client.get_prompt(name, given), mode)

    [message] = result.messages
    assert message.role == "user"
    assert f"Call {tool} for {about}" in message.content.text
    assert f"history {given.get('history', '5mins')}" in message.content.text
    assert "no advice and no forecast" in message.content.text
    assert tool in CALLS


@ERAS
@pytest.mark.parametrize("reference", [PROMPT, TEMPLATE], ids=["prompt", "resource"])
def test_tickers_are_completed_whatever_the_case(
    writer: KeyWriter,
    settings: Settings,
    reference: PromptReference | ResourceTemplateReference,
    mode: str,
) -> None:
    writer.discovered("SPY", "SPXL", "QQQ")

    assert complete(settings, reference, "ticker", "sp", mode) == ["SPXL", "SPY"]


def test_the_last_of_several_tickers_is_completed(writer: KeyWriter, settings: Settings) -> None:
    writer.discovered("SPY", "QQQ")

    assert complete(settings, PROMPT, "tickers", "QQQ,S") == ["QQQ,SPY"]


def test_histories_are_completed_with_ones_that_are_accepted(settings: Settings) -> None:
    assert complete(settings, PROMPT, "history", "1") == ["10s", "1min", "10 minutes", "1h"]
    assert [10 <= parse_history(text) <= 3600 for text in HISTORIES] == [True] * len(HISTORIES)


def test_nothing_is_completed_where_redis_is_away(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_port": 1})

    assert complete(nowhere, PROMPT, "ticker", "S") == []


def test_more_than_a_client_takes_is_counted() -> None:
    found = complete_word((f"T{number}" for number in range(150)), "t")

    assert (len(found.values), found.total, found.has_more) == (MAX_VALUES, 150, True)
