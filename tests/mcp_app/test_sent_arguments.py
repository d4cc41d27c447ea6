"""Arguments are taken as models send them: nulls, numbers, texts that are lists."""

from typing import Any

import pytest

from app.answers.series import DEFAULT_FIELDS
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, call, text_of
from tests.mcp_app.test_tools import bars_of
from tests.processes import BOUND_SECONDS

FULL = "analyze_order_flow_tool"
OPTIONAL = {
    "list_tickers": ("limit",),
    FULL: ("history", "include_patterns", "detail", "as_of", "min_return_minutes"),
    "scan_order_flow": ("pattern", "side", "min_strength", "limit", "tickers", "sort"),
    "compare_order_flow": ("history",),
    "order_flow_series": ("history", "points", "fields"),
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
    asked = {key: value for key, value in CALLS[tool].items() if key != name}
    usual = answered(settings, tool, **asked)
    said = answered(settings, tool, **asked, **{name: nothing})

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


@pytest.mark.parametrize("arguments", [{"random_string": "x"}, {"dummy": 1}, {"": None}, {}])
def test_what_stands_for_no_argument_is_ignored(
    settings: Settings, arguments: dict[str, object]
) -> None:
    assert answered(settings, "list_tickers", **arguments)["active"] == 2
    assert answered(settings, "scan_order_flow", **arguments)["active"] == 2


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (FULL, {"symbol": "SPY"}),
        ("order_flow_series", {"symbol": "spy"}),
        ("explain_pattern", {"event_id": "SPY~k3f9x2ab"}),
        ("explain_pattern", {"pattern_id": "SPY~k3f9x2ab"}),
        ("compare_order_flow", {"symbols": "SPY"}),
        ("compare_order_flow", {"ticker": ["SPY"]}),
        ("compare_order_flow", {"symbol": "SPY"}),
    ],
)
def test_an_argument_may_have_its_other_name(
    settings: Settings, tool: str, arguments: dict[str, object]
) -> None:
    said = answered(settings, tool, **arguments)

    assert "SPY" in (said.get("ticker"), *(row["ticker"] for row in said.get("tickers", ())))


def test_two_names_of_one_argument_are_one_too_many(settings: Settings) -> None:
    result = call(settings, FULL, ticker="SPY", symbol="QQQ")

    assert result.is_error
    assert "unknown argument 'symbol'" in text_of(result)


@pytest.mark.parametrize(
    ("asked", "types"),
    [
        ({"pattern": "Walls"}, {"wall"}),
        ({"pattern": "absorption, WALL"}, {"absorption", "wall"}),
        ({"pattern": ["absorption", "walls"]}, {"absorption", "wall"}),
        ({"types": "wall", "sides": "Bids"}, {"wall"}),
        ({"pattern": "hidden prints"}, set()),
        ({"side": "bid,ask"}, {"absorption", "wall"}),
        ({"side": "UP"}, set()),
        ({"pattern": "all", "side": "*"}, {"absorption", "wall"}),
    ],
)
def test_patterns_and_sides_may_be_in_any_case_plural_and_several(
    writer: KeyWriter, settings: Settings, asked: dict[str, object], types: set[str]
) -> None:
    writer.event("QQQ", id="QQQ~wwwwwww2", type="wall", side="bid")

    said = answered(settings, "scan_order_flow", **asked)

    assert {event["type"] for event in said["events"]} == types


@pytest.mark.parametrize(
    ("tool", "asked", "accepted"),
    [
        ("scan_order_flow", {"pattern": "avalanche"}, "accepted: any, absorption, "),
        ("scan_order_flow", {"side": "left"}, "accepted: any, bid, ask, "),
        ("scan_order_flow", {"sort": "size"}, "accepted: rarest, strongest, newest"),
        ("scan_order_flow", {"tickers": "SPX"}, "ticker 'SPX' is not active"),
        ("scan_order_flow", {"limit": 101}, "limit lies from 1 to 100"),
        ("list_tickers", {"limt": 5}, "unknown argument 'limt'. Arguments: limit"),
        (
            FULL,
            {"ticker": "SPY", "history": "1 day"},
            "86400 s: the last 1 h is kept (ORDERFLOW_HISTORY, which keeps more, is not set)",
        ),
        (FULL, {"ticker": "SPY", "as_of": "in an hour"}, "60 min ahead of now"),
        ("order_flow_series", {"ticker": "SPY", "fields": "speed"}, "1 to 8 of: mid, "),
    ],
)
def test_what_stays_unknown_is_refused_with_what_is_accepted(
    settings: Settings, tool: str, asked: dict[str, object], accepted: str
) -> None:
    result = call(settings, tool, **asked)

    assert result.is_error
    assert accepted in text_of(result)
    assert "\n" not in text_of(result)


def test_a_series_has_fields_of_its_own_accord(settings: Settings) -> None:
    columns = answered(settings, "order_flow_series", ticker="SPY")["columns"]
    renamed = answered(settings, "order_flow_series", ticker="SPY", fields="Spread BPS, OFI")

    assert list(columns) == [*DEFAULT_FIELDS]
    assert list(renamed["columns"]) == ["spread_bps", "ofi"]


def test_an_earlier_moment_may_be_words(settings: Settings, writer: KeyWriter) -> None:
    said = answered(settings, FULL, ticker="SPY", as_of="2 minutes ago")

    # A busy machine takes a while from reading the argument to answering.
    assert 120_000 <= said["asked_at"] - said["as_of"] < 121_000 + BOUND_SECONDS * 1000
    assert answered(settings, FULL, ticker="SPY", as_of="now")["as_of"] == writer.as_of


def test_a_listing_tells_of_as_many_tickers_as_asked_for(settings: Settings) -> None:
    one = answered(settings, "list_tickers", limit=1)

    assert (len(one["tickers"]), one["left_out"]) == (1, 1)
    assert len(answered(settings, "list_tickers", limit="2")["tickers"]) == 2


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
