"""`python packaging/newest_requirements.py [--no-caps]`: print what the project and its tests need.

A line each, as pip reads it. With `--no-caps` nothing says what is too new.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
_CAPS = ("<", "<=", "==", "~=", "===")


def requirements(*, are_capped: bool) -> Iterator[str]:
    """Yield the requirements of the package, of building it, and of its tests."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    lines = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    for line in dict.fromkeys(lines):
        yield line if are_capped else uncapped(line)


def uncapped(line: str) -> str:
    """Return a requirement without its upper bounds.

    >>> uncapped("celery[redis]>=5.7,<5.8")
    'celery[redis]>=5.7'
    >>> uncapped("uvloop>=0.21; sys_platform != 'win32'")
    'uvloop>=0.21; sys_platform != "win32"'
    """
    found = Requirement(line)
    lower = (str(it) for it in found.specifier if it.operator not in _CAPS)
    found.specifier = SpecifierSet(",".join(lower))
    return str(found)


def main() -> None:
    """Print them."""
    options = sys.argv[1:]
    if options not in ([], ["--no-caps"]):
        sys.exit(
            f"packaging/newest_requirements.py: {options} not understood; --no-caps or nothing"
        )
    print("\n".join(requirements(are_capped=not options)))


if __name__ == "__main__":
    main()
