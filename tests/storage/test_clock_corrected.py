"""Ticks of a clock that was ahead are taken back once it is right, and are said to have been."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from app.core import clock
from app.core.settings import Settings
from app.storage import keys
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import START_MS, quote, second, stream, trade
from tests.storage.test_tick_store import TICKER, Records, published

pytestmark = pytest.mark.redis

STATE = f"orderflow:state:{TICKER}"


@pytest.fixture(autouse=True)
def _clock_right_again() -> Iterator[None]:
    yield
    clock.shift(0.0)


@pytest.fixture
def now() -> int:
    """Return the newest whole second, as an offset from the builders' start in seconds."""
    return int(time.time() - START_MS / 1000)


def steady(start: int, seconds: int) -> Records:
    quotes = [quote(at=start + n / 5, bid_size=100 + (n * 37) % 11) for n in range(seconds * 5)]
    records = stream(*quotes, *(trade(at=start + n + 0.3) for n in range(seconds)))
    for number, record in enumerate(records):
        record.seq = start * 1000 + number
    return records


def ticked(store: TickStore, *seconds: int) -> list[str]:
    return [store.run_tick(TICKER, second(number)).outcome for number in seconds]


def stored_as_of(client: redis.Redis) -> int:
    return int(client.hget(STATE, "as_of") or 0)


def window(client: redis.Redis, name: str = "10s") -> dict[str, Any]:
    fields = client.hgetall(f"orderflow:metrics:{TICKER}:{name}")
    return {field.decode(): text.decode() for field, text in fields.items()}


def quality(client: redis.Redis) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(window(client)["quality"])
    return found


def lasting(found: dict[str, Any]) -> dict[str, Any]:
    """Return all that is published but the mark of the correction."""
    for name in ("10s", "1min", "5min"):
        told = json.loads(found[name][b"quality"])
        told.pop("clock_corrected_at", None)
        found[name][b"quality"] = told
    return found


@pytest.mark.parametrize("ahead", [4, 120, 3600, 86_400])
@pytest.mark.parametrize("is_taken_over", [False, True], ids=["same worker", "another worker"])
def test_what_is_published_is_what_a_right_clock_would_have_published(
    redis_client: redis.Redis, settings: Settings, now: int, ahead: int, *, is_taken_over: bool
) -> None:
    def run(wrong: list[int], store: TickStore, then: TickStore) -> dict[str, Any]:
        redis_client.flushall()
        publish(redis_client, TICKER, steady(now - 60, 59))
        ticked(store, *range(now - 59, now - 8), *wrong)
        assert set(ticked(then, *range(now - 5, now))) == {"written"}
        return published(redis_client)

    store = TickStore(settings)
    then = TickStore(settings) if is_taken_over else store
    # First, before the time comes that was ahead.
    found = run([now + ahead, now + ahead + 1, now + ahead + 2], store, then)
    assert quality(redis_client)["clock_corrected_at"] == second(now - 5)
    calm = run([], TickStore(settings), TickStore(settings))
    assert lasting(found) == lasting(calm)


@pytest.mark.parametrize("ahead", [4, 120, 3600, 86_400])
@pytest.mark.parametrize("is_taken_over", [False, True], ids=["same worker", "another worker"])
def test_of_a_delayed_feed_what_is_published_is_what_a_right_clock_would_have_published(
    redis_client: redis.Redis, settings: Settings, now: int, ahead: int, *, is_taken_over: bool
) -> None:
    delay = 900

    def run(wrong: list[int]) -> dict[str, Any]:
        redis_client.flushall()
        redis_client.hset(keys.LAGS, TICKER, delay)
        publish(redis_client, TICKER, steady(now - delay - 60, 59))
        store = TickStore(settings)
        ticked(store, *range(now - 59, now - 8), *wrong)
        then = TickStore(settings) if is_taken_over else store
        assert set(ticked(then, *range(now - 5, now))) == {"written"}
        assert stored_as_of(redis_client) == second(now - delay - 1)
        return published(redis_client)

    # First, before the time comes that was ahead.
    found = run([now + ahead, now + ahead + 1, now + ahead + 2])
    assert quality(redis_client)["clock_corrected_at"] == second(now - 5)
    assert redis_client.hget(keys.LAGS, TICKER) == str(delay).encode()
    calm = run([])
    assert lasting(found) == lasting(calm)


@pytest.mark.parametrize("delay", [0, 900])
def test_ticks_ahead_are_taken_back_with_the_longest_interval(
    redis_client: redis.Redis, settings: Settings, now: int, delay: int
) -> None:
    configured = settings.model_copy(update={"interval_seconds": 30})
    due = now - (START_MS // 1000 + now) % 30

    def run(wrong: list[int]) -> dict[str, Any]:
        redis_client.flushall()
        if delay:
            redis_client.hset(keys.LAGS, TICKER, delay)
        publish(redis_client, TICKER, steady(due - delay - 240, 239))
        ticked(TickStore(configured), *range(due - 180, due - 30, 30), *wrong)
        assert ticked(TickStore(configured), due - 30, due) == ["written", "written"]
        assert stored_as_of(redis_client) == second(due - delay)
        return published(redis_client)

    calm, found = run([]), run([due + 120, due + 150])
    assert quality(redis_client)["clock_corrected_at"] == second(due - 30)
    assert lasting(found) == lasting(calm)


def test_as_of_goes_back_once_and_then_only_forward(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    publish(redis_client, TICKER, steady(now - 30, 29))
    store = TickStore(settings)
    ticked(store, now - 10, now + 120)
    assert stored_as_of(redis_client) == second(now + 120)

    assert ticked(store, now - 2, now - 3, now - 1) == ["written", "overtaken", "written"]
    assert stored_as_of(redis_client) == second(now - 1)
    assert window(redis_client)["as_of"] == str(second(now - 1))


@pytest.mark.parametrize("lost", ["kept", "kept of a wrong type", "blob"])
def test_without_a_kept_state_the_ticker_is_built_anew_from_its_records(
    redis_client: redis.Redis, settings: Settings, now: int, lost: str
) -> None:
    publish(redis_client, TICKER, steady(now - 60, 59))
    store = TickStore(settings)
    ticked(store, *range(now - 30, now - 8), *range(now + 120, now + 124))
    kept = f"orderflow:kept:{TICKER}"
    if lost == "blob":
        redis_client.hset(kept, "blob", "garbled")
    else:
        redis_client.delete(kept)
        if lost != "kept":
            redis_client.set(kept, "no state")

    assert "written" in ticked(store, now - 3, now - 2)
    assert ticked(store, now - 1) == ["written"]
    assert window(redis_client)["as_of"] == str(second(now - 1))
    assert float(window(redis_client, "1min")["covered_seconds"]) > 50
    newest_bar = redis_client.xrevrange(f"orderflow:bars:{TICKER}", count=1)[0][0]
    assert int(newest_bar.split(b"-")[0]) <= second(now - 1)
    assert "clock_corrected_at" in quality(redis_client) or lost == "blob"


def test_two_jumps_ahead_are_taken_back_to_before_the_first(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    publish(redis_client, TICKER, steady(now - 60, 59))
    store = TickStore(settings)
    ticked(store, *range(now - 30, now - 8), now + 120, now + 121, now + 400, now + 401)

    assert ticked(store, now - 1) == ["written"]
    assert "rebuilt_at" not in quality(redis_client)


def test_two_jumps_ahead_of_a_delayed_feed_are_taken_back_to_before_the_first(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    delay = 900
    redis_client.hset(keys.LAGS, TICKER, delay)
    publish(redis_client, TICKER, steady(now - delay - 60, 59))
    ticked(TickStore(settings), *range(now - 30, now - 8), now + 120, now + 121)
    ticked(TickStore(settings), now + 400, now + 401)

    assert ticked(TickStore(settings), now - 1) == ["written"]
    assert stored_as_of(redis_client) == second(now - 1 - delay)
    assert "rebuilt_at" not in quality(redis_client)


def test_a_worker_that_begins_while_clocks_are_ahead_learns_no_lag_from_them(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    delay, ahead = 900, 120
    redis_client.hset(keys.LAGS, TICKER, delay)
    publish(redis_client, TICKER, steady(now - delay - 60, 59))
    ticked(TickStore(settings), *range(now - 30, now - 8))
    beginner = TickStore(settings)
    for step in range(8):
        publish(redis_client, TICKER, steady(now - delay + step, 1))
        ticked(beginner, now + ahead + step)

    assert redis_client.hget(keys.LAGS, TICKER) == str(delay).encode()


@pytest.mark.parametrize("behind_seconds", [10, 120, 3600, 86_400])
def test_ticks_behind_take_no_settle_time_away(
    redis_client: redis.Redis, settings: Settings, now: int, behind_seconds: int
) -> None:
    delay = 900
    redis_client.hset(keys.LAGS, TICKER, delay)
    publish(redis_client, TICKER, steady(now - delay - 60, 59))
    store = TickStore(settings)
    ticked(store, *range(now - 30, now - 8))
    ticked(store, *range(now - 7 - behind_seconds, now - 2 - behind_seconds))

    assert redis_client.hget(keys.LAGS, TICKER) == str(delay).encode()
    assert set(ticked(store, *range(now - 2, now))) == {"written"}
    assert stored_as_of(redis_client) == second(now - delay - 1)


@pytest.mark.parametrize("behind_seconds", [10, 120, 3600])
def test_a_worker_whose_own_clock_is_behind_takes_nothing_back(
    redis_client: redis.Redis, settings: Settings, now: int, behind_seconds: int
) -> None:
    publish(redis_client, TICKER, steady(now - 30, 29))
    ticked(TickStore(settings), *range(now - 10, now))
    before = published(redis_client)
    clock.shift(-1000.0 * behind_seconds)

    assert ticked(TickStore(settings), now - behind_seconds) == ["overtaken"]
    assert published(redis_client) == before


def test_a_state_ahead_by_up_to_two_intervals_is_waited_for(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    publish(redis_client, TICKER, steady(now - 30, 29))
    store = TickStore(settings)
    ticked(store, now - 1, now + 1)

    assert ticked(store, now) == ["overtaken"]
    assert stored_as_of(redis_client) == second(now + 1)


def test_windows_ahead_whose_state_is_gone_are_replaced(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    publish(redis_client, TICKER, steady(now - 30, 29))
    ticked(TickStore(settings), now - 2, now + 120)
    redis_client.delete(STATE, f"orderflow:kept:{TICKER}")

    assert ticked(TickStore(settings), now - 1) == ["written"]
    assert window(redis_client)["as_of"] == str(second(now - 1))


def test_what_is_kept_of_a_state_has_a_lifetime(
    redis_client: redis.Redis, settings: Settings, now: int
) -> None:
    publish(redis_client, TICKER, steady(now - 30, 29))
    ticked(TickStore(settings), now - 10, now + 120)

    ttl = redis_client.ttl(f"orderflow:kept:{TICKER}")
    assert 0 < ttl <= keys.KEPT_STATE_LIFETIME_SECONDS
