"""Tickers that are active because records arrive, and the lag that discovery measures first."""

import time
from collections.abc import Callable

import pytest
import redis

from app.core.settings import Settings
from app.storage import arrivals as module
from app.storage import keys
from app.storage.active_tickers import ActiveTickers
from app.storage.arrivals import ArrivalDetector
from app.storage.keys import Keys
from app.storage.trimming import RecordTrimmer

pytestmark = pytest.mark.redis

NOW_MS = 1_795_392_823_000.0
SECOND_MS = 1000.0
Stamp = Callable[[float], float]
"""The score that a record gets which is written at a time."""


@pytest.fixture
def names() -> Keys:
    return Keys()


@pytest.fixture(params=[False, True], ids=["one server", "as in a cluster"])
def activity(
    redis_client: redis.Redis, names: Keys, request: pytest.FixtureRequest
) -> ActiveTickers:
    made = ActiveTickers(redis_client, names)
    arrivals = ArrivalDetector(redis_client, names, is_cluster=request.param)
    made._arrivals = arrivals  # noqa: SLF001 - a cluster's way of asking, on one server
    return made


class Feed:
    """Writes records of a ticker five times a second, and lets discovery look each second."""

    def __init__(self, client: redis.Redis, activity: ActiveTickers, names: Keys) -> None:
        self.client, self.activity, self.names = client, activity, names
        self.now = NOW_MS
        self.written = 0

    def write(self, key: str, stamp: float) -> None:
        """Write one record."""
        self.client.zadd(key, {f'{{"seq":{self.written}}}': stamp})
        self.written += 1

    def look(self) -> list[str]:
        """Let discovery look; return the active tickers."""
        self.activity.scan_slice(self.now)
        return sorted(self.activity.active(int(self.now)))

    def run(self, seconds: int, stamp: Stamp | None = None, key: str = "") -> list[str]:
        """Write for some seconds, with a look after each; return the tickers active at the end."""
        active: list[str] = []
        for _ in range(seconds):
            for _ in range(5):
                self.now += SECOND_MS / 5
                if stamp is not None:
                    self.write(key or self.names.quotes("SPY"), stamp(self.now))
            active = self.look()
        return active

    def lag(self, ticker: str = "SPY") -> int:
        """Return a ticker's stored settle time in seconds, 0 for none."""
        return int(self.client.hget(keys.LAGS, ticker) or 0)  # type: ignore[arg-type]


@pytest.fixture
def feed(redis_client: redis.Redis, activity: ActiveTickers, names: Keys) -> Feed:
    return Feed(redis_client, activity, names)


def behind(seconds: float) -> Stamp:
    return lambda now: now - seconds * SECOND_MS


@pytest.mark.parametrize(
    "stamp",
    [
        behind(900),
        behind(6 * 3600),
        behind(310),
        behind(20 * 365 * 86400),
        lambda now: now / 1000,
        lambda now: now * 1000,
        lambda now: now * 1e6,
        lambda _: 5.0,
        lambda now: now + 3600 * SECOND_MS,
    ],
)
def test_a_ticker_is_active_while_records_arrive_however_they_are_stamped(
    feed: Feed, stamp: Stamp
) -> None:
    assert feed.run(5, stamp) == ["SPY"]
    assert feed.run(299) == ["SPY"]
    assert feed.run(3) == []
    assert feed.run(5, stamp) == ["SPY"]


def test_trades_that_arrive_keep_a_ticker_active_without_new_quotes(feed: Feed) -> None:
    feed.write(feed.names.quotes("SPY"), feed.now - 1000 * SECOND_MS)

    assert feed.run(5, lambda now: now, feed.names.trades("SPY")) == ["SPY"]
    assert feed.lag() == 0


def test_the_first_sight_of_an_old_key_is_no_arrival(feed: Feed) -> None:
    feed.write(feed.names.quotes("SPY"), feed.now - 900 * SECOND_MS)

    assert feed.run(10) == []


def test_records_that_are_trimmed_are_no_arrival(feed: Feed) -> None:
    key = feed.names.quotes("SPY")
    for number in range(10):
        feed.write(key, feed.now - (900 + number) * SECOND_MS)
    feed.run(3)
    feed.client.zremrangebyrank(key, 0, 4)

    assert feed.run(3) == []


def test_what_was_seen_before_a_live_ticker_fell_silent_is_no_arrival(feed: Feed) -> None:
    feed.write(feed.names.quotes("SPY"), feed.now - 900 * SECOND_MS)
    feed.run(2)
    feed.run(5, lambda now: now)
    last = feed.now

    while feed.now < last + 301 * SECOND_MS:
        feed.run(1)
        feed.client.persist(keys.SIGHTINGS)

    assert feed.run(5) == []


@pytest.mark.parametrize(
    ("seconds", "lag"),
    [(3.0, 3), (10.0, 10), (29.0, 29), (45.0, 45), (900.0, 900), (21600.0, 21600)],
)
def test_a_new_ticker_that_is_behind_starts_with_its_lag(
    feed: Feed, seconds: float, lag: int
) -> None:
    active_before_known = False
    for _ in range(6):
        active = feed.run(1, behind(seconds))
        active_before_known |= bool(active) and not feed.lag()

    assert active == ["SPY"]
    assert feed.lag() in {lag, lag + 1}
    assert not active_before_known


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.9])
def test_a_new_ticker_in_time_is_active_at_once(feed: Feed, seconds: float) -> None:
    assert feed.run(1, behind(seconds)) == ["SPY"]
    assert feed.lag() == 0


@pytest.mark.parametrize("seconds", [2.5, 30.0, 200.0])
def test_a_quiet_ticker_waits_three_seconds_and_has_no_lag(feed: Feed, seconds: float) -> None:
    feed.write(feed.names.quotes("SPY"), feed.now - seconds * SECOND_MS)

    assert feed.run(2) == []
    assert feed.run(2) == ["SPY"]
    assert feed.lag() == 0
    assert not feed.client.exists(keys.WITHHELD)


def test_a_ticker_with_a_quote_each_four_seconds_is_not_behind(feed: Feed) -> None:
    feed.write(feed.names.quotes("SPY"), feed.now - 2.5 * SECOND_MS)
    feed.look()
    feed.run(1)
    feed.write(feed.names.quotes("SPY"), feed.now + 500)

    assert feed.run(1) == ["SPY"]
    assert feed.lag() == 0


def test_a_backlog_that_is_written_first_is_no_lag(feed: Feed) -> None:
    start = feed.now
    feed.run(4, lambda now: min(now, start - 100 * SECOND_MS + (now - start) * 30))

    assert feed.run(2, lambda now: now) == ["SPY"]
    assert feed.lag() == 0


@pytest.mark.parametrize("seconds", [5, 12])
def test_a_backlog_that_takes_longer_than_the_wait_is_no_lag(feed: Feed, seconds: int) -> None:
    start, speed = feed.now, 3600 / seconds

    def backlog(now: float) -> float:
        return start - 3600 * SECOND_MS + (now - start) * (speed + 1)

    assert feed.run(seconds - 1, backlog) == []
    assert feed.run(1, backlog) == ["SPY"]
    assert feed.run(3, lambda now: now) == ["SPY"]
    assert feed.lag() == 0


@pytest.mark.parametrize("gap", [4, 10, 30])
def test_a_delayed_ticker_with_few_records_starts_with_its_delay(feed: Feed, gap: int) -> None:
    for _ in range(2):
        feed.write(feed.names.quotes("SPY"), feed.now - 900 * SECOND_MS)
        active = feed.run(gap)

    assert active == ["SPY"]
    assert feed.lag() in {900, 901, 902}


def test_an_active_ticker_is_not_measured_again(feed: Feed) -> None:
    feed.run(2, lambda now: now)
    assert feed.run(20) == ["SPY"]

    assert feed.run(2, behind(10)) == ["SPY"]
    assert feed.lag() == 0


def test_a_settle_time_goes_with_the_last_activity(feed: Feed) -> None:
    feed.run(5, behind(10))
    assert feed.lag()

    feed.run(300)
    assert not feed.client.exists(keys.LAGS)


@pytest.mark.parametrize("hours", [2, 6, 12])
def test_records_of_a_feed_delayed_beyond_the_retention_are_kept(
    feed: Feed, settings: Settings, hours: int
) -> None:
    trimmer = RecordTrimmer(feed.client, feed.names, settings)
    feed.now = time.time() * SECOND_MS
    for _ in range(12):
        feed.run(1, behind(hours * 3600))
        trimmer.trim_slice(feed.now)

    assert feed.client.zcard(feed.names.quotes("SPY")) >= 5 * 6


def test_many_old_keys_are_looked_at_in_turn(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKS_A_SLICE", 10)
    monkeypatch.setattr(module, "CLUSTER_LOOKS_A_SLICE", 10)
    for number in range(50):
        feed.write(feed.names.quotes(f"OLD{number}"), feed.now - 5000 * SECOND_MS)

    assert feed.run(30, behind(900)) == ["SPY"]


def test_sightings_of_keys_that_are_gone_are_forgotten(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS_A_SLICE", 100)
    for number in range(99):
        feed.write(feed.names.quotes(f"OLD{number}"), feed.now - 5000 * SECOND_MS)
    feed.run(1)
    for number in range(99):
        feed.client.delete(feed.names.quotes(f"OLD{number}"))
    feed.client.hset(keys.SIGHTINGS, mapping={f"GONE{number}": "1 1 0 0" for number in range(10)})
    feed.run(2)

    assert feed.client.hlen(keys.SIGHTINGS) == 0


@pytest.mark.parametrize("text", ["", "x", "1 2 3", "1 2 3 4 5", "nan 1 0 0", "\xff" * 9])
def test_unreadable_memories_are_first_sights(feed: Feed, text: str) -> None:
    feed.write(feed.names.quotes("SPY"), feed.now - 900 * SECOND_MS)
    feed.client.hset(keys.SIGHTINGS, "SPY", text)
    feed.client.hset(keys.WITHHELD, "SPY", text)

    assert feed.run(4, behind(900)) == ["SPY"]


def test_what_is_remembered_has_a_lifetime(feed: Feed) -> None:
    feed.run(2, behind(10))
    feed.write(feed.names.quotes("OLD"), feed.now - 900 * SECOND_MS)
    feed.run(1, behind(10))

    kept = [name for name in feed.client.keys("*") if b":quotes:" not in name]
    assert {keys.LAGS.encode(), keys.SIGHTINGS.encode()} <= {*kept}
    assert all(feed.client.ttl(name) > 0 for name in kept)


def test_fifty_thousand_old_keys_cost_little(
    redis_client: redis.Redis, activity: ActiveTickers, names: Keys
) -> None:
    pipe = redis_client.pipeline(transaction=False)
    for number in range(50_000):
        pipe.zadd(names.quotes(f"OLD{number}"), {b"{}": NOW_MS - 1e9})
    pipe.execute()
    activity.scan_slice(NOW_MS)
    started = time.process_time()
    for seconds in range(3):
        activity.scan_slice(NOW_MS + seconds * SECOND_MS)

    assert (time.process_time() - started) / 3 < 0.5
    assert activity.active(int(NOW_MS)) == []
