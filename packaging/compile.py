"""Compile the analysis to machine code beside its sources, if there is a C compiler.

    python packaging/compile.py            compile what changed since the last time
    python packaging/compile.py --remove   run interpreted again
    python packaging/compile.py --check    exit with 1 if compiled modules are stale

Without a compiler the same modules run interpreted: with the same results, several times slower
(docs/decisions/0007-compiled-analysis.md).
"""

import contextlib
import hashlib
import io
import os
import shutil
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGEST_FILE = ROOT / "app" / "compiled.digest"
PURE = "the analysis imports no clock, no Redis, no Celery"
# msgspec reads the annotations of its classes, with bounds; compiled classes lose them.
INTERPRETED = {"app.analysis.record_schemas"}
GROUP = "app.compiled"
# Call functions directly instead of through a table of addresses: saves 7 % of a first tick.
FLAGS = ["-fvisibility=hidden", "-fno-plt", "-fno-semantic-interposition"]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def sources() -> list[Path]:
    """Return the files of the modules that the import contract keeps pure."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [pure] = [c["source_modules"] for c in contracts["contracts"] if c["name"] == PURE]
    return sorted(file for package in pure for file in _files_of(package))


def _files_of(package: str) -> Iterator[Path]:
    for file in ROOT.joinpath(*package.split(".")).rglob("*.py"):
        if file.name != "__init__.py" and _module_of(file) not in INTERPRETED:
            yield file


def _module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def digest() -> str:
    """Return a digest of the sources, this script, the compiler's version and the platform."""
    found = hashlib.sha256(f"{SUFFIX} {version('mypy')}".encode())
    for file in [*sources(), Path(__file__)]:
        found.update(file.read_bytes())
    return found.hexdigest()


def is_stale() -> bool:
    """Return whether there are compiled modules that were not made from these sources."""
    are_there = any(file.with_suffix(SUFFIX).exists() for file in sources())
    return are_there and not (DIGEST_FILE.exists() and DIGEST_FILE.read_text() == digest())


def remove() -> None:
    """Delete all compiled modules."""
    for file in (ROOT / "app").rglob("*.so"):
        file.unlink()
    DIGEST_FILE.unlink(missing_ok=True)


def compile_all(flags: list[str]) -> None:
    """Compile in a temporary folder and copy the results beside their sources."""
    # Imported late, since every test run starts with `--check`.
    from mypyc.build import mypycify  # noqa: PLC0415
    from setuptools import Distribution  # noqa: PLC0415

    os.chdir(ROOT)
    paths = [str(file.relative_to(ROOT)) for file in sources()]
    with tempfile.TemporaryDirectory() as folder:
        extensions = mypycify(
            paths, opt_level="2", debug_level="0", target_dir=folder, group_name=GROUP
        )
        for extension in extensions:
            extension.extra_compile_args = [*extension.extra_compile_args, *flags]
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_temp, command.build_lib = folder, f"{folder}/lib"
        command.ensure_finalized()
        command.run()
        shutil.copytree(f"{folder}/lib/app", ROOT / "app", dirs_exist_ok=True)
    DIGEST_FILE.write_text(digest())


def _try_to_compile() -> None:
    output, problem = io.StringIO(), ""
    for flags in (FLAGS, []):  # a compiler may not know the flags
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                compile_all(flags)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the modules run uncompiled
            remove()
            problem = f"{type(fault).__name__}: {fault}"
        else:
            return
    print(output.getvalue()[-2000:], problem, sep="\n")
    print("Not compiled (is there a C compiler?): the analysis runs interpreted, and slower")


def main() -> None:
    """Run the command that the arguments name."""
    match sys.argv[1:]:
        case ["--check"]:
            sys.exit(is_stale())
        case ["--remove"]:
            remove()
        case []:
            if DIGEST_FILE.exists() and DIGEST_FILE.read_text() == digest():
                return
            remove()
            print("Compiling the analysis, about a minute")
            _try_to_compile()
        case words:
            sys.exit(f"packaging/compile.py: {words} not understood; --check, --remove or nothing")


if __name__ == "__main__":
    main()
