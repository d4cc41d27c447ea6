"""`python packaging/licences.py`: write the dependencies' licences to docs/licences.md.

The licences come from the metadata of the installed distributions.
"""

import tomllib
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
HEAD = """# Licences of the dependencies

Of what is installed with the package; made from its metadata by `python packaging/licences.py`,
and checked by a test. The package itself is under the [MIT licence](../LICENSE).

| package | licence |
|---|---|
"""
_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST = 60


def needed_distributions() -> dict[str, Distribution]:
    """Return the distributions that the package needs on this platform, directly or not."""
    found: dict[str, Distribution] = {}
    waiting = [(line, "") for line in _project()["dependencies"]]
    seen: set[tuple[str, str]] = set()
    while waiting:
        line, extra = waiting.pop()
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        with suppress(PackageNotFoundError):  # of another platform
            found[name] = distribution(name)
            new = {(name, one) for one in ("", *wanted.extras)} - seen
            seen |= new
            waiting += [(more, one) for _, one in new for more in found[name].requires or ()]
    return dict(sorted(found.items()))


def _project() -> dict[str, Any]:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)["project"]
    return found


def licence_of(one: Distribution) -> str:
    """Return a distribution's licence in a few words."""
    metadata = one.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classified = [
        line.removeprefix(_CLASSIFIER)
        for line in metadata.get_all("Classifier") or ()
        if line.startswith(_CLASSIFIER)
    ]
    if classified:
        return ", ".join(classified)
    text = (metadata.get("License") or "").strip()
    return text.splitlines()[0] if text and len(text.splitlines()[0]) <= _LONGEST else "see there"


def page() -> str:
    """Return the page as Markdown."""
    rows = [f"| {name} | {licence_of(one)} |" for name, one in needed_distributions().items()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
