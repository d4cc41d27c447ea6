"""No word that judges or advises reaches anyone: facts about bids, asks, sizes and trades only."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.answers.ticker_answer import Answer
from app.cli import main
from mcp_app.server import INSTRUCTIONS
from mcp_app.tools import tools
from tests.contract.documents import ROOT, commands, paths

JUDGING = re.compile(
    r"\b(bullish|bearish|entry|entries|targets?|signals?|recommend\w*)\b", re.IGNORECASE
)
SIDED = re.compile(r"\b(buy|sell)\b", re.IGNORECASE)
AGGRESSOR = re.compile(r"aggressor|taker|took|print", re.IGNORECASE)


# Units and configurations of other programs, in their own words.
FOREIGN_FILE = re.compile(r"```(ini|yaml)\n.*?```", re.DOTALL)


def judged(text: str) -> list[str]:
    return JUDGING.findall(text)


def paragraphs(path: Path) -> list[str]:
    return re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))


def docstrings(tree: ast.Module) -> set[int]:
    """Identify the constants that only readers of the code see."""
    homes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, homes) and body and isinstance(body[0], ast.Expr):
            found.add(id(body[0].value))
    return found


def strings_of_the_code() -> Iterator[tuple[str, str]]:
    for package in ("app", "mcp_app", "tasks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            unsaid = docstrings(tree)
            for node in ast.walk(tree):
                is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
                if is_text and id(node) not in unsaid:
                    yield str(path.relative_to(ROOT)), node.value


def test_no_string_of_the_code_judges() -> None:
    found = [(path, text) for path, text in strings_of_the_code() if judged(text)]

    assert not found


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_no_document_judges(path: Path) -> None:
    assert not judged(FOREIGN_FILE.sub("", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_a_document_says_buy_or_sell_of_an_aggressor_only(path: Path) -> None:
    sided = [text for text in paragraphs(path) if SIDED.search(text)]

    assert not [text for text in sided if not AGGRESSOR.search(text)]


def test_nothing_that_the_server_says_of_itself_judges_or_takes_sides() -> None:
    said = [INSTRUCTIONS, json.dumps(Answer.model_json_schema())]
    for tool in tools():
        said += [tool.description or "", tool.title or "", json.dumps(tool.parameters)]

    for text in said:
        assert text
        assert not judged(text)
        assert not SIDED.search(text)


def test_no_help_of_a_command_judges() -> None:
    for path, command in [("orderflow", main), *commands()]:
        shown = CliRunner().invoke(command, ["--help"]).output

        assert "Usage:" in shown, path
        assert not judged(shown), path


def test_the_words_that_are_looked_for_would_be_found() -> None:
    assert judged("A bullish signal: we recommend an entry") == [
        "bullish",
        "signal",
        "recommend",
        "entry",
    ]
