"""Celery's own options for logs: `--logfile`, `--loglevel` and `--pidfile`, detached or not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from tests.processes import ROOT, Environment, Start, wait_until
from tests.system.test_refusals import SOLO
from tests.system.test_worker_restarts import waits_for_messages

pytestmark = pytest.mark.system


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for logs; processes whose pid files are in it are ended."""
    yield tmp_path
    for file in tmp_path.glob("*.pid"):
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def celery(environment: Environment, *arguments: str) -> None:
    """Run a command that leaves processes behind."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def holds(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text()


@pytest.mark.parametrize("pool", [("-P", "solo"), ("-P", "prefork", "-c", "1")], ids=" ".join)
def test_workers_of_celery_multi_write_their_log_files(
    folder: Path, environment: Environment, pool: tuple[str, ...]
) -> None:
    files = f"--logfile={folder}/%n%I.log", f"--pidfile={folder}/%n.pid"
    celery(environment, "multi", "start", "2", "-A", "tasks", *pool, *files)

    for name in ("celery1", "celery2"):
        wait_until(lambda n=name: holds(folder / f"{n}.log", " ready."), f"{name} says so")
        assert (folder / f"{name}.pid").exists()
        assert "\x1b" not in (folder / f"{name}.log").read_text()
    celery(environment, "multi", "stopwait", "2", "-A", "tasks", *files)


def test_a_detached_beat_writes_its_log_file(folder: Path, environment: Environment) -> None:
    log, pid = folder / "beat.log", folder / "beat.pid"
    celery(environment, "-A", "tasks", "beat", "--detach", f"--logfile={log}", f"--pidfile={pid}")

    wait_until(lambda: holds(log, "beat: Starting..."), "beat says so")
    assert pid.exists()


def test_a_detached_worker_writes_its_log_file(folder: Path, environment: Environment) -> None:
    log, pid = folder / "worker.log", folder / "worker.pid"
    celery(environment, *SOLO[1:], "--detach", f"--logfile={log}", f"--pidfile={pid}")

    wait_until(lambda: holds(log, " ready."), "the worker says so")


def test_a_log_file_that_is_moved_away_is_opened_anew(folder: Path, start: Start) -> None:
    log = folder / "worker.log"
    worker = start(*SOLO, f"--logfile={log}", "--loglevel=debug")
    wait_until(lambda: holds(log, " ready."), "the worker says so")

    log.rename(folder / "worker.log.1")
    worker.end()

    assert holds(log, "[debug")
    assert "ready." not in worker.said()


def test_a_log_file_that_cannot_be_written_is_named(folder: Path, start: Start) -> None:
    path = folder / "none" / "worker.log"

    worker = start(*SOLO, f"--logfile={path}")

    assert worker.wait() == 1
    assert f"orderflow: the log file '{path}' can't be written" in worker.said()
    assert "Traceback" not in worker.said()


@pytest.mark.parametrize(
    ("options", "is_shown"),
    [((), True), (("--loglevel=WARNING",), False), (("-l", "error"), False)],
)
def test_a_level_on_the_command_line_replaces_the_configured_one(
    folder: Path,
    start: Start,
    redis_client: redis.Redis,
    options: tuple[str, ...],
    *,
    is_shown: bool,
) -> None:
    log = folder / "worker.log"
    worker = start(*SOLO, f"--logfile={log}", *options)
    wait_until(lambda: waits_for_messages(redis_client), "the worker waits for messages")
    assert "task events" in worker.said(), "its banner"
    worker.end()

    assert holds(log, "[info ") == is_shown


@pytest.mark.parametrize("level", ["debug", "DEBUG"])
def test_a_lower_level_shows_more(folder: Path, start: Start, level: str) -> None:
    log = folder / "worker.log"
    start(*SOLO, f"--logfile={log}", f"--loglevel={level}", LOG_LEVEL="ERROR")

    wait_until(lambda: holds(log, "[debug"), "a line of the lowest level")
