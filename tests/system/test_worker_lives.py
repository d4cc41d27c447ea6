"""A worker's life by pytest-celery's own words; its containers are processes of this machine."""

from signal import Signals

import pytest
import redis
from celery import Celery
from pytest_celery import (
    CeleryTestContainer,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
)

from tests.processes import BOUND_SECONDS, Running, Start, wait_until
from tests.system.test_ticks import WORKER, add_quote, has_ticks

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]


class LocalWorker(CeleryTestContainer):
    """A solo worker and nothing around it, where pytest-celery would have a container."""

    def __init__(self, start: Start, shard: int) -> None:
        self._start, self._shard = start, shard
        self._running = self._started()

    @property
    def name(self) -> str:
        """Name the worker after its shard."""
        return f"worker{self._shard}"

    def _started(self) -> Running:
        return self._start(*WORKER, "-n", f"{self.name}@%h", ORDERFLOW_SHARD=str(self._shard))

    @property
    def status(self) -> str:
        """Tell whether the process runs."""
        return "running" if self._running.process.poll() is None else "exited"

    @property
    def ready_prompt(self) -> str:
        """Say what a worker says once it takes work."""
        return " ready."

    def ready(self) -> bool:
        """Wait until it takes work."""
        return self._wait_ready(int(BOUND_SECONDS))

    def logs(self, **_: object) -> str:
        """Return what it said."""
        return self._running.said()

    def kill(self, signal: str) -> None:
        """Send a signal and wait for the end."""
        self._running.end(Signals[signal])

    def restart(self, **_: object) -> None:
        """End it where it runs, and start another."""
        if self.status == "running":
            self.kill("SIGTERM")
        self._running = self._started()

    def reload(self) -> None:
        """Know already all that a container would have to be asked for."""


@pytest.fixture
def celery_worker_cluster(start: Start) -> CeleryWorkerCluster:
    """Give two workers of the project's, each with a shard."""
    nodes = [CeleryTestWorker(LocalWorker(start, shard), app=None) for shard in range(2)]
    return CeleryWorkerCluster(*nodes)


@pytest.fixture
def celery_setup_app() -> Celery:
    """Give the project's own app; its broker is the test's server, by the environment."""
    from tasks import app  # noqa: PLC0415

    return app


@pytest.fixture
def celery_broker_cluster() -> None:
    """Give no broker of the plugin's."""


@pytest.fixture
def celery_backend_cluster() -> None:
    """Give no place for results: none are kept."""


def test_a_killed_workers_tickers_go_on_and_it_takes_them_again(
    redis_client: redis.Redis, start: Start, celery_setup: CeleryTestSetup
) -> None:
    first, second = celery_setup.worker_cluster
    first.wait_for_log(" ready.")
    second.wait_for_log(" ready.")
    start("celery", "-A", "tasks", "beat")
    add_quote(redis_client, "SPY", "AAPL", "NVDA", "TSLA")
    for ticker in ("SPY", "AAPL", "NVDA", "TSLA"):
        wait_until(lambda ticker=ticker: has_ticks(redis_client, ticker, 1), ticker)

    first.kill()
    redis_client.delete("stub:ran")
    for ticker in ("SPY", "AAPL", "NVDA", "TSLA"):
        wait_until(lambda ticker=ticker: has_ticks(redis_client, ticker, 2), f"{ticker} goes on")
    second.restart()
    first.restart()

    first.wait_for_log(" ready.")
    redis_client.delete("stub:ran")
    for ticker in ("SPY", "AAPL", "NVDA", "TSLA"):
        wait_until(lambda ticker=ticker: has_ticks(redis_client, ticker, 2), f"{ticker} is back")
    second.assert_log_does_not_exist("Traceback")
