"""Discovery of active tickers, on a real server."""

from collections.abc import Iterable

import pytest
import redis

from app.storage import active_tickers as module
from app.storage import keys, newcomers
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys

pytestmark = pytest.mark.redis

NOW_MS = 1_795_392_823_000.0
SECOND_MS = 1000.0


def add_quotes(client: redis.Redis, tickers: Iterable[str], stamp: float, names: Keys) -> None:
    pipe = client.pipeline(transaction=False)
    for ticker in tickers:
        pipe.zadd(names.quotes(ticker), {b"{}": stamp})
    pipe.execute()


@pytest.fixture
def names() -> Keys:
    return Keys()


@pytest.fixture
def activity(redis_client: redis.Redis, names: Keys) -> ActiveTickers:
    return ActiveTickers(redis_client, names)


def active_after(activity: ActiveTickers, *, looks: int = 1) -> list[str]:
    for _ in range(looks):
        activity.scan_slice(NOW_MS)
    return sorted(activity.active(int(NOW_MS)))


def active_after_seconds(activity: ActiveTickers) -> list[str]:
    """Look each second until now; a ticker with an old quote is withheld for three of them."""
    for seconds in (4, 3, 2, 1, 0):
        activity.scan_slice(NOW_MS - seconds * SECOND_MS)
    return sorted(activity.active(int(NOW_MS)))


def test_a_ticker_is_found_by_its_quotes_alone(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    odd = ["SPY", "O:SPY241220C00450000", "BTC/USDT", ".DJI", "spy"]
    add_quotes(redis_client, odd, NOW_MS, names)

    assert active_after(activity) == sorted(odd)


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (300 * SECOND_MS, ["SPY"]),
        (300 * SECOND_MS + 1, []),
        (-5 * SECOND_MS, ["SPY"]),
        (-5 * SECOND_MS - 1, []),
    ],
)
def test_active_means_a_quote_at_most_300_s_old_and_not_ahead(
    redis_client: redis.Redis,
    activity: ActiveTickers,
    names: Keys,
    age_ms: float,
    expected: list[str],
) -> None:
    add_quotes(redis_client, ["SPY"], NOW_MS - age_ms, names)

    assert active_after_seconds(activity) == expected


def test_a_quote_far_ahead_hides_no_newest_quote(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    redis_client.zadd(names.quotes("SPY"), {b"now": NOW_MS, b"ahead": NOW_MS + 3600 * SECOND_MS})

    assert active_after(activity) == ["SPY"]


def test_seconds_instead_of_milliseconds_make_no_ticker_active(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    add_quotes(redis_client, ["SPY"], NOW_MS / 1000.0, names)

    assert active_after(activity) == []


def test_a_ticker_that_fell_silent_is_active_no_more(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    add_quotes(redis_client, ["SPY"], NOW_MS, names)
    activity.scan_slice(NOW_MS)

    assert activity.active(int(NOW_MS + 300 * SECOND_MS)) == ["SPY"]
    assert activity.active(int(NOW_MS + 301 * SECOND_MS)) == []


def test_foreign_names_and_types_are_left_alone_and_counted(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    add_quotes(redis_client, ["SPY", "bad name", "-X", "x" * 33], NOW_MS, names)
    redis_client.zadd(b"orderflow:quotes:\xff\xfe", {b"{}": NOW_MS})
    redis_client.set(names.quotes("TEXT"), "no sorted set")

    assert active_after(activity, looks=2) == ["SPY"]
    assert redis_client.hget(keys.COUNTERS, "foreign_names") == b"4"


def test_a_pass_takes_as_many_looks_as_there_are_slices(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE_KEYS", 500)
    monkeypatch.setattr(module, "SCAN_COUNT", 100)
    monkeypatch.setattr(newcomers, "MOST_PENDING", 1000)
    tickers = [f"T{number}" for number in range(1000)]
    add_quotes(redis_client, tickers, NOW_MS, names)

    first = active_after(activity)
    assert 500 <= len(first) < len(tickers)
    assert active_after(activity, looks=2) == sorted(tickers)


def test_fifty_thousand_keys_take_at_most_two_looks(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    add_quotes(redis_client, (f"OLD{number}" for number in range(50_000)), NOW_MS - 1e9, names)
    add_quotes(redis_client, ["NEW"], NOW_MS, names)

    assert active_after(activity, looks=2) == ["NEW"]


def test_with_a_cluster_keys_carry_braces(redis_client: redis.Redis) -> None:
    names = Keys(cluster=True)
    add_quotes(redis_client, ["SPY"], NOW_MS, names)
    add_quotes(redis_client, ["QQQ"], NOW_MS, Keys())

    assert active_after(ActiveTickers(redis_client, names)) == ["SPY"]


@pytest.mark.parametrize("stored", ["not ours", "[" * 5000, '{"x":' * 5000, b"\xff"])
def test_an_unreadable_cursor_starts_a_new_pass(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys, stored: str | bytes
) -> None:
    add_quotes(redis_client, ["SPY"], NOW_MS, names)
    redis_client.set(keys.SCAN, stored)

    assert active_after(activity) == ["SPY"]


def test_what_discovery_keeps_has_a_lifetime(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    add_quotes(redis_client, ["SPY"], NOW_MS, names)
    activity.scan_slice(NOW_MS)

    kept = [name for name in redis_client.keys("*") if b":quotes:" not in name]
    assert kept
    assert all(redis_client.ttl(name) > 0 for name in kept)
