"""How the documents are written: short lines, one glossary, the same headings for each pattern."""

import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from app.storage import published
from tests.contract.documents import ROOT, paths, text_of

LONGEST_LINE = 119
GLOSSARY = ROOT / "docs" / "glossary.md"
PATTERN_HEADINGS = ["What it is", "Opens", "Closes", "Evidence", "What it can't tell"]
MADE_BY_PROGRAMS = {"docs/scorecard.md", "docs/licences.md"}


def prose_lines(path: Path) -> list[str]:
    """Return a document's lines without tables, code and links that stand alone."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [line for line in text.splitlines() if not line.startswith(("|", "!["))]


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_no_line_of_prose_is_long(path: Path) -> None:
    assert [line for line in prose_lines(path) if len(line) > LONGEST_LINE] == []


def terms() -> list[str]:
    """Return the terms of the glossary in their order."""
    return [line[4:] for line in GLOSSARY.read_text("utf-8").splitlines() if line[:4] == "### "]


def spellings(term: str) -> list[str]:
    """Return each word of a heading like `better and worse` as it may be written."""
    return [re.sub(r"[ _-]", "[ _-]?", word) for word in term.lower().split(" and ")]


def test_the_terms_of_the_glossary_are_in_order_and_defined_once() -> None:
    names = [term.casefold().replace("_", " ") for term in terms()]

    assert len(names) > 60
    assert all(before < after for before, after in pairwise(names))


def test_every_term_of_the_glossary_says_something() -> None:
    sections = GLOSSARY.read_text("utf-8").split("\n### ")[1:]

    assert [section for section in sections if len(section.split("\n", 1)[1].strip()) < 20] == []


def test_every_term_of_the_glossary_is_used_elsewhere() -> None:
    code = [
        path for folder in ("app", "tasks", "mcp_app") for path in (ROOT / folder).rglob("*.py")
    ]
    texts = [path.read_text("utf-8") for path in [*paths(), *code] if path != GLOSSARY]
    used = "\n".join(texts).lower()
    words = [word for term in terms() for word in spellings(term)]

    assert [word for word in words if not re.search(rf"\b{word}", used)] == []


def definition_of(term: str) -> str:
    """Return how a line of prose begins that defines a term."""
    return rf"(?im)^(?:- )?[*_]{{1,2}}{term}[*_]{{1,2}}(?: is|:)"


@pytest.mark.parametrize("path", [p for p in paths() if p != GLOSSARY], ids=lambda path: path.name)
def test_no_other_document_defines_a_term_of_the_glossary(path: Path) -> None:
    text = path.read_text("utf-8")
    defined = [term for term in terms() if re.search(definition_of(term), text)]

    assert defined == []


def pattern_sections() -> dict[str, str]:
    """Return the section of each pattern by its type."""
    part = text_of("docs/patterns.md").split("\n## Patterns\n")[1].split("\n## ")[0]
    sections = [section.partition("\n") for section in part.split("\n### ")[1:]]
    return {name: text for name, _, text in sections}


def test_every_pattern_has_a_section_and_no_other_has() -> None:
    assert set(pattern_sections()) == set(get_args(published.PatternType))


@pytest.mark.parametrize("name", pattern_sections())
def test_every_pattern_is_described_under_the_same_headings(name: str) -> None:
    text = pattern_sections()[name]

    assert re.findall(r"^#### (.*)$", text, re.MULTILINE) == PATTERN_HEADINGS
    assert f"<!-- evidence: {name} -->\n" in text.split("#### Evidence\n")[1]


def test_the_index_links_to_every_page() -> None:
    index = text_of("docs/README.md")
    pages = {
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")
    } - {"README.md"}

    assert sorted(page for page in pages if f"]({page})" not in index) == []
