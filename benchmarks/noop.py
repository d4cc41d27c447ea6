"""What a Celery task that does nothing costs with our settings and queues."""

import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.harness import Server, process

WORKER = ("worker", "-P", "solo", "--without-gossip", "--without-mingle", "-l", "WARNING")


@dataclass(frozen=True, slots=True)
class NoopCost:
    """CPU µs a task."""

    publish_us: float
    consume_us: float
    redis_us: float

    @property
    def ours_us(self) -> float:
        """Return what our processes spend, Redis left out."""
        return self.publish_us + self.consume_us


def noop_cost(server: Server, tasks: int) -> NoopCost:
    """Publish tasks as the fan-out does and let one solo worker take them."""
    environment = {**server.environment, "ORDERFLOW_SHARD": "0", "ORDERFLOW_FAST_PATH": "0"}
    command = (sys.executable, "-m", "celery", "-A", "benchmarks.noop_app", *WORKER)
    with process(*command, env=environment, stdout=subprocess.DEVNULL) as worker:
        _publish(server, 100)
        _drained(server)
        spent, redis_spent = sum(worker.cpu_times()[:2]), server.cpu_seconds()
        publish_seconds = _publish(server, tasks)
        _drained(server)
        consumed = sum(worker.cpu_times()[:2]) - spent
        redis_used = server.cpu_seconds() - redis_spent
    return NoopCost(*(1e6 * part / tasks for part in (publish_seconds, consumed, redis_used)))


def _publish(server: Server, tasks: int) -> float:
    server.settings()
    # Imported late: Celery reads its settings from the environment once.
    from benchmarks.noop_app import app, publish_by_kombu  # noqa: PLC0415
    from tasks.queues import tick_queue  # noqa: PLC0415

    as_of_ms = int(time.time()) * 1000 + 60_000
    with app.connection_for_write(f"redis://127.0.0.1:{_port(server)}/0") as connection:
        producer = app.amqp.Producer(connection)
        start = time.thread_time()
        publish_by_kombu(producer, tick_queue(0), [f"T{i}" for i in range(tasks)], as_of_ms)
        return time.thread_time() - start


def _port(server: Server) -> str:
    return server.environment["REDIS_PORT"]


def _drained(server: Server) -> None:
    deadline = time.monotonic() + 60
    while server.client.llen("ticks.0") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
