"""Suites and clients that others wrote: installed once, or skipped in a loud line.

`ORDERFLOW_OUTSIDE=1` runs all of them. `ORDERFLOW_OUTSIDE=auto`, as `.ci/run` sets it, begins none
later than `AUTO_SECONDS` after the first one, so that the whole run stays short on any machine;
what is not run then is said loudly. Without either, none is run. `ORDERFLOW_OUTSIDE_DIR` names a
directory that keeps what is installed for the next run.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest
import redis

from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.processes import Environment, Running, Start, free_port, wait_until

MODE = os.environ.get("ORDERFLOW_OUTSIDE", "")
AUTO_SECONDS = 100
# Exact versions: the newest of the conformance suite that others are told of lacks 2026-07-28.
PACKAGES = (
    "node@22.23.3",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
    "@anthropic-ai/mcpb@2.1.2",
    "playwright-core@1.65.1",
    "axe-core@4.14.1",
)
CLIENTS = {
    "fastmcp": "fastmcp==4.1.2",
    "langchain": "langchain-mcp-adapters==0.3.2",
    "openai_agents": "openai-agents==0.24.0",
}
PROGRAMS = {
    # It asks for a redis-py that newer Celery refuses.
    "celery_exporter": "prometheus-exporter-celery==0.11.2 celery[redis]==5.5.3",
    "check_jsonschema": "check-jsonschema==0.39.0",
    "pipx": "pipx==1.18.4",
    "uv": "uv==0.13.9",
}
INSTALL_SECONDS = 60 if MODE == "auto" else 100
# A registry that can't be reached is given up soon, and is no failure.
NPM_OPTIONS = (
    *("--no-audit", "--no-fund", "--no-progress"),
    *("--fetch-retries=1", "--fetch-timeout=20000", "--fetch-retry-mintimeout=1000"),
)
PIP_OPTIONS = (
    *("--quiet", "--disable-pip-version-check", "--no-compile", "--no-input"),
    *("--retries", "1", "--timeout", "15"),
)
# What takes longest to install comes last.
ORDER = (
    "test_alert_rules",
    "test_compose",
    "test_conformance",
    "test_inspector",
    "test_bundle",
    "test_app",
    "test_desk",
    "test_clients",
    "test_wheel",
    "test_alerts",
)
# Scripts for other environments: what they import is not in this one.
collect_ignore_glob = ["clients/*"]
Node = Callable[..., subprocess.CompletedProcess[str]]

_not_run: list[str] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what others wrote out of the everyday run, to keep it short, or run it last."""
    outside = [item for item in items if item.get_closest_marker("outside")]
    if not outside:
        return
    items[:] = [item for item in items if item not in outside]
    if MODE in ("1", "auto"):
        items += sorted(outside, key=lambda item: ORDER.index(item.path.stem))
    else:
        config.hook.pytest_deselected(items=outside)
        _not_run.append(f"{len(outside)} tests: ORDERFLOW_OUTSIDE=1 runs them")


@pytest.fixture(scope="session")
def last_begin() -> float:
    """Give the time after which no test of what others wrote begins."""
    return time.monotonic() + AUTO_SECONDS if MODE == "auto" else math.inf


@pytest.fixture(autouse=True)
def in_time(request: pytest.FixtureRequest) -> None:
    """Leave out what would make the run too long."""
    if not request.node.get_closest_marker("outside"):
        return
    if time.monotonic() > request.getfixturevalue("last_begin"):
        _skip(f"{request.node.name}: {AUTO_SECONDS} s are over; ORDERFLOW_OUTSIDE=1 runs it")


@pytest.fixture
def unhurried() -> None:
    """Leave out what takes minutes, unless all is to be run."""
    if MODE != "1":
        _skip("what takes minutes; ORDERFLOW_OUTSIDE=1 runs it")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not run."""
    for reason in dict.fromkeys(_not_run):
        terminalreporter.write_line(f"OUTSIDE SUITES NOT RUN: {reason}", yellow=True, bold=True)


def _skip(reason: str) -> NoReturn:
    _not_run.append(reason)
    pytest.skip(f"OUTSIDE SUITES NOT RUN: {reason}")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory that suites and clients are installed in."""
    given = os.environ.get("ORDERFLOW_OUTSIDE_DIR")
    return Path(given).absolute() if given else tmp_path_factory.mktemp("outside")


def _install(what: str, *command: str, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    pipe = subprocess.PIPE
    # A group of its own, since npm and pip start processes that would outlive them.
    with subprocess.Popen(
        command, cwd=home, stdout=subprocess.DEVNULL, stderr=pipe, text=True, process_group=0
    ) as running:
        try:
            _, said = running.communicate(timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            _skip(f"{what}: not installed within {INSTALL_SECONDS} s")
    if running.returncode != 0:
        lines = said.strip().splitlines() or ["no word why"]
        why = next((line for line in lines if "error" in line.lower()), lines[-1])
        _skip(f"{what}: can't be installed: {why}")


@pytest.fixture(scope="session")
def node_modules(installed: Path) -> Path:
    """Give the directory with the suites in Node."""
    npm = shutil.which("npm")
    if npm is None:
        _skip("npm is not on the PATH")
    # One directory a set of versions: another set is installed anew.
    home = installed / "node"
    wanted = json.dumps({"private": True, "allowScripts": {"node": True}, "with": PACKAGES})
    done = home / "installed.json"
    if not done.exists() or done.read_text() != wanted:
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text(wanted)
        _install("suites in Node", npm, "install", *NPM_OPTIONS, *PACKAGES, home=home)
        if not (home / "node_modules" / ".bin" / "node").exists():
            _skip("this npm installs no node of its own: its install scripts are switched off")
        done.write_text(wanted)
    return home / "node_modules"


@pytest.fixture
def node(node_modules: Path) -> Node:
    """Give a way to run a script of the suites, or one of our own that uses them."""

    def run(
        script: str | Path, *words: str, seconds: float = 100
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(node_modules / ".bin" / "node"), str(node_modules / script), *words],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Give the browser."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        _skip("chromium is not on the PATH: on Debian, apt install chromium")
    return Path(found)


@pytest.fixture(scope="session")
def prometheus(installed: Path) -> Path:
    """Give the directory with `prometheus` and `promtool`, from the PATH or Debian's package."""
    found = shutil.which("promtool")
    if found is not None and shutil.which("prometheus") is not None:
        return Path(found).parent
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        _skip("prometheus is not on the PATH: on Debian, apt install prometheus")
    home = installed / "prometheus"
    programs = home / "usr" / "bin"
    if not (programs / "promtool").exists():
        _install("prometheus", "apt-get", "download", "prometheus", home=home)
        [package] = home.glob("prometheus_*.deb")
        _install("prometheus", "dpkg", "-x", str(package), ".", home=home)
    return programs


@pytest.fixture(scope="session")
def client_python(installed: Path) -> Callable[[str], Path]:
    """Give a way to get the Python of a client's, or a program's, own environment."""

    def python_of(client: str) -> Path:
        wanted = (CLIENTS | PROGRAMS)[client]
        home = installed / wanted
        python = home / "bin" / "python"
        done = home / "installed"
        if not done.exists():
            _install(wanted, sys.executable, "-m", "venv", "--without-pip", str(home), home=home)
            pip = (sys.executable, "-m", "pip", "--python", str(python), "install")
            _install(wanted, *pip, *PIP_OPTIONS, *wanted.split(), home=home)
            done.touch()
        return python

    return python_of


@pytest.fixture
def settings(environment: Environment) -> Settings:
    """Give settings that name the private Redis."""
    return Settings(REDIS_HOST=environment["REDIS_HOST"], REDIS_PORT=environment["REDIS_PORT"])


@pytest.fixture
def healthy(redis_client: redis.Redis) -> KeyWriter:
    """Give a ticker that everything is known of."""
    writer = KeyWriter(redis_client)
    writer.healthy_ticker()
    return writer


@pytest.fixture
def served(start: Start) -> Callable[..., str]:
    """Give a way to start a server and wait until it listens; returns its address."""

    def serve(*module: str) -> str:
        port = free_port()
        running: Running = start(*(word.format(port=port) for word in module))
        wait_until(
            lambda: is_listening(port) or running.process.poll() is not None,
            "the server listens",
        )
        assert running.process.poll() is None, running.said()
        return f"http://127.0.0.1:{port}/mcp"

    return serve


def is_listening(port: int) -> bool:
    """Return whether a server on a port of this machine answers."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx2.TransportError:
        return False
