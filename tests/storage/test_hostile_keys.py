"""Keys that hold what they must not: set aside, counted, survived, and none of it for ever."""

import json
import math
from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs

from app.analysis.state import ENGINE
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.storage import keys
from app.storage.tick.codec import STATE_VERSION
from app.storage.tick.read import MAX_RECORDS_READ
from app.storage.tick_store import TickStore
from tests.broker import publish, quote_member
from tests.builders import quote, second, stream

TICKER = "SPY"
OURS = ("state", "bars", "patterns", "levels:bid", "levels:ask", "metrics:10s", "metrics:5min")


@pytest.fixture
def store(settings: Settings) -> TickStore:
    """Give one worker's store."""
    return TickStore(settings)


def name_of(kind: str) -> str:
    first, _, rest = kind.partition(":")
    return f"orderflow:{first}:{TICKER}" + (f":{rest}" if rest else "")


def feed(client: redis.Redis, seconds: int = 20) -> None:
    moves = (10.00, 10.01, 10.02, 10.01)
    records = [quote(at=n / 10, bid=moves[n // 40 % 4], ask=10.05) for n in range(seconds * 10)]
    publish(client, TICKER, stream(*records))


def quality(client: redis.Redis) -> dict[str, object]:
    found: dict[str, object] = json.loads(client.hget(f"orderflow:metrics:{TICKER}:10s", "quality"))
    return found


@pytest.mark.parametrize("kind", OURS)
def test_a_key_of_ours_of_another_type_is_set_aside_for_a_day(
    redis_client: redis.Redis, store: TickStore, kind: str
) -> None:
    feed(redis_client)
    store.run_tick(TICKER, second(5))
    redis_client.delete(name_of(kind))
    redis_client.set(name_of(kind), "no such thing")

    reports = [store.run_tick(TICKER, second(number)) for number in (6, 7)]

    aside = keys.quarantined(name_of(kind))
    assert reports[-1].outcome == "written"
    assert redis_client.get(aside) == b"no such thing"
    assert 0 < redis_client.ttl(aside) <= keys.QUARANTINE_LIFETIME_SECONDS
    assert redis_client.type(name_of(kind)) != b"string"


def test_levels_that_were_overwritten_are_whole_again_within_ten_seconds(
    redis_client: redis.Redis, settings: Settings
) -> None:
    feed(redis_client, 40)
    store, calm = TickStore(settings), TickStore(settings)
    for number in range(1, 25):
        calm.run_tick(TICKER, second(number))
    key = name_of("levels:bid")
    wanted = {json.loads(member)["price"] for member in redis_client.zrange(key, 0, -1)}
    redis_client.set(key, "wrong")

    for number in range(25, 36):
        store.run_tick(TICKER, second(number))

    found = {json.loads(member)["price"] for member in redis_client.zrange(key, 0, -1)}
    assert len(wanted) > 1
    assert wanted <= found


@pytest.mark.parametrize("kind", ["quotes", "trades"])
def test_a_brokers_key_of_another_type_is_left_alone_and_said(
    redis_client: redis.Redis, store: TickStore, kind: str
) -> None:
    feed(redis_client)
    store.run_tick(TICKER, second(5))
    redis_client.delete(name_of(kind))
    redis_client.set(name_of(kind), "theirs")

    # As many as to meet housekeeping, which trims the broker's keys.
    reports = [store.run_tick(TICKER, second(number)) for number in range(6, 18)]

    assert {report.outcome for report in reports} == {"written"}
    assert redis_client.get(name_of(kind)) == b"theirs"
    assert quality(redis_client)["wrong_type"] == 1


STATES = {
    "no version": {"blob": "x"},
    "no number": {"version": "x", "engine": ENGINE, "as_of": "noon", "behind": "0"},
    "no engine": {"version": "x", "as_of": "1700000005000", "behind": "0", "recent_count": "0"},
    "odd engine": {
        "version": "x", "as_of": "1700000005000", "behind": "0", "recent_count": "0",
        "engine": "x.y",
    },
    "no blob": {
        "version": "x", "as_of": "1700000005000", "behind": "0", "recent_count": "0",
        "engine": ENGINE,
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", STATES.values(), ids=STATES)
def test_a_state_that_is_none_is_set_aside_and_rebuilt(
    redis_client: redis.Redis, store: TickStore, fields: dict[str, str]
) -> None:
    feed(redis_client)
    store.run_tick(TICKER, second(5))
    redis_client.delete(name_of("state"))
    redis_client.hset(name_of("state"), mapping=fields)

    for number in (6, 7):
        report = store.run_tick(TICKER, second(number))

    assert report.outcome == "written"
    assert redis_client.exists(keys.quarantined(name_of("state"))) == 1
    assert (
        0 < redis_client.ttl(keys.quarantined(name_of("state"))) <= keys.QUARANTINE_LIFETIME_SECONDS
    )
    assert quality(redis_client)["rebuilt_at"] >= second(6)


@pytest.mark.parametrize("fields", [STATES["no engine"], STATES["odd engine"], STATES["no blob"]])
def test_a_state_that_can_not_be_read_is_said_in_the_log(
    redis_client: redis.Redis, store: TickStore, fields: dict[str, str]
) -> None:
    feed(redis_client)
    store.run_tick(TICKER, second(5))
    redis_client.delete(name_of("state"))
    redis_client.hset(name_of("state"), mapping=fields)

    with capture_logs() as said:
        for number in (6, 7):
            store.run_tick(TICKER, second(number))

    assert [(one["event"], one["ticker"]) for one in said] == [
        ("state unreadable, rebuilding", TICKER)
    ]


@pytest.mark.parametrize("engine", ["1", "0.9", str(int(ENGINE) - 1)])
def test_a_state_of_an_older_engine_is_set_aside_and_rebuilt(
    redis_client: redis.Redis, settings: Settings, engine: str
) -> None:
    feed(redis_client)
    store = TickStore(settings)
    for number in range(1, 6):
        store.run_tick(TICKER, second(number))
    redis_client.hset(name_of("state"), "engine", engine)

    store = TickStore(settings)
    reports = [store.run_tick(TICKER, second(number)) for number in (6, 7)]

    assert reports[-1].outcome == "written"
    assert redis_client.exists(keys.quarantined(name_of("state"))) == 1
    assert redis_client.hget(name_of("state"), "engine") == STATE_VERSION.encode()
    assert quality(redis_client)["rebuilt_at"] >= second(6)


def tie(client: redis.Redis, number: int) -> None:
    members = {
        quote_member(quote(at=0.5, bid_size=1 + n % 90, seq=n)): second(0.5) for n in range(number)
    }
    client.zadd(name_of("quotes"), members)


@pytest.mark.parametrize("is_new", [True, False])
def test_more_records_at_one_stamp_than_a_tick_reads_are_folded_whole(
    redis_client: redis.Redis, store: TickStore, *, is_new: bool
) -> None:
    if not is_new:
        publish(redis_client, TICKER, [quote(at=-2.5)])
        store.run_tick(TICKER, second(-1))
    tie(redis_client, MAX_RECORDS_READ * 2)

    number = 1
    while store.run_tick(TICKER, second(number)).behind_seconds:
        number += 1

    assert number <= 3
    fields = redis_client.hgetall(f"orderflow:metrics:{TICKER}:10s")
    assert int(fields[b"quote_count"]) == MAX_RECORDS_READ * 2 + (not is_new)


def test_a_tie_beyond_the_most_a_key_may_hold_is_counted_and_trimmed(
    redis_client: redis.Redis, settings: Settings
) -> None:
    store = TickStore(settings.model_copy(update={"max_records": 1000}))
    tie(redis_client, MAX_RECORDS_READ * 2)

    reports = [store.run_tick(TICKER, second(number)) for number in range(1, 13)]

    assert {report.outcome for report in reports} <= {"written"}
    assert sum(report.folded_records + report.late_records for report in reports) >= 1000
    assert redis_client.zcard(name_of("quotes")) == 1000


def test_a_record_that_belongs_to_the_next_tick_by_a_hair_starts_no_ticker_early(
    redis_client: redis.Redis, store: TickStore
) -> None:
    redis_client.zadd(name_of("quotes"), {quote_member(quote(at=5.0005)): second(5) + 0.5})

    assert store.run_tick(TICKER, second(5)).outcome == "idle"
    assert store.run_tick(TICKER, second(6)).outcome == "written"


def test_ten_megabytes_in_one_member_are_refused_and_change_nothing(
    redis_client: redis.Redis, store: TickStore
) -> None:
    feed(redis_client)
    redis_client.zadd(name_of("quotes"), {b'{"bid_price":' + b"1" * 10_000_000: second(3)})

    report = store.run_tick(TICKER, second(5))

    assert report.oddities["too_long"] == 1
    assert report.outcome == "written"
    assert quality(redis_client)["rejected"] == {"too_long": 1}


@pytest.fixture
def little_memory(redis_client: redis.Redis) -> Iterator[redis.Redis]:
    """Give a Redis that is out of memory as soon as it is asked to be."""
    yield redis_client
    redis_client.config_set("maxmemory", 0)


def test_out_of_memory_leaves_a_tick_whole_or_undone(
    little_memory: redis.Redis, settings: Settings
) -> None:
    client, store = little_memory, TickStore(settings)
    feed(client)
    store.run_tick(TICKER, second(5))
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1mb")

    for number in (6, 7):
        try:
            store.run_tick(TICKER, second(number))
        except redis.exceptions.OutOfMemoryError:
            continue
    stamps = {
        int(client.hget(f"orderflow:metrics:{TICKER}:{window}", "as_of")) for window in WINDOWS
    } | {int(client.hget(name_of("state"), "as_of"))}

    assert len(stamps) == 1
    client.config_set("maxmemory", 0)
    assert store.run_tick(TICKER, second(8)).outcome == "written"


def test_a_rebuild_in_pieces_never_takes_the_published_as_of_back(
    redis_client: redis.Redis, settings: Settings
) -> None:
    records = stream(*(quote(at=1 + n / 500, bid_size=100 + n % 7) for n in range(5_000)))
    publish(redis_client, TICKER, records)
    store = TickStore(settings)
    number = 12
    while store.run_tick(TICKER, second(number)).behind_seconds:
        number += 1
    redis_client.delete(name_of("state"))
    shown = []

    while not shown or store.run_tick(TICKER, second(number)).behind_seconds:
        number += 1
        shown.append(int(redis_client.hget(f"orderflow:metrics:{TICKER}:10s", "as_of")))

    assert len(shown) > 1
    assert shown == sorted(shown)
    assert "rebuilt_at" in quality(redis_client)


def test_an_emptied_redis_is_noticed_for_tickers_of_other_workers_too(
    redis_client: redis.Redis, settings: Settings
) -> None:
    other = TickStore(settings)
    publish(redis_client, "AAPL", [quote(at=1)])
    other.run_tick("AAPL", second(2))
    redis_client.flushall()
    publish(redis_client, TICKER, [quote(at=3)])

    other.run_tick(TICKER, second(4))

    assert quality(redis_client)["rebuilt_at"] == second(4)
    assert math.isclose(
        float(redis_client.hget(f"orderflow:metrics:{TICKER}:10s", "covered_seconds")), 1
    )


def test_who_came_after_redis_was_emptied_hears_of_it_from_who_was_there_before(
    redis_client: redis.Redis, settings: Settings, store: TickStore
) -> None:
    publish(redis_client, "AAPL", [quote(at=1)])
    store.run_tick("AAPL", second(2))
    redis_client.flushall()
    newcomer = TickStore(settings)
    for at in (3, 4):
        publish(redis_client, TICKER, [quote(at=at)])
        publish(redis_client, "AAPL", [quote(at=at)])
    newcomer.run_tick(TICKER, second(4))
    assert "rebuilt_at" not in quality(redis_client)

    store.run_tick("AAPL", second(4))
    newcomer.run_tick(TICKER, second(5))

    assert quality(redis_client)["rebuilt_at"] == second(5)


def test_a_new_ticker_on_a_living_redis_is_not_said_to_be_rebuilt(
    redis_client: redis.Redis, store: TickStore
) -> None:
    for name in ("AAPL", TICKER):
        publish(redis_client, name, [quote(at=1)])
        store.run_tick(name, second(2))

    assert "rebuilt_at" not in quality(redis_client)
