"""Warm ticks read by plain commands, which bound the number of records, and the script the rest."""

from typing import Any

import pytest
import redis

from app.core.settings import Settings
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import quote, second, stream

TICKER = "SPY"
KEY = f"orderflow:quotes:{TICKER}"
A_SECOND = 10
TOO_LONG_BYTES = 200_000


@pytest.fixture
def store(redis_client: redis.Redis, settings: Settings) -> TickStore:
    """Give a store that has ticked a ticker for some seconds."""
    records = [quote(at=n / A_SECOND, bid=10 + n % 7 / 100, ask=10.1) for n in range(1, 900)]
    publish(redis_client, TICKER, stream(*records))
    found = TickStore(settings)
    for number in range(1, 6):
        found.run_tick(TICKER, second(number))
    return found


def calls(client: redis.Redis, command: str) -> int:
    stats: Any = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))


def sent_bytes(client: redis.Redis) -> int:
    return int(client.info("stats")["total_net_output_bytes"])


def flood(client: redis.Redis, number: int, records: int) -> None:
    """Write too long records into a second."""
    start = second(number) - 900
    for place in range(records):
        client.zadd(KEY, {f"{{{'x' * TOO_LONG_BYTES}{number}.{place}": start + place})


def test_the_script_reads_no_usual_second(redis_client: redis.Redis, store: TickStore) -> None:
    redis_client.config_resetstat()

    reports = [store.run_tick(TICKER, second(number)) for number in range(6, 20)]

    assert {report.folded_records for report in reports} == {A_SECOND}
    assert calls(redis_client, "evalsha") == 0


def test_of_a_flood_little_more_records_than_usual_are_read_and_once(
    redis_client: redis.Redis, store: TickStore
) -> None:
    flood(redis_client, 6, 300)
    before = sent_bytes(redis_client)
    first = store.run_tick(TICKER, second(6))
    read_at_first = sent_bytes(redis_client) - before

    for number in range(7, 20):
        flood(redis_client, number, 20)
        store.run_tick(TICKER, second(number))
    read_then = sent_bytes(redis_client) - before - read_at_first

    assert first.oddities == {"too_long": 300}
    assert first.folded_records == A_SECOND
    assert read_at_first < 40 * TOO_LONG_BYTES + 300 * 2 * 4300
    assert read_then < 14 * (300 + 20) * 4300
    assert max(len(member) for member in redis_client.zrange(KEY, 0, -1)) <= 4300


@pytest.mark.parametrize("burst", [30, 700, 4000])
def test_many_more_records_than_usual_are_all_folded(
    redis_client: redis.Redis, store: TickStore, burst: int
) -> None:
    more = [quote(at=5 + n / (burst + 1), bid=9.9, ask=10.1, seq=n) for n in range(1, burst)]
    publish(redis_client, TICKER, stream(*more))

    reports = [store.run_tick(TICKER, second(number)) for number in range(6, 20)]

    assert reports[0].folded_records == A_SECOND + burst - 1
    assert {report.folded_records for report in reports[1:]} == {A_SECOND}
    assert not any(report.behind_seconds for report in reports)


def test_the_hashes_of_windows_are_whole_again_after_changes_by_others(
    redis_client: redis.Redis, store: TickStore
) -> None:
    name = f"orderflow:metrics:{TICKER}:1min"
    untouched = {b"engine", b"ranks_status", b"ask_price"}
    fields = set(redis_client.hkeys(name))
    redis_client.hset(name, "engine", "theirs")
    for number in range(6, 17):
        store.run_tick(TICKER, second(number))
    of_value = redis_client.hget(name, "engine")
    redis_client.hdel(name, *untouched)
    store.run_tick(TICKER, second(17))
    of_fields = set(redis_client.hkeys(name))
    redis_client.delete(name)
    store.run_tick(TICKER, second(18))

    assert untouched <= fields
    assert of_value != b"theirs"
    assert of_fields == set(redis_client.hkeys(name)) >= fields
    assert redis_client.ttl(name) > 0
