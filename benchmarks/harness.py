"""What all measurements share: a private Redis, processes, the machine, and tables of figures."""

import contextlib
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import redis

from app.core.settings import Settings, read_settings
from app.operations.embedded_redis import server_binary
from app.operations.managed_process import TUNING_ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
_OURS = ("REDIS_", "ORDERFLOW_", "PROCESSOR_", "LOG_LEVEL", "HONCHO_")
_LIBRARIES = ("celery", "kombu", "redis", "hiredis", "msgspec", "numpy", "mcp")
Rows = list[tuple[str, ...]]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def process(*command: str, **options: Any) -> Iterator[psutil.Popen]:
    """Run a process until the context ends."""
    started = psutil.Popen([*command], cwd=ROOT, **options)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except psutil.TimeoutExpired:
            started.kill()
            started.wait(10)


class Server:
    """A private Redis: its client, its process, and the environment for processes that use it."""

    def __init__(self, port: int, running: psutil.Popen) -> None:
        self.process = running
        self.client: Any = redis.Redis(port=port)
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        self.environment = {
            **TUNING_ENVIRONMENT,
            **inherited,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(port),
            "PYTHONPATH": str(ROOT),
            "LOG_LEVEL": "WARNING",
            # More than five minutes of 500 quotes/s, and than the largest window of `growth`.
            "ORDERFLOW_MAX_RECORDS": "1000000",
            # A benchmark asks faster than one client may.
            "ORDERFLOW_MCP_REQUESTS_PER_MINUTE": "1000000",
        }

    def settings(self) -> Settings:
        """Return the settings of this server's environment."""
        os.environ.update(self.environment)
        return read_settings()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server has used."""
        used = self.client.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])


@contextlib.contextmanager
def private_redis() -> Iterator[Server]:
    """Run a private Redis that writes nothing to disk."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        words = ["--port", str(port), "--save", "", "--appendonly", "no", "--dir", directory]
        usual = {"env": {**TUNING_ENVIRONMENT, **os.environ}, "stdout": subprocess.DEVNULL}
        with process(server_binary(), *words, **usual) as running:
            server = Server(port, running)
            _wait_for(server.client)
            yield server
            server.client.close()


def _wait_for(client: Any) -> None:
    for _ in range(200):
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            return
        time.sleep(0.05)
    sys.exit("the private Redis does not answer")


def machine() -> str:
    """Return the machine and the versions that the figures were measured with."""
    binary = server_binary()
    redis_version = subprocess.run(  # noqa: S603 - the server that is measured
        [binary, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    server_version = next((word for word in redis_version if word.startswith("v=")), "v=?")
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB, "
        f"load {load:.1f} at the start; {platform.system()}, Python {platform.python_version()}, "
        f"{Path(binary).name} {server_version[2:]}, {libraries}"
    )


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return a median with the least and the greatest value, as text.

    >>> spread([3.0, 1.0, 2.0])
    '2 (1..3)'
    """
    if not values:
        return "-"
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"


def table(head: Sequence[str], rows: Rows) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def quantile(values: Sequence[float], q: float) -> float:
    """Return the smallest value with at least the share `q` at or under it."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")
