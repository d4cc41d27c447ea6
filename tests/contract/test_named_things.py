"""What a document calls by name exists: paths, commands, settings, keys, methods."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import click
import pytest

from app.storage import keys
from orderflow_command import main
from tests.contract.documents import (
    ROOT,
    VARIABLE,
    blocks,
    other_variables,
    paths,
    settings,
    text_of,
)

OWN_PACKAGES = ("app.", "tasks.", "mcp_app.", "tests.")
FOLDERS = ("app", "tasks", "mcp_app", "tests", "packaging", "benchmarks", "docs")
EXAMPLES = {"by_side.py", "empty_sides.py", "lines.py", "large_sizes.py", "ask.py"}
EXAMPLES |= {"watched_tasks.py"}
"""Files that a how-to or the tutorial has its reader write."""


FOREIGN_METHODS = {"Producer.publish", "Task.apply_async"}
EXAMPLE_COMMANDS = {"feed lines"}

PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w/]")
FILE = re.compile(r"`(\w+\.(?:py|lua|html))`")
METHOD = re.compile(r"`([A-Z]\w*\.(?!md`)[a-z_]\w*)(?:\([^`]*\))?`")
KEY = re.compile(r"orderflow:([a-z]+)\b")
COMMAND = re.compile(r"(?:`|^|bin/)orderflow ((?:[a-z]+ ?)+)", re.MULTILINE)
MAKE = re.compile(r"(?:`|^)(?:[A-Z_]+=\S+ )*make ([a-z]+)", re.MULTILINE)

DOCUMENTS = [
    pytest.param(path, id=path.relative_to(ROOT).as_posix())
    for path in [*paths(), ROOT / "benchmarks" / "README.md"]
]


def code_and_prose(path: Path) -> str:
    """Return a document without what other programs print or read."""
    text = path.read_text(encoding="utf-8")
    return re.sub(
        r"^```(?:text|ini|yaml|json|mermaid)\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE
    )


@cache
def files() -> frozenset[str]:
    """Return the names of all files of the project's own folders."""
    own = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return frozenset(path.name for path in [*own, *ROOT.glob("*.py")])


@cache
def classes() -> dict[str, set[str]]:
    """Return what each class of the project defines, by its name."""
    found: dict[str, set[str]] = {}
    for folder in ("app", "tasks", "mcp_app", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, set()).update(members(node))
    return found


def members(node: ast.ClassDef) -> set[str]:
    """Return the methods and fields that a class declares."""
    found = set()
    for part in node.body:
        match part:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def is_command(words: list[str]) -> bool:
    """Tell whether the words begin with a command of `orderflow`, or name a group of them."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            return True
        found = command.get_command(click.Context(command), word)
        if found is None:
            return False
        command = found
    return True


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_path_exists(path: Path) -> None:
    named = set(PATH.findall(code_and_prose(path)))

    assert sorted(name for name in named if not list(ROOT.glob(name.rstrip("/")))) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_file_that_is_named_alone_exists(path: Path) -> None:
    named = set(FILE.findall(code_and_prose(path))) - EXAMPLES

    assert sorted(named - files()) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_method_exists(path: Path) -> None:
    named = set(METHOD.findall(code_and_prose(path))) - FOREIGN_METHODS
    split = [(name, *name.split(".")) for name in named]

    assert sorted(name for name, owner, one in split if one not in classes().get(owner, ())) == []


def imports(path: Path) -> set[tuple[str, str]]:
    """Return what the examples of a document import of the project, as module and name."""
    found = set()
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        if "import " not in block:
            continue
        for node in ast.walk(ast.parse(dedent(block))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OWN_PACKAGES):
                found.update((str(node.module), alias.name) for alias in node.names)
    return found


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_name_that_an_example_imports_exists(path: Path) -> None:
    named = sorted(imports(path))

    assert [pair for pair in named if not hasattr(import_module(pair[0]), pair[1])] == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_setting_is_one(path: Path) -> None:
    named = set(VARIABLE.findall(path.read_text("utf-8")))

    assert sorted(named - settings() - other_variables()) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_key_is_of_a_kind_that_exists(path: Path) -> None:
    known = set(KEY.findall(keys.__doc__ or ""))

    assert len(known) > 12
    assert sorted(set(KEY.findall(path.read_text("utf-8"))) - known) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_command_exists(path: Path) -> None:
    given = {found.strip() for found in COMMAND.findall(code_and_prose(path))}

    given -= EXAMPLE_COMMANDS

    assert sorted(words for words in given if not is_command(words.split())) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_goal_of_make_exists(path: Path) -> None:
    [declared] = [line for line in text_of("Makefile").splitlines() if line.startswith(".PHONY:")]
    known = set(declared.partition(":")[2].split())

    assert sorted(set(MAKE.findall(code_and_prose(path))) - known) == []


def test_what_does_not_exist_would_be_found() -> None:
    text = "`app/nowhere.py` `Engine.nothing` ORDERFLOW_NOTHING_AT_ALL "
    text += "orderflow:nothing `make nothing`"

    assert PATH.findall(text) == ["app/nowhere.py"]
    assert METHOD.findall(text) == ["Engine.nothing"]
    assert VARIABLE.findall(text) == ["ORDERFLOW_NOTHING_AT_ALL"]
    assert KEY.findall(text) == ["nothing"]
    assert MAKE.findall(text) == ["nothing"]
    assert not is_command(["nothing"])
