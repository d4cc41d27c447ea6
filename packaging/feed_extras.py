"""Install what the live sources of ORDERFLOW_FEED need, where it is missing."""

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from app.feeds.live.sources import SOURCES, is_live  # noqa: E402 - found by the line before


def missing_extras(feed: str) -> list[str]:
    """Return the extras that a value of ORDERFLOW_FEED needs and that are not installed.

    A value that can't be read is left to `make run`, which says what is wrong with it.
    """
    try:
        words = shlex.split(feed)
    except ValueError:
        return []
    extras = {SOURCES[word.partition(":")[0]].extra for word in words if is_live(word)}
    return sorted(extra.name for extra in extras if find_spec(extra.package) is None)


def main() -> None:
    """Install what is missing, with a line that says so."""
    extras = ",".join(missing_extras(os.environ.get("ORDERFLOW_FEED", "")))
    if not extras:
        return
    install = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-e")
    done = subprocess.run(  # noqa: S603 - make's
        [
            sys.executable,
            "packaging/progress.py",
            f"installing what the live feed needs: {extras}",
            ".venv/install-feed.log",
            *install,
            f".[{extras}]",
        ],
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "PIP_CONSTRAINT": "constraints.txt",
            "PIP_BUILD_CONSTRAINT": "constraints.txt",
        },
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
