"""Nobody who can write to a queue runs code here: JSON is all that is read."""

import base64
import json
import pickle
import time
from pathlib import Path

import kombu
import pytest
import redis

import celeryconfig
from tasks import app
from tests.processes import ROOT, Start, wait_until

pytestmark = pytest.mark.system

WORKER = ("celery", "-A", "tests.system.stub_tasks", "worker", "-P", "solo", "--without-mingle")


def test_celery_is_told_to_read_and_write_json_only() -> None:
    assert celeryconfig.accept_content == ["json"]
    assert celeryconfig.task_serializer == celeryconfig.event_serializer == "json"
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.event_serializer == "json"
    assert app.conf.result_backend is None
    assert app.conf.beat_scheduler == "tasks.schedule:RetryingScheduler"


def test_no_module_of_ours_names_what_unpickles() -> None:
    paths = [p for place in ("app", "tasks", "mcp_app") for p in (ROOT / place).rglob("*.py")]
    words = ("import pickle", "import shelve", "import marshal", "import dill", "allow_pickle=True")

    assert len(paths) > 50
    assert not [str(p) for p in paths if any(w in p.read_text(encoding="utf-8") for w in words)]


POISON: tuple[str | bytes, ...] = (
    "no message at all", "", "5", "[]", "{}", "null", b"\xff\xfe", "[" * 100_000, '{"a":' * 100_000,
    '{"body": 1, "properties": {}}', '{"body": "!", "properties": {"delivery_info": 7}}',
)  # fmt: skip


ODD_PARTS: tuple[tuple[str, object], ...] = (
    ("body", "!!!"), ("headers", {}), ("headers", {"task": 7}), ("headers", {"task": "no.such"}),
    ("headers", {"task": "tasks.tick", "id": "x", "eta": "noon"}),
    ("content-encoding", "no-such"), ("content-type", ""), ("properties", {}),
    ("headers", {"task": "tasks.tick", "id": "x", "compression": "bzip2"}),
    ("headers", {"task": "tasks.tick", "id": ["x"], "retries": "x", "timelimit": "x"}),
)  # fmt: skip


class Payload:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (exec, (f"open({str(self.mark)!r}, 'w').close()",))  # type: ignore[return-value]


def message(body: bytes, kind: str) -> str:
    """Write a task message as kombu stores it, of any content type."""
    headers = {"lang": "py", "task": "tasks.tick", "id": "x", "root_id": "x", "argsrepr": ""}
    properties = {
        "delivery_info": {"exchange": "fanout", "routing_key": "ticks.0"},
        "delivery_tag": "x",
        "body_encoding": "base64",
    }
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": kind,
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": properties,
        }
    )


def honest_tick() -> str:
    body = json.dumps([["SPY", int(time.time()) * 1000], {}, {}])
    return message(body.encode(), "application/json")


def wait_for_an_honest_tick(client: redis.Redis) -> None:
    """Wait until the worker has taken what is in the queue, and runs the tick that follows."""
    wait_until(lambda: client.llen("ticks.0") == 0, "all of them are taken")
    client.lpush("ticks.0", honest_tick())
    wait_until(lambda: client.exists("stub:ran") == 1, "an honest tick is run after them")


WRONG_TICKS = (
    [], ["SPY"], [5, 1000], ["SPY", "x"], ["SPY", 1.5], ["SPY", 1000, 1], ["SPY", None],
    ["\x1b[2J" * 20, 1_700_000_000_000], ["MARKED", [["MARKED"] * 9] * 9],
)  # fmt: skip
WRONG_FAN_OUTS = ([], [True], ["0"], [-1], [10**9], [0, -1], [0, "MARKED"])


@pytest.mark.usefixtures("mode")
def test_a_pickled_message_is_refused_and_the_worker_lives(
    redis_client: redis.Redis, start: Start, tmp_path: Path
) -> None:
    mark = tmp_path / "code-was-run"
    body = pickle.dumps(Payload(mark))
    with pytest.raises(kombu.exceptions.ContentDisallowed):
        kombu.serialization.loads(body, "application/x-python-serialize", "binary", ["json"])
    pickle.loads(body)  # noqa: S301 - that it would do harm is shown here
    assert mark.exists()
    mark.unlink()

    for kind in ("application/x-python-serialize", "pickle"):
        redis_client.lpush("ticks.0", message(body, kind))
    worker = start(*WORKER)
    wait_for_an_honest_tick(redis_client)

    assert worker.process.poll() is None
    assert not mark.exists()


def message_of(task: str, arguments: object, named: object) -> str:
    whole = json.loads(message(json.dumps([arguments, named, {}]).encode(), "application/json"))
    whole["headers"]["task"] = task
    return json.dumps(whole)


def refused(client: redis.Redis) -> int:
    """Return how many messages were refused; counts are written with a tick."""
    client.lpush("ticks.0", honest_tick())
    return int(client.hget("orderflow:counters", "messages_refused") or 0)


@pytest.mark.usefixtures("mode")
def test_wrong_arguments_are_refused_in_a_line_for_each_task_and_the_worker_lives(
    redis_client: redis.Redis, start: Start
) -> None:
    wrong = [
        *(("tasks.tick", it, {}) for it in WRONG_TICKS),
        ("tasks.tick", ["SPY", 1_700_000_000_000], {"MARKED": 1}),
        *(("tasks.fan_out", it, {}) for it in WRONG_FAN_OUTS),
        ("tasks.fan_out", [0], {"shard": "MARKED"}),
        ("tasks.discover", ["MARKED"], {}),
    ]
    for task, arguments, named in wrong:
        queue = "ticks.0" if task == "tasks.tick" else "fanout"
        redis_client.lpush(queue, message_of(task, arguments, named))
    worker = start(*WORKER)
    wait_for_an_honest_tick(redis_client)
    wait_until(lambda: refused(redis_client) == len(wrong), "all of them are counted")

    assert worker.process.poll() is None
    ran = [name.decode().split("@") for name in redis_client.hkeys("stub:ran")]
    assert {ticker for ticker, _ in ran} == {"SPY"}
    assert min(int(as_of) for _, as_of in ran) > 1_700_000_000_000
    assert not [key for key in redis_client.keys("ticks.*") if key != b"ticks.0"]
    lines = [line for line in worker.said().splitlines() if "refused" in line]
    assert len(lines) == len({task for task, *_ in wrong})
    assert not [line for line in lines if len(line) > 500 or not line.isprintable()]
    assert "Traceback" not in worker.said()
    assert "contents of the message" not in worker.said()


def test_the_fast_path_drops_what_is_no_message(redis_client: redis.Redis, start: Start) -> None:
    for kind in ("application/x-yaml", "no such kind"):
        redis_client.lpush("ticks.0", message(b"", kind))
    honest = json.loads(message(b'[["SPY", 1000], {}, {}]', "application/json"))
    for name, other in ODD_PARTS:
        redis_client.lpush("ticks.0", json.dumps(honest | {name: other}))
    for body in (b"", b"5", b"[]", b"{}", b'["SPY"]', b"[" * 100_000, b"\xff"):
        redis_client.lpush("ticks.0", message(body, "application/json"))
    for depth in range(880, 1000):  # at some, one reader can and the next, deeper in, can't
        nested = b'[["SPY", 1], {"a": %s}, {}]' % (b"[" * depth + b"]" * depth)
        redis_client.lpush("ticks.0", message(nested, "application/json"))
    for poison in POISON:
        redis_client.lpush("ticks.0", poison)
    left_out = redis_client.llen("ticks.0")
    worker = start(*WORKER, ORDERFLOW_FAST_PATH="1")
    wait_for_an_honest_tick(redis_client)

    assert worker.process.poll() is None
    wait_until(lambda: refused(redis_client) == left_out, "all of them are counted")
    assert worker.said().count("message unreadable, left out") == 1
