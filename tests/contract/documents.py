"""The project's documents, as tests read them."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click

from app.core.settings import Settings
from mcp_app.__main__ import main as serve
from orderflow_command import main

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"

VARIABLE = re.compile(r"\b(?:ORDERFLOW|PROCESSOR)_[A-Z_]*[A-Z]\b")


def paths() -> list[Path]:
    """Return every document that a person may read."""
    beside_the_code = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
    return [
        README,
        *(ROOT / name for name in beside_the_code),
        ROOT / "app" / "analysis" / "README.md",
        ROOT / "tasks" / "fast_path" / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]


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


def program(name: str) -> ModuleType:
    """Load a program of `packaging/`, which holds no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def settings() -> set[str]:
    """Return the variables that are settings."""
    return {str(f.validation_alias.choices[0]) for f in Settings.model_fields.values()}  # type: ignore[union-attr]


def other_variables() -> frozenset[str]:
    """Return the variables of tests and scripts, which are no settings."""
    scripts = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "packaging").rglob("*.py")]
    scripts += [ROOT / ".ci" / "run", ROOT / "Makefile"]
    texts = (path.read_text(encoding="utf-8") for path in scripts)
    return frozenset(name for text in texts for name in VARIABLE.findall(text))
