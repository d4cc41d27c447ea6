"""Every string that the server can send, against the words that it must not say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import TextResourceContents

from app.core.settings import Settings
from app.storage.published import (
    BEHAVIORS,
    CLOSE_REASONS,
    EVIDENCE_NAMES,
    EVIDENCE_WORDS,
    NUMBERS,
    QUALITY_COUNTS,
)
from tests.by_hand import Hand
from tests.mcp_app.agents import CALLS, talk

ROOT = Path(__file__).parent.parent.parent
FORBIDDEN = re.compile(
    r"bullish|bearish|\bentry\b|\bentries\b|\btarget|signal|recommend|\bbuy\b|\bsell\b|\bbuys\b"
    r"|\bsells\b|\blong\b|\bshort\b|opportunit|profit|\bshould\b",
    re.IGNORECASE,
)
# Said of time, and by the page to its own language.
HARMLESS = re.compile(r"for unusually long|Object\.entries")
# Modules whose texts reach a client; others only compute.
SPEAKING = (
    *sorted((ROOT / "mcp_app").glob("*.py")),
    *sorted((ROOT / "app" / "answers").glob("*.py")),
    *(ROOT / "app" / "core" / f"{name}.py" for name in ("errors", "tickers")),
)


def advice_in(text: str) -> list[str]:
    return FORBIDDEN.findall(HARMLESS.sub("", text))


def texts_of(path: Path) -> Iterator[str]:
    """Yield a module's literal texts, docstrings and names of arguments aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in documents:
            yield node.value


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.name)
def test_no_text_of_a_module_that_speaks_advises(path: Path) -> None:
    assert [text for text in texts_of(path) if advice_in(text)] == []


def test_no_word_that_a_key_may_add_advises() -> None:
    words = [
        *BEHAVIORS, *CLOSE_REASONS, *EVIDENCE_NAMES, *EVIDENCE_WORDS, *NUMBERS, *QUALITY_COUNTS,
    ]  # fmt: skip

    assert [word for word in words if advice_in(word)] == []


def strings_in(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, inner in value.items():
                yield str(name)
                yield from strings_in(inner)
        case list():
            for inner in value:
                yield from strings_in(inner)


def test_nothing_that_a_session_is_sent_advises(hand: Hand, settings: Settings) -> None:
    hand.whole()

    async def everything(client: Client) -> list[str]:
        listed = [
            await client.list_tools(),
            await client.list_resources(),
            await client.list_resource_templates(),
            await client.list_prompts(),
        ]
        called = [
            await client.call_tool(tool, arguments)
            for tool, given in CALLS.items()
            for arguments in (dict(given), {"wrong": 1})
        ]
        prompts = [await client.get_prompt(prompt.name, {}) for prompt in listed[3].prompts]
        read = [
            await client.read_resource(uri)
            for uri in (
                "orderflow://tickers",
                "orderflow://SPY/snapshot",
                "orderflow://SPY/patterns",
            )
        ]
        said = [
            text for one in (*listed, *called, *prompts) for text in strings_in(one.model_dump())
        ]
        said += [
            content.text
            for result in read
            for content in result.contents
            if isinstance(content, TextResourceContents)
        ]
        return [client.instructions or "", *said]

    said = talk(settings, everything)

    assert len(said) > 200
    assert [text for text in said if len(text) < 10_000 and advice_in(text)] == []


def test_the_page_advises_nothing() -> None:
    page = (ROOT / "mcp_app" / "live.html").read_text(encoding="utf-8")

    assert advice_in(page) == []
