"""Tickers whose records keep coming late, or delayed: what ticks publish of them."""

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.storage import keys
from app.storage.active_tickers import ActiveTickers
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import START_MS, quote
from tests.storage.test_tick_store import Records, busy_feed, published

TICKER = "SPY"
NewStore = Callable[[], TickStore]
LagOf = Callable[[float], float]
"""How many seconds after its stamp (ms) a record is written."""


@pytest.fixture
def new_store(settings: Settings) -> NewStore:
    """Return a function that makes workers' stores, which share nothing but Redis."""
    return lambda: TickStore(settings)


def always(seconds: float) -> LagOf:
    return lambda _: seconds


def jitter(*seconds: float) -> LagOf:
    draw = random.Random(1)  # noqa: S311 - a test's
    return lambda _: draw.choice(seconds)


_IN_TIME = always(0.0)


def replay(
    client: redis.Redis,
    records: Records,
    ticks: range,
    store_at: Callable[[int], TickStore],
    lag_of: LagOf = _IN_TIME,
) -> dict[int, str]:
    """Write each record when it comes, and tick; return each tick's outcome."""
    coming = sorted(
        [(record.stamp + lag_of(record.stamp) * 1000, record) for record in records],
        key=lambda arrival: -arrival[0],
    )
    outcomes = {}
    for number, as_of in enumerate(ticks):
        arrived = []
        while coming and coming[-1][0] <= as_of + 200:
            arrived.append(coming.pop()[1])
        publish(client, TICKER, arrived)
        outcomes[as_of] = store_at(number).run_tick(TICKER, as_of).outcome
    return outcomes


def ticks_of(records: Records, *, after_seconds: int, step: int = 1) -> range:
    interval = step * 1000
    first = -(-int(records[0].stamp) // interval) * interval
    last = -(-int(records[-1].stamp) // interval) * interval + after_seconds * 1000
    return range(first, last + 1, interval)


def results(client: redis.Redis) -> dict[str, Any]:
    """Return what depends on the records alone: windows, events, levels."""
    found = published(client)
    for window in WINDOWS:
        found[window].pop(b"quality", None)
    return {name: found[name] for name in (*WINDOWS, "patterns", "bid", "ask")}


def as_of(client: redis.Redis) -> int:
    return int(client.hget(keys.Keys().state(TICKER), "as_of") or 0)


def stored_lag(client: redis.Redis) -> bytes | None:
    return client.hget(keys.LAGS, TICKER)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("lag_of", "settle"),
    [
        (always(10.0), 10),
        (always(3.0), 3),
        (jitter(0.0, 2.5, 6.0), 6),
        (always(29.5), 30),
        (always(900.0), 901),
    ],
)
def test_a_feed_known_to_be_behind_gives_what_the_feed_in_time_gives(
    redis_client: redis.Redis, new_store: NewStore, lag_of: LagOf, settle: int
) -> None:
    records = busy_feed(5, 600)
    redis_client.hset(keys.LAGS, TICKER, settle)
    behind, in_time = new_store(), new_store()
    ticks = ticks_of(records, after_seconds=0)
    later = range(ticks.start, ticks.stop + settle * 1000, 1000)
    replay(redis_client, records, later, lambda _: behind, lag_of)
    found, newest = results(redis_client), as_of(redis_client)
    assert newest >= ticks[-1]

    redis_client.flushall()
    ticks = range(ticks.start, newest + 1, 1000)
    replay(redis_client, records, ticks, lambda _: in_time)
    assert found == results(redis_client)


@pytest.mark.parametrize("lag", [3.0, 10.0, 17.5])
def test_a_ticker_whose_records_keep_coming_late_gets_a_settle_time(
    redis_client: redis.Redis, new_store: NewStore, lag: float
) -> None:
    records = busy_feed(6, 900)
    store = new_store()
    ticks = ticks_of(records, after_seconds=0)
    outcomes = replay(redis_client, records, ticks, lambda _: store, always(lag))

    settle = int(stored_lag(redis_client) or 0)
    assert lag <= settle <= lag + 1
    assert as_of(redis_client) == ticks[-1] - settle * 1000
    assert "waiting" in outcomes.values()
    assert list(outcomes.values())[-1] == "written"


@pytest.mark.parametrize("score", [START_MS + 3_600_000, START_MS * 1e3, START_MS * 1e6])
def test_a_delay_is_learned_beside_records_that_are_ahead_or_no_milliseconds(
    redis_client: redis.Redis, new_store: NewStore, score: float
) -> None:
    records, store = busy_feed(6, 200), new_store()
    for kind in ("quotes", "trades"):
        redis_client.zadd(f"orderflow:{kind}:{TICKER}", {"stray": score})
    came = len(records) // 4
    publish(redis_client, TICKER, records[:came])
    ticks = range(int(records[came].stamp) // 1000 * 1000 + 900_000, START_MS + 3_000_000, 1000)
    store.run_tick(TICKER, ticks[0])

    replay(redis_client, records[came:], ticks[1:20], lambda _: store, always(900.0))

    assert stored_lag(redis_client) in {b"900", b"901"}


@pytest.mark.parametrize("lag", [0.0, 3.0, 10.0, 45.0, 900.0, 21_600.0])
def test_a_ticker_found_by_discovery_gives_what_the_feed_in_time_gives(
    redis_client: redis.Redis, new_store: NewStore, lag: float
) -> None:
    records = busy_feed(15, 500)
    shift = int(lag) * 1000
    discovery, store = ActiveTickers(redis_client, keys.Keys(), lambda: 0.0), new_store()
    coming = sorted(records, key=lambda record: -record.stamp)
    clock = [as_of + shift for as_of in ticks_of(records, after_seconds=0)]
    for now in clock:
        arrived = []
        while coming and coming[-1].stamp + shift <= now:
            arrived.append(coming.pop())
        publish(redis_client, TICKER, arrived)
        discovery.scan_slice(now + 100)
        if TICKER in discovery.active(now):
            store.run_tick(TICKER, now)
    found, newest = results(redis_client), as_of(redis_client)
    assert clock[-1] - shift - 1000 <= newest <= clock[-1] - shift

    redis_client.flushall()
    in_time = new_store()
    ticks = range(ticks_of(records, after_seconds=0).start, newest + 1, 1000)
    replay(redis_client, records, ticks, lambda _: in_time)
    assert found == results(redis_client)


def test_a_record_that_came_while_discovery_read_is_as_late_as_it_was_read(
    redis_client: redis.Redis,
) -> None:
    delay_ms, reading_seconds = 900_000, 0.15
    stopwatch = itertools.count()
    discovery = ActiveTickers(redis_client, keys.Keys(), lambda: next(stopwatch) * reading_seconds)
    for number in range(4):
        now = START_MS + delay_ms + number * 1000
        # It came 50 ms after discovery had asked for the time.
        publish(redis_client, TICKER, [quote(at=number + 0.05)])
        discovery.scan_slice(now)

    assert stored_lag(redis_client) == b"901"


def test_an_outage_of_the_broker_leaves_no_lag_behind(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(16, 900)
    began = records[0].stamp + 100_000
    back = began + 20_000
    store = new_store()
    ticks = ticks_of(records, after_seconds=0)
    replay(
        redis_client,
        records,
        ticks,
        lambda _: store,
        lambda stamp: (back - stamp) / 1000 if began < stamp < back else 0.0,
    )

    assert stored_lag(redis_client) is None
    assert as_of(redis_client) == ticks[-1]


def test_every_worker_goes_on_with_the_same_settle_time(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(7, 900)
    one = new_store()
    ticks = ticks_of(records, after_seconds=12)
    redis_client.hset(keys.LAGS, TICKER, 10)
    replay(redis_client, records, ticks, lambda _: one, always(10.0))
    expected = results(redis_client)

    redis_client.flushall()
    redis_client.hset(keys.LAGS, TICKER, 10)
    workers = [new_store(), new_store(), new_store()]
    replay(
        redis_client,
        records,
        ticks,
        lambda number: new_store() if number % 10 == 9 else workers[number % 3],
        always(10.0),
    )

    assert results(redis_client) == expected
    assert stored_lag(redis_client) == b"10"


def test_several_workers_learn_a_lag_together(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(8, 900)
    workers = [new_store(), new_store()]
    ticks = ticks_of(records, after_seconds=0)
    replay(redis_client, records, ticks, lambda number: workers[number % 2], always(10.0))

    assert 10 <= int(stored_lag(redis_client) or 0) <= 11


def test_with_an_interval_of_five_seconds_an_as_of_stays_a_whole_interval(
    redis_client: redis.Redis, settings: Settings
) -> None:
    slow = TickStore(settings.model_copy(update={"interval_seconds": 5}))
    records = busy_feed(9, 1500)
    ticks = ticks_of(records, after_seconds=0, step=5)
    replay(redis_client, records, ticks, lambda _: slow, always(7.0))

    assert stored_lag(redis_client) == b"10"
    assert as_of(redis_client) == ticks[-1] - 10_000


def test_a_lag_that_ends_is_removed_and_the_ticker_catches_up(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(10, 3000)
    ends = records[0].stamp + 60_000
    store = new_store()
    ticks = ticks_of(records, after_seconds=5)
    assert len(ticks) > 160
    replay(redis_client, records, ticks, lambda _: store, lambda s: 8.0 if s < ends else 0.0)

    assert stored_lag(redis_client) is None
    assert as_of(redis_client) == ticks[-1]


def test_a_settle_time_that_was_deleted_is_stored_again(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(17, 600)
    store = new_store()
    redis_client.hset(keys.LAGS, TICKER, 10)
    ticks = ticks_of(records, after_seconds=0)
    assert len(ticks) > 30
    deleted_at = ticks[-20]

    def store_at(number: int) -> TickStore:
        if ticks[number] == deleted_at:
            redis_client.delete(keys.LAGS)
        return store

    replay(redis_client, records, ticks, store_at, always(10.0))

    assert stored_lag(redis_client) == b"10"
    assert redis_client.ttl(keys.LAGS) > 0


def test_late_records_before_a_settle_time_is_known_are_counted(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(11, 900)
    begins = records[-1].stamp - 60_000
    store = new_store()
    replay(
        redis_client,
        records,
        ticks_of(records, after_seconds=0),
        lambda _: store,
        lambda stamp: 6.0 if stamp > begins else 0.0,
    )

    quality = json.loads(redis_client.hget(keys.Keys().metrics(TICKER, "5min"), "quality") or "")
    assert quality["late"] > 0


@pytest.mark.parametrize("hash_content", [{"SPY": "ten"}, {"SPY": "-5"}, {"SPY": "9" * 30}])
def test_an_unreadable_settle_time_is_none(
    redis_client: redis.Redis, new_store: NewStore, hash_content: dict[str, str]
) -> None:
    redis_client.hset(keys.LAGS, mapping=hash_content)
    records = busy_feed(12, 100)
    store = new_store()
    ticks = ticks_of(records, after_seconds=0)
    replay(redis_client, records, ticks, lambda _: store)

    assert as_of(redis_client) == ticks[-1]


def test_a_lags_key_of_the_wrong_type_stops_no_tick(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    redis_client.set(keys.LAGS, "no hash")
    records = busy_feed(13, 900)
    store = new_store()
    ticks = ticks_of(records, after_seconds=0)
    replay(redis_client, records, ticks, lambda _: store, always(10.0))

    assert as_of(redis_client) > START_MS


def test_ticks_of_a_feed_in_time_count_no_records_by_second(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(14, 400)
    ticks = ticks_of(records, after_seconds=0)

    def counts_a_tick(lag_of: LagOf) -> float:
        store = new_store()
        redis_client.flushall()
        redis_client.config_resetstat()
        replay(redis_client, records, ticks, lambda _: store, lag_of)
        stats: Any = redis_client.info("commandstats")
        return stats["cmdstat_zcount"]["calls"] / len(ticks)

    # Four of its own read, and some of its checks every ten seconds.
    assert counts_a_tick(always(0.0)) < 6
    assert counts_a_tick(always(3.0)) > 60
