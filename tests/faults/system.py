"""A plan's private Redis and the processes of the system that use it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from app.operations import die_with_parent
from app.operations.embedded_redis import server_binary
from tests.faults.shared_names import BY
from tests.processes import BOUND_SECONDS, ROOT, Running, free_port, wait_until

APP = "tests.faults.worker_app"
WORKERS = 2
_OURS = ("REDIS_", "ORDERFLOW_", "FLOWER_", "HONCHO_", "PROCESSOR_", "LOG_LEVEL")


@dataclass
class System:
    """Starts, kills and restarts processes; all of them end with the process that started them."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    started: list[Running] = field(default_factory=list)
    workers: dict[int, Running] = field(default_factory=dict)
    beat: Running | None = None
    worker_settings: dict[str, str] = field(default_factory=dict)
    server: Running | None = None
    web: Running | None = None

    def __post_init__(self) -> None:
        """Make the folders and a client that tries once."""
        self.requests = self.folder / "requests"
        self.requests.mkdir()
        self.client = redis.Redis(port=self.port, socket_timeout=2.0, retry=None)

    def open(self) -> None:
        """Start everything."""
        self.start_server()
        self.beat = self.start_beat()
        for number in range(WORKERS):
            self.workers[number] = self.start_worker(number)
        for worker in self.workers.values():
            self.await_ready(worker)

    def close(self) -> None:
        """Kill everything that is left."""
        for one in self.started:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
        for one in self.started:
            one.process.wait()
        self.client.close()

    def request(self, name: str, text: str) -> Path:
        """Ask all processes for something; a file that appears whole."""
        path = self.requests / name
        draft = self.requests / f".{name}"
        draft.write_text(text)
        draft.rename(path)
        return path

    def start_server(self) -> None:
        """Start Redis with what its folder holds, and wait until it answers."""
        self.launch_server()
        wait_until(self.answers, "Redis answers")

    def launch_server(self, *further: str) -> None:
        """Start Redis, and don't wait for it."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(data))
        kept = ("--appendonly", "yes", "--save", "", "--loglevel", "warning")
        self.server = self._start(server_binary(), *options, *kept, *further)

    def answers(self) -> bool:
        """Tell whether Redis is there and has loaded its data."""
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def forget_data(self) -> None:
        """Let the next server start empty."""
        shutil.rmtree(self.folder / "data")

    def start_beat(self) -> Running:
        """Start a beat."""
        return self._python("celery", "--quiet", "-A", APP, "beat")

    def start_worker(self, number: int, **settings: str) -> Running:
        """Start a solo worker; doesn't wait for it."""
        quick = ("-P", "solo", "--without-mingle", "--without-gossip", "-n", f"celery@w{number}.%h")
        shard = {"ORDERFLOW_SHARD": str(number % WORKERS)}
        return self._python(
            "celery", "-A", APP, "worker", *quick, **(shard | self.worker_settings | settings)
        )

    def start_web(self, port: int) -> Running:
        """Start an MCP server over HTTP; doesn't wait for it."""
        self.web = self._python(
            *("tests.faults.web_app", "--http", "--port", str(port)), ORDERFLOW_HISTORY="off"
        )
        return self.web

    @staticmethod
    def await_ready(worker: Running) -> None:
        """Wait until a worker takes work."""
        wait_until(lambda: " ready." in worker.said(), "a worker is ready")

    def _python(self, *command: str, **settings: str) -> Running:
        return self._start(sys.executable, "-m", *command, **settings)

    def _start(self, *command: str, **settings: str) -> Running:
        log = self.folder / f"process-{len(self.started)}.log"
        inherited = {n: text for n, text in os.environ.items() if not n.startswith(_OURS)}
        ours = {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.port),
            "ORDERFLOW_SHARDS": str(WORKERS),
            "ORDERFLOW_FAULTS_DIR": str(self.requests),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-S", str(die_with_parent.__file__), str(os.getpid()), *command],
                cwd=ROOT,
                env=inherited | ours | self.settings | settings,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self.started.append(Running(process, log))
        return self.started[-1]

    def last_actions(self) -> dict[str, int]:
        """Return the id of the process that last did each tick or fan-out, and counts."""
        found = self.client.hgetall(BY)
        return {name.decode(): int(value) for name, value in found.items()}

    def worker_of(self, doing: str) -> int:
        """Return the number of the worker that last did something."""
        pid = self.last_actions()[doing]
        return next(number for number, worker in self.workers.items() if worker.pid == pid)

    def await_true(
        self, condition: Callable[[], bool], what: str, seconds: float = BOUND_SECONDS
    ) -> None:
        """Wait for a condition; Redis may be away meanwhile."""

        def holds() -> bool:
            with suppress(redis.RedisError):
                return condition()
            return False

        wait_until(holds, what, seconds)


def pass_time(seconds: float) -> None:
    """Wait while a fault lasts; how long is part of the plan."""
    time.sleep(seconds)
