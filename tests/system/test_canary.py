"""Secrets stay where they were given: a run with canaries for passwords, and all that it shows."""

import base64
import json
from pathlib import Path

import httpx2
import psutil
import pytest
import redis

from tests.key_writer import KeyWriter
from tests.processes import Running, Start, free_port, http_get, wait_until

pytestmark = pytest.mark.system

# With what a URL has to escape, in each form that a leak may have.
SECRETS = ("Canary-redis/p@ss", "Canary-mcp-token-16", "Canary-flower-password")
CANARY = "Canary"
PAGES = (
    "/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/queues/length",
    "/api/task/types", "/metrics", "/no/such/page",
)  # fmt: skip


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Leave Redis to the supervisor."""
    return {name: text for name, text in environment.items() if name != "REDIS_HOST"}


def command_lines(run: Running) -> list[str]:
    """Return the command line of each process of a run, as any user of the machine sees them."""
    pids = [run.pid, *(child.pid for child in psutil.Process(run.pid).children(recursive=True))]
    return [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids]


def holds_a_secret(text: str) -> bool:
    return CANARY in text or any(
        base64.b64encode(secret.encode()).decode().rstrip("=") in text for secret in SECRETS
    )


def test_no_secret_is_in_a_log_a_process_list_a_page_or_an_answer(start: Start) -> None:
    redis_password, token, flower_password = SECRETS
    ports = {
        name: str(free_port())
        for name in ("REDIS_PORT", "ORDERFLOW_MCP_PORT", "ORDERFLOW_FLOWER_PORT")
    }
    secrets = {
        "REDIS_PASSWORD": redis_password,
        "ORDERFLOW_MCP_TOKEN": token,
        "FLOWER_BASIC_AUTH": f"someone:{flower_password}",
        "FLOWER_UNAUTHENTICATED_API": "true",
        "LOG_LEVEL": "DEBUG",
    }
    settings = ports | secrets | {"ORDERFLOW_FEED": "none", "ORDERFLOW_WORKERS": "1"}
    run = start("app.operations.supervisor", **settings)
    mcp = f"http://127.0.0.1:{ports['ORDERFLOW_MCP_PORT']}"
    flower = f"http://127.0.0.1:{ports['ORDERFLOW_FLOWER_PORT']}"
    wait_until(lambda: answers(f"{mcp}/health") and " ready." in run.said(), "all is up")
    wait_until(lambda: answers(f"{flower}/healthcheck"), "Flower is up")
    client = redis.Redis(port=int(ports["REDIS_PORT"]), password=redis_password)
    KeyWriter(client).healthy_ticker()
    wait_until(lambda: bool(client.hget("orderflow:counters", "ticks_done")), "a tick is done")

    shown = {"process list": "\n".join(command_lines(run))}
    assert "celery" in shown["process list"]
    known = {"Authorization": f"Bearer {token}"}
    for path in ("/health", "/ready", "/metrics", "/mcp", "/", "/desk/login", "/desk/now"):
        shown[path] = _whole(http_get(mcp + path, headers=known))
        shown[f"{path}, a wrong token"] = _whole(http_get(mcp + path))
    for page in PAGES:
        shown[f"Flower {page}"] = _whole(http_get(flower + page, auth=("someone", flower_password)))
    assert "redis://" in shown["Flower /broker"]
    for command in (("status",), ("status", "--json"), ("ask", "SPY"), ("ask", "SPY", "--json")):
        one = start("app", *command, **settings)
        assert one.wait() == 0, one.said()
        shown[" ".join(command)] = one.said()
    client.shutdown(nosave=True)
    wait_until(lambda: "redis away" in run.said() or "broker away" in run.said(), "it is missed")
    shown["errors"] = _whole(http_get(f"{mcp}/ready", headers=known))
    shown["log"] = run.said()

    assert len(shown["log"]) > 1000
    assert [name for name, text in shown.items() if holds_a_secret(text)] == []


def _whole(found: httpx2.Response) -> str:
    return json.dumps(dict(found.headers)) + found.text


def answers(address: str) -> bool:
    try:
        return http_get(address).status_code < 500
    except httpx2.TransportError:
        return False


WRONG = [
    {"REDIS_URL": "redis://:Canary@127.0.0.1:1/0"},
    {"REDIS_URL": "redis://user@127.0.0.1:1/0?password=Canary"},
    {"REDIS_PASSWORD": "Canary"},
    {"ORDERFLOW_BROKER_URL": "redis://:Canary@127.0.0.1:1/0", "REDIS_PORT": "1"},
]
# All others: test_what_is_no_address_of_a_redis_is_refused_by_name_and_hidden (tests/core).
UNREADABLE = "redis://user:Canary@127.0.0.1:1/0?Canary=1"
COMMANDS = [
    ("app", "ask", "SPY"),
    ("app", "status"),
    ("app", "feed", "simulate"),
    ("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle"),
    ("celery", "-A", "tasks", "beat"),
]


@pytest.mark.parametrize("settings", WRONG, ids=range(len(WRONG)))
def test_no_password_is_in_what_is_said_of_a_redis_that_can_not_be_had(
    start: Start, redis_client: redis.Redis, settings: dict[str, str]
) -> None:
    where = {"REDIS_PORT": str(redis_client.connection_pool.connection_kwargs["port"])}
    running = [start(*command, **where | settings) for command in COMMANDS]

    for one in running:
        wait_until(lambda one=one: bool(one.said().strip()), f"{one.process.args} says something")
    for one in running[:2]:
        one.wait()

    said = [one.said() for one in running]
    assert all(said)
    assert [text for text in said if "Canary" in text] == []


def test_an_address_that_is_none_ends_each_process_with_a_line_that_hides_it(start: Start) -> None:
    running = [start(*command, REDIS_URL=UNREADABLE) for command in COMMANDS]

    for one in running:
        assert one.wait() == 1
        assert one.said() == (
            "orderflow: REDIS_URL=(hidden) is not allowed; allowed: redis://, rediss:// or unix:// "
            "with an address and known options; special characters of a password as %23 for #\n"
        )
