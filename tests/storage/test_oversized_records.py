"""Records over 4 KiB are counted and told as rejected, cut once, and no tick reads them whole."""

import json
from typing import Any

import pytest
import redis

from app.core.settings import Settings
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from app.storage.record_range import read_record_range
from app.storage.tick_store import TickStore
from app.storage.trimming import RecordTrimmer
from tests.broker import publish, quote_member
from tests.builders import START_MS, quote, second, stream, trade

TICKER = "SPY"
MOST_READ_BYTES = 3_000_000
LONGEST_LEFT = 4400


@pytest.fixture
def store(settings: Settings) -> TickStore:
    return TickStore(settings)


def key_of(kind: str) -> str:
    return f"orderflow:{kind}:{TICKER}"


def write_long(
    client: redis.Redis, kind: str, scores: list[float], size: int, *, prefix: str = ""
) -> None:
    """Write a long record at each score; their beginnings are equal, but for a prefix."""
    for number, score in enumerate(scores):
        client.zadd(key_of(kind), {prefix + "{" + "x" * size + str(number): score})


def spread(number: int, *, first: int = 1) -> list[float]:
    """Return times within one second."""
    return [second(first) - 999 + n * 999 / number for n in range(number)]


def rejected(client: redis.Redis, kind: str) -> Any:
    found = json.loads(client.hget(f"orderflow:state:{TICKER}", "rejected") or b"{}")
    return found.get(kind)


def longest_left(client: redis.Redis, kind: str) -> int:
    return max(len(member) for member in client.zrange(key_of(kind), 0, -1))


def sent_bytes(client: redis.Redis) -> int:
    return int(client.info("stats")["total_net_output_bytes"])


def oddities(client: redis.Redis) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        client.hget(f"orderflow:metrics:{TICKER}:10s", "quality") or b"{}"
    )
    return found


FLOODS = {
    "60 of 2 MB": (60, 2_000_000),
    "one of 50 MB": (1, 50_000_000),
    "2,000 of 20 KB": (2000, 20_000),
    "one byte too long": (300, 4096),
}


@pytest.mark.parametrize(("number", "size"), FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("kind", ["quotes", "trades"])
def test_a_name_that_never_had_a_usable_record_is_read_in_bounds_once(
    redis_client: redis.Redis, store: TickStore, kind: str, number: int, size: int
) -> None:
    write_long(redis_client, kind, spread(number), size)
    before = sent_bytes(redis_client)

    reports = [store.run_tick(TICKER, second(1)), store.run_tick(TICKER, second(2))]

    assert sent_bytes(redis_client) - before < MOST_READ_BYTES + 3 * 4200 * number
    assert [report.outcome for report in reports] == ["written", "written"]
    assert reports[0].oddities == {"too_long": number}
    assert reports[1].oddities == {}
    assert rejected(redis_client, kind)["reasons"] == {"too_long": number}
    assert redis_client.zcard(key_of(kind)) == number
    assert longest_left(redis_client, kind) <= LONGEST_LEFT


def test_equal_beginnings_at_one_stamp_stay_records_of_their_own(
    redis_client: redis.Redis, store: TickStore
) -> None:
    write_long(redis_client, "quotes", [second(1) - 500.0] * 50, 1_000_000)

    store.run_tick(TICKER, second(1))

    assert rejected(redis_client, "quotes")["count"] == 50
    assert redis_client.zcard(key_of("quotes")) == 50


def test_the_numbers_are_those_without_the_long_records(
    redis_client: redis.Redis, settings: Settings
) -> None:
    moves = (10.00, 10.01, 10.02, 10.01)
    quotes = [quote(at=n / 10, bid=moves[n // 7 % 4], ask=10.05) for n in range(1, 200)]
    prints = [trade(at=n / 2, price=10.05, size=100) for n in range(1, 40)]
    records = stream(*quotes, *prints)
    found: list[dict[bytes, bytes]] = []
    for is_flooded in (False, True):
        redis_client.flushdb()
        publish(redis_client, TICKER, records)
        if is_flooded:
            for kind in ("quotes", "trades"):
                write_long(redis_client, kind, [second(n) - 450.0 for n in range(1, 20)], 600_000)
        store = TickStore(settings)
        for number in range(1, 21):
            store.run_tick(TICKER, second(number))
        found.append(redis_client.hgetall(f"orderflow:metrics:{TICKER}:10s"))
        if is_flooded:
            assert oddities(redis_client)["rejected"]["too_long"] >= 2 * 9
    calm, flooded = ({n: v for n, v in it.items() if n != b"quality"} for it in found)

    assert len(calm) > 30
    assert flooded == calm


def test_another_worker_goes_on_where_long_records_were_cut(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(
        redis_client, TICKER, stream(*[quote(at=n / 10, bid=10.0, ask=10.1) for n in range(99)])
    )
    write_long(redis_client, "quotes", [second(n) - 450.0 for n in range(1, 10)], 600_000)
    first, other = TickStore(settings), TickStore(settings)
    for number in range(1, 7):
        first.run_tick(TICKER, second(number))

    for number in range(7, 10):
        other.run_tick(TICKER, second(number))

    quality = oddities(redis_client)
    assert quality["rejected"] == {"too_long": 9}
    assert not quality.get("gaps")
    assert "rebuilt_at" not in quality


@pytest.mark.parametrize(
    ("seconds_late", "told"),
    [(1, (None, {"too_long": 40})), (30, (40, None))],
    ids=["into the windows", "too late"],
)
def test_long_records_that_come_late_are_read_in_bounds(
    redis_client: redis.Redis, store: TickStore, seconds_late: int, told: tuple[object, object]
) -> None:
    records = [quote(at=n / 10, bid=10.0, ask=10.1) for n in range(1, 450)]
    publish(redis_client, TICKER, stream(*records))
    for number in range(38, 41):
        store.run_tick(TICKER, second(number))
    late_to = 40 - seconds_late
    write_long(redis_client, "quotes", spread(40, first=late_to + 1), 2_000_000)
    before = sent_bytes(redis_client)

    reports = [store.run_tick(TICKER, second(number)) for number in range(41, 44)]

    assert sent_bytes(redis_client) - before < MOST_READ_BYTES
    assert {report.outcome for report in reports} == {"written"}
    assert (oddities(redis_client).get("late"), oddities(redis_client).get("rejected")) == told


def test_long_records_ahead_of_the_clock_are_read_in_bounds(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, [quote(at=0.5, bid=10.0, ask=10.1)])
    write_long(redis_client, "quotes", [second(3600) + n for n in range(30)], 2_000_000)
    before = sent_bytes(redis_client)

    for number in range(1, 11):
        store.run_tick(TICKER, second(number))

    assert sent_bytes(redis_client) - before < MOST_READ_BYTES
    assert oddities(redis_client)["ahead"] == 30


@pytest.mark.parametrize("score", [1.0, START_MS / 1000, START_MS * 1000.0, 1e18], ids=str)
def test_the_ends_of_a_key_that_no_tick_reads_are_cut(
    redis_client: redis.Redis, settings: Settings, score: float
) -> None:
    write_long(redis_client, "quotes", [score, score + 1], 3_000_000)
    names = Keys()
    before = sent_bytes(redis_client)

    ActiveTickers(redis_client, names).scan_slice(START_MS)
    RecordTrimmer(redis_client, names, settings).trim_slice(START_MS)

    left = redis_client.zrange(key_of("quotes"), 0, -1)
    assert max(map(len, left), default=0) <= LONGEST_LEFT
    assert sent_bytes(redis_client) - before < MOST_READ_BYTES


def test_many_records_just_short_enough_are_all_folded(
    redis_client: redis.Redis, store: TickStore
) -> None:
    quotes = [quote(at=n / 5000, bid=10.0, ask=10.1, seq=n) for n in range(1, 10_001)]
    pipe = redis_client.pipeline(transaction=False)
    for it in quotes:
        member = quote_member(it)[:-1] + ', "pad": "'
        pipe.zadd(key_of("quotes"), {member.ljust(4094, "x") + '"}': it.stamp})
    pipe.execute()

    reports = [store.run_tick(TICKER, second(number)) for number in range(1, 5)]

    assert sum(report.folded_records for report in reports) == 10_000
    assert reports[-1].behind_seconds == 0
    assert not [report for report in reports if report.late_records]


def test_a_server_that_lost_its_scripts_is_given_them_again(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, stream(*[quote(at=n, bid=10.0, ask=10.1) for n in range(5)]))
    store.run_tick(TICKER, second(1))
    redis_client.script_flush()

    assert store.run_tick(TICKER, second(2)).outcome == "written"


def test_a_question_about_raw_records_reads_long_ones_in_bounds(
    redis_client: redis.Redis,
) -> None:
    publish(redis_client, TICKER, stream(*[quote(at=n, bid=10.0, ask=10.1) for n in (1, 2, 3)]))
    write_long(redis_client, "quotes", spread(60, first=5), 2_000_000)
    before = sent_bytes(redis_client)

    found = read_record_range(redis_client, Keys(), TICKER, START_MS, second(10))

    assert sent_bytes(redis_client) - before < 16 * 2_000_000
    assert len(found.records) == 3
    assert found.more
