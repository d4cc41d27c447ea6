"""New tickers enter at a bounded rate; those that were there before are never held up."""

from collections.abc import Iterable

import pytest
import redis

from app.storage import keys
from app.storage import newcomers as module
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from app.storage.newcomers import MOST_PENDING, Waiting, read_waiting

NOW_MS = 1_795_392_823_000.0
SECOND_MS = 1000.0
NAMES = Keys()


@pytest.fixture
def discovery(redis_client: redis.Redis) -> ActiveTickers:
    return ActiveTickers(redis_client, NAMES)


def write(client: redis.Redis, tickers: Iterable[str], at_ms: float = NOW_MS) -> None:
    pipe = client.pipeline(transaction=False)
    for ticker in tickers:
        pipe.zadd(NAMES.quotes(ticker), {f"{at_ms}": at_ms})
    pipe.execute()


def run_first_ticks(client: redis.Redis, tickers: Iterable[str]) -> None:
    pipe = client.pipeline(transaction=False)
    for ticker in tickers:
        pipe.hset(NAMES.state(ticker), "version", "1")
    pipe.execute()


def flood(first: str = "F", number: int = 3 * MOST_PENDING) -> list[str]:
    return [f"{first}{n:05}" for n in range(number)]


def active(discovery: ActiveTickers) -> set[str]:
    return set(discovery.active(int(NOW_MS)))


def test_many_new_names_enter_as_fast_as_their_first_ticks_run(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, flood())
    numbers = []
    for seconds in range(4):
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)
        numbers.append((len(active(discovery)), read_waiting(redis_client, 3).number))
        run_first_ticks(redis_client, active(discovery))

    steps = [1, 2, 3, 3]
    assert numbers == [(it * MOST_PENDING, (3 - it) * MOST_PENDING) for it in steps]
    assert redis_client.exists(keys.WAITING, keys.NEWCOMERS) == 0
    assert 0 < redis_client.ttl(keys.ENTERED) <= keys.ENTERED_LIFETIME_SECONDS


def test_a_start_with_1200_tickers_enters_within_three_looks(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, flood(number=1200))
    for seconds in range(3):
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)
        run_first_ticks(redis_client, active(discovery))

    assert len(active(discovery)) == 1200


def test_none_enter_while_the_workers_have_no_time_for_them(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, ["SPY"])
    discovery.scan_slice(NOW_MS)
    run_first_ticks(redis_client, ["SPY"])
    write(redis_client, flood())
    for seconds in range(1, 6):
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)

    assert len(active(discovery)) == MOST_PENDING + 1
    assert "SPY" in active(discovery)
    entered, pending = discovery.newcomers.by_standing(active(discovery))
    assert entered == ["SPY"]
    assert len(pending) == MOST_PENDING


def test_what_is_active_is_never_held_back(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    known = [f"K{n}" for n in range(MOST_PENDING * 2)]
    write(redis_client, [*known, *flood()])
    redis_client.zadd(keys.TICKERS, dict.fromkeys(known, NOW_MS - 200 * SECOND_MS))

    discovery.scan_slice(NOW_MS)

    assert active(discovery) > {*known}
    assert len(active(discovery)) == len(known) + MOST_PENDING


def test_names_that_were_known_before_go_first_then_those_that_wait_for_longest(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, flood("B", 2 * MOST_PENDING))
    discovery.scan_slice(NOW_MS)
    first = active(discovery)
    run_first_ticks(redis_client, first)
    write(redis_client, [*flood("A"), "ZNEW"])
    redis_client.zadd(keys.TICKERS, {"ZNEW": NOW_MS - 3600 * SECOND_MS})

    discovery.scan_slice(NOW_MS + SECOND_MS)

    entered = active(discovery) - first
    assert "ZNEW" in entered
    assert len(entered) == MOST_PENDING
    assert {it[0] for it in entered} == {"B", "Z"}


def test_names_that_vanish_leave_their_place_to_others(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, flood())
    discovery.scan_slice(NOW_MS)
    redis_client.delete(*map(NAMES.quotes, flood()))
    write(redis_client, ["SPY"])

    discovery.scan_slice(NOW_MS + SECOND_MS)

    assert active(discovery) == {"SPY"}
    assert read_waiting(redis_client, 3).number == 0
    assert discovery.newcomers.by_standing(["SPY", "OLD"]) == [["OLD"], ["SPY"]]


def test_a_flood_of_other_names_each_second_keeps_an_honest_one_waiting_for_a_look(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    for seconds in range(4):
        names = flood("ABCD"[seconds])
        write(redis_client, [*names, "SPY"] if seconds else names)
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)
        run_first_ticks(redis_client, active(discovery))
        redis_client.delete(*map(NAMES.quotes, names))

    assert "SPY" in active(discovery)
    assert redis_client.zcard(keys.WAITING) <= 3 * MOST_PENDING


def test_a_ticker_belongs_to_those_that_were_there_after_five_minutes(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, ["SPY"])
    discovery.scan_slice(NOW_MS)
    run_first_ticks(redis_client, ["SPY"])
    standings = []
    for seconds in (1, 299, 301):
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)
        standings.append(discovery.newcomers.by_standing(["SPY", "OLD"]))

    assert standings == [[["OLD"], ["SPY"]], [["OLD"], ["SPY"]], [["SPY", "OLD"]]]


def test_those_that_entered_earlier_come_first_and_a_start_is_served_alike(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    start_ms = NOW_MS - NOW_MS % module.COHORT_MS
    entered = {"A": start_ms + 9000, "Z": start_ms, "B": start_ms + 12_000, "C": start_ms + 31_000}
    redis_client.zadd(keys.ENTERED, entered)
    redis_client.zadd(keys.NEWCOMERS, {"C": start_ms + 31_000})

    groups = discovery.newcomers.by_standing(["C", "B", "A", "Z", "K"])

    assert groups == [["K"], ["A", "Z"], ["B"], ["C"]]


def test_another_process_goes_on_where_the_last_one_stopped(redis_client: redis.Redis) -> None:
    write(redis_client, flood())
    for seconds in range(3):
        discovery = ActiveTickers(redis_client, NAMES)
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)

    assert len(active(discovery)) == MOST_PENDING


def test_a_name_without_a_usable_record_is_pending_for_a_minute_only(
    redis_client: redis.Redis, discovery: ActiveTickers
) -> None:
    write(redis_client, flood(number=MOST_PENDING + 1))
    discovery.scan_slice(NOW_MS)
    later_ms = NOW_MS + module.PENDING_MS + 1
    write(redis_client, flood(number=MOST_PENDING + 1), later_ms)

    discovery.scan_slice(later_ms)

    assert len(discovery.active(int(later_ms))) == MOST_PENDING + 1


def test_what_is_remembered_of_waiting_names_is_bounded(
    redis_client: redis.Redis, discovery: ActiveTickers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 100)
    write(redis_client, flood())

    for seconds in range(3):
        discovery.scan_slice(NOW_MS + seconds * SECOND_MS)

    assert read_waiting(redis_client, 3) == Waiting(100, tuple(flood()[MOST_PENDING:][:3]))
    assert 0 < redis_client.ttl(keys.WAITING) <= keys.WAITING_LIFETIME_SECONDS
    assert 0 < redis_client.ttl(keys.NEWCOMERS) <= keys.NEWCOMERS_LIFETIME_SECONDS
