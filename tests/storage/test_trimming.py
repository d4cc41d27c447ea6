"""Every key of records is bounded, whatever it holds and whether or not its ticker has ticks."""

import json
import random
import time
from collections.abc import Callable, Iterable

import pytest
import redis

from app.core.settings import Settings
from app.storage import keys
from app.storage import trimming as module
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from app.storage.trimming import RecordTrimmer
from tests.broker import publish, quote_member
from tests.builders import START_MS, quote, second, stream
from tests.processes import BOUND_SECONDS

pytestmark = pytest.mark.redis

RETENTION_SECONDS = 60
MOST = 1000
QUOTES, TRADES, STATE = "orderflow:quotes:X", "orderflow:trades:X", "orderflow:state:X"

# Epoch ms to the score that a broker writes by mistake.
UNITS: dict[str, Callable[[float], float]] = {
    "s": lambda ms: ms / 1e3,
    "ms": lambda ms: ms,
    "us": lambda ms: ms * 1e3,
    "ns": lambda ms: ms * 1e6,
}
REFUSED = (
    '{"bid_price":145000000,"bid_size":1,"ask_price":145001000,"ask_size":1,"seq":%d}',
    '{"bid_price":null,"bid_size":1,"ask_price":2,"ask_size":1,"seq":%d}',
    '{"bid_price":true,"bid_size":1,"ask_price":2,"ask_size":1,"seq":%d}',
    "no JSON %d",
)


def now_ms() -> float:
    return time.time() * 1000


@pytest.fixture(autouse=True)
def _busy_machines_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no record get older than it is said to be, and no slice end before its work is done."""
    at_ms = now_ms()
    monkeypatch.setitem(globals(), "now_ms", lambda: at_ms)
    monkeypatch.setattr(module, "SLICE_SECONDS", BOUND_SECONDS)


@pytest.fixture
def limited(settings: Settings) -> Settings:
    changed = {"retention_seconds": RETENTION_SECONDS, "max_records": MOST}
    return settings.model_copy(update=changed)


@pytest.fixture
def trimmer(redis_client: redis.Redis, limited: Settings) -> RecordTrimmer:
    return RecordTrimmer(redis_client, Keys(), limited)


def add(
    client: redis.Redis, key: str, scores: Iterable[float], form: str = "record %d"
) -> list[bytes]:
    """Write a record for each score; return their members."""
    members = {form % number: score for number, score in enumerate(scores)}
    client.zadd(key, members)
    return [member.encode() for member in members]


def trim(trimmer: RecordTrimmer, *, slices: int = 5) -> dict[str, int]:
    """Trim as often as a few seconds do; return the counts of mis-stamped records."""
    counts: dict[str, int] = {}
    for _ in range(slices):
        for name, number in trimmer.trim_slice(now_ms()).items():
            counts[name] = counts.get(name, 0) + number
    return counts


def ages(newest_seconds: float, oldest_seconds: float, number: int) -> list[float]:
    """Return stamps in ms of evenly spaced ages, the oldest first."""
    step = (oldest_seconds - newest_seconds) / max(1, number - 1)
    return [now_ms() - (oldest_seconds - step * n) * 1000 for n in range(number)]


@pytest.mark.parametrize("form", REFUSED)
@pytest.mark.parametrize("key", [QUOTES, TRADES])
def test_refused_records_are_bounded_by_age_and_number(
    redis_client: redis.Redis, trimmer: RecordTrimmer, key: str, form: str
) -> None:
    members = add(redis_client, key, [*ages(70, 500, 2000), *ages(0, 50, 1500)], form)

    trim(trimmer)

    assert redis_client.zrange(key, 0, -1) == members[-MOST:]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("key", [QUOTES, TRADES, "orderflow:quotes:O:SPY241220C00450000"])
def test_a_key_goes_once_all_of_it_is_past_the_retention(
    redis_client: redis.Redis, trimmer: RecordTrimmer, key: str, unit: str
) -> None:
    add(redis_client, key, [UNITS[unit](ms) for ms in ages(61, 500, 300)])

    trim(trimmer)

    assert not redis_client.exists(key)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("age_seconds", [0, 30, 55])
def test_records_within_the_retention_stay(
    redis_client: redis.Redis, trimmer: RecordTrimmer, unit: str, age_seconds: float
) -> None:
    members = add(redis_client, QUOTES, [UNITS[unit](ms) for ms in ages(age_seconds, 57, 300)])

    trim(trimmer)

    assert redis_client.zrange(QUOTES, 0, -1) == members


@pytest.mark.parametrize("unit", UNITS)
def test_of_too_many_records_the_newest_stay(
    redis_client: redis.Redis, trimmer: RecordTrimmer, unit: str
) -> None:
    members = add(redis_client, TRADES, [UNITS[unit](ms) for ms in ages(0, 50, 7000)])

    trim(trimmer)

    assert redis_client.zrange(TRADES, 0, -1) == members[-MOST:]


@pytest.mark.parametrize(
    "score",
    [0, -1e9, 2.8e7, 1e11, 9.99e11, 9e13, 1e15, 9e16, 5e17, 1e300, float("inf"), float("-inf")],
)
def test_stamps_that_no_clock_gives_go_and_the_others_stay(
    redis_client: redis.Redis, trimmer: RecordTrimmer, score: float
) -> None:
    members = add(redis_client, QUOTES, ages(0, 50, 100))
    redis_client.zadd(QUOTES, {"absurd": score})

    trim(trimmer)

    assert redis_client.zrange(QUOTES, 0, -1) == members


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_a_flood_of_mis_stamped_records_pushes_out_no_ordinary_one(
    redis_client: redis.Redis, trimmer: RecordTrimmer, unit: str
) -> None:
    members = add(redis_client, QUOTES, ages(0, 50, 900))
    flood = add(redis_client, QUOTES, [UNITS[unit](ms) for ms in ages(0, 50, 5000)], "odd %d")

    trim(trimmer)

    left = redis_client.zrange(QUOTES, 0, -1)
    assert len(left) == MOST
    assert {*members} < {*left}
    assert {*left} - {*members} == {*flood[-100:]}


@pytest.mark.parametrize("ahead_seconds", [10, 3600, 80_000])
def test_of_records_ahead_of_the_clock_the_farthest_go_first(
    redis_client: redis.Redis, trimmer: RecordTrimmer, ahead_seconds: float
) -> None:
    members = add(redis_client, QUOTES, ages(0, 50, 900))
    ahead = ages(-ahead_seconds - 100, -ahead_seconds, 3000)
    flood = add(redis_client, QUOTES, ahead, "ahead %d")

    trim(trimmer)

    assert redis_client.zrange(QUOTES, 0, -1) == [*members, *flood[:100]]


def test_records_ahead_stay_until_their_time(
    redis_client: redis.Redis, trimmer: RecordTrimmer
) -> None:
    members = add(redis_client, QUOTES, ages(-3700, -10, 200))

    trim(trimmer)

    assert redis_client.zrange(QUOTES, 0, -1) == members


@pytest.mark.parametrize(
    "name", ["orderflow:quotes:bad name", "orderflow:quotes:-X", "orderflow:trades:" + "x" * 40]
)
def test_keys_that_name_no_ticker_are_left_alone(
    redis_client: redis.Redis, trimmer: RecordTrimmer, name: str
) -> None:
    add(redis_client, name, ages(100, 500, 3000))
    redis_client.set(QUOTES, "no sorted set")

    trim(trimmer)

    assert redis_client.zcard(name) == 3000
    assert redis_client.get(QUOTES) == b"no sorted set"


def test_a_large_key_is_trimmed_in_steps_and_keeps_no_other_waiting(
    redis_client: redis.Redis, limited: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE_SECONDS", 0.0001)
    monkeypatch.setattr(module, "REMOVED_PER_SCRIPT", 100)
    trimmer = RecordTrimmer(redis_client, Keys(), limited)
    add(redis_client, QUOTES, ages(0, 50, 3000))
    for number in range(20):
        add(redis_client, f"orderflow:trades:T{number}", ages(70, 500, 10))

    small_done_after = large_done_after = None
    for number in range(1, 200):
        trimmer.trim_slice(now_ms())
        if small_done_after is None and not redis_client.keys("orderflow:trades:*"):
            small_done_after = number
        if redis_client.zcard(QUOTES) == MOST:
            large_done_after = number
            break

    assert small_done_after is not None
    assert large_done_after is not None
    assert small_done_after < large_done_after
    assert large_done_after >= (3000 - MOST) // 100


def test_all_keys_are_trimmed_within_a_pass(
    redis_client: redis.Redis, trimmer: RecordTrimmer
) -> None:
    pipe = redis_client.pipeline(transaction=False)
    for number in range(5000):
        pipe.zadd(f"orderflow:quotes:T{number}", {"old": now_ms() - 61_000, "new": now_ms()})
    pipe.execute()

    for _ in range(60):
        trimmer.trim_slice(now_ms())

    counts = redis_client.pipeline(transaction=False)
    for number in range(5000):
        counts.zcard(f"orderflow:quotes:T{number}")
    assert {*counts.execute()} == {1}


def test_progress_that_names_other_keys_leaves_them_alone(
    redis_client: redis.Redis, trimmer: RecordTrimmer
) -> None:
    add(redis_client, "theirs", ages(70, 500, 10))
    redis_client.set(keys.TRIMMING, '{"waiting":["theirs"]}')

    trim(trimmer)

    assert redis_client.zcard("theirs") == 10


@pytest.mark.parametrize(
    "stored", ["not ours", "[" * 5000, '{"waiting":3}', '{"cursor":-1}', '{"node":1.5}', b"\xff"]
)
def test_unreadable_progress_starts_a_new_pass(
    redis_client: redis.Redis, trimmer: RecordTrimmer, stored: str | bytes
) -> None:
    add(redis_client, QUOTES, ages(70, 500, 10))
    redis_client.set(keys.TRIMMING, stored)

    trim(trimmer, slices=1)

    assert not redis_client.exists(QUOTES)
    assert redis_client.ttl(keys.TRIMMING) > 0


@pytest.mark.parametrize(
    ("unit", "name"), [("s", "seconds_not_ms"), ("us", "not_ms"), ("ns", "not_ms")]
)
def test_each_mis_stamped_record_is_counted_once(
    redis_client: redis.Redis, trimmer: RecordTrimmer, unit: str, name: str
) -> None:
    add(redis_client, QUOTES, [UNITS[unit](ms) for ms in ages(0, 300, 400)])
    add(redis_client, TRADES, [UNITS[unit](ms) for ms in ages(0, 20, 1700)])
    assert trim(trimmer) == {name: 2100}

    add(redis_client, QUOTES, [UNITS[unit](ms) for ms in ages(0, 1, 30)], "more %d")

    assert trim(trimmer) == {name: 30}
    assert trim(trimmer) == {}


def test_in_a_cluster_each_key_is_trimmed_by_its_own_name(
    redis_client: redis.Redis, limited: Settings
) -> None:
    braced = RecordTrimmer(redis_client, Keys(cluster=True), limited)
    add(redis_client, "orderflow:quotes:{X}", ages(70, 500, 10))
    add(redis_client, QUOTES, ages(70, 500, 10))

    trim(braced)

    assert not redis_client.exists("orderflow:quotes:{X}")
    assert redis_client.exists(QUOTES)


METRICS = "orderflow:metrics:X:10s"


@pytest.mark.parametrize("behind_seconds", [1, 100, 900])
def test_a_ticker_with_ticks_is_left_to_them_also_while_they_catch_up(
    redis_client: redis.Redis, trimmer: RecordTrimmer, behind_seconds: int
) -> None:
    as_of = int(now_ms()) // 1000 * 1000 - behind_seconds * 1000
    redis_client.hset(METRICS, "as_of", as_of)
    redis_client.expire(METRICS, 59)
    add(redis_client, QUOTES, ages(0, 500, 3000))
    add(redis_client, QUOTES, [ms / 1000 for ms in ages(0, 500, 3000)], "seconds %d")
    redis_client.hset(STATE, mapping={"version": "v", "as_of": as_of, "behind": 3000})

    trim(trimmer)

    assert redis_client.zcount(QUOTES, 1e12, "inf") == 3000
    assert redis_client.zcount(QUOTES, "-inf", 1e12) == 0
    assert redis_client.hget(STATE, "behind") == b"3000"


@pytest.mark.parametrize("lives_seconds", [0, 5, 40])
def test_a_ticker_whose_ticks_stopped_is_trimmed(
    redis_client: redis.Redis, trimmer: RecordTrimmer, lives_seconds: int
) -> None:
    as_of = int(now_ms()) // 1000 * 1000
    redis_client.hset(METRICS, "as_of", as_of)
    redis_client.expire(METRICS, lives_seconds)
    redis_client.hset(STATE, mapping={"version": "v", "as_of": as_of, "behind": 3000})
    add(redis_client, QUOTES, ages(70, 500, 3000))

    trim(trimmer)

    assert not redis_client.exists(QUOTES)
    assert redis_client.hget(STATE, "behind") == b"0"


@pytest.mark.parametrize("folded_seconds_ago", [200, 400, 800])
def test_what_was_folded_is_subtracted_from_the_state(
    redis_client: redis.Redis, trimmer: RecordTrimmer, folded_seconds_ago: int
) -> None:
    as_of = int(now_ms() - folded_seconds_ago * 1000)
    folded = add(redis_client, QUOTES, ages(folded_seconds_ago + 1, 1000, 500))
    redis_client.hset(STATE, mapping={"version": "v", "as_of": as_of, "behind": 507})

    trim(trimmer)

    assert not redis_client.exists(QUOTES)
    assert redis_client.hget(STATE, "behind") == b"%d" % (507 - len(folded))
    assert not redis_client.hexists(STATE, "lost_to")


def test_a_key_without_a_state_gets_none(redis_client: redis.Redis, trimmer: RecordTrimmer) -> None:
    add(redis_client, QUOTES, ages(0, 500, 3000))
    add(redis_client, TRADES, ages(70, 500, 3000))

    trim(trimmer)

    assert not redis_client.exists(STATE)
    assert not redis_client.exists(TRADES)


@pytest.mark.parametrize("state", ["no hash", {"version": "v"}, {"as_of": "5"}, {}])
def test_a_state_that_says_nothing_stops_no_trimming(
    redis_client: redis.Redis, trimmer: RecordTrimmer, state: str | dict[str, str]
) -> None:
    if isinstance(state, str):
        redis_client.set(STATE, state)
    elif state:
        redis_client.hset(STATE, mapping=state)
    add(redis_client, QUOTES, ages(0, 500, 3000))

    trim(trimmer)

    assert redis_client.zcard(QUOTES) <= MOST


def test_unfolded_records_of_an_active_ticker_wait_ten_minutes_longer_for_its_ticks(
    redis_client: redis.Redis, trimmer: RecordTrimmer
) -> None:
    as_of = int(now_ms() - 900_000)
    add(redis_client, QUOTES, ages(901, 1000, 100), "folded %d")
    members = add(redis_client, QUOTES, ages(0, 650, 500), "unfolded %d")
    add(redis_client, QUOTES, ages(670, 890, 100), "too old %d")
    redis_client.hset(STATE, mapping={"version": "v", "as_of": as_of, "behind": 100})

    trim(trimmer)

    assert redis_client.zrange(QUOTES, 0, -1) == members
    assert redis_client.hget(STATE, "behind") == b"0"
    oldest = redis_client.zrange(QUOTES, 0, 0, withscores=True)[0][1]
    assert float(redis_client.hget(STATE, "lost_to") or 0) == oldest


def test_records_trimmed_before_a_tick_folded_them_are_a_gap(
    redis_client: redis.Redis, trimmer: RecordTrimmer, settings: Settings
) -> None:
    """The workers died while the feed went on, and come back after the retention."""
    records = stream(*(quote(at=n / 5, bid_size=100 + n) for n in range(200)))
    publish(redis_client, "X", records)
    TickStore(settings).run_tick("X", second(20))
    redis_client.hset(STATE, "journal", b"")
    redis_client.delete("orderflow:metrics:X:10s")  # as expired

    trim(trimmer)
    assert not redis_client.exists(QUOTES)
    publish(redis_client, "X", stream(*(quote(at=45 + n / 5, bid_size=9) for n in range(20))))
    report = TickStore(settings).run_tick("X", second(49))

    assert report.outcome == "written"
    fields = redis_client.hgetall("orderflow:metrics:X:1min")
    quality = json.loads(fields[b"quality"])
    assert quality == {"gaps": [[second(20), records[-1].stamp]]}
    assert int(fields[b"quote_count"]) == len([it for it in records if it.stamp <= second(20)]) + 20


@pytest.mark.parametrize("kind", ["far ahead", "us", "s", "ns"])
def test_a_tick_trims_its_own_records_whatever_else_the_key_holds(
    redis_client: redis.Redis, settings: Settings, kind: str
) -> None:
    store = TickStore(settings.model_copy(update={"max_records": MOST}))
    as_of = int(now_ms()) // 1000 * 1000
    score = (lambda ms: ms + 7200_000) if kind == "far ahead" else UNITS[kind]
    for number in range(30):
        flood = [score(as_of + n) for n in range(number * 100, number * 100 + 100)]
        add(redis_client, QUOTES, flood, f"{number} odd %d")
        one = quote(at=(as_of - START_MS) / 1000 - 29.5 + number, seq=number)
        redis_client.zadd(QUOTES, {quote_member(one): one.stamp})
        store.run_tick("X", as_of - 29_000 + number * 1000)

    assert redis_client.zcount(QUOTES, as_of - 60_000, as_of) == 30
    if kind == "far ahead":
        assert redis_client.zcard(QUOTES) <= MOST + 1100


@pytest.mark.parametrize("seed", range(30))
def test_whatever_a_key_holds_it_is_bounded_and_loses_no_more_than_it_must(
    redis_client: redis.Redis, trimmer: RecordTrimmer, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    scores: list[float] = []
    for _ in range(draw.randrange(1, 8)):
        unit = UNITS[draw.choice([*UNITS, "ms", "ms"])]
        newest = draw.choice([-200_000, -3000, -2, 0, 30, 70])
        spread = draw.choice([1, 45, 300])
        scores += [unit(ms) for ms in ages(newest, newest + spread, draw.randrange(1, 1500))]
    scores += draw.sample([0.0, 1e11, 1e16, 1e300, float("inf"), float("-inf")], 3)
    add(redis_client, QUOTES, scores)
    before = dict(redis_client.zrange(QUOTES, 0, -1, withscores=True))
    began = now_ms()

    trim(trimmer, slices=30)

    left = dict(redis_client.zrange(QUOTES, 0, -1, withscores=True))
    kept_ms = [s for s in before.values() if began - 60_000 + 5000 <= s <= began + 5000]
    left_ms = [s for s in left.values() if began - 60_000 + 5000 <= s <= began + 5000]
    assert len(left) <= MOST
    assert all(is_plausible(score, began, now_ms()) for score in left.values())
    assert sorted(left_ms) == sorted(kept_ms)[-MOST:]


def is_plausible(score: float, began_ms: float, ended_ms: float) -> bool:
    """Return whether some unit makes a score no older than a minute and no day ahead."""
    oldest_ms, newest_ms = began_ms - 60_000, ended_ms + 86_400_000
    return any(unit(oldest_ms) <= score <= unit(newest_ms) for unit in UNITS.values())


def test_late_records_are_counted_right_after_others_were_trimmed(
    redis_client: redis.Redis, trimmer: RecordTrimmer, settings: Settings
) -> None:
    publish(redis_client, "X", stream(*(quote(at=n / 5, bid_size=100 + n) for n in range(100))))
    TickStore(settings).run_tick("X", second(20))
    redis_client.delete(METRICS)  # as expired
    trim(trimmer)
    assert not redis_client.exists(QUOTES)
    late = [quote(at=at, seq=900 + round(at)) for at in (3, 10, 15)]
    publish(redis_client, "X", [*late, quote(at=45, seq=999)])

    report = TickStore(settings).run_tick("X", second(46))

    assert report.oddities == {"late": 3}
