"""`python -m benchmarks tick|growth|system|… [--quick]`: measure and write the README."""

import datetime as dt
import importlib
import sys
import time
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.harness import machine

_README = Path(__file__).parent / "README.md"
_MODULES = {
    "tick": "benchmarks.tick",
    "growth": "benchmarks.growth",
    "system": "benchmarks.system",
    "modes": "benchmarks.modes",
    "start": "benchmarks.cold_start",
    "memory": "benchmarks.memory",
    "answer": "benchmarks.answer",
    "asked": "benchmarks.tools_under_load",
    "waits": "benchmarks.waits",
    "desk": "benchmarks.desk",
    "tape": "benchmarks.tape_speed",
    "live": "benchmarks.live",
    "live-memory": "benchmarks.live_memory",
    "live-minute": "benchmarks.live_minute",
}
_HEAD = """# Measurements

`make bench` (with `ARGS=--quick` within ten minutes) measures all of this anew and writes it here;
`make bench WHAT=tick` and its like only one part. Each figure is a median with its spread, and what
it is compared with is measured in the same run: trust the ratios and CPU times, not single rates.
"""


@click.command()
@click.argument("what", type=click.Choice([*_MODULES, "all"]))
@click.option("--quick", is_flag=True, help="Fewer repeats and smaller loads: all in ten minutes.")
@click.option("--dry", is_flag=True, help="Print only; leave benchmarks/README.md alone.")
def main(*, what: str, quick: bool, dry: bool) -> None:
    """Measure, print, and write benchmarks/README.md."""
    names = list(_MODULES) if what == "all" else [what]
    for name in tqdm(names, unit="part", disable=None):
        text = _section(name, quick=quick)
        click.echo(text)
        if not dry:
            _write(name, text)


def _section(name: str, *, quick: bool) -> str:
    start, where = time.monotonic(), machine()
    try:
        found = importlib.import_module(_MODULES[name]).run(quick=quick)
    except Exception as error:  # an unattended run goes on with the other parts
        click.echo(f"{name} failed: {error!r}", err=True)
        if len(sys.argv) > 1 and "all" not in sys.argv:
            raise
        found = f"NOT MEASURED: {type(error).__name__}"
    today = dt.datetime.now(tz=dt.UTC).date()
    how = "quick" if quick else "full"
    took = f"{time.monotonic() - start:.0f} s"
    return f"## {name}\n\n{today}, {how}, {took}. {where}.\n\n{found}\n"


def _write(name: str, text: str) -> None:
    """Replace one section of the README and leave the others as they are."""
    sections = _sections(_README.read_text()) if _README.exists() else {}
    sections[name] = text
    ordered = [sections[known] for known in _MODULES if known in sections]
    _README.write_text("\n".join([_HEAD, *ordered]))


def _sections(text: str) -> dict[str, str]:
    found = {}
    for section in text.split("\n## ")[1:]:
        name, _, rest = section.partition("\n")
        found[name] = f"## {name}\n{rest.rstrip()}\n"
    return found


if __name__ == "__main__":
    main()
