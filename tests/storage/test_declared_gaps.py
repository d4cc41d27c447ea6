"""Gaps that a feed declares, from its key to windows, events, bars and answers."""

import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
import redis

from app.answers.ask import ask
from app.answers.reader import Reader
from app.core.settings import Settings
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from app.storage.trimming import RecordTrimmer
from tests.broker import publish
from tests.builders import quote, second, stream, trade

pytestmark = pytest.mark.redis

TICKER = "X"
GAPS, STATE = "orderflow:gaps:X", "orderflow:state:X"
LOST = (20.3, 27.6)


def declare(client: redis.Redis, start: float, end: float, **changed: object) -> None:
    fields = {"from": second(start), "to": second(end), "reason": "disconnected"} | changed
    client.zadd(GAPS, {json.dumps(fields): second(end)})


def steady(until: float = 40.0, *, without: tuple[float, float] = LOST) -> list[Any]:
    """Five quotes a second and a print, the price a cent higher after what was lost."""
    times = [n / 5 for n in range(round(until * 5)) if not without[0] < n / 5 < without[1]]
    quotes = [
        quote(at=at, bid=10 + 0.01 * (at >= without[1]), bid_size=100 + round(at * 5) % 7)
        for at in times
    ]
    prints = [trade(at=at + 0.1, size=10, aggressor="buy") for at in times[::5]]
    return stream(*quotes, *prints)


def run(store: TickStore, seconds: Iterable[int]) -> None:
    for number in seconds:
        assert store.run_tick(TICKER, second(number)).outcome == "written"


def window(client: redis.Redis, name: str = "1min") -> dict[str, str]:
    fields = client.hgetall(f"orderflow:metrics:{TICKER}:{name}")
    return {key.decode(): value.decode() for key, value in fields.items()}


def events(client: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(it) for it in client.zrange(f"orderflow:patterns:{TICKER}", 0, -1)]


@pytest.fixture
def records() -> list[Any]:
    return steady()


def test_declared_time_is_not_covered_and_nothing_is_compared_over_it(
    redis_client: redis.Redis, settings: Settings, records: list[Any]
) -> None:
    before = [it for it in records if it.stamp <= second(LOST[0])]
    publish(redis_client, TICKER, before)
    store = TickStore(settings)
    run(store, range(1, 28))
    assert window(redis_client)["covered_seconds"] == "27.0"
    declare(redis_client, *LOST)
    publish(redis_client, TICKER, records[len(before) :])

    run(store, range(28, 31))

    found = window(redis_client)
    assert float(found["covered_seconds"]) == pytest.approx(30 - 7.3, abs=1e-9)
    assert json.loads(found["quality"])["gaps"] == [[second(20.3), second(27.6)]]
    assert found["bid_lift_count"] == "0"
    assert found["bid_price_movement"] == "0.0"
    ten = window(redis_client, "10s")
    assert float(ten["covered_seconds"]) == pytest.approx(0.3 + 2.4, abs=1e-9)
    assert float(ten["quotes_per_second"]) * 2.7 == pytest.approx(int(ten["quote_count"]))


def test_open_events_close_at_the_gap_and_are_not_continued(
    redis_client: redis.Redis, settings: Settings
) -> None:
    wall = [quote(at=n / 5, bid_size=100 if n < 1500 else 90_000) for n in range(1600)]
    publish(
        redis_client,
        TICKER,
        stream(*wall, *(quote(at=335 + n / 5, bid_size=90_000) for n in range(50))),
    )
    store = TickStore(settings)
    run(store, range(1, 330))
    assert [it["status"] for it in events(redis_client) if it["type"] == "wall"] == ["open"]
    declare(redis_client, 320, 334.5)

    run(store, range(330, 345))

    walls = [it for it in events(redis_client) if it["type"] == "wall"]
    assert (walls[0]["close_reason"], walls[0]["closed_at"]) == ("gap", second(334.5))
    assert all(it["opened_at"] >= second(334.5) for it in walls[1:])


def test_a_worker_that_takes_over_publishes_the_same(
    redis_client: redis.Redis, settings: Settings, records: list[Any]
) -> None:
    """The state, its journal and the bars hold the gap, whenever a worker begins."""
    found = []
    for worker_seconds in (50, 1, 3):
        redis_client.flushall()
        publish(redis_client, TICKER, [it for it in records if it.stamp <= second(LOST[0])])
        stores = TickStore(settings)
        for number in range(1, 40):
            if number % worker_seconds == 0:
                stores = TickStore(settings)
            if number == 28:
                declare(redis_client, *LOST)
                publish(redis_client, TICKER, [it for it in records if it.stamp > second(LOST[0])])
            run(stores, [number])
        bars = [fields for _, fields in redis_client.xrange(f"orderflow:bars:{TICKER}")]
        found.append(
            (window(redis_client), window(redis_client, "5min"), events(redis_client), bars)
        )

    assert found[0] == found[1] == found[2]


def test_a_gap_declared_late_only_cuts_the_windows(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(without=(20.9, 21.9)))
    store = TickStore(settings)
    run(store, range(1, 25))
    before = window(redis_client)
    declare(redis_client, 20.8, 22)

    report = store.run_tick(TICKER, second(25))

    after = window(redis_client)
    assert report.oddities["late_gap"] == 1
    assert float(after["covered_seconds"]) == pytest.approx(25 - 1.2, abs=1e-9)
    assert json.loads(after["quality"])["late_gap"] == 1
    assert after["bid_lift_count"] == before["bid_lift_count"] == "1"
    run(store, [26])
    assert json.loads(window(redis_client)["quality"])["late_gap"] == 1
    assert float(window(redis_client)["covered_seconds"]) == pytest.approx(26 - 1.2, abs=1e-9)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("no JSON", "malformed_gap"),
        ("[1]", "malformed_gap"),
        ('{"to": 1}', "malformed_gap"),
        ('{"from": true}', "malformed_gap"),
        ('{"from": "yesterday"}', "malformed_gap"),
        (json.dumps({"from": second(5.5)}), "empty_gap"),
        (json.dumps({"from": second(7)}), "empty_gap"),
        (json.dumps({"from": second(5) - 86_400_000}), "long_gap"),
    ],
)
def test_a_gap_that_can_not_be_used_is_counted_by_its_reason(
    redis_client: redis.Redis, settings: Settings, member: str, reason: str
) -> None:
    publish(redis_client, TICKER, steady(10))
    redis_client.zadd(GAPS, {member: second(5.5)})
    store = TickStore(settings)

    reports = [store.run_tick(TICKER, second(number)) for number in range(1, 9)]

    assert sum(report.oddities.get(reason, 0) for report in reports) == 1
    assert json.loads(window(redis_client)["quality"]) == {"rejected": {reason: 1}}
    assert float(window(redis_client)["covered_seconds"]) == pytest.approx(8)


def test_a_gap_in_the_future_is_rejected_and_stays_so(
    redis_client: redis.Redis, settings: Settings
) -> None:
    first = int(time.time()) - second(0) // 1000 - 5
    records = steady(40, without=(0, 0))
    for record in records:
        record.stamp += first * 1000
    publish(redis_client, TICKER, records)
    declare(redis_client, first + 20, first + 30)
    store = TickStore(settings)

    reports = [store.run_tick(TICKER, second(first + number)) for number in range(1, 35)]

    assert sum(report.oddities.get("future_gap", 0) for report in reports) == 1
    assert "gaps" not in json.loads(window(redis_client)["quality"])


def test_a_gap_that_is_declared_again_changes_nothing(
    redis_client: redis.Redis, settings: Settings, records: list[Any]
) -> None:
    publish(redis_client, TICKER, records)
    for reason in ("disconnected", "overflow", "resumed"):
        declare(redis_client, *LOST, reason=reason)
    declare(redis_client, LOST[0] + 1, LOST[1])

    run(TickStore(settings), range(1, 31))

    found = window(redis_client)
    assert float(found["covered_seconds"]) == pytest.approx(30 - 7.3, abs=1e-9)
    assert json.loads(found["quality"])["gaps"] == [[second(20.3), second(27.6)]]


def test_gaps_are_trimmed_with_the_retention_by_ticks_and_without(
    redis_client: redis.Redis, settings: Settings
) -> None:
    limited = settings.model_copy(update={"retention_seconds": 60})
    publish(redis_client, TICKER, steady(200, without=(0, 0)))
    declare(redis_client, 20, 21)
    run(TickStore(limited), range(1, 100))
    assert not redis_client.exists(GAPS)

    declare(redis_client, 20, 21)
    redis_client.rename(GAPS, "orderflow:gaps:idle")
    for _ in range(5):
        RecordTrimmer(redis_client, Keys(), limited).trim_slice(second(150))
    assert not redis_client.exists("orderflow:gaps:idle")
    assert redis_client.hget(STATE, "lost_to") is None


def test_a_key_of_gaps_of_the_wrong_type_is_counted_and_stops_nothing(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(5))
    redis_client.set(GAPS, "text")

    run(TickStore(settings), range(1, 4))

    assert json.loads(window(redis_client)["quality"]) == {"wrong_type": 1}


@pytest.mark.parametrize("told", [("10s", 6.0, 4.0), ("30s", 22.0, 8.0), ("2mins", 32.0, 8.0)])
def test_answers_of_any_history_tell_the_gap(
    redis_client: redis.Redis, settings: Settings, reader: Reader, told: tuple[str, float, float]
) -> None:
    history, covered, lost = told
    first = int(time.time()) - 40 - second(0) // 1000
    records = steady(40.2, without=(26, 34))
    for record in records:
        record.stamp += first * 1000
    publish(redis_client, TICKER, records)
    declare(redis_client, first + 26, first + 34)
    run(TickStore(settings), range(first + 1, first + 41))

    answer = ask(reader, TICKER, history).answer

    assert answer.covered_seconds == pytest.approx(covered, abs=0.01)
    assert answer.quality.gap_seconds == pytest.approx(lost)
    assert answer.warming == (history == "2mins")
