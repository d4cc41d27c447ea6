"""Compile the analysis to machine code beside its sources, where there is a C compiler.

    python packaging/compile.py            compile what changed since the last time
    python packaging/compile.py --remove   delete what was compiled: run interpreted again
    python packaging/compile.py --check    exit with 1 if the compiled modules are stale

Without a compiler the same modules run interpreted: the same results, several times slower
(docs/decisions/0007-compiled-analysis.md). `setup.py` compiles the same modules into a wheel.
"""

import contextlib
import hashlib
import io
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIGEST_FILE = ROOT / "app" / "compiled.digest"
PURE = "the analysis imports no clock, no Redis, no Celery"
# msgspec reads the annotations of its classes, with bounds; compiled classes lose them.
INTERPRETED = {"app.analysis.record_schemas"}
GROUP = "app.compiled"
# Calls go straight to their functions, not through a table of addresses that other libraries
# might change: 7 % of a first tick. The warning costs gcc 30 s of 80, and mypyc's C is not for
# reading: without it gcc writes the same object, byte for byte.
FLAGS = [
    "-fvisibility=hidden",
    "-fno-plt",
    "-fno-semantic-interposition",
    "-Wno-misleading-indentation",
]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def sources() -> list[Path]:
    """List the files of the modules that the import contract keeps free of clock, Redis, Celery."""
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
    """Return a digest of the sources, this script, the Python and the compiler's version."""
    found = hashlib.sha256(f"{SUFFIX} {version('mypy')}".encode())
    for file in [*sources(), Path(__file__)]:
        found.update(file.read_bytes())
    return found.hexdigest()


def is_stale() -> bool:
    """Return whether there are compiled modules that were made from other sources."""
    there = any(file.with_suffix(SUFFIX).exists() for file in sources())
    return there and not (DIGEST_FILE.exists() and DIGEST_FILE.read_text() == digest())


def remove() -> None:
    """Delete the compiled modules."""
    for file in (ROOT / "app").rglob("*.so"):
        file.unlink()
    DIGEST_FILE.unlink(missing_ok=True)


def extensions(folder: str, flags: list[str]) -> list[Any]:
    """Translate the modules to C files in `folder`; return the extensions that they make."""
    # Imported here because `--check` runs at the start of every test run.
    from mypyc.build import mypycify  # noqa: PLC0415

    os.chdir(ROOT)
    paths = [str(file.relative_to(ROOT)) for file in sources()]
    # A C file a module, so that all cores compile: as fast to run as one file for all of them.
    made: list[Any] = mypycify(
        paths,
        opt_level="2",
        debug_level="0",
        target_dir=folder,
        group_name=GROUP,
        multi_file=True,
    )
    for extension in made:
        extension.extra_compile_args = [*extension.extra_compile_args, *flags]
        # mypyc looks for the headers of a group with a dotted name one folder too high.
        extension.include_dirs = [*extension.include_dirs, f"{folder}/app"]
    return made


def use_all_cores(compiler: Any) -> None:  # noqa: ANN401 - typeshed lacks setuptools' compilers
    """Let a compiler of setuptools compile an extension's C files in parallel."""
    compile_serially = compiler.compile

    def compile_files(files: list[str], **options: object) -> list[str]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            largest_first = sorted(files, key=os.path.getsize, reverse=True)
            done = pool.map(lambda file: compile_serially([file], **options), largest_first)
            return [name for names in done for name in names]

    compiler.compile = compile_files


def build_command() -> type[Any]:
    """Return setuptools' command `build_ext`, made to use all cores."""
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    class BuildOnAllCores(build_ext):
        def build_extensions(self) -> None:
            use_all_cores(self.compiler)
            super().build_extensions()

    return BuildOnAllCores


def compile_all(flags: list[str]) -> None:
    """Compile in a temporary folder, and copy the results beside their sources."""
    from setuptools import Distribution  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        command = build_command()(Distribution({"ext_modules": extensions(folder, flags)}))
        command.build_temp, command.build_lib = folder, f"{folder}/lib"
        command.ensure_finalized()
        command.run()
        shutil.copytree(f"{folder}/lib/app", ROOT / "app", dirs_exist_ok=True)
    DIGEST_FILE.write_text(digest())


def _compile_or_explain() -> None:
    count, start = len(sources()), time.monotonic()
    print(f"3/3 compiling {count} modules on {os.cpu_count()} cores, half a minute", flush=True)
    output, problem = io.StringIO(), ""
    for flags in (FLAGS, []):  # a compiler may lack the flags
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                compile_all(flags)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the modules run without, whatever failed
            remove()
            problem = f"{type(fault).__name__}: {fault}"
        else:
            print(f"    done in {time.monotonic() - start:.0f} s")
            return
    print(output.getvalue()[-2000:], problem, sep="\n")
    print("Not compiled (is there a C compiler?): the analysis runs interpreted, and slower")


def main() -> None:
    """Run what the arguments ask for."""
    match sys.argv[1:]:
        case ["--check"]:
            sys.exit(is_stale())
        case ["--remove"]:
            remove()
        case []:
            if DIGEST_FILE.exists() and DIGEST_FILE.read_text() == digest():
                return
            remove()
            _compile_or_explain()
        case words:
            sys.exit(f"packaging/compile.py: {words} not understood; --check, --remove or nothing")


if __name__ == "__main__":
    main()
