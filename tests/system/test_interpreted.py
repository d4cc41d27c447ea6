"""What runs compiled and what runs interpreted say and remember the very same bytes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.analysis import engine
from tests.processes import ROOT

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(engine.__file__.endswith(".py"), reason="nothing is compiled here"),
]

PROGRAM = """
import hashlib, sys
from app.analysis import engine
from app.storage.tick import codec
from app.feeds.simulation import Profile, simulate
from app.analysis.records import Batch

print("compiled" if engine.__file__.endswith(".so") else "interpreted", file=sys.stderr)
START_MS = 1_700_000_000_000
said, count = hashlib.sha256(), 0
live = engine.Engine.new("SPY")
seconds = simulate("SPY", 5, START_MS, 400, Profile(585.0))
for second, (records, _) in enumerate(seconds, 1):
    count += len(records)
    analysis = live.advance(Batch(records, []), START_MS + second * 1000)
    for window in analysis.metrics:
        said.update(repr(codec.window_fields(analysis, window)).encode())
    said.update("".join(map(codec.event_json, analysis.changed_events)).encode())
    said.update(b"".join(map(codec.encode_bar, analysis.final_bars)))
    packed = codec.encode_state(live.state)
    said.update(repr((packed.blob, sorted(packed.levels.items()))).encode())
print(count, said.hexdigest())
"""


def run(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_compiled_and_interpreted_say_and_remember_the_same(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("*.so"))

    compiled, interpreted = run(ROOT), run(tmp_path)

    assert compiled.stderr.strip() == "compiled"
    assert interpreted.stderr.strip() == "interpreted"
    assert int(compiled.stdout.split()[0]) > 1000
    assert compiled.stdout == interpreted.stdout


def test_the_examples_in_what_is_compiled_hold(tmp_path: Path) -> None:
    """Compiled functions have no docstrings, so that they are run from the sources alone."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("*.so"))
    compiled = [file.name.partition(".")[0] for file in (ROOT / "app").rglob("*.so")]
    sources = [file for file in (tmp_path / "app").rglob("*.py") if file.stem in compiled]
    modules = [file for file in sources if ">>> " in file.read_text()]
    options = "--verbose", "--doctest-modules", "--import-mode=importlib"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, modules)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert modules
    passed = [line for line in done.stdout.splitlines() if " PASSED" in line]
    assert [it.name for it in modules if not any(f"{it.name}::" in line for line in passed)] == []
