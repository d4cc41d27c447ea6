"""A ticker in a question is found as people and models type it."""

from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference

from app.cli import main
from app.core.errors import BadTicker
from app.core.settings import Settings
from app.core.tickers import match_ticker
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, call, talk, text_of
from tests.mcp_app.test_tools import bars_of

FORMS = ["spy", "$SPY", " SPY ", "Spy", "$spy", "\tsPy\n", " $ SPY"]


@pytest.fixture
def whole(writer: KeyWriter) -> KeyWriter:
    """Write a healthy ticker, with ten minutes of bars."""
    writer.healthy_ticker()
    writer.bars(bars_of(writer.as_of, 600), recent=5)
    return writer


def named(arguments: Any, typed: str) -> dict[str, Any]:
    """Return a tool's arguments with SPY typed in another form."""
    return {
        name: value.replace("SPY", typed)
        if isinstance(value, str)
        else [typed if item == "SPY" else item for item in value]
        for name, value in arguments.items()
    }


@pytest.mark.parametrize("typed", FORMS)
@pytest.mark.parametrize("tool", [tool for tool, given in CALLS.items() if "SPY" in str(given)])
def test_every_tool_finds_the_one_active_ticker_that_is_meant(
    whole: KeyWriter, settings: Settings, tool: str, typed: str
) -> None:
    whole.discovered("SPY", "QQQ")

    result = call(settings, tool, **named(CALLS[tool], typed))

    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    answers = result.structured_content.get("tickers", [result.structured_content])
    assert [answer["ticker"] for answer in answers] == ["SPY"]
    assert any(line.startswith("SPY") for line in text_of(result).splitlines())


@pytest.mark.parametrize("kind", ["snapshot", "patterns"])
@pytest.mark.parametrize("typed", FORMS)
def test_resources_find_it_too(whole: KeyWriter, settings: Settings, kind: str, typed: str) -> None:
    whole.discovered("SPY", "QQQ")
    uri = f"orderflow://{quote(typed, safe='')}/{kind}"

    found = talk(settings, lambda client: client.read_resource(uri))

    assert found.contents[0].text.startswith("SPY: ")


@pytest.mark.parametrize("typed", FORMS)
def test_the_command_finds_it_too(whole: KeyWriter, settings: Settings, typed: str) -> None:
    whole.discovered("SPY")

    asked = CliRunner().invoke(main, ["ask", typed], env={"REDIS_PORT": str(settings.redis_port)})

    assert asked.exit_code == 0, asked.output
    assert asked.output.startswith("SPY: ")


@pytest.mark.parametrize("typed", ["sp", "$s", " SP"])
def test_completion_finds_it_too(whole: KeyWriter, settings: Settings, typed: str) -> None:
    whole.discovered("SPY", "QQQ")

    async def completed(client: Client) -> list[str]:
        reference = ResourceTemplateReference(
            type="ref/resource", uri="orderflow://{ticker}/snapshot"
        )
        found = await client.complete(reference, {"name": "ticker", "value": typed})
        return found.completion.values

    assert talk(settings, completed) == ["SPY"]


@pytest.mark.usefixtures("whole")
def test_a_ticker_typed_twice_is_compared_once(settings: Settings) -> None:
    result = call(settings, "compare_order_flow", tickers=["SPY", "spy", "$SPY"])

    assert result.structured_content is not None
    assert [row["ticker"] for row in result.structured_content["tickers"]] == ["SPY"]


def test_of_two_tickers_that_differ_in_case_the_exact_one_is_meant(
    whole: KeyWriter, settings: Settings
) -> None:
    whole.quote("spy")
    whole.tick("spy")
    whole.discovered("SPY", "spy")

    said = [call(settings, "analyze_order_flow_tool", ticker=name) for name in ("spy", "SPY")]
    unclear = call(settings, "analyze_order_flow_tool", ticker="Spy")

    assert [result.structured_content["ticker"] for result in said] == ["spy", "SPY"]
    assert unclear.is_error
    assert "ticker 'Spy' may mean SPY or spy" in text_of(unclear)
    assert "\n" not in text_of(unclear)


def test_an_unclear_name_is_no_resource(whole: KeyWriter, settings: Settings) -> None:
    whole.quote("spy")
    whole.discovered("SPY", "spy")

    async def refusal(client: Client) -> str:
        with pytest.raises(MCPError) as raised:
            await client.read_resource("orderflow://sPY/snapshot")
        return str(raised.value)

    assert "may mean SPY or spy" in talk(settings, refusal)


@pytest.mark.usefixtures("whole")
def test_an_unknown_name_is_told_as_before(settings: Settings) -> None:
    result = call(settings, "analyze_order_flow_tool", ticker="$IWM")

    assert result.is_error
    said = text_of(result)
    assert said.startswith("$IWM: no record of this ticker in Redis; active, nearest first: SPY.")
    assert "ase counts" not in said


def test_a_ticker_that_fell_silent_is_told_by_its_own_name(
    whole: KeyWriter, settings: Settings
) -> None:
    whole.quote("OLD", age_seconds=400)

    result = call(settings, "analyze_order_flow_tool", ticker="OLD")

    assert "OLD: quotes of other tickers arrive, the newest of OLD came " in text_of(result)


@pytest.mark.parametrize(
    ("typed", "active", "meant"),
    [
        ("spx", ["^SPX", "SPX"], "SPX"),
        ("SPX", ["$SPX", "QQQ"], "$SPX"),
        ("$SPX", ["SPX", "$SPX"], "$SPX"),
        ("$SPY", ["SPY", "spy"], "SPY"),
        ("btc/usdt", ["BTC/USDT"], "BTC/USDT"),
        ("spy 241220c00450000", ["SPY   241220C00450000"], "SPY   241220C00450000"),
        ("SPY241220C00450000", ["SPY   241220C00450000"], "SPY   241220C00450000"),
        ("straße", ["SPY"], None),
        ("", ["SPY", "$"], None),
    ],
)
def test_which_ticker_is_meant(typed: str, active: list[str], meant: str | None) -> None:
    assert match_ticker(typed, active) == meant


def test_several_that_are_meant_are_named() -> None:
    many = ["Spy", "sPy", "spY", "SPy", "sPY", "SpY"]

    with pytest.raises(BadTicker, match="'SPY' may mean SPy or SpY or Spy or sPY or sPy"):
        match_ticker("SPY", many)
