"""Ticks as tools that hang on Celery see them: by its hooks, its events and its totals."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from tests.processes import BOUND_SECONDS, Start, wait_until
from tests.system.names import (
    BROKEN_TICKER,
    FAILED,
    FAILURES,
    POSTRUNS,
    PRERUNS,
    RAN,
    REFUSED_TICKER,
    SENTRY_ERRORS,
    SENTRY_TRANSACTIONS,
    SPANS,
)
from tests.system.test_ticks import BEAT, add_quote, has_ticks, ready, ticks_run

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

LISTENING = (
    "celery", "-A", "tests.system.listening_tasks", "worker", "-P", "solo", "--without-mingle",
)  # fmt: skip
WATCHED = (
    "celery", "-A", "tests.system.watched_tasks", "worker", "-P", "solo", "--without-mingle",
)  # fmt: skip
TICK = "tasks.tick"


def start_listening(start: Start, command: tuple[str, ...] = LISTENING, **settings: str) -> None:
    worker = start(*command, **settings)
    wait_until(lambda: ready(worker), "the worker is ready")
    start(*BEAT)


def texts(client: redis.Redis, name: str) -> list[str]:
    return [item.decode() for item in client.lrange(name, 0, -1)]


def ids_of(client: redis.Redis, name: str) -> set[str]:
    return {key.decode() for key in client.hkeys(name)}


@pytest.fixture
def app(redis_client: redis.Redis) -> Celery:
    """Give an app of anybody's that only knows the broker."""
    port = redis_client.connection_pool.connection_kwargs["port"]
    return Celery(broker=f"redis://127.0.0.1:{port}/0")


def test_a_run_of_a_tick_is_seen_by_the_hooks_and_by_opentelemetry(
    redis_client: redis.Redis, start: Start
) -> None:
    start_listening(start)
    add_quote(redis_client, "SPY", BROKEN_TICKER)
    wait_until(lambda: has_ticks(redis_client, "SPY", 3), "ticks of SPY")
    wait_until(lambda: redis_client.hlen(FAILURES) >= 2, "failed ticks")

    # In this order: more ticks run meanwhile.
    after, before = (texts(redis_client, name) for name in (POSTRUNS, PRERUNS))
    assert any(task_id.startswith("SPY@") for task_id in after)
    assert set(after) <= set(before)
    spans = [json.loads(text) for text in texts(redis_client, SPANS)]
    runs = [span for span in spans if span["name"] == f"run/{TICK}"]
    states = {span["task_id"].partition("@")[0]: span["status"] for span in runs}
    assert states == {"SPY": "UNSET", BROKEN_TICKER: "ERROR"}


@pytest.mark.parametrize("traced", ["0", "20"])
def test_every_failed_tick_reaches_who_listens_for_failures(
    redis_client: redis.Redis, start: Start, traced: str
) -> None:
    start_listening(start, ORDERFLOW_TRACED_TICKS=traced)
    add_quote(redis_client, "SPY", BROKEN_TICKER, REFUSED_TICKER)
    for ticker in (BROKEN_TICKER, REFUSED_TICKER):
        wait_until(
            lambda ticker=ticker: sum(ticker in it for it in ids_of(redis_client, FAILED)) >= 2,
            f"failed ticks of {ticker}",
        )

    noted = ids_of(redis_client, FAILED)
    wait_until(lambda: noted <= ids_of(redis_client, FAILURES), "the listener was called for each")
    for task_id in noted:
        failure = json.loads(redis_client.hget(FAILURES, task_id) or b"")
        ticker, _, as_of = task_id.partition("@")
        reason = "no sense in these records" if ticker == BROKEN_TICKER else "was refused"
        assert failure["task"] == TICK
        assert failure["args"] == [ticker, int(as_of)]
        assert reason in failure["exception"]
        assert reason in failure["traceback"]
        assert failure["has_frames"]
    assert not any(task_id.startswith("SPY@") for task_id in ids_of(redis_client, FAILURES))


def errors_of(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the errors that reached Sentry."""
    return [json.loads(text) for text in texts(client, SENTRY_ERRORS)]


@pytest.mark.parametrize("traced", ["0", "20"])
def test_every_failed_tick_reaches_sentry_once_with_its_traceback(
    redis_client: redis.Redis, start: Start, traced: str
) -> None:
    start_listening(start, WATCHED, ORDERFLOW_TRACED_TICKS=traced)
    add_quote(redis_client, "SPY", BROKEN_TICKER, REFUSED_TICKER)
    for ticker in (BROKEN_TICKER, REFUSED_TICKER):
        wait_until(
            lambda ticker=ticker: sum(ticker in it for it in ids_of(redis_client, FAILED)) >= 2,
            f"failed ticks of {ticker}",
        )

    noted = ids_of(redis_client, FAILED)
    wait_until(
        lambda: noted <= {error["task_id"] for error in errors_of(redis_client)},
        "Sentry was told of each",
    )
    found = errors_of(redis_client)
    assert {error["task_id"].partition("@")[0] for error in found} == {
        BROKEN_TICKER,
        REFUSED_TICKER,
    }
    ids = [error["task_id"] for error in found]
    assert sorted(ids) == sorted(set(ids))
    for error in found:
        is_broken = error["task_id"].startswith(BROKEN_TICKER)
        assert ("no sense in these records" if is_broken else "was refused") in error["message"]
        assert error["has_frames"]


def test_traced_ticks_are_transactions_of_sentry_and_spans_of_opentelemetry(
    redis_client: redis.Redis, start: Start
) -> None:
    start_listening(start, WATCHED)
    add_quote(redis_client, "SPY", BROKEN_TICKER)

    def statuses() -> dict[str, set[str]]:
        spans = [json.loads(text) for text in texts(redis_client, SPANS)]
        found: dict[str, set[str]] = {}
        for span in spans:
            if span["name"] == f"run/{TICK}":
                found.setdefault(str(span["task_id"]).partition("@")[0], set()).add(span["status"])
        return found

    wait_until(lambda: len(statuses()) == 2, "spans of both tickers are exported")
    wait_until(
        lambda: texts(redis_client, SENTRY_TRANSACTIONS).count(TICK) >= 2, "transactions of ticks"
    )
    assert statuses() == {"SPY": {"UNSET"}, BROKEN_TICKER: {"ERROR"}}


@pytest.fixture
def events(app: Celery) -> Iterator[list[dict[str, Any]]]:
    """Collect the events that workers send from now on."""
    seen: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        ready = threading.Event()
        listening = threading.Thread(target=_listen, args=(receiver, ready), daemon=True)
        listening.start()
        assert ready.wait(BOUND_SECONDS)
        yield seen
        receiver.should_stop = True
        listening.join()


def _listen(receiver: Any, ready: threading.Event) -> None:
    found = receiver.itercapture(limit=None, timeout=None, wakeup=False)
    next(found)
    ready.set()
    for _ in found:
        pass


def test_events_show_a_bounded_number_of_ticks_a_second_and_all_tickers_in_turn(
    redis_client: redis.Redis, start: Start, events: list[dict[str, Any]]
) -> None:
    most, tickers = 4, [f"T{number:02}" for number in range(10)]

    def received() -> list[dict[str, Any]]:
        return [it for it in [*events] if it["type"] == "task-received" and it.get("name") == TICK]

    start_listening(start, ORDERFLOW_TRACED_TICKS=str(most), ORDERFLOW_SHARDS="1")
    add_quote(redis_client, *tickers)

    def is_shown_twice(ticker: str) -> bool:
        return sum(it["uuid"].partition("@")[0] == ticker for it in received()) >= 2

    for ticker in tickers:
        wait_until(lambda ticker=ticker: is_shown_twice(ticker), f"two turns of {ticker}")
    shown = received()

    def succeeded() -> dict[str, dict[str, Any]]:
        return {it["uuid"]: it for it in [*events] if it["type"] == "task-succeeded"}

    wait_until(lambda: {it["uuid"] for it in shown} <= succeeded().keys(), "all of them are done")
    stamps = [it["timestamp"] for it in shown]
    assert len(shown) <= most * (max(stamps) - min(stamps) + 2)
    for event in shown:
        ticker, _, as_of = event["uuid"].partition("@")
        assert event["args"] == repr((ticker, int(as_of)))
        assert succeeded()[event["uuid"]]["runtime"] > 0
        assert succeeded()[event["uuid"]]["result"] == "'written'"


def test_every_tick_counts_in_the_workers_totals(
    redis_client: redis.Redis, start: Start, app: Celery
) -> None:
    start_listening(start, ORDERFLOW_TRACED_TICKS="2")
    add_quote(redis_client, *(f"T{number}" for number in range(8)))
    wait_until(lambda: redis_client.hlen(RAN) >= 24, "ticks")

    ran = sum(len(ticks) for ticks in ticks_run(redis_client).values())
    deadline = time.monotonic() + BOUND_SECONDS
    stats: dict[str, Any] = {}
    while not stats and time.monotonic() < deadline:
        stats = app.control.inspect(timeout=2).stats() or {}
    [found] = stats.values()
    assert found["total"][TICK] >= ran
