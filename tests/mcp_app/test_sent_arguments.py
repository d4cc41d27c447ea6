"""Arguments are taken as models send them: nulls, numbers, texts that are lists."""

from typing import Any

import pytest

from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, call, text_of
from tests.mcp_app.test_tools import bars_of

FULL = "analyze_order_flow_tool"
OPTIONAL = {
    FULL: ("history", "include_patterns", "detail", "as_of", "min_return_minutes"),
    "scan_order_flow": ("pattern", "side", "min_strength", "limit"),
    "compare_order_flow": ("history",),
    "order_flow_series": ("history", "points"),
    "order_flow_chart": ("history",),
    "order_flow_page": ("history",),
}
TOLD_BY_ARGUMENTS = ("history_seconds", "columns", "as_of", "events", "events_left_out", "levels")


@pytest.fixture(autouse=True)
def _whole(writer: KeyWriter) -> None:
    writer.healthy_ticker()
    writer.quote("QQQ")
    writer.tick("QQQ")
    writer.discovered("SPY", "QQQ")
    writer.bars(bars_of(writer.as_of, 600), recent=5)


def answered(settings: Settings, tool: str, **arguments: Any) -> dict[str, Any]:
    result = call(settings, tool, **arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


@pytest.mark.parametrize("nothing", [None, "null", "None", ""])
@pytest.mark.parametrize(
    ("tool", "name"), [(tool, name) for tool, names in OPTIONAL.items() for name in names]
)
def test_no_value_stands_for_the_default(
    settings: Settings, tool: str, name: str, nothing: object
) -> None:
    usual = answered(settings, tool, **CALLS[tool])
    said = answered(settings, tool, **CALLS[tool], **{name: nothing})

    # What depends on the time that passed between the two is not compared.
    for field in TOLD_BY_ARGUMENTS:
        assert said.get(field) == usual.get(field)


@pytest.mark.parametrize(
    ("history", "seconds"),
    [
        (300, 300),
        (300.0, 300),
        ("300", 300),
        ("300.0", 300),
        (90, 90),
        ("last hour", 3600),
        ([60], 60),
    ],
)
@pytest.mark.parametrize("tool", [tool for tool, names in OPTIONAL.items() if "history" in names])
def test_a_history_may_be_a_number(
    settings: Settings, tool: str, history: object, seconds: int
) -> None:
    said = answered(settings, tool, **CALLS[tool], history=history)

    assert said["history_seconds"] == seconds


@pytest.mark.parametrize("history", [301.5, -300, 0, True, 1e300, [300, 600], {"seconds": 300}])
def test_what_is_no_history_is_refused_in_one_line(settings: Settings, history: object) -> None:
    result = call(settings, FULL, ticker="SPY", history=history)

    assert result.is_error
    assert "history" in text_of(result)
    assert "\n" not in text_of(result)


@pytest.mark.parametrize(
    "tickers",
    [
        ["SPY", "QQQ"],
        "SPY,QQQ",
        "spy, qqq",
        '["SPY", "QQQ"]',
        "['SPY', 'QQQ']",
        ["SPY,QQQ"],
        "SPY;QQQ",
        "SPY,QQQ,",
    ],
)
def test_a_list_may_be_a_text(settings: Settings, tickers: object) -> None:
    said = answered(settings, "compare_order_flow", tickers=tickers)

    assert [row["ticker"] for row in said["tickers"]] == ["SPY", "QQQ"]


@pytest.mark.parametrize("fields", ["mid,ofi", ["mid", "ofi"], " mid , ofi ", ["mid,ofi"]])
def test_fields_may_be_a_text(settings: Settings, fields: object) -> None:
    said = answered(settings, "order_flow_series", ticker="SPY", fields=fields)

    assert list(said["columns"]) == ["mid", "ofi"]


@pytest.mark.parametrize(
    ("flag", "told"),
    [("true", ["events"]), (1, ["events"]), ("False", []), (0, []), ("no", [])],
)
def test_a_flag_may_be_a_text(settings: Settings, flag: object, told: list[str]) -> None:
    said = answered(settings, FULL, ticker="SPY", include_patterns=flag)

    assert [name for name in said if name == "events"] == told


@pytest.mark.parametrize("number", ["3", 3.0, "3.0", 3])
def test_a_number_may_be_a_text(settings: Settings, number: object) -> None:
    asked = {"ticker": "SPY", "fields": ["mid"], "history": "60s"}

    said = answered(settings, "order_flow_series", **asked, points=number)

    assert len(said["columns"]["mid"]) == 3


def test_an_earlier_moment_may_be_a_number(writer: KeyWriter, settings: Settings) -> None:
    asked = writer.as_of - 60_000

    for as_of in (asked, float(asked), str(asked)):
        assert answered(settings, FULL, ticker="SPY", as_of=as_of)["as_of"] == asked


@pytest.mark.parametrize("ticker", [7203, "7203", ["7203"], 7203.0])
def test_a_ticker_of_digits_may_be_a_number(
    writer: KeyWriter, settings: Settings, ticker: object
) -> None:
    writer.quote("7203")
    writer.tick("7203")

    assert answered(settings, FULL, ticker=ticker)["ticker"] == "7203"


@pytest.mark.parametrize(
    "arguments",
    [{"random_string": "x"}, {"ticker": "SPY"}, {"": None}, {"filter": {"a": [1]}}, {}],
)
def test_a_tool_without_arguments_ignores_what_comes(
    settings: Settings, arguments: dict[str, object]
) -> None:
    assert answered(settings, "list_tickers", **arguments)["active"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ticker": "SPY", "histroy": None}, "unknown argument 'histroy'. Arguments: ticker, hist"),
        ({"ticker": None}, "argument 'ticker' is missing"),
        ({"ticker": ["SPY", "QQQ"]}, "argument 'ticker': Input should be a valid string"),
        ({"ticker": ""}, "ticker '' is not allowed"),
    ],
)
def test_what_has_no_meaning_is_still_refused_in_one_line(
    settings: Settings, arguments: dict[str, object], said: str
) -> None:
    result = call(settings, FULL, **arguments)

    assert result.is_error
    assert said in text_of(result)
    assert "\n" not in text_of(result)
