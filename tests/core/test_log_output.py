"""A log line that can't be written is lost and counted, and raises and holds up nothing."""

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.core import logs
from app.core.log_output import LogOutput, LostLines
from app.core.settings import Settings
from tests.processes import ROOT, wait_until

LOST = "log lines were lost, they could not be written"


@pytest.fixture
def descriptor() -> Iterator[int]:
    """Give a descriptor of a full device."""
    found = os.open("/dev/full", os.O_WRONLY)
    yield found
    os.close(found)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger, and its handlers back to pytest afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = handlers, level


def give_room(descriptor: int, path: Path) -> None:
    """Let a descriptor lead to a file from now on."""
    room = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(room, descriptor)
    os.close(room)


def test_what_a_full_disk_does_not_take_is_counted_and_said_before_the_next_line(
    tmp_path: Path, descriptor: int
) -> None:
    output = LogOutput(descriptor, LostLines.describe)
    errors = [output.write(f"{number}\n") for number in range(3)]

    give_room(descriptor, tmp_path / "log")
    assert output.write("4\n") is None
    output.write("5\n")

    assert [error.strerror for error in errors if error] == ["No space left on device"] * 3
    said = "3 lines were lost: No space left on device\n4\n5\n"
    assert (tmp_path / "log").read_text() == said


def test_what_was_lost_can_be_said_without_a_further_line(tmp_path: Path, descriptor: int) -> None:
    output = LogOutput(descriptor, LostLines.describe)
    output.write("1\n")
    output.try_to_write_notice()

    give_room(descriptor, tmp_path / "log")
    output.try_to_write_notice()
    output.try_to_write_notice()

    assert (tmp_path / "log").read_text() == "1 line was lost: No space left on device\n"


def test_a_pipe_that_nobody_reads_holds_nothing_up_and_is_used_again_once_read() -> None:
    reading, writing = os.pipe()
    output = LogOutput(writing, LostLines.describe)
    began = time.monotonic()
    written = [output.write("x" * 999 + "\n") is None for _ in range(1000)]
    took_seconds = time.monotonic() - began
    lost = written.count(False)

    os.read(reading, 1_000_000)
    output.write("again\n")
    said = os.read(reading, 1_000_000).decode()
    os.close(reading)
    error = output.write("no reader\n")
    os.close(writing)

    assert lost > 900
    assert took_seconds < 30
    assert said.endswith(f"{lost} lines were lost: nobody reads the pipe\nagain\n")
    assert isinstance(error, BrokenPipeError)


def test_a_line_of_which_a_part_was_written_ends_before_the_next() -> None:
    reading, writing = os.pipe()
    output = LogOutput(writing, LostLines.describe)
    output.write("x" * 200_000 + "\n")

    first = os.read(reading, 1_000_000)
    output.write("next\n")
    second = os.read(reading, 1_000_000).decode()
    os.close(reading)
    os.close(writing)

    assert set(first) == {ord("x")}
    assert second == "\n1 line was lost: nobody reads the pipe\nnext\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_notice_has_the_form_of_the_log(
    tmp_path: Path, root: logging.Logger, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("ORDERFLOW_LOG_FORMAT", form)
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "log"
    logs.set_up(Settings(), path=str(path))
    root.warning("before")

    path.unlink()
    folder.rmdir()  # it can't be opened anew
    root.warning("lost")
    root.warning("lost too")
    folder.mkdir()
    root.warning("after")
    root.handlers[0].close()

    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert LOST in lines[0]
    assert "after" in lines[1]
    if form == "json":
        found = json.loads(lines[0])
        assert (found["lost"], found["error"]) == (2, "No such file or directory")


PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
from app.operations.printer import Printer
printer = Printer(["redis"], "orderflow")
for number in range(int(sys.argv[1])):
    printer.print_line("redis", "x" * 99)
print("printed", file=sys.stderr, flush=True)
sys.stdin.readline()
printer.print_line("redis", "last")
printer.close()
print("closed", file=sys.stderr, flush=True)
"""


def begin(lines: int, stdout: int, room_bytes: int = -1) -> subprocess.Popen[str]:
    """Start a process that prints lines, and then one more once it is told."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(lines), str(room_bytes)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def go_on(process: subprocess.Popen[str]) -> str:
    """Let the process end; return what it said on stderr from here."""
    _, said = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    return said


@pytest.mark.parametrize("is_closed", [False, True], ids=["nobody reads", "no reader"])
def test_make_run_waits_for_no_reader_and_says_so_on_stderr(*, is_closed: bool) -> None:
    reading, writing = os.pipe()
    if is_closed:
        os.close(reading)
    process = begin(20_000, writing)
    os.close(writing)

    said = go_on(process)
    if not is_closed:
        os.close(reading)

    assert "orderflow: stdout takes no lines (" in said
    assert said.count("takes no lines") == 1
    assert said.endswith("closed\n")


def test_make_run_on_a_full_disk_says_what_was_lost_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as log:
        process = begin(100, log.fileno(), room_bytes=1050)
    assert process.stderr is not None
    # Before a line is lost there may be no room for more, or the rest of one would fit.
    while "(File too large)" not in process.stderr.readline():
        pass
    assert path.stat().st_size == 1050

    psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
    wait_until(lambda: "lost: File too large" in path.read_text(), "it is said")
    go_on(process)

    whole = f"redis     | {'x' * 99}"
    lines = path.read_text().splitlines()
    assert lines[:9] == [whole] * 9  # 111 bytes each, of 1050
    assert whole.startswith(lines[9])
    assert lines[9] != whole
    lost = re.fullmatch(r"orderflow \| (\d+) lines? w(?:as|ere) lost: File too large", lines[10])
    assert lost is not None
    # Lines that come to their turn after there is room are written.
    assert lines[11:] == [whole] * (100 - 9 - int(lost[1])) + ["redis     | last"]
