"""The MCP server on stdio: it ends at the first interrupt, at the end of its input, quietly."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.processes import BOUND_SECONDS, ROOT, Environment, wait_until
from tests.system.test_serving import HELLO, message

pytestmark = pytest.mark.system

WAYS = [
    pytest.param(("orderflow_command", "mcp"), id="orderflow mcp"),
    pytest.param(("mcp_app",), id="python -m mcp_app"),
]
CTRL_C, CTRL_D = b"\x03", b"\x04"


@dataclass
class Terminal:
    """A process whose standard input, output and errors are a terminal."""

    process: subprocess.Popen[bytes]
    end: int
    said: bytes = b""

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.end, keys)

    def read(self) -> bool:
        """Read what came on the screen; return whether there may come more."""
        os.set_blocking(self.end, False)
        with suppress(BlockingIOError):
            try:
                self.said += os.read(self.end, 65536)
            except OSError:  # the other end was closed
                return False
        return True

    def answered(self) -> bool:
        """Return whether the server has answered."""
        self.read()
        return b'"serverInfo"' in self.said

    def ended(self) -> bool:
        """Return whether the process has ended."""
        self.read()
        return self.process.poll() is not None


@contextmanager
def in_a_terminal(way: tuple[str, ...], environment: Environment) -> Iterator[Terminal]:
    mine, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_IN_TERMINAL, *way],
        cwd=ROOT,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, mine)
    finally:
        process.kill()
        process.wait()
        os.close(mine)


# Makes the terminal the one that Ctrl-C comes from.
RUN_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
"""


def say_hello(terminal: Terminal) -> None:
    terminal.type(json.dumps(message("initialize", HELLO)).encode() + b"\n")
    wait_until(terminal.answered, "an answer")


@pytest.mark.parametrize("way", WAYS)
def test_the_first_ctrl_c_ends_it_quietly(environment: Environment, way: tuple[str, ...]) -> None:
    with in_a_terminal(way, environment) as terminal:
        say_hello(terminal)
        terminal.said = b""
        terminal.type(CTRL_C)
        wait_until(terminal.ended, "its end")

    assert terminal.process.returncode == 130
    assert b"Traceback" not in terminal.said
    assert b"Error" not in terminal.said
    assert b"Aborted" not in terminal.said


@pytest.mark.parametrize("way", WAYS)
def test_the_end_of_a_terminal_s_input_ends_it_quietly(
    environment: Environment, way: tuple[str, ...]
) -> None:
    with in_a_terminal(way, environment) as terminal:
        say_hello(terminal)
        terminal.said = b""
        terminal.type(CTRL_D)
        wait_until(terminal.ended, "its end")

    assert terminal.process.returncode == 0
    assert terminal.said == b""


@pytest.fixture
def piped(environment: Environment) -> Iterator[subprocess.Popen[bytes]]:
    """Give a server that has answered once, over pipes as clients start it."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "orderflow_command", "mcp"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(message("initialize", HELLO)).encode() + b"\n")
        process.stdin.flush()
        assert b"serverInfo" in process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "codes"), [(signal.SIGINT, {130}), (signal.SIGTERM, {-15, 143, 0})]
)
def test_the_first_signal_ends_it_quietly(
    piped: subprocess.Popen[bytes], number: int, codes: set[int]
) -> None:
    piped.send_signal(number)
    _, errors = piped.communicate(timeout=BOUND_SECONDS)

    assert piped.returncode in codes
    assert errors == b""


def test_a_closed_input_ends_it_quietly(piped: subprocess.Popen[bytes]) -> None:
    rest, errors = piped.communicate(timeout=BOUND_SECONDS)

    assert piped.returncode == 0
    assert (rest, errors) == (b"", b"")


def test_a_client_that_is_gone_ends_it_without_a_traceback(
    piped: subprocess.Popen[bytes],
) -> None:
    assert piped.stdin is not None
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.close()
    piped.stdin.write(json.dumps({**message("ping", {}), "id": 2}).encode() + b"\n")
    piped.stdin.close()
    errors = piped.stderr.read()
    piped.wait(BOUND_SECONDS)

    assert b"Traceback" not in errors


def test_no_input_at_all_ends_it_quietly(environment: Environment) -> None:
    command = [sys.executable, "-m", "orderflow_command", "mcp"]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0
    assert done.stderr == b""
