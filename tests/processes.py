"""Processes that tests start, and waits for what they do."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parent.parent
# Not a promise: a wait ends as soon as its condition holds, however busy the machine is.
BOUND_SECONDS = 120.0
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given_ports: set[int] = set()
_chance = random.Random()  # noqa: S311 - other processes of a test run are to find other ports

Environment = dict[str, str]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = BOUND_SECONDS) -> float:
    """Wait until `condition` holds, and return for how many seconds; fail with `what` at the bound.

    Where it is promised how long that takes, see `tests.timing`.
    """
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def free_port() -> int:
    """Return a port that nothing listens on, and that is nobody's before it is used.

    Connections get theirs of a range of the kernel's: a port of that range might be one's by then.
    """
    ports = _ports_of_no_connection()
    while True:
        port = _chance.choice(ports)
        if port in _given_ports:
            continue
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            _given_ports.add(port)
            return port


def _ports_of_no_connection() -> range:
    """Return the ports below those that the kernel gives to connections, or else above."""
    try:
        first, last = map(int, _PORT_RANGE.read_text().split())
    except OSError:  # another system than Linux
        first, last = 32_768, 60_999
    below, above = range(10_000, first), range(last + 1, 65_536)
    return max(below, above, key=len)


def http_get(address: str, **options: Any) -> httpx2.Response:
    """Get a page from a server that may be slow on a busy machine."""
    return httpx2.get(address, timeout=BOUND_SECONDS, **options)


def http_post(address: str, **options: Any) -> httpx2.Response:
    """Post to a server that may be slow on a busy machine."""
    return httpx2.post(address, timeout=BOUND_SECONDS, **options)


class Running:
    """A process that a test started, and its output so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log

    def said(self) -> str:
        """Return everything that it wrote to stdout and stderr."""
        return self._log.read_text(errors="replace")

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(BOUND_SECONDS)

    def end(self, number: int = signal.SIGTERM, seconds: float = BOUND_SECONDS) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


Start = Callable[..., Running]


def environment_for(redis_port: int) -> Environment:
    """Return the environment of a process that is to use a Redis, and no other setting."""
    ours = ("REDIS_", "ORDERFLOW_", "FLOWER_", "HONCHO_", "PROCESSOR_", "LOG_LEVEL")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    # All tests of the system run in either mode: `ORDERFLOW_FAST_PATH=0 pytest tests/system`.
    inherited["ORDERFLOW_FAST_PATH"] = os.environ.get("ORDERFLOW_FAST_PATH", "1")
    return {
        **inherited,
        "ORDERFLOW_HISTORY": "off",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def starting(environment: Environment, logs: Path) -> Iterator[Start]:
    """Give a way to start processes that log into a folder; what is left of them is killed."""
    running: list[Running] = []

    def start_one(*command: str, folder: Path = ROOT, **settings: str) -> Running:
        log = logs / f"process-{len(running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=folder,
                env=environment | settings,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        running.append(Running(process, log))
        return running[-1]

    try:
        yield start_one
    finally:
        for one in running:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.process.wait()
