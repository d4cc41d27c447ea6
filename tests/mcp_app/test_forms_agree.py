"""Text and JSON of every tool carry the same facts: both are read, number by number."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from app.answers.chart import preload_matplotlib
from app.answers.utc_times import utc_clock
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, call, text_of
from tests.mcp_app.test_tools import bars_of

CASES = [(tool, dict(given)) for tool, given in CALLS.items() if tool != "order_flow_page"]
CASES += [
    ("analyze_order_flow_tool", {"ticker": "SPY", "detail": "brief"}),
    ("compare_order_flow", {"tickers": ["SPY", "QQQ", "NONE"]}),
]
CLOCK = re.compile(r"\b[0-9]{2}:[0-9]{2}(:[0-9]{2})?\b")
NUMBER = re.compile(r"(?<![\w.~])-?\d+(?:\.\d+)?(?![\w~])")
# Said in the text as what follows from them: ages from stamps, flags as words.
MOMENT = re.compile(r"(^|_)(now|as_of|at|last_seen|first_end)$")
FLAGS = ("stale", "quiet", "warming")


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for inner, one in value.items():
                yield from leaves(one, inner)
        case list():
            for one in value:
                yield from leaves(one, name)
        case _:
            yield name, value


def numbers_in(text: str) -> set[float]:
    spelt = re.sub(r"(?<=[0-9]),(?=[0-9]{3})", "", text.replace("..", " "))
    return {float(found) for found in NUMBER.findall(CLOCK.sub(" ", spelt))}


def now_of(said: dict[str, Any]) -> float:
    """Return when it was answered; a chart's facts give their age instead."""
    now: float = said.get("now") or said["as_of"] + 1000 * said["age_seconds"]
    return now


def is_said(  # noqa: PLR0911 - a rule a kind of fact
    name: str, value: Any, text: str, numbers: set[float], now: float
) -> bool:
    match value:
        case bool():
            return name in FLAGS and value is (name.upper() in text)
        case int() | float() if MOMENT.search(name):
            age = (now - value) / 1000
            near = any(abs(n - abs(age)) <= 0.06 or n == value for n in numbers)
            # A point is told by its own time, and noticed up to a second later.
            clocks = (utc_clock(value), utc_clock(value - 1000))
            is_clock = any(clock in text for clock in clocks)
            return name == "now" or near or is_clock or (age > 9 and round(age) in numbers)
        case int() | float() if name.endswith("age_seconds"):
            return (
                any(abs(number - value) <= 0.051 for number in numbers) or round(value) in numbers
            )
        case int() | float():
            return float(value) in numbers
        case "closed":
            # Said by its reason and time, which are facts of their own.
            return True
        case None:
            return "-" in text
        case str() if name == "as_of_utc":
            return value[11:19] in text
        case _:
            value = value.removeprefix("unknown: ")
            return value in text or value.upper() in text or value.replace("_", " ") in text


@pytest.fixture
def two(writer: KeyWriter) -> KeyWriter:
    """Give a healthy ticker with bars, and one that is quiet and has no trades."""
    # Else the first chart of the run may only say that what draws is still loading.
    preload_matplotlib()
    writer.healthy_ticker()
    writer.bars(bars_of(writer.as_of, 600), recent=5)
    writer.quote("QQQ", age_seconds=60)
    writer.tick("QQQ", quotes_per_second=3.0)
    writer.discovered("SPY", "QQQ")
    return writer


@pytest.mark.parametrize(("tool", "arguments"), CASES)
def test_every_fact_of_the_json_is_in_the_text(
    two: KeyWriter, settings: Settings, tool: str, arguments: dict[str, Any]
) -> None:
    assert two.as_of
    result = call(settings, tool, **arguments)

    assert not result.is_error, text_of(result)
    said: dict[str, Any] = result.structured_content or {}
    text, now = text_of(result), now_of(said)
    numbers = numbers_in(text)
    facts = list(leaves(said))
    assert len(facts) > 8
    missing = [
        (name, value) for name, value in facts if not is_said(name, value, text, numbers, now)
    ]
    assert missing == []


@pytest.mark.parametrize(("tool", "arguments"), CASES)
def test_every_number_of_the_text_is_in_the_json(
    two: KeyWriter, settings: Settings, tool: str, arguments: dict[str, Any]
) -> None:
    assert two.as_of
    result = call(settings, tool, **arguments)

    said: dict[str, Any] = result.structured_content or {}
    now = now_of(said)
    known = {value for _, value in leaves(said) if isinstance(value, int | float)}
    ages = {(now - value) / 1000 for value in known if value > 1e12}
    words = " ".join(str(value) for _, value in leaves(said) if isinstance(value, str))
    near = {*known, *(abs(age) for age in ages), *numbers_in(words), float(len(said))}
    near |= {float(len(value)) for value in lists_in(said)}
    # The behaviours' own clock, and the example of a rank.
    near |= {10.0, 91.0}
    near.add(float(sum(state == "off" for state in said.get("behaviors", {}).values())))
    strange = [
        number
        for number in numbers_in(text_of(result))
        if not any(abs(number - one) <= max(0.051, 0.5 * (number >= 10)) for one in near)
    ]
    assert strange == []


def lists_in(value: Any) -> Iterator[list[Any]]:
    match value:
        case dict():
            for one in value.values():
                yield from lists_in(one)
        case list():
            yield value
            for one in value:
                yield from lists_in(one)


def test_a_change_of_one_fact_changes_both(
    two: KeyWriter, settings: Settings, redis_client: redis.Redis
) -> None:
    two.tick(ofi=987.0)

    result = call(settings, "compare_order_flow", tickers=["SPY"], history="1min")

    assert result.structured_content is not None
    assert result.structured_content["tickers"][0]["ofi"] == 987
    assert "ofi 987" in text_of(result)
    assert redis_client.exists("orderflow:metrics:SPY:1min")
