"""The fast path's private names are those of its table, and are what they were when it was made."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tasks.fast_path.private_names import CHECKED_WITH, PRIVATE_NAMES, PrivateName, table
from tests.processes import ROOT

LIBRARIES = ("celery", "kombu", "redis", "mcp", "uvicorn")
FAST_PATH = ROOT / "tasks" / "fast_path"
# Other places that rely on a private name, each with its reason beside it.
SEAMS = {
    "app/storage/tick_connection.py": {"_parser"},
    "mcp_app/sdk_seam.py": {"_lowlevel_server", "_connection", "_server_instances"},
}


def owner_of(one: PrivateName) -> object:
    module, _, name = one.owner.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


def is_there(owner: object, name: str) -> bool:
    """Return whether an object has a name, or its class sets it when it makes one."""
    made = getattr(owner, "__init__", None) if inspect.isclass(owner) else None
    return hasattr(owner, name) or name in getattr(getattr(made, "__code__", None), "co_names", ())


def changes(names: tuple[PrivateName, ...]) -> list[str]:
    """Describe each name that vanished or takes other arguments."""
    found = []
    for one in names:
        owner = owner_of(one)
        if not is_there(owner, one.name):
            found.append(f"{one.path} is gone")
        elif one.signature is not None:
            now = str(inspect.signature(getattr(owner, one.name)))
            if now != one.signature and not now.startswith(f"{one.signature},"):
                found.append(f"{one.path}{one.signature} is {now}")
    return found


def test_the_private_names_are_what_they_were() -> None:
    assert changes(PRIVATE_NAMES) == []


@pytest.mark.parametrize(
    ("name", "signature", "said"),
    [
        ("_brpop_now", None, "kombu.transport.redis.Channel._brpop_now is gone"),
        (
            "_brpop_start",
            "(self)",
            "kombu.transport.redis.Channel._brpop_start(self) is (self, timeout=None)",
        ),
    ],
)
def test_a_name_that_changed_is_said(name: str, signature: str | None, said: str) -> None:
    changed = PrivateName("kombu.transport.redis:Channel", name, signature, "", "", "")

    assert changes((changed,)) == [said]


def test_the_libraries_are_of_the_versions_that_were_checked() -> None:
    minor = {name: version(name).rsplit(".", 1)[0] for name in CHECKED_WITH}

    assert minor == {name: checked.rsplit(".", 1)[0] for name, checked in CHECKED_WITH.items()}


def test_the_readme_names_them_all() -> None:
    readme = (FAST_PATH / "README.md").read_text(encoding="utf-8")

    assert table() in readme
    for name, checked in CHECKED_WITH.items():
        assert f"{name} {checked}" in readme


def underscored(path: Path) -> set[str]:
    """Return the underscored attributes and methods of a source, dunders left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.attr] if isinstance(node, ast.Attribute) else []
        names += [node.name] if isinstance(node, ast.FunctionDef) else []
        found |= {name for name in names if name.startswith("_") and not name.startswith("__")}
    return found


def test_the_fast_path_uses_the_private_names_of_its_table_and_no_others() -> None:
    used = set().union(*(underscored(path) for path in FAST_PATH.glob("*.py")))
    owners = [owner_of(one) for one in PRIVATE_NAMES]
    theirs = {name for name in used if any(is_there(owner, name) for owner in owners)}

    assert theirs == {one.name for one in PRIVATE_NAMES if one.name.startswith("_")}


def sources() -> Iterator[Path]:
    yield ROOT / "celeryconfig.py"
    for package in ("app", "tasks", "mcp_app"):
        yield from (p for p in sorted((ROOT / package).rglob("*.py")) if FAST_PATH not in p.parents)


def of_others(tree: ast.Module) -> set[str]:
    """Return the underscored attributes that a source reads, but for those of its own classes."""
    own, read = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}, set()  # tuples'
    own.add("_exit")  # of `os`, which documents it
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own.add(node.target.id)
        elif isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            (own if is_own else read).add(node.attr)
    return {name for name in read - own if name.startswith("_") and not name.startswith("__")}


def imported(tree: ast.Module) -> set[str]:
    """Return the underscored modules and names that a source imports from the libraries."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            paths = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for path in paths:
            parts = path.split(".")
            if parts[0] in LIBRARIES and any(part.startswith("_") for part in parts):
                found.add(path)
    return found


def overridden(path: Path) -> set[str]:
    """Return the underscored names of the libraries' classes that a source's classes replace."""
    if not any(library in path.read_text(encoding="utf-8") for library in LIBRARIES):
        return set()
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = set()
    for made in vars(importlib.import_module(name)).values():
        if not inspect.isclass(made) or made.__module__ != name:
            continue
        bases = [it for it in made.__mro__ if it.__module__.partition(".")[0] in LIBRARIES]
        for member in vars(made):
            if member in underscored(path) and any(is_there(base, member) for base in bases):
                found.add(member)
    return found


@pytest.mark.parametrize("path", [*sources()], ids=lambda path: str(path.relative_to(ROOT)))
def test_private_names_of_the_libraries_are_nowhere_else(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    found = of_others(tree) | imported(tree) | overridden(path)

    assert found <= SEAMS.get(str(path.relative_to(ROOT)), set())
