"""Every package that is imported is declared, and capped where private names are relied on."""

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contract.documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
OPTIONAL = [line for name, lines in EXTRAS.items() if name not in {"dev", "fuzz"} for line in lines]
BUILDING = PROJECT["build-system"]["requires"]
OWN = {"app", "benchmarks", "celeryconfig", "mcp_app", "packaging", "tasks", "tests"}
OWN |= {"orderflow_command"}
CAPPED = ("celery", "kombu", "mcp", "redis", "uvicorn")
# Programs of others that these talk to have environments of their own.
OUTSIDE = ROOT / "tests" / "outside" / "clients"


def declared(lines: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported(path: Path) -> set[str]:
    """Return the packages of others that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - OWN


def undeclared(folder: str, allowed: set[str]) -> list[str]:
    distributions = packages_distributions()
    paths = [path for path in (ROOT / folder).rglob("*.py") if OUTSIDE not in path.parents]
    return sorted(
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in imported(path)
        if not allowed & {canonicalize_name(it) for it in distributions.get(name, [name])}
    )


@pytest.mark.parametrize("folder", ["app", "mcp_app", "tasks"])
def test_every_package_that_is_imported_is_declared(folder: str) -> None:
    assert undeclared(folder, declared([*DEPENDENCIES, *OPTIONAL])) == []


@pytest.mark.parametrize("folder", ["benchmarks", "packaging", "tests"])
def test_every_package_that_is_imported_by_developers_is_declared(folder: str) -> None:
    lines = [*DEPENDENCIES, *EXTRAS["dev"], *EXTRAS["fuzz"], *BUILDING]

    assert undeclared(folder, declared(lines)) == []


@pytest.mark.parametrize("name", CAPPED)
def test_what_is_overridden_is_capped_at_its_minor_version(name: str) -> None:
    [given] = [it for it in map(Requirement, DEPENDENCIES) if canonicalize_name(it.name) == name]

    assert {one.operator for one in given.specifier} == {">=", "<"}
    [lowest] = [one.version for one in given.specifier if one.operator == ">="]
    [cap] = [one.version for one in given.specifier if one.operator == "<"]
    major, minor = lowest.split(".")[:2]
    assert cap == f"{major}.{int(minor) + 1}"


def test_every_declared_package_is_pinned() -> None:
    pinned = {
        canonicalize_name(Requirement(line).name)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }

    assert declared([*DEPENDENCIES, *OPTIONAL, *EXTRAS["dev"], *EXTRAS["fuzz"]]) <= pinned
