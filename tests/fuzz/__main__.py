"""`python -m tests.fuzz`: each target for a while, from the kept corpus on; needs `.[fuzz]`."""

import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

import click

try:
    import atheris
except ImportError:
    sys.exit(
        "tests.fuzz: atheris is not installed: pip install -e '.[fuzz]' "
        "(its wheels are for Linux on x86-64); what was kept is tested by make test all the same"
    )


ROOT = Path(__file__).resolve().parents[2]


def _sources_only(path: str) -> FileFinder:
    """Find sources where compiled modules lie beside them: only those tell what was reached."""
    if ROOT / "app" not in (Path(path), *Path(path).parents):
        raise ImportError(path)
    return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))


sys.path_hooks.insert(0, _sources_only)

with atheris.instrument_imports(include=["app", "mcp_app", "tests.fuzz"]):
    from tests.fuzz.targets import CORPUS, TARGETS

LONGEST_BYTES = 5000
LONGEST_KEPT_BYTES = 1000
MOST_KEPT = 40
FOUND = Path("fuzz-found")


@click.command()
@click.option("--target", type=click.Choice(sorted(TARGETS)), multiple=True, help="[default: all]")
@click.option("--seconds", default=60, show_default=True, help="How long each target is fuzzed.")
@click.option("--seed", default=0, show_default=True, help="0 draws one.")
@click.option("--keep", is_flag=True, help="Add what reached new code to the corpus.")
def main(*, target: tuple[str, ...], seconds: int, seed: int, keep: bool) -> None:
    """Fuzz; what fails is left under fuzz-found, and the exit code is 1."""
    failed = [name for name in target or TARGETS if _run(name, seconds, seed, keep=keep)]
    click.echo(f"failed: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


def _run(name: str, seconds: int, seed: int, *, keep: bool) -> int:
    """Fuzz one target in a process of its own: libFuzzer ends the one that it runs in."""
    kept = CORPUS / name
    options = (f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={LONGEST_BYTES}")
    quiet = ("-print_final_stats=1", "-verbosity=0", "-timeout=10", "-rss_limit_mb=2048")
    with tempfile.TemporaryDirectory() as scratch:
        FOUND.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "tests.fuzz", "--one", name, scratch, str(kept)]
        done = subprocess.run(
            [*words, *options, *quiet, f"-artifact_prefix={FOUND}/{name}-"], check=False
        )
        if keep:
            _keep(Path(scratch), kept)
    return done.returncode


def _keep(found: Path, kept: Path) -> None:
    """Add a sample of what reached new code, short ones and long ones alike."""
    new = sorted(found.iterdir(), key=lambda path: path.stat().st_size)
    for path in new[:: max(1, len(new) // MOST_KEPT)]:
        if path.stat().st_size <= LONGEST_KEPT_BYTES:
            shutil.copy(path, kept / path.name[:12])


def _fuzz_one(name: str, arguments: list[str]) -> None:
    atheris.Setup([name, *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _fuzz_one(sys.argv[2], sys.argv[3:])
    main()
