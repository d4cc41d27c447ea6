"""Processes that tests start, and waiting for what they do."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
BOUND_SECONDS = 20.0

Environment = dict[str, str]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = BOUND_SECONDS) -> None:
    """Return as soon as `condition` holds; fail with `what` where it doesn't within the bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Running:
    """A process that a test started, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log

    def said(self) -> str:
        """Return everything that it wrote to stdout and stderr."""
        return self._log.read_text(errors="replace")

    def end(self, number: int = signal.SIGTERM, seconds: float = BOUND_SECONDS) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


Start = Callable[..., Running]
