"""`python packaging/doc_tables.py`: write the tables of the documents from those of the code.

    python packaging/doc_tables.py           write each region anew
    python packaging/doc_tables.py --check   exit with 1 where a region is out of date

A region lies between one of these lines and `<!-- end -->`:

    <!-- metrics: GROUP -->        metrics of a group of app/analysis/metric_table.py
    <!-- patterns: all -->         types, sides and keys of app/analysis/pattern_table.py
    <!-- evidence: TYPE -->        evidence of a pattern
    <!-- counts: GROUP -->         counts of a group of app/analysis/quality_table.py
    <!-- close reasons: TYPE -->   reasons that close it; `any` for those that close any pattern
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# Of this copy, from wherever it is run.
from app.analysis.metric_table import GROUPS, METRICS  # noqa: E402
from app.analysis.pattern_table import ANY_CLOSE_REASONS, PATTERNS, Pattern  # noqa: E402
from app.analysis.quality_table import ACCEPTED, NOW, REJECTED  # noqa: E402

REGION = re.compile(
    r"^<!-- (?P<kind>[a-z ]+): (?P<name>[\w ]+) -->\n(?P<body>.*?)^<!-- end -->$",
    re.DOTALL | re.MULTILINE,
)


def metric_rows(group: str) -> str:
    """Return the table of a group of metrics; those that differ by name alone share a row."""
    if group not in GROUPS:
        raise SystemExit(f"{group}: no such group of metrics; known: {', '.join(GROUPS)}")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for row in METRICS:
        if row.group == group:
            rows.setdefault((row.unit, row.meaning, row.limits), []).append(row.name)
    return _table(
        ("field", "unit", "meaning and formula", "what it can't tell"),
        ((_names(names), *cells) for cells, names in rows.items()),
    )


def pattern_rows(_: str) -> str:
    """Return the table of all patterns."""
    return _table(
        ("type", "side", "one event for each side and"),
        ((f"`{row.type}`", _names(row.sides), row.key) for row in PATTERNS),
    )


def evidence_rows(pattern: str) -> str:
    """Return the table of a pattern's evidence."""
    return _table(
        ("field", "unit", "meaning"),
        ((f"`{it.name}`", it.unit, it.meaning) for it in _pattern(pattern).evidence),
    )


def close_reason_rows(pattern: str) -> str:
    """Return the table of the reasons that close a pattern, or those that close any."""
    found = ANY_CLOSE_REASONS if pattern == "any" else _pattern(pattern).close_reasons
    return _table(("reason", "meaning"), ((f"`{reason}`", text) for reason, text in found.items()))


def count_rows(group: str) -> str:
    """Return the table of a group of the quality's counts."""
    groups = {
        "accepted": ("counts", ACCEPTED),
        "rejected": ("the record", REJECTED),
        "now": ("counts", NOW),
    }
    if group not in groups:
        raise SystemExit(f"{group}: no such group of counts; known: {', '.join(groups)}")
    head, rows = groups[group]
    return _table(("name", head), ((f"`{row.name}`", row.meaning) for row in rows))


def _pattern(name: str) -> Pattern:
    found = {row.type: row for row in PATTERNS}
    if name not in found:
        raise SystemExit(f"{name}: no such pattern; known: {', '.join(found)}")
    return found[name]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), f"|{'---|' * len(head)}", *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|"


TABLES: dict[str, Callable[[str], str]] = {
    "metrics": metric_rows,
    "patterns": pattern_rows,
    "evidence": evidence_rows,
    "close reasons": close_reason_rows,
    "counts": count_rows,
}


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
