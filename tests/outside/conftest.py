"""Suites that others wrote, in Node: found, installed once, or skipped in a loud line."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
import redis

from tests.by_hand import Hand
from tests.processes import Environment, Running, Start, free_port, wait_until

# Exact versions: the newest of the conformance suite that others are told of lacks 2026-07-28.
PACKAGES = (
    "node@22",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
    "@anthropic-ai/mcpb@2.1.2",
)
INSTALL_SECONDS = 300
Node = Callable[..., subprocess.CompletedProcess[str]]


class SuitesMissing(UserWarning):
    """Warns that suites which others wrote were not run."""


def _skip(reason: str) -> None:
    with warnings.catch_warnings():
        # Loud, and no error where warnings are errors.
        warnings.simplefilter("always")
        warnings.warn(f"OUTSIDE SUITES NOT RUN: {reason}", SuitesMissing, stacklevel=2)
    pytest.skip(f"OUTSIDE SUITES NOT RUN: {reason}")


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory with the suites: `ORDERFLOW_NODE_MODULES`, or one made by npm now."""
    given = os.environ.get("ORDERFLOW_NODE_MODULES")
    if given:
        return Path(given)
    npm = shutil.which("npm")
    if npm is None:
        _skip("npm is not on the PATH, and ORDERFLOW_NODE_MODULES names no directory")
    home = tmp_path_factory.mktemp("node")
    quiet = ("--no-audit", "--no-fund", "--no-progress")
    done = subprocess.run(
        [str(npm), "install", *quiet, *PACKAGES],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        _skip(f"npm can't install them: {done.stderr.strip().splitlines()[-1:]}")
    return home / "node_modules"


@pytest.fixture
def node(node_modules: Path) -> Node:
    """Give a way to run a script of the suites."""

    def run(script: str, *words: str, seconds: float = 100) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(node_modules / ".bin" / "node"), str(node_modules / script), *words],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return run


@pytest.fixture
def healthy(redis_client: redis.Redis) -> Hand:
    """Give a ticker that everything is known of."""
    hand = Hand(redis_client)
    hand.whole()
    return hand


@pytest.fixture
def served(start: Start, environment: Environment) -> Callable[..., str]:
    """Give a way to start a server and wait until it listens; returns its address."""

    def serve(*module: str) -> str:
        port = free_port()
        running: Running = start(*(word.format(port=port) for word in module))
        wait_until(
            lambda: _answers(port) or running.process.poll() is not None, "the server listens"
        )
        assert running.process.poll() is None, running.said()
        return f"http://127.0.0.1:{port}/mcp"

    assert environment
    return serve


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx2.TransportError:
        return False
