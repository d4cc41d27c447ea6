"""The events that a tick noticed are reported once, for the metrics."""

import json
from collections import Counter

import redis

from app.core.settings import Settings
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import second
from tests.strategies import Flavour


def test_each_event_is_reported_by_the_tick_that_noticed_it(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, "SPY", Flavour(5, 3000, 0.3, 1.0, 0.05, 0.0, 1.0, 0.4).stream())
    store = TickStore(settings)
    reported: Counter[str] = Counter()

    for number in range(1, 200):
        reported.update(store.run_tick("SPY", second(number)).opened_events)

    kept = [json.loads(member) for member in redis_client.zrange("orderflow:patterns:SPY", 0, -1)]
    assert len(kept) > 3
    assert reported == Counter(event["type"] for event in kept)
