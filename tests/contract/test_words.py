"""No word that judges or advises reaches anyone: facts about bids, asks, sizes and trades only."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client
from mcp.types import TextResourceContents

from app.answers.answer_model import Answer
from app.cli import main
from app.core.settings import Settings
from app.storage.published import (
    BEHAVIORS,
    CLOSE_REASONS,
    EVIDENCE_NAMES,
    EVIDENCE_WORDS,
    NUMBERS,
    QUALITY_COUNTS,
)
from mcp_app.server import INSTRUCTIONS
from mcp_app.tools import tools
from tests.contract.documents import ROOT, commands, paths
from tests.contract.words import forbidden_in, forbidden_in_answer, sides_without_aggressor
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS, talk

# Units and configurations of other programs, in their own words.
FOREIGN_FILE = re.compile(r"```(?:ini|yaml)\n.*?```|from celery\.signals ", re.DOTALL)
# Modules whose texts reach a client; others only compute.
ANSWERING = (
    *sorted((ROOT / "mcp_app").rglob("*.py")),
    *sorted((ROOT / "app" / "answers").rglob("*.py")),
    *(ROOT / "app" / "core" / f"{name}.py" for name in ("errors", "tickers")),
)
RESOURCES = ("orderflow://tickers", "orderflow://SPY/snapshot", "orderflow://SPY/patterns")
PICTURE_CHARACTERS = 10_000
"""A text as long as this is a picture's or a page's bytes."""


def docstrings(tree: ast.Module) -> set[int]:
    """Identify the constants that only readers of the code see."""
    homes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, homes) and body and isinstance(body[0], ast.Expr):
            found.add(id(body[0].value))
    return found


def texts_of(path: Path) -> Iterator[str]:
    """Yield a module's literal texts, docstrings and names of arguments aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_readers = docstrings(tree)
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in for_readers:
            yield node.value


def strings_in(value: Any) -> Iterator[str]:
    """Yield all texts of a JSON value, names of fields among them."""
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


def document(path: Path) -> str:
    return FOREIGN_FILE.sub("", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("package", ["app", "mcp_app", "tasks"])
def test_no_string_of_the_code_judges(package: str) -> None:
    found = [
        (str(path.relative_to(ROOT)), text)
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in texts_of(path)
        if forbidden_in(text)
    ]

    assert not found


@pytest.mark.parametrize("path", ANSWERING, ids=lambda path: path.name)
def test_no_text_of_a_module_that_answers_advises(path: Path) -> None:
    assert [text for text in texts_of(path) if forbidden_in_answer(text)] == []


def test_no_word_that_a_key_may_add_to_an_answer_advises() -> None:
    words = [
        *BEHAVIORS, *CLOSE_REASONS, *EVIDENCE_NAMES, *EVIDENCE_WORDS, *NUMBERS, *QUALITY_COUNTS,
    ]  # fmt: skip

    assert [word for word in words if forbidden_in_answer(word)] == []


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_no_document_judges(path: Path) -> None:
    assert not forbidden_in(document(path))


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_a_document_says_buy_or_sell_of_an_aggressor_only(path: Path) -> None:
    assert not sides_without_aggressor(re.split(r"\n\s*\n", document(path)))


def test_nothing_that_the_server_says_of_itself_advises() -> None:
    said = [INSTRUCTIONS, json.dumps(Answer.model_json_schema())]
    for tool in tools():
        said += [tool.description or "", tool.title or "", json.dumps(tool.parameters)]

    for text in said:
        assert text
        assert not forbidden_in_answer(text)


def test_no_help_of_a_command_judges() -> None:
    for path, command in [("orderflow", main), *commands()]:
        shown = CliRunner().invoke(command, ["--help"]).output

        assert "Usage:" in shown, path
        assert not forbidden_in(shown), path


def test_nothing_that_a_session_is_sent_advises(writer: KeyWriter, settings: Settings) -> None:
    writer.healthy_ticker()

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
        read = [await client.read_resource(address) for address in RESOURCES]
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
    short = [text for text in said if len(text) < PICTURE_CHARACTERS]
    assert [text for text in short if forbidden_in_answer(text)] == []


def test_the_page_advises_nothing() -> None:
    page = (ROOT / "mcp_app" / "live.html").read_text(encoding="utf-8")

    assert forbidden_in_answer(page) == []
