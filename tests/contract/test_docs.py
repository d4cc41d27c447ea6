"""What the code knows by name, a document explains: names are read from the code at run time."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from typing import Any, get_args

import click
import pytest

from app.analysis.metric_table import GROUPS
from app.analysis.metric_table import METRICS as METRIC_ROWS
from app.analysis.pattern_table import PATTERNS as PATTERN_ROWS
from app.analysis.quality_table import QUALITY_COUNTS, REJECTED_TOTAL
from app.core.settings import Settings
from app.storage import keys, published
from tests.contract.documents import ROOT, commands, named, program, rows, text_of

README = text_of("README.md")
METRICS = text_of("docs/metrics.md")
PATTERNS = text_of("docs/patterns.md")
OPERATIONS = text_of("docs/operations.md")
ARCHITECTURE = text_of("docs/architecture.md")


def assert_named(names: set[str], text: str, what: str) -> None:
    missing = sorted(names - named(text))
    assert not missing, f"{what} to be named: {', '.join(missing)}"


def test_the_tables_of_the_documents_are_those_of_the_code() -> None:
    command = [sys.executable, ROOT / "packaging" / "doc_tables.py", "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


def test_a_table_that_is_out_of_date_is_found() -> None:
    tables = program("doc_tables")
    old = "<!-- evidence: pulling -->\n| old |\n<!-- end -->\n"

    [pulling] = [row for row in PATTERN_ROWS if row.type == "pulling"]
    new = tables.rewritten(f"before\n{old}after\n")

    assert "| old |" not in new
    assert new.startswith("before\n<!-- evidence: pulling -->\n| field | unit | meaning |\n")
    assert new.endswith("<!-- end -->\nafter\n")
    assert {field.name for field in pulling.evidence} == set(rows(new))
    with pytest.raises(SystemExit, match="known: absorption, "):
        tables.rewritten(old.replace("pulling", "unheard"))


def test_every_metric_is_explained_in_its_group() -> None:
    marked = set(re.findall(r"^<!-- metrics: (.+) -->$", METRICS, re.MULTILINE))

    assert marked == {row.group for row in METRIC_ROWS} == set(GROUPS)


def test_every_field_that_is_no_metric_has_its_row() -> None:
    own = {"behaviors", "last_sweep", "ranks", "ranks_status", "rank_windows", "quality", "engine"}
    assert own <= set(rows(METRICS))


@pytest.mark.parametrize("name", sorted(published.WORDS))
def test_every_word_of_a_metric_is_explained(name: str) -> None:
    assert_named(set(published.WORDS[name]), METRICS, f"words of {name}")


def test_every_behavior_and_direction_is_explained_in_both_documents() -> None:
    names = {*published.BEHAVIORS, *published.DIRECTIONS}

    assert_named(names, METRICS, "behaviours in the metrics")
    assert_named(names, PATTERNS, "behaviours in the patterns")


def test_every_oddity_of_the_quality_is_explained() -> None:
    assert set(rows(METRICS)) >= QUALITY_COUNTS - {REJECTED_TOTAL}
    assert_named(
        {REJECTED_TOTAL, "gaps", "rebuilt_at", "clock_corrected_at", "failed_detectors"},
        METRICS,
        "parts of the quality",
    )


def test_every_pattern_type_has_its_own_section() -> None:
    sections = {line.strip("# ") for line in PATTERNS.splitlines() if line.startswith("### ")}

    assert not sorted(set(get_args(published.PatternType)) - sections)


def test_every_name_and_word_of_evidence_is_explained() -> None:
    assert_named(set(published.EVIDENCE_NAMES), PATTERNS, "evidence")
    assert_named(set(published.EVIDENCE_WORDS), PATTERNS, "words of evidence")


def test_every_close_reason_is_explained() -> None:
    assert_named(set(published.CLOSE_REASONS), PATTERNS, "close reasons")


def settings() -> list[tuple[str, Any]]:
    fields: list[Any] = list(Settings.model_fields.values())
    return [(str(field.validation_alias.choices[0]), field) for field in fields]


@pytest.mark.parametrize(("variable", "field"), settings())
def test_every_setting_has_its_row_with_its_default_and_range(variable: str, field: Any) -> None:
    _, _, default, allowed, meaning, _ = rows(README)[variable].split("|")

    usual = field.get_default(call_default_factory=True)
    shown = "-" if usual is None else f"`{str(usual).lower()}`"
    assert default.strip().lower() == shown
    for bound in field.metadata:
        limit = getattr(bound, "ge", getattr(bound, "le", None))
        assert limit is None or str(limit) in allowed
    assert meaning.strip()


def test_no_setting_is_explained_that_does_not_exist() -> None:
    section = README.split("\n## Settings")[1].split("\n## ")[0]

    assert set(rows(section)) == {variable for variable, _ in settings()}


def key_names() -> set[str]:
    """Names of the table at the top of app/storage/keys.py."""
    lines = (keys.__doc__ or "").splitlines()
    words = [line.split() for line in lines]
    return {found[1] for found in words if len(found) > 1 and found[1].startswith(keys.PREFIX)}


def test_every_key_has_its_row() -> None:
    section = README.split("\n## Keys")[1].split("\n## ")[0]

    assert set(rows(section)) == key_names()


def test_every_key_that_is_built_is_in_the_table_of_keys() -> None:
    names = keys.Keys()
    built = {
        names.quotes("{ticker}"),
        names.trades("{ticker}"),
        names.metrics("{ticker}", "{window}"),
        names.patterns("{ticker}"),
        names.levels("{ticker}", "{side}"),
        names.bars("{ticker}"),
        names.state("{ticker}"),
        names.kept_state("{ticker}"),
        names.failures("{ticker}"),
        keys.TICKERS,
        keys.HEARTBEAT,
        keys.COUNTERS,
        keys.SCAN,
        keys.quarantined("{key}"),
    }

    assert built <= key_names()


def test_every_lifetime_of_a_key_is_said() -> None:
    section = README.split("\n## Keys")[1].split("\n## ")[0]
    lifetimes = {
        str(seconds)
        for name, value in vars(keys).items()
        if name.endswith("_LIFETIME_SECONDS")
        for seconds in (value.values() if isinstance(value, dict) else [value])
    }

    assert not sorted(seconds for seconds in lifetimes if f" {seconds}" not in section)


def undocumented(path: str, command: click.Command) -> list[str]:
    """Name the options of a command that its row does not list."""
    lines = [line for name, line in rows(OPERATIONS).items() if f"{name} ".startswith(f"{path} ")]
    options = [
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    ]
    return [f"{path} {option}" for option in options if f"`{option}" not in "".join(lines)]


def test_every_command_is_named_and_its_options_are_listed() -> None:
    found = list(commands())

    assert len(found) > 4
    assert not [path for path, _ in found if f"`{path}" not in README]
    assert not [option for path, command in found for option in undocumented(path, command)]


def test_every_target_of_make_is_named() -> None:
    makefile = text_of("Makefile")
    [declared] = [line for line in makefile.splitlines() if line.startswith(".PHONY:")]
    targets = {f"make {name}" for name in declared.partition(":")[2].split()}

    assert_named(targets, README, "targets")


def test_every_total_of_the_status_is_explained() -> None:
    counted: set[str] = set()
    for path in (ROOT / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="counters"), attr="count"),
                    args=[ast.Constant(value=str(name)), *_],
                ):
                    counted.add(name)

    assert {"fanouts", "ticks_done"} <= counted
    assert not sorted(counted - set(rows(OPERATIONS)))


def test_every_import_rule_is_explained() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))
    contracts = {contract["name"] for contract in project["tool"]["importlinter"]["contracts"]}

    assert not sorted(name for name in contracts if name not in ARCHITECTURE)


def test_the_reasons_for_not_knowing_that_are_shown_are_ones_that_come() -> None:
    line = next(line for line in METRICS.splitlines() if line.startswith("Reasons for `unknown`"))
    shown = named(METRICS.split("Reasons for `unknown`")[1].split("\n\n")[0])

    assert line
    assert len(shown) == 3
    for reason in shown:
        state = f"unknown: {reason}"
        read = published.read_behaviors(json.dumps({"quote_pressure": state}).encode())
        assert read == {"quote_pressure": state}
