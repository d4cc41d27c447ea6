"""Each field that docs/questions.md names is one of its tool's answer."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client

from app.core.settings import Settings
from mcp_app.server import make_server
from tests.contract.documents import text_of

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
    own = fields[tool.strip("`")]
    # Arguments have a value, and what stands after "by" or "with" is how to ask.
    told = re.split(r", by |, with |: see ", named)[0]
    found = re.findall(r"`([a-z_]+)`", told) + re.findall(r": see `([a-z_]+)`", named)

    assert found
    assert set(found) <= own
