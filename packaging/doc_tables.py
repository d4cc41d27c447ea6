"""`python packaging/doc_tables.py`: write the tables of the documents from those of the code.

    python packaging/doc_tables.py           write each region anew
    python packaging/doc_tables.py --check   exit with 1 where a region is out of date

A region lies between `<!-- metrics: GROUP -->`, `<!-- evidence: TYPE -->`,
`<!-- close reasons: TYPE -->` or `<!-- counts: GROUP -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.analysis.metric_table import METRICS  # noqa: E402 - of this copy, wherever it is run from

REGION = re.compile(
    r"^<!-- (?P<kind>[a-z ]+): (?P<name>[\w ]+) -->\n(?P<body>.*?)^<!-- end -->$",
    re.DOTALL | re.MULTILINE,
)


def metric_rows(group: str) -> str:
    """Return the table of a group of metrics; those that differ by name alone share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for row in METRICS:
        if row.group == group:
            rows.setdefault((row.unit, row.meaning, row.limits), []).append(row.name)
    return _table(
        ("field", "unit", "meaning and formula", "what it can't tell"),
        ((_names(names), *cells) for cells, names in rows.items()),
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), f"|{'---|' * len(head)}", *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|"


TABLES: dict[str, Callable[[str], str]] = {"metrics": metric_rows}


def rewritten(text: str) -> str:
    """Return a document's text with every region as the code has it."""
    return REGION.sub(_region, text)


def _region(found: re.Match[str]) -> str:
    kind, name = found["kind"], found["name"]
    if kind not in TABLES:
        raise SystemExit(f"{found[0].splitlines()[0]}: {', '.join(TABLES)} are known")
    body = TABLES[kind](name)
    return f"<!-- {kind}: {name} -->\n{body}<!-- end -->"


def main() -> None:
    """Do what the arguments ask for."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(f"packaging/doc_tables.py: {sys.argv[1:]} not understood; --check or nothing")
    stale = []
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        new = rewritten(text)
        if new != text:
            stale.append(path)
            if not sys.argv[1:]:
                path.write_text(new, encoding="utf-8")
                print(f"Written: {path.relative_to(ROOT)}")
    if stale and sys.argv[1:]:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"Out of date: {names}; run python packaging/doc_tables.py")


if __name__ == "__main__":
    main()
