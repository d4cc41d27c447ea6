"""Every interval that settings allow gives the same numbers, keeps up, and is judged by itself."""

import json

import pytest
import redis

from app.answers.ask import ask
from app.answers.reader import Reader
from app.core.settings import Settings
from app.operations.status import HealthInspector
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import START_MS, quote, second, stream
from tests.key_writer import KeyWriter
from tests.storage.test_takeover import steady
from tests.storage.test_tick_store import TICKER, published

pytestmark = pytest.mark.redis

LONG = [2, 7, 30]


def tick_each(settings: Settings, interval: int, *, to: int) -> float:
    """Tick at each multiple of an interval since the epoch; return how far the last was behind."""
    store = TickStore(settings.model_copy(update={"interval_seconds": interval}))
    step, behind = interval * 1000, 0.0
    for as_of in range(START_MS // step * step + step, second(to) + 1, step):
        report = store.run_tick(TICKER, as_of)
        assert report.outcome == "written"
        behind = report.behind_seconds
    return behind


@pytest.mark.parametrize("interval", LONG)
def test_a_busy_ticker_does_not_fall_behind(
    redis_client: redis.Redis, settings: Settings, interval: int
) -> None:
    quotes = [quote(at=n / 250, bid_size=100 + n % 7, seq=n) for n in range(1, 250 * 130)]
    publish(redis_client, TICKER, stream(*quotes))

    assert tick_each(settings, interval, to=130) == 0


@pytest.mark.parametrize("interval", LONG)
def test_the_numbers_are_those_of_an_interval_of_a_second(
    redis_client: redis.Redis, settings: Settings, interval: int
) -> None:
    publish(redis_client, TICKER, steady(0, 200))
    tick_each(settings, interval, to=200)
    found = published(redis_client)
    as_of = int(found["10s"][b"as_of"])
    redis_client.delete(*redis_client.keys("orderflow:[^qt]*"))

    tick_each(settings, 1, to=(as_of - START_MS) // 1000)

    assert published(redis_client) == found


@pytest.mark.parametrize("interval", LONG)
@pytest.mark.parametrize("history", ["10s", "1min", "5mins"])
def test_a_tick_is_stale_after_three_intervals_whatever_lifetime_its_keys_have(
    writer: KeyWriter, redis_client: redis.Redis, settings: Settings, interval: int, history: str
) -> None:
    configured = settings.model_copy(update={"interval_seconds": interval})
    writer.discovered("SPY")
    for intervals, is_stale in ((0.9, False), (2.2, False), (3.5, True)):
        age = intervals * interval
        writer.heartbeat(fanout_age_seconds=age, tick_age_seconds=age)
        writer.quote(age_seconds=0.1)
        writer.tick(age_seconds=age)
        if age > 60:
            redis_client.delete("orderflow:metrics:SPY:10s")
        reader = Reader.from_settings(configured)
        said = json.loads(ask(reader, "SPY", history).reply.json)
        reader.close()

        assert (said["stale"], said["quiet"]) == (is_stale, False)
        status = HealthInspector(redis_client, configured).status()
        assert list(status.behind) == (["SPY"] if is_stale else [])
