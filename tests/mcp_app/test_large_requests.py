"""Requests that hold too much are refused at once, in few words, and keep nothing."""

from typing import Any

import pytest
from mcp.types import CallToolResult

from app.core.settings import Settings
from tests.mcp_app.agents import call, talk, text_of

LARGE_CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "numbers in a list": (
        "compare_order_flow",
        {"tickers": [1] * 120_000},
        "compare_order_flow: argument 'tickers' has 120000 items; allowed are 100",
    ),
    "texts in a list": (
        "order_flow_series",
        {"ticker": "SPY", "fields": ["x"] * 60_000},
        "order_flow_series: argument 'fields' has 60000 items; allowed are 100",
    ),
    "a long text": (
        "analyze_order_flow_tool",
        {"ticker": "S" * 240_000},
        (
            "analyze_order_flow_tool: argument 'ticker' has a text of 240000 characters; "
            "allowed are 500"
        ),
    ),
    "many arguments": (
        "scan_order_flow",
        {f"argument{number}": 1 for number in range(20_000)},
        "scan_order_flow: 20000 arguments; allowed are 100",
    ),
    "objects in a list": (
        "compare_order_flow",
        {"tickers": [{"a": [1] * 50} for _ in range(50)]},
        "compare_order_flow: argument 'tickers' has 2600 items; allowed are 100",
    ),
    "depth": (
        "compare_order_flow",
        {"tickers": [[[[[["SPY"]]]]]]},
        "compare_order_flow: argument 'tickers' has more than 4 levels of lists and objects",
    ),
    "a long name of an argument": (
        "list_tickers",
        {"x" * 100_000: 1},
        f"list_tickers: argument '{'x' * 40}' has a text of 100000 characters; allowed are 500",
    ),
}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("kind", LARGE_CALLS)
def test_a_call_with_too_much_in_it_is_refused_in_one_short_line(
    settings: Settings, kind: str, mode: str
) -> None:
    tool, arguments, expected = LARGE_CALLS[kind]

    result: CallToolResult = talk(settings, lambda client: client.call_tool(tool, arguments), mode)

    assert result.is_error
    assert text_of(result) == expected


@pytest.mark.parametrize(
    ("tool", "arguments", "first", "more"),
    [
        ("compare_order_flow", {"tickers": [{} for _ in range(100)]}, "'tickers.0'", "97 more"),
        ("order_flow_series", {"fields": [None] * 50}, "'ticker' is missing", "48 more"),
        ("scan_order_flow", {"z" * 400 + str(n): 1 for n in range(90)}, "unknown", "87 more"),
    ],
)
def test_a_refusal_names_the_first_faults_and_how_many_more(
    settings: Settings, tool: str, arguments: dict[str, Any], first: str, more: str
) -> None:
    result = call(settings, tool, **arguments)

    assert result.is_error
    text = text_of(result)
    assert first in text
    assert f"and {more}" in text
    assert len(text.encode()) <= 1024
