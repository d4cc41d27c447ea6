"""Commands, JSON and links in the documents: each is tried as far as it goes without running."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from app.analysis.metric_table import text_lines
from mcp_app.__main__ import main as serve
from orderflow_command import main
from tests.contract.documents import (
    README,
    ROOT,
    blocks,
    other_variables,
    paths,
    settings,
    text_of,
)

DAEMON_OPTIONS = {"--detach", "--logfile", "--pidfile"}
FOREIGN = {"chmod", "claude", "docker", "echo", "mkdir", "openssl", "pip", "pipx", "uvx"}
VARIABLES = settings() | other_variables()


def shell_lines() -> list[str]:
    return [
        line
        for path in paths()
        for block in blocks(path.read_text(encoding="utf-8"), "sh")
        for line in block.splitlines()
        if line.strip()
    ]


def json_blocks() -> list[str]:
    return [block for path in paths() for block in blocks(path.read_text(encoding="utf-8"), "json")]


def links() -> list[tuple[Path, str]]:
    return [
        (path, link)
        for path in paths()
        for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        if "://" not in link
    ]


def check_celery(arguments: list[str]) -> None:
    if arguments[:2] == ["multi", "start"]:
        assert arguments[3:7] == ["-A", "tasks", "-P", "solo"]
        options = arguments[7:]
    else:
        assert arguments[0] == "-A"
        assert arguments[1] in {"tasks", "watched_tasks"}  # the latter of docs/observability.md
        assert arguments[2] in {"beat", "worker", "flower"}
        options = arguments[3:]
    assert {option.partition("=")[0] for option in options} <= DAEMON_OPTIONS


@pytest.mark.parametrize("line", shell_lines())
def test_every_command_can_be_given_as_it_stands(line: str) -> None:
    words = shlex.split(line)
    while "=" in words[0]:
        variable, _, _ = words.pop(0).partition("=")
        assert variable in VARIABLES
    program, *arguments = words
    match Path(program).name, arguments:
        case "make", [target, *_]:
            assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE)
        case "orderflow", _:
            parse(main, arguments)
        case "python", ["-m", "mcp_app", *options]:
            parse(serve, options)
        case "python", ["ask.py"]:
            assert "Save it as `ask.py`" in text_of("docs/tutorial.md")
        case "python", [program, *_]:
            assert (ROOT / program).exists()
        case "celery", _:
            check_celery(arguments)
        case "honcho", ["start", *options]:
            assert processes(options) <= set(procfile())
        case name, _:
            assert name in FOREIGN


def parse(command: click.Command, arguments: list[str]) -> None:
    """Let click read the arguments, those of a subcommand by its own rules, and do nothing."""
    if isinstance(command, click.Group):
        subcommand = command.get_command(click.Context(command), arguments[0])
        assert subcommand is not None
        parse(subcommand, arguments[1:])
    else:
        command.make_context("orderflow", list(arguments))


def procfile() -> list[str]:
    return [line.partition(":")[0] for line in text_of("Procfile").splitlines() if line]


def processes(options: list[str]) -> set[str]:
    if not options:
        return set()
    flag, formation = options
    assert flag == "-c"
    return {part.partition("=")[0] for part in formation.split(",")}


@pytest.mark.parametrize("block", json_blocks())
def test_every_json_block_is_json(block: str) -> None:
    assert json.loads(block)


@pytest.mark.parametrize(("path", "link"), links())
def test_every_link_leads_somewhere(path: Path, link: str) -> None:
    name, _, heading = link.partition("#")
    target = path.parent / name if name else path

    assert target.exists()
    if heading:
        lines = target.read_text(encoding="utf-8").splitlines()
        headings = {
            line.lstrip("# ").lower().replace(" ", "-") for line in lines if line[:1] == "#"
        }
        assert heading in headings


def test_the_documents_hold_commands_json_and_links() -> None:
    assert len(shell_lines()) > 8
    assert len(json_blocks()) > 5
    assert len(links()) > 15


def test_every_decision_has_its_number_once() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_the_answer_shown_is_written_as_answers_are() -> None:
    _, answer = blocks(README.read_text(encoding="utf-8"), "text")
    labels = {line: [label for label, _ in parts] for line, parts in text_lines()}
    numbers = [
        line
        for line in answer.splitlines()
        if line.startswith(("now ", "window ", "spread: ", "flow: "))
    ]
    derived = {"spread bp", "mid moved bp"}

    first, second, *_ = answer.splitlines()
    assert first.startswith("SPY: ")
    assert re.match(r"last 300 s, covered 300 s, as of \d\d:\d\d:\d\d UTC", second)
    assert len(numbers) == 4
    for line in numbers:
        label, _, parts = line.partition(": ")
        assert label in labels
        for part in parts.split(", "):
            name, _, value = re.sub(r" p\d\d\b", "", part).rpartition(" ")
            assert name in {*labels[label], *derived}, f"{name!r} is no longer said"
            assert value
