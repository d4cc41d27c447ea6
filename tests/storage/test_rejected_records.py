"""A tick goes past what it rejects, remembers it, and says so."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import redis

from app.core.settings import Settings
from app.storage.tick.fold import TickReport
from app.storage.tick.read import MAX_RECORDS_READ
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import quote, second, stream, trade

TICKER = "SPY"
STATE = f"orderflow:state:{TICKER}"
ONE_SIDED = {"bid_price": 10.0, "bid_size": 100, "ask_price": None, "ask_size": 0}
REFUSED: dict[str, tuple[object, str]] = {
    "price null": ({**ONE_SIDED, "ask_size": 5}, "missing_number"),
    "out of range": ({**ONE_SIDED, "ask_price": 1e18, "ask_size": 5}, "out_of_range"),
    "no JSON": ("quote!", "not_json"),
    "a list": ([1, 2], "not_json"),
    "boolean": ({**ONE_SIDED, "bid_size": True}, "boolean_number"),
    "negative": ({**ONE_SIDED, "bid_size": -1}, "negative_size"),
    "too long": ({**ONE_SIDED, "more": "x" * 5000}, "too_long"),
    "NaN": ({**ONE_SIDED, "bid_price": math.nan}, "not_finite"),
}

NewStore = Callable[[], TickStore]


@pytest.fixture
def new_store(settings: Settings) -> NewStore:
    """Return a function that makes workers' stores, which share nothing but Redis."""
    return lambda: TickStore(settings)


@pytest.fixture
def store(new_store: NewStore) -> TickStore:
    """Give one worker's store."""
    return new_store()


def write_raw(
    client: redis.Redis, stamps: Iterable[float], fields: object, kind: str = "quotes"
) -> None:
    """Write one record a stamp, whatever its fields are; numbered, so that none are merged."""
    pipe = client.pipeline(transaction=False)
    for stamp in stamps:
        if isinstance(fields, dict):
            member = json.dumps({**fields, "timestamp": stamp, "seq": int(stamp)})
        else:
            member = f"{fields if isinstance(fields, str) else json.dumps(fields)} {stamp}"
            member = json.dumps([fields, stamp]) if isinstance(fields, list) else member
        pipe.zadd(f"orderflow:{kind}:{TICKER}", {member: stamp})
    pipe.execute()


def spread_over(seconds: float, count: int, start: float = 0.0) -> list[float]:
    """Return stamps, evenly spread after `start` seconds."""
    return [second(start) + (n + 1) * seconds * 1000 / count for n in range(count)]


def state_of(client: redis.Redis) -> dict[str, str]:
    fields: Any = client.hgetall(STATE)
    return {
        name.decode(): value.decode()
        for name, value in fields.items()
        if name in {b"as_of", b"quote_at", b"rejected"}
    }


def rejected(client: redis.Redis) -> dict[str, Any]:
    text = state_of(client).get("rejected")
    return {} if text is None else json.loads(text)


def run(store: TickStore, first: int, last: int) -> dict[int, TickReport]:
    return {number: store.run_tick(TICKER, second(number)) for number in range(first, last + 1)}


@pytest.mark.parametrize(("fields", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_ticker_of_which_everything_is_refused_has_a_state_that_says_so(
    redis_client: redis.Redis, store: TickStore, fields: object, reason: str
) -> None:
    write_raw(redis_client, spread_over(10, 50), fields)

    reports = run(store, 1, 10)

    assert {report.outcome for report in reports.values()} == {"written"}
    assert sum(report.oddities.get(reason, 0) for report in reports.values()) == 50
    assert state_of(redis_client) == {
        "as_of": str(second(10)),
        "rejected": json.dumps(
            {"quotes": {"since": second(0.2) + 0.0, "count": 50, "reasons": {reason: 50}}},
            separators=(",", ":"),
        ),
    }
    assert redis_client.keys("orderflow:metrics:*") == []
    assert redis_client.ttl(STATE) > 0


def test_row_1_a_tick_goes_past_five_thousand_refused_quotes(
    redis_client: redis.Redis, store: TickStore
) -> None:
    flood, count = spread_over(900, 5001, -900), 5001
    write_raw(redis_client, flood, {**ONE_SIDED, "ask_size": 5})
    publish(redis_client, TICKER, stream(*(quote(at=n / 5 + 0.1) for n in range(100))))

    reports = run(store, 1, 15)

    done = [report for report in reports.values() if not report.behind_seconds]
    assert len(done) >= 10
    assert sum(report.oddities.get("missing_number", 0) for report in reports.values()) == count
    assert "rejected" not in state_of(redis_client)
    assert float(state_of(redis_client)["quote_at"]) == second(14.9)
    fields: Any = redis_client.hgetall(f"orderflow:metrics:{TICKER}:1min")
    assert fields[b"quote_count"] == b"75"
    # In the last minute were those of the 45 s before the first usable quote, too.
    assert json.loads(fields[b"quality"])["rejected"]["missing_number"] == pytest.approx(250, abs=6)


def test_a_side_of_size_0_needs_no_price_and_the_book_goes_on(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, stream(*(quote(at=n / 5 + 0.1) for n in range(75))))
    for number, stamp in enumerate(spread_over(15, 75, 15)):
        fields = {"bid_price": None, "bid_size": 0, "ask_price": 10.05 + number, "ask_size": 7}
        write_raw(redis_client, [stamp], fields)

    run(store, 1, 30)

    assert state_of(redis_client) == {"as_of": str(second(30)), "quote_at": f"{second(30)}.0"}
    fields = redis_client.hgetall(f"orderflow:metrics:{TICKER}:10s")
    assert (fields[b"bid_size"], fields[b"ask_price"]) == (b"0.0", b"84.05")
    assert b"bid_price" not in fields
    assert json.loads(fields[b"quality"]) == {"one_sided": 50}


def test_what_is_refused_after_good_quotes_is_told_and_the_quote_in_the_numbers_named(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, stream(*(quote(at=n / 5 + 0.1) for n in range(75))))
    write_raw(redis_client, spread_over(15, 75, 15), {**ONE_SIDED, "ask_size": 5})
    write_raw(redis_client, [second(20.5)], {"price": 1, "size": 0}, "trades")

    run(store, 1, 30)

    assert float(state_of(redis_client)["quote_at"]) == second(14.9)
    assert rejected(redis_client) == {
        "quotes": {"since": second(15.2), "count": 75, "reasons": {"missing_number": 75}},
        "trades": {"since": second(20.5), "count": 1, "reasons": {"zero_size": 1}},
    }


def test_a_usable_record_of_the_kind_ends_it(redis_client: redis.Redis, store: TickStore) -> None:
    records = stream(quote(at=0.5), quote(at=3.5), trade(at=5.5))
    publish(redis_client, TICKER, records)
    refused = [second(at) for at in (1.1, 1.2, 2.5, 3.5, 3.9, 4.5)]
    write_raw(redis_client, refused, "quote!")
    write_raw(redis_client, refused[:2], "trade!", "trades")
    counts = []

    for number in range(1, 8):
        store.run_tick(TICKER, second(number))
        found = rejected(redis_client)
        counts.append(tuple(found.get(kind, {}).get("count", 0) for kind in ("quotes", "trades")))

    # One at the stamp of a usable quote is not newer than that.
    assert counts == [(0, 0), (2, 2), (3, 2), (1, 2), (2, 2), (2, 0), (2, 0)]


def test_a_usable_quote_that_comes_late_counts_as_the_newest_from_the_next_tick_on(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, stream(*(quote(at=n / 5 + 0.1) for n in range(20))))
    write_raw(redis_client, [second(at) for at in (4.5, 5.2, 5.9)], "quote!")
    run(store, 1, 6)
    assert rejected(redis_client)["quotes"]["count"] == 3
    publish(redis_client, TICKER, stream(quote(at=5.5, bid=9.0)))

    run(store, 7, 7)

    assert float(state_of(redis_client)["quote_at"]) == second(5.5)
    assert rejected(redis_client)["quotes"] == {
        "since": second(5.9),
        "count": 1,
        "reasons": {"not_json": 1},
    }


def test_a_refused_quote_that_comes_late_is_told_too(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, stream(*(quote(at=n / 5 + 0.1) for n in range(25))))
    run(store, 1, 6)
    write_raw(redis_client, [second(4.5), second(5.5)], "quote!")

    run(store, 7, 7)

    # The one before the newest usable quote, of 4.9 s, is in the window's quality alone.
    assert rejected(redis_client)["quotes"] == {
        "since": second(5.5),
        "count": 1,
        "reasons": {"not_json": 1},
    }


@pytest.mark.parametrize("stride", [1, 3])
def test_another_worker_goes_on_where_one_stopped(
    redis_client: redis.Redis, new_store: NewStore, stride: int
) -> None:
    """With no bar yet, while quotes are refused after good ones, and after the ticker slept."""
    published: list[dict[str, Any]] = []
    for is_shaken in (False, True):
        redis_client.flushall()
        store = new_store()
        seen: dict[str, Any] = {}
        write_raw(redis_client, spread_over(20, 60), "quote!")
        publish(redis_client, TICKER, stream(*(quote(at=20 + n / 5) for n in range(1, 50))))
        write_raw(redis_client, spread_over(350, 350, 31), "quote!")
        publish(redis_client, TICKER, stream(*(quote(at=390 + n / 5) for n in range(1, 30))))
        for number in [*range(1, 45), *range(45, 420, 15), 421]:
            if is_shaken and number % stride == 0:
                store = new_store()
            store.run_tick(TICKER, second(number))
            seen[f"{number}"] = state_of(redis_client)
            for window in ("10s", "5min"):
                seen[f"{number} {window}"] = redis_client.hgetall(
                    f"orderflow:metrics:{TICKER}:{window}"
                )
        seen["bars"] = redis_client.xrange(f"orderflow:bars:{TICKER}")
        published.append(seen)

    calm, shaken = published
    assert shaken == calm
    assert "quote_at" not in calm["19"]
    assert json.loads(calm["40 5min"][b"quality"])["rejected"] == {"not_json": 60 + 9}
    # Asleep since 330: what is refused meanwhile is in the windows all the same.
    assert json.loads(calm["375 10s"][b"quality"])["rejected"] == {"not_json": 10}
    assert json.loads(calm["421 5min"][b"quality"])["rejected"] == {"not_json": 381 - 121}


def test_a_gap_before_the_first_usable_record_is_none(
    redis_client: redis.Redis, settings: Settings
) -> None:
    store = TickStore(settings.model_copy(update={"max_records": 100}))
    for start in range(0, 40, 4):
        write_raw(redis_client, spread_over(4, 400, start), "quote!")
        if start % 8 == 0:
            store.run_tick(TICKER, second(start + 4))
    publish(redis_client, TICKER, stream(*(quote(at=40 + n / 5) for n in range(1, 50))))

    run(store, 41, 50)

    fields: Any = redis_client.hgetall(f"orderflow:metrics:{TICKER}:10s")
    assert "gaps" not in json.loads(fields[b"quality"])
    assert float(fields[b"covered_seconds"]) == pytest.approx(9.8)


def test_a_flood_of_refused_records_is_passed_thousands_a_tick_while_another_ticker_is_served(
    redis_client: redis.Redis, settings: Settings
) -> None:
    """200,000 members of 40 s."""
    store = TickStore(settings.model_copy(update={"max_records": 200_000}))
    pipe = redis_client.pipeline(transaction=False)
    for start in range(0, 200_000, 10_000):
        members = {f"quote! {n}": second(0) + (n + 1) / 5 for n in range(start, start + 10_000)}
        pipe.zadd(f"orderflow:quotes:{TICKER}", members)  # type: ignore[arg-type]
    pipe.execute()
    publish(redis_client, "QQQ", stream(*(quote(at=n / 5 + 0.1) for n in range(600))))
    passed: list[int] = []

    number = 40
    while not passed or sum(passed) < 200_000:
        report = store.run_tick(TICKER, second(number))
        passed.append(report.oddities.get("not_json", 0))
        assert store.run_tick("QQQ", second(number)).behind_seconds == 0
        number += 1
        assert number < 120

    assert min(passed[:-1]) >= 1000
    assert max(passed) <= 2 * MAX_RECORDS_READ
    assert rejected(redis_client)["quotes"]["count"] == 200_000
    state: Any = redis_client.hmget("orderflow:state:QQQ", "as_of", "quote_at")
    assert int(state[0]) == second(number - 1)
    assert float(state[1]) > second(number - 2)


def test_nothing_at_all_stays_idle(redis_client: redis.Redis, store: TickStore) -> None:
    reports = run(store, 1, 3)

    assert {report.outcome for report in reports.values()} == {"idle"}
    assert redis_client.keys("*SPY*") == []
