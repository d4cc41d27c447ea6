"""The stages of `make test` leave no test out."""

import re

from tests.processes import ROOT

MARKED = re.compile(
    r"^(pytestmark = .*|    |@)pytest\.mark\.(system|faults|outside)\b", re.MULTILINE
)


def folders_with(mark: str) -> set[str]:
    """Return the folders whose tests have a mark, in a line of its own or for a whole file."""
    return {
        str(path.relative_to(ROOT).parent)
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in MARKED.findall(path.read_text(encoding="utf-8"))
        if found[1] == mark
    }


def test_each_folder_with_tests_of_the_system_is_one_that_is_looked_through_for_them() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [system] = re.findall(r"^SYSTEM := (.+)$", makefile, re.MULTILINE)
    [alone] = re.findall(r'"faults or outside" (.+)$', makefile, re.MULTILINE)

    assert folders_with("system") == {*system.split(), *alone.split()}
    assert folders_with("faults") | folders_with("outside") == {*alone.split()}
