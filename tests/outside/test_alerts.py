"""A Prometheus that scrapes a running system: which alerts fire for which fault, and how soon."""

import json
import math
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.faults.alerts import ALERTS, FANOUTS_STOPPED
from tests.faults.clock_kinds import AHEAD_SECONDS
from tests.faults.context import FaultContext, kill
from tests.faults.kinds import KINDS
from tests.faults.lasting import LASTING, Begin, reader_clock
from tests.faults.plans import Plan, live
from tests.faults.system import System
from tests.outside.conftest import is_listening
from tests.processes import BOUND_SECONDS, free_port, http_get, wait_until
from tests.timing import AssertWithin, read_samples, slowdown, watched_machine

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
FIRED_SECONDS = 30.0
QUIET_SECONDS = 60.0
AFTER_SECONDS = 20.0
"""How long after a fault it is watched that no alert fires for it."""
LIVE_SECONDS = 300
NOTHING_WAITS = "copies"
"""A kind of fault that needs nothing of the system that it is not begun in."""
HEARTBEAT_SECONDS = 10
"""A worker that is silent for so long is gone, for celery-exporter."""
TOO_LITTLE_TIME = frozenset({"OrderflowTicksSkipped", "OrderflowTickLag", "OrderflowTickersStuck"})
"""Alerts that are right where others take the test machine's processors."""
BUSY = 2.0
"""From how many times slower on the machine is busy."""
EXPORTER = "from src.cli import cli; cli()"

pytestmark = [pytest.mark.system, pytest.mark.outside, pytest.mark.usefixtures("unhurried")]

Watch = Callable[[str], "Watched"]
AssertNoneFired = Callable[[set[str]], None]
Programs = tuple[Path, Path]
"""The folder of Prometheus' programs, and celery-exporter's Python."""


@dataclass(frozen=True)
class Watched:
    """A system under a plan, and the address of the Prometheus that scrapes it."""

    context: FaultContext
    address: str

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = http_get(f"{self.address}/api/v1/alerts").json()["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def fired(self, began: float) -> set[str]:
        """Return the names of the alerts that fired since a time of the monotonic clock."""
        seconds = max(1, math.ceil(time.monotonic() - began))
        found = self.asked(f"max_over_time(ALERTS{{alertstate='firing'}}[{seconds}s])")
        return {one["metric"]["alertname"] for one in found}

    def asked(self, expression: str) -> list[Any]:
        """Return what an expression has as its result; nothing while Prometheus starts."""
        found = http_get(f"{self.address}/api/v1/query", params={"query": expression})
        return found.json()["data"]["result"] if found.status_code == 200 else []

    def is_watching(self) -> bool:
        """Return whether Prometheus has seen ticks fold records, and each worker's heartbeat."""
        try:
            folds = self.asked("rate(orderflow_records_total{kind='folded'}[20s]) > 0")
            workers = self.asked("celery_worker_up == 1")
        except httpx2.TransportError:
            return False
        return bool(folds) and len(workers) == len(self.context.system.workers)


@pytest.fixture(scope="session")
def programs(prometheus: Path, client_python: Callable[[str], Path]) -> Programs:
    return prometheus, client_python("celery_exporter")


@pytest.fixture
def watch(programs: Programs, tmp_path: Path) -> Iterator[Watch]:
    """Give a way to run a system that is ready for a kind of fault, under a Prometheus."""
    started: list[subprocess.Popen[bytes]] = []
    plans: list[Any] = []
    system = System(tmp_path)

    def run(*command: str | Path) -> None:
        with (tmp_path / f"watching-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    def begin(kind: str) -> Watched:
        plans.append(live(Plan(1, (kind,)), system, LIVE_SECONDS))
        context = plans[-1].__enter__()
        web, exporter, own = free_port(), free_port(), free_port()
        system.start_web(web)
        wait_until(lambda: is_listening(web), "the server listens")
        run(*exporting(programs[1], system.port, exporter))
        run(*scraping(programs[0], tmp_path, own, orderflow=web, celery=exporter))
        found = Watched(context, f"http://127.0.0.1:{own}")
        wait_until(found.is_watching, "it scrapes ticks and workers")
        wait_until(lambda: found.firing() <= TOO_LITTLE_TIME, "nothing else fires any more")
        return found

    try:
        yield begin
    finally:
        for one in started:
            one.kill()
            one.wait(BOUND_SECONDS)
        for plan in plans:
            plan.__exit__(None, None, None)
        system.close()


def exporting(python: Path, redis_port: int, port: int) -> list[str | Path]:
    """Return the command of celery-exporter."""
    return [
        *(python, "-c", EXPORTER, "--broker-url", f"redis://127.0.0.1:{redis_port}/0"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--worker-timeout", str(HEARTBEAT_SECONDS), "--retry-interval", "5"),
    ]


def scraping(programs: Path, folder: Path, port: int, **ports: int) -> list[str | Path]:
    """Return the command of a Prometheus with our configuration, but for where jobs are."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["rule_files"] = [str(DEPLOY / "alerts.yml")]
    config["scrape_configs"] = [
        {"job_name": job["job_name"], "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]}
        for job in config["scrape_configs"]
        if (at := ports.get(job["job_name"]))
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return [
        programs / "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


def freeze_web(context: FaultContext) -> None:
    assert context.system.web is not None
    context.system.web.process.send_signal(signal.SIGSTOP)


def kill_all_workers(context: FaultContext) -> None:
    for worker in context.system.workers.values():
        kill(worker, signal.SIGKILL)


def publish_nonsense(context: FaultContext) -> None:
    """Let a message come that no task here accepts."""
    message = {
        "body": json.dumps([[], {}, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "somebody.elses", "id": "1", "lang": "py"},
        "properties": {"delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": ""}},
    }
    context.system.client.lpush("fanout", json.dumps(message))


def feed_ends(context: FaultContext) -> None:
    """Let a feed say that it lives, and then nothing any more."""
    said = {"source": "test", "scope": "venue", "alive_at": int(time.time() * 1000)}
    context.system.client.hset(f"orderflow:feed:{context.tickers[0]}", mapping=said)


OTHERS: tuple[tuple[str, Begin], ...] = (
    ("OrderflowServerDown", freeze_web),
    ("OrderflowMessagesRefused", publish_nonsense),
    (FANOUTS_STOPPED, kill_all_workers),
    ("OrderflowFeedsDown", feed_ends),
    *((FANOUTS_STOPPED, reader_clock(seconds)) for seconds in AHEAD_SECONDS),
)


def seconds_until(watched: Watched, alert: str, record: Callable[[str, object], None]) -> float:
    """Return after how long an alert fires, and note it with whatever else fires then."""
    began = time.monotonic()
    took = wait_until(lambda: alert in watched.firing(), alert)
    record("fired", f"{alert} after {took:.1f} s, with {sorted(watched.fired(began) - {alert})}")
    return took


@pytest.fixture
def assert_none_fired(tmp_path: Path) -> Iterator[AssertNoneFired]:
    """Give a check that no alert fired, but for what a busy machine makes right."""
    log = tmp_path / "machine.log"

    def check(fired: set[str]) -> None:
        is_busy = slowdown(read_samples(log), FIRED_SECONDS) > BUSY
        assert fired - (TOO_LITTLE_TIME if is_busy else frozenset()) == set()

    with watched_machine(log):
        yield check


def let_pass(watched: Watched, seconds: float) -> None:
    """Let time pass, in which Prometheus keeps scraping."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        assert watched.asked("up == 1")
        time.sleep(1.0)


def test_a_quiet_run_fires_none(watch: Watch, assert_none_fired: AssertNoneFired) -> None:
    watched = watch(NOTHING_WAITS)
    began = time.monotonic()
    let_pass(watched, QUIET_SECONDS)
    assert_none_fired(watched.fired(began))


@pytest.mark.parametrize(("kind", "begin"), LASTING, ids=[kind for kind, _ in LASTING])
def test_a_fault_of_the_plans_that_lasts_fires_its_alert_in_time(
    watch: Watch,
    kind: str,
    begin: Begin,
    assert_within: AssertWithin,
    record_property: Callable[[str, object], None],
) -> None:
    watched = watch(kind)
    begin(watched.context)
    assert_within(FIRED_SECONDS, seconds_until(watched, ALERTS[kind], record_property))


@pytest.mark.parametrize("kind", [kind for kind, alert in ALERTS.items() if not alert])
def test_a_fault_of_the_plans_that_the_system_outlives_fires_none(
    watch: Watch, kind: str, assert_none_fired: AssertNoneFired
) -> None:
    watched = watch(kind)
    began = time.monotonic()
    KINDS[kind][1](watched.context)
    let_pass(watched, AFTER_SECONDS)
    assert_none_fired(watched.fired(began))


@pytest.mark.parametrize(("alert", "begin"), OTHERS)
def test_another_fault_fires_its_alert_in_time(
    watch: Watch,
    alert: str,
    begin: Begin,
    assert_within: AssertWithin,
    record_property: Callable[[str, object], None],
) -> None:
    watched = watch(NOTHING_WAITS)
    begin(watched.context)
    assert_within(FIRED_SECONDS, seconds_until(watched, alert, record_property))
