"""The project's documents, as tests read them."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli import main
from mcp_app.__main__ import main as serve

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"


def paths() -> list[Path]:
    """Return every document that a person may read."""
    return [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text_of(name: str) -> str:
    """Return a document's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def named(text: str) -> set[str]:
    """Return all text between backticks outside of fenced blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", prose))


def rows(text: str) -> dict[str, str]:
    """Return the tables' rows by each name in their first cell."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            first = line.split("|")[1]
            found.update(dict.fromkeys(re.findall(r"`([^`]+)`", first), line))
    return found


def commands() -> Iterator[tuple[str, click.Command]]:
    """Give every command that a person can type, with its path."""
    yield from _below(main, "orderflow")
    yield "python -m mcp_app", serve


def _below(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _below(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command
