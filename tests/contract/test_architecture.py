"""The map in docs/architecture.md against the code: each module once, and nothing else."""

import re

from tests.contract.documents import ROOT, text_of

PAGE = text_of("docs/architecture.md")
PACKAGES = ("app", "tasks", "mcp_app")
AS_A_FOLDER = ("app/feeds/simulation/", "app/evaluation/figures/", "app/evaluation/scorecard/")
"""Packages whose modules are described together."""

PATH = re.compile(r"`((?:app|tasks|mcp_app|tests|packaging)/[\w./-]*)`")


def modules() -> set[str]:
    """Return the path of every module that the page has to name."""
    found = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name not in {"__init__.py", "__main__.py"}
    }
    return {name for name in found if not name.startswith(AS_A_FOLDER)} | set(AS_A_FOLDER)


def test_the_page_names_every_module_exactly_once() -> None:
    named = PATH.findall(PAGE)
    counts = {name: named.count(name) for name in sorted(modules())}

    assert len(counts) > 90
    assert {name: count for name, count in counts.items() if count != 1} == {}


def test_every_path_that_the_page_names_exists() -> None:
    named = set(PATH.findall(PAGE))

    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_page_names_every_room() -> None:
    rooms = {
        path.parent.relative_to(ROOT).as_posix() + "/"
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        if path.parent != ROOT / "app"
    }
    rooms = {room for room in rooms if not room.startswith(AS_A_FOLDER)} | set(AS_A_FOLDER)

    assert sorted(rooms - set(PATH.findall(PAGE))) == []
