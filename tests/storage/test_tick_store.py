"""A tick's side of Redis: what it writes, and that nothing but the records decides it."""

import json
import random
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import redis

from app.analysis.engine import Engine
from app.analysis.patterns.walls import Walls
from app.analysis.records import Batch, Quote, Trade
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.storage.tick import codec
from app.storage.tick.fold import TickReport
from app.storage.tick_store import TickStore
from tests.broker import publish, quote_member, trade_member
from tests.builders import START_MS, quote, second, stream, trade
from tests.strategies import Flavour

TICKER = "SPY"
OURS = {b"metrics", b"patterns", b"levels", b"bars", b"state"}
Records = list[Quote | Trade]
NewStore = Callable[[], TickStore]


@pytest.fixture
def new_store(settings: Settings) -> NewStore:
    """Return a function that makes workers' stores, which share nothing but Redis."""
    return lambda: TickStore(settings)


@pytest.fixture
def store(new_store: NewStore) -> TickStore:
    """Give one worker's store."""
    return new_store()


def busy_feed(seed: int = 1, records: int = 400) -> Records:
    flavour = Flavour(seed, records, 0.3, 1.0, 0.05, 0.0, 1.0, 0.4)
    return flavour.stream()


def upto(records: Records, end: int, start: float = 0.0) -> Records:
    return [record for record in records if start < record.stamp <= end]


def published(client: redis.Redis) -> dict[str, Any]:
    """Everything that a reader may see of the ticker, in a comparable form."""
    windows = {w: client.hgetall(f"orderflow:metrics:{TICKER}:{w}") for w in WINDOWS}
    return {
        **windows,
        "patterns": sorted(client.zrange(f"orderflow:patterns:{TICKER}", 0, -1, withscores=True)),
        "bid": client.zrange(f"orderflow:levels:{TICKER}:bid", 0, -1, withscores=True),
        "ask": client.zrange(f"orderflow:levels:{TICKER}:ask", 0, -1, withscores=True),
        "bars": client.xrange(f"orderflow:bars:{TICKER}"),
    }


def run(
    client: redis.Redis, records: Records, ends: Iterable[int], stores: Callable[[int], TickStore]
) -> dict[int, dict[str, Any]]:
    """Feed and tick; returns what was published at each end."""
    client.flushall()
    seen: dict[int, dict[str, Any]] = {}
    done = 0.0
    for number, end in enumerate(ends):
        publish(client, TICKER, upto(records, end, done))
        stores(number).run_tick(TICKER, end)
        seen[end] = published(client)
        done = end
    return seen


def ends_of(records: Records, step: int = 1) -> list[int]:
    first = -(-int(records[0].stamp) // 1000) * 1000
    last = -(-int(records[-1].stamp) // 1000) * 1000 + 8000
    return [*range(first, last, step * 1000), last]


def test_every_tick_publishes_what_the_engine_says_without_redis(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed()
    ends = ends_of(records)
    engine = Engine.new(TICKER)
    seen = run(redis_client, records, ends, lambda _: store)

    done = 0.0
    for end in ends:
        analysis = engine.advance(Batch(upto(records, end, done), []), end)
        done = end
        for window in WINDOWS:
            fields = codec.window_fields(analysis, window)
            assert {k.decode(): v.decode() for k, v in seen[end][window].items()} == fields


def test_any_worker_goes_on_where_another_stopped(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(2)
    ends = ends_of(records)
    one = new_store()
    calm = run(redis_client, records, ends, lambda _: one)

    workers = [new_store(), new_store()]
    shaken = run(
        redis_client, records, ends, lambda n: new_store() if n % 7 == 0 else workers[n % 2]
    )

    assert shaken == calm


def test_skipped_ticks_change_nothing_of_what_comes_after(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(3)
    ends = ends_of(records)
    one = new_store()
    calm = run(redis_client, records, ends, lambda _: one)
    draw = random.Random(3)  # noqa: S311
    some = [end for end in ends[:-1] if draw.random() < 0.3] + ends[-1:]
    other = new_store()

    shaken = run(redis_client, records, some, lambda _: other)

    assert [shaken[end] for end in some] == [calm[end] for end in some]


def test_an_overtaken_worker_writes_nothing(redis_client: redis.Redis, new_store: NewStore) -> None:
    records = busy_feed(4)
    publish(redis_client, TICKER, records)
    slow, quick = new_store(), new_store()
    slow.run_tick(TICKER, second(10))
    quick.run_tick(TICKER, second(20))
    before = published(redis_client)

    report = slow.run_tick(TICKER, second(15))

    assert report.outcome == "overtaken"
    assert published(redis_client) == before


def test_a_write_after_anothers_is_refused(
    redis_client: redis.Redis, new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that froze between its read and its write."""
    publish(redis_client, TICKER, busy_feed(5))
    frozen, quick = new_store(), new_store()
    quick.run_tick(TICKER, second(5))
    read = frozen.reads.read_new  # the one place between read and write

    def read_then_sleep(*args: Any) -> Any:
        found = read(*args)
        quick.run_tick(TICKER, second(10))
        return found

    monkeypatch.setattr(frozen.reads, "read_new", read_then_sleep)
    report = frozen.run_tick(TICKER, second(9))

    assert report.outcome == "overtaken"
    assert redis_client.hget(f"orderflow:state:{TICKER}", "as_of") == b"%d" % second(10)


def test_each_event_is_one_member_however_often_it_changes(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed(6, records=900)
    run(redis_client, records, ends_of(records, step=2), lambda _: store)

    members = redis_client.zrange(f"orderflow:patterns:{TICKER}", 0, -1, withscores=True)
    events = [(json.loads(member), score) for member, score in members]

    assert len(events) > 10
    assert len({event["id"] for event, _ in events}) == len(events)
    assert all(event["opened_at"] == score for event, score in events)


def test_the_state_names_the_open_events_whoever_ticks(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    workers, told = (new_store(), new_store()), []

    def next_worker(number: int) -> TickStore:
        lines = redis_client.hget(f"orderflow:state:{TICKER}", "open")
        if lines is not None:
            told.append((open_events(redis_client), {line for line in lines.split(b"\n") if line}))
        return workers[number // 7 % 2]

    records = busy_feed(6, records=900)
    run(redis_client, records, ends_of(records), next_worker)

    assert len(told) == len(ends_of(records)) - 1
    assert all(lines == open_ones for open_ones, lines in told)
    assert len({frozenset(lines) for _, lines in told}) > 10


def test_open_events_that_others_deleted_come_back_within_ten_seconds(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    records = busy_feed(6, records=900)
    ends = ends_of(records)[:71]
    whole = new_store()
    run(redis_client, records, ends, lambda _: whole)
    open_ones = open_events(redis_client)

    disturbed = new_store()
    run(redis_client, records, ends[:60], lambda _: disturbed)
    redis_client.delete(f"orderflow:patterns:{TICKER}")
    redis_client.hdel(f"orderflow:state:{TICKER}", "open")
    publish(redis_client, TICKER, upto(records, ends[70], ends[59]))
    for end in ends[60:]:
        disturbed.run_tick(TICKER, end)

    assert any(json.loads(member)["opened_at"] < ends[59] for member in open_ones)
    assert open_events(redis_client) == open_ones
    lines = redis_client.hget(f"orderflow:state:{TICKER}", "open")
    assert lines is not None
    assert set(lines.split(b"\n")) == open_ones


def open_events(client: redis.Redis) -> set[bytes]:
    members = client.zrange(f"orderflow:patterns:{TICKER}", 0, -1)
    return {member for member in members if b'"status":"open"' in member}


def test_each_level_is_one_member_a_price_scored_by_size_and_appearances(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed(7)
    run(redis_client, records, ends_of(records), lambda _: store)

    for side in ("bid", "ask"):
        members = redis_client.zrange(f"orderflow:levels:{TICKER}:{side}", 0, -1, withscores=True)
        levels = [(json.loads(member), score) for member, score in members]
        assert 0 < len(levels) <= 20
        assert len({level["price"] for level, _ in levels}) == len(levels)
        for level, score in levels:
            assert score == pytest.approx(level["size"] * level["appearances"], rel=1e-12)


def test_keys_live_as_long_as_the_contract_says(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed(8)
    run(redis_client, records, ends_of(records), lambda _: store)

    lifetimes = {key.decode(): redis_client.ttl(key) for key in redis_client.keys("orderflow:*")}

    contract = {
        f"orderflow:metrics:{TICKER}:10s": 60,
        f"orderflow:metrics:{TICKER}:1min": 300,
        f"orderflow:metrics:{TICKER}:5min": 600,
        f"orderflow:patterns:{TICKER}": 3600,
        f"orderflow:levels:{TICKER}:bid": 3600,
        f"orderflow:levels:{TICKER}:ask": 3600,
        f"orderflow:bars:{TICKER}": 7800,
        f"orderflow:state:{TICKER}": 604800,
    }
    for key, seconds in contract.items():
        assert seconds - 60 <= lifetimes[key] <= seconds


def lifetimes(client: redis.Redis) -> dict[str, int]:
    """Return the time to live of each of our keys in seconds, -1 where it has none."""
    ours = [key for key in client.keys("orderflow:*") if key.split(b":")[1] in OURS]
    return {key.decode(): int(client.ttl(key)) for key in ours}


def test_no_key_is_ever_without_a_lifetime(redis_client: redis.Redis, store: TickStore) -> None:
    """Whatever the ticker's turn is: who stops then leaves nothing behind for ever."""
    records = busy_feed(8)
    done = 0.0
    for end in ends_of(records)[:25]:
        publish(redis_client, TICKER, upto(records, end, done))
        store.run_tick(TICKER, end)
        done = end

        assert [key for key, left in lifetimes(redis_client).items() if left < 0] == []


def test_bars_that_were_deleted_come_back_with_a_lifetime(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed(8)
    ends = ends_of(records)
    run(redis_client, records, ends[:15], lambda _: store)
    redis_client.delete(f"orderflow:bars:{TICKER}")

    publish(redis_client, TICKER, upto(records, ends[15], ends[14]))
    store.run_tick(TICKER, ends[15])

    assert lifetimes(redis_client)[f"orderflow:bars:{TICKER}"] > 0


@pytest.mark.parametrize("first", [0, 1])
def test_a_ticker_that_is_never_ticked_at_its_turn_is_kept_house_of_all_the_same(
    redis_client: redis.Redis, settings: Settings, first: int
) -> None:
    """Of every other second one choice misses all turns of ten seconds."""
    store = TickStore(settings.model_copy(update={"retention_seconds": 300}))
    records = stream(
        *(quote(at=n / 2, bid=10 + n % 3, bid_size=100 + n % 7) for n in range(1, 900))
    )
    done = 0.0
    for number in range(2 + first, 420, 2):
        end = second(number)
        publish(redis_client, TICKER, upto(records, end, done))
        if number == 380 + first:
            for key in lifetimes(redis_client):
                redis_client.expire(key, 20)
        store.run_tick(TICKER, end)
        done = end

    assert [key for key, left in lifetimes(redis_client).items() if left <= 20] == []
    oldest = redis_client.zrange(f"orderflow:quotes:{TICKER}", 0, 0, withscores=True)[0][1]
    assert oldest >= done - 300_000 - 12_000


def late_run(
    client: redis.Redis, store: TickStore, records: Records, late: Records, at_second: int
) -> dict[int, dict[str, Any]]:
    """Withhold some records until after a tick has passed them."""
    client.flushall()
    seen = {}
    on_time = [record for record in records if record not in late]
    for number in range(1, 30):
        end = second(number)
        publish(client, TICKER, upto(on_time, end, end - 1000))
        if number == at_second:
            publish(client, TICKER, late)
        store.run_tick(TICKER, end)
        seen[number] = published(client)
    return seen


def numbers(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    apart = (b"quality", b"behaviors", b"last_sweep", b"log_ofi", b"large_", b"rank")
    return {k: v for k, v in fields.items() if not k.startswith(apart)}


def test_records_up_to_two_seconds_late_enter_the_windows_and_are_counted(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    steps = range(1, 60)
    records = stream(
        *(quote(at=n / 2, bid=10 + n % 3 / 100, bid_size=100 + n) for n in steps),
        *(trade(at=n / 2 + 0.1, size=10 + n, aggressor="buy") for n in steps),
    )
    late = [record for record in records if second(9.2) < record.stamp <= second(9.9)]
    calm = late_run(redis_client, new_store(), records, [], 11)

    seen = late_run(redis_client, new_store(), records, late, 11)

    assert len(late) == 2
    assert numbers(seen[10]["10s"]) != numbers(calm[10]["10s"])
    assert json.loads(seen[11]["10s"][b"quality"]) == {"late": 2}
    for number in range(11, 30):
        for window in WINDOWS:
            assert numbers(seen[number][window]) == numbers(calm[number][window])


@pytest.mark.parametrize("lives_seconds", [1, 2, 3])
def test_late_records_of_a_young_ticker_enter_the_windows_and_are_counted_once(
    redis_client: redis.Redis, store: TickStore, lives_seconds: int
) -> None:
    first, late = quote(at=0.5, seq=0), quote(at=0.7, bid=10.01, seq=1)
    late.stamp += (lives_seconds - 1) * 1000.0
    publish(redis_client, TICKER, [first])
    for number in range(1, lives_seconds + 1):
        store.run_tick(TICKER, second(number))
    publish(redis_client, TICKER, [late])

    totals = totals_of([store.run_tick(TICKER, second(lives_seconds + n)) for n in range(1, 5)])

    fields = published(redis_client)["10s"]
    assert (fields[b"quote_count"], fields[b"bid_price"]) == (b"2", b"10.01")
    assert json.loads(fields[b"quality"]) == {"late": 1}
    assert totals == {"late": 1}


def test_late_records_before_a_tickers_first_second_are_only_counted(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, [quote(at=2.5, seq=1)])
    store.run_tick(TICKER, second(3))
    publish(redis_client, TICKER, [quote(at=1.9, bid=9.0, seq=0)])

    totals = totals_of([store.run_tick(TICKER, second(number)) for number in range(4, 8)])

    fields = published(redis_client)["10s"]
    assert (fields[b"quote_count"], fields[b"bid_lift_count"]) == (b"1", b"0")
    assert json.loads(fields[b"quality"]) == {"late": 1}
    assert totals == {"late": 1}


def test_records_later_than_two_seconds_are_counted_and_change_no_number(
    redis_client: redis.Redis, store: TickStore, new_store: NewStore
) -> None:
    records = stream(*(quote(at=n / 2, bid_size=100 + n) for n in range(1, 60)))
    late = [record for record in records if second(5.9) < record.stamp <= second(6.1)]
    without = [record for record in records if record not in late]
    calm = late_run(redis_client, new_store(), without, [], 11)

    seen = late_run(redis_client, store, records, late, 11)

    assert json.loads(seen[11]["10s"][b"quality"]) == {"late": 1}
    assert numbers(seen[11]["1min"]) == numbers(calm[11]["1min"])
    assert numbers(seen[29]["1min"]) == numbers(calm[29]["1min"])


def test_duplicates_change_nothing(
    redis_client: redis.Redis, store: TickStore, new_store: NewStore
) -> None:
    records = busy_feed(9, records=200)
    ends = ends_of(records)[:20]
    calm = run(redis_client, records, ends, lambda _: new_store())
    redis_client.flushall()
    for end in ends:
        now = upto(records, end, end - 1000)
        publish(redis_client, TICKER, now)
        for record in now:
            is_quote = isinstance(record, Quote)
            member = json.loads(quote_member(record) if is_quote else trade_member(record))
            key = f"orderflow:{'quotes' if is_quote else 'trades'}:{TICKER}"
            redis_client.zadd(key, {json.dumps(member | {"again": 1}): record.stamp})
        store.run_tick(TICKER, end)

    seen = published(redis_client)

    last = calm[ends[-1]]
    assert json.loads(seen["1min"][b"quality"])["duplicate"] > 10
    for window in WINDOWS:
        assert numbers(seen[window]) == numbers(last[window])
    assert seen["patterns"] == last["patterns"]


BROKEN = [
    ("quotes", "", "not_json"),
    ("quotes", "[1, 2]", "not_json"),
    ("quotes", '{"bid_price": 1, "bid_size": 1, "ask_price": 2}', "missing_number"),
    (
        "quotes",
        '{"bid_price": null, "bid_size": 1, "ask_price": 2, "ask_size": 1}',
        "missing_number",
    ),
    (
        "quotes",
        '{"bid_price": true, "bid_size": 1, "ask_price": 2, "ask_size": 1}',
        "boolean_number",
    ),
    ("quotes", '{"bid_price": "inf", "bid_size": 1, "ask_price": 2, "ask_size": 1}', "not_finite"),
    ("quotes", '{"bid_price": 1, "bid_size": -1, "ask_price": 2, "ask_size": 1}', "negative_size"),
    (
        "quotes",
        '{"bid_price": 0, "bid_size": 1, "ask_price": 2, "ask_size": 1}',
        "non_positive_price",
    ),
    (
        "quotes",
        '{"bid_price": 1e300, "bid_size": 1, "ask_price": 2, "ask_size": 1}',
        "out_of_range",
    ),
    ("quotes", '{"bid_price": 1, "note": "' + "x" * 5000 + '"}', "too_long"),
    ("trades", '{"price": 1, "size": 0}', "zero_size"),
    ("trades", '{"price": -1, "size": 1}', "non_positive_price"),
    ("trades", '{"size": 1}', "missing_number"),
]


def test_a_thousand_broken_records_change_no_number_and_are_counted_by_reason(
    redis_client: redis.Redis, store: TickStore, new_store: NewStore
) -> None:
    records = busy_feed(10, records=400)
    ends = ends_of(records)[:40]
    calm = run(redis_client, records, ends, lambda _: new_store())
    redis_client.flushall()
    sent: dict[str, int] = {}
    oddities: dict[str, int] = {}
    for number, end in enumerate(ends):
        publish(redis_client, TICKER, upto(records, end, end - 1000))
        for kind, member, reason in BROKEN * 2:
            mark = f"{member} " + " " * (sum(sent.values()) % 900)
            redis_client.zadd(f"orderflow:{kind}:{TICKER}", {mark: end - 500 + number})
            sent[reason] = sent.get(reason, 0) + 1
        for name, count in store.run_tick(TICKER, end).oddities.items():
            oddities[name] = oddities.get(name, 0) + count

    seen = published(redis_client)

    assert sum(sent.values()) > 1000
    assert {name: oddities.get(name) for name in sent} == sent
    assert json.loads(seen["5min"][b"quality"])["rejected"] == sent
    for window in WINDOWS:
        assert numbers(seen[window]) == numbers(calm[ends[-1]][window])
    assert seen["patterns"] == calm[ends[-1]]["patterns"]


def test_a_detector_that_fails_is_named_and_the_rest_is_written(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed(11)
    publish(redis_client, TICKER, records)
    store.run_tick(TICKER, second(21))
    # So that its next look at a size fails.
    detectors = store._warm[TICKER].engine.state.detectors  # noqa: SLF001
    next(it for it in detectors if isinstance(it, Walls)).sides = []

    report = store.run_tick(TICKER, second(30))

    assert list(report.failed_detectors) == ["wall"]
    quality = json.loads(published(redis_client)["10s"][b"quality"])
    assert quality["failed_detectors"] == ["wall"]
    assert int(published(redis_client)["10s"][b"quote_count"]) > 0


def test_the_tick_size_stands_in_the_state_from_when_it_is_known(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    rising = stream(*(quote(at=n + 0.5, bid=10 + n / 50, ask=20) for n in range(30)))
    publish(redis_client, TICKER, rising)
    workers = [new_store(), new_store()]

    seen = []
    for number in range(1, 31):
        workers[number // 10 % 2].run_tick(TICKER, second(number))
        seen.append(redis_client.hget(f"orderflow:state:{TICKER}", "tick"))

    # Known with the twentieth distinct price, the ask's among them.
    assert seen == [None] * 18 + [b"2000000"] * 12


def test_lost_state_is_rebuilt_from_the_records_and_said(
    redis_client: redis.Redis, store: TickStore
) -> None:
    records = busy_feed(12)
    publish(redis_client, TICKER, records)
    store.run_tick(TICKER, second(20))
    redis_client.delete(f"orderflow:state:{TICKER}")

    store.run_tick(TICKER, second(21))

    quality = json.loads(published(redis_client)["10s"][b"quality"])
    assert quality["rebuilt_at"] == second(21)


def test_unreadable_state_is_set_aside_and_rebuilt(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    publish(redis_client, TICKER, busy_feed(13))
    new_store().run_tick(TICKER, second(20))
    redis_client.hset(f"orderflow:state:{TICKER}", "blob", b"\xc1 nonsense")

    store = new_store()
    store.run_tick(TICKER, second(21))
    store.run_tick(TICKER, second(22))

    assert redis_client.hget(f"orderflow:bad:state:{TICKER}", "blob") == b"\xc1 nonsense"
    assert json.loads(published(redis_client)["10s"][b"quality"])["rebuilt_at"] == second(22)


def test_keys_of_the_wrong_type_are_set_aside(redis_client: redis.Redis, store: TickStore) -> None:
    publish(redis_client, TICKER, busy_feed(14))
    for kind in ("state", "bars", "patterns", "levels"):
        suffix = ":bid" if kind == "levels" else ""
        redis_client.set(f"orderflow:{kind}:{TICKER}{suffix}", "no such thing")

    report = store.run_tick(TICKER, second(20))

    assert report.outcome == "written"
    aside = {key.decode() for key in redis_client.keys("orderflow:bad:*")}
    assert aside == {f"orderflow:bad:{k}:{TICKER}" for k in ("state", "bars", "patterns")} | {
        f"orderflow:bad:levels:{TICKER}:bid"
    }


def test_a_newer_engines_state_is_left_alone(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    publish(redis_client, TICKER, busy_feed(15))
    new_store().run_tick(TICKER, second(10))
    redis_client.hset(f"orderflow:state:{TICKER}", mapping={"engine": "999", "version": "theirs"})
    before = published(redis_client)

    report = new_store().run_tick(TICKER, second(11))

    assert report.outcome == "outdated"
    assert published(redis_client) == before


def test_what_waits_is_folded_in_pieces_and_said(
    redis_client: redis.Redis, new_store: NewStore
) -> None:
    feed = stream(*(quote(at=1 + n / 500, bid_size=100 + n % 7) for n in range(30_000)))
    publish(redis_client, TICKER, feed)
    store = new_store()
    reports: list[TickReport] = []
    as_of = second(62)
    while not reports or reports[-1].behind_seconds > 0:
        reports.append(store.run_tick(TICKER, as_of))
        as_of += 1000
        assert len(reports) < 60

    assert len(reports) > 1
    assert sum(report.folded_records for report in reports) == len(feed)
    engine = Engine.new(TICKER)
    analysis = engine.advance(Batch(feed, []), as_of - 1000)
    fields = published(redis_client)["1min"]
    assert float(fields[b"ofi"]) == analysis.metrics["1min"]["ofi"]


def test_records_beyond_the_most_are_trimmed_and_unfolded_ones_show_as_a_gap(
    redis_client: redis.Redis, settings: Settings
) -> None:
    small = settings.model_copy(update={"max_records": 1000})
    store = TickStore(small)
    housekeeping = next(n for n in range(20, 40) if _keeps_house(second(n)))
    publish(redis_client, TICKER, [quote(at=n / 100, seq=n) for n in range(1500)])

    store.run_tick(TICKER, second(housekeeping))

    assert redis_client.zcard(f"orderflow:quotes:{TICKER}") == 1000


def _keeps_house(as_of: int) -> bool:
    return (as_of // 1000 + zlib.crc32(TICKER.encode())) % 10 == 0


@pytest.mark.parametrize(
    ("score", "name"),
    [
        (START_MS / 1e3, "seconds_not_ms"),
        (0, "seconds_not_ms"),
        (START_MS * 1e3, "not_ms"),
        (START_MS * 1e6, "not_ms"),
        (float("inf"), "not_ms"),
    ],
)
def test_scores_that_are_no_milliseconds_are_counted_and_change_no_number(
    redis_client: redis.Redis, store: TickStore, new_store: NewStore, score: float, name: str
) -> None:
    records = busy_feed(16)
    ends = [second(number) for number in range(1, 25)]
    calm = run(redis_client, records, ends, lambda _: new_store())
    redis_client.flushall()
    publish(redis_client, TICKER, upto(records, ends[-1]))
    redis_client.zadd(f"orderflow:quotes:{TICKER}", {quote_member(quote(at=1)): score})
    redis_client.zadd(f"orderflow:trades:{TICKER}", {trade_member(trade(at=1)): score})

    for end in ends:
        store.run_tick(TICKER, end)

    seen = published(redis_client)
    counts = json.loads(seen["10s"][b"quality"])
    assert counts == json.loads(calm[ends[-1]]["10s"][b"quality"]) | {name: 2}
    for window in WINDOWS:
        assert numbers(seen[window]) == numbers(calm[ends[-1]][window])


def test_records_ahead_of_the_clock_wait_for_their_time(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, [quote(at=1, seq=1), quote(at=20, seq=2)])

    store.run_tick(TICKER, second(2))

    fields = published(redis_client)["10s"]
    assert fields[b"quote_count"] == b"1"
    assert json.loads(fields[b"quality"])["ahead"] == 1
    store.run_tick(TICKER, second(20))
    assert published(redis_client)["1min"][b"quote_count"] == b"2"


def totals_of(reports: Iterable[TickReport]) -> dict[str, int]:
    """Add up the counts that ticks report, which become the totals of status and Prometheus."""
    totals: dict[str, int] = {}
    for report in reports:
        for name, count in report.oddities.items():
            totals[name] = totals.get(name, 0) + count
    return totals


def counted(client: redis.Redis, window: str = "5min") -> dict[str, int]:
    """Return the counts of a window's quality, those of rejected records among them."""
    quality = json.loads(published(client)[window][b"quality"])
    return {**quality.pop("rejected", {}), **quality}


@pytest.mark.parametrize("seconds_late", [0.5, 1.5, 2.5, 8, 30])
@pytest.mark.parametrize("kind", [quote, trade])
def test_the_total_of_late_records_is_what_answers_count(
    redis_client: redis.Redis,
    store: TickStore,
    kind: Callable[..., Quote | Trade],
    seconds_late: float,
) -> None:
    reports = []
    for number in range(1, 61):
        publish(redis_client, TICKER, [quote(at=number - 0.5, bid_size=100 + number, seq=number)])
        if number == 50:
            stamps = [number - seconds_late - n / 1000 for n in range(50)]
            late = [kind(at=at, seq=1000 + n) for n, at in enumerate(stamps)]
            publish(redis_client, TICKER, late)
        reports.append(store.run_tick(TICKER, second(number)))

    arrived_behind = 50 if seconds_late > 1 else 0
    assert counted(redis_client).get("late", 0) == arrived_behind
    assert totals_of(reports).get("late", 0) == arrived_behind


def test_a_late_record_after_a_silence_is_counted(
    redis_client: redis.Redis, store: TickStore
) -> None:
    publish(redis_client, TICKER, [quote(at=0.5, seq=1), quote(at=1.2, seq=3)])
    reports = [store.run_tick(TICKER, second(number)) for number in range(1, 310)]
    publish(redis_client, TICKER, [quote(at=308.5, seq=4), quote(at=0.7, seq=2)])

    reports.append(store.run_tick(TICKER, second(310)))

    assert totals_of(reports) == {"late": 2}


# One record of each oddity that a window's quality counts: its kind, the member, its lateness in s.
ODD_QUOTE = '{"bid_price":%s,"bid_size":%s,"ask_price":%s,"ask_size":%s,"seq":%d}'
ODD = [
    ("quotes", ODD_QUOTE % (10.1, 5, 10.0, 5, 5001), "crossed"),
    ("quotes", ODD_QUOTE % (10.0, 5, 10.0, 5, 5002), "locked"),
    ("quotes", ODD_QUOTE % (10.0, 0, 10.1, 5, 5003), "one_sided"),
    ("quotes", '{"bid_price":10,"bid_size":5,"ask_price":10.1,"ask_size":5}', "unnumbered"),
    ("trades", '{"timestamp":5,"price":10,"size":5,"seq":5005}', "stamp_mismatch"),
    *BROKEN,
]


@pytest.mark.parametrize("seconds_late", [0.5, 1.7])
def test_every_total_is_what_answers_count(
    redis_client: redis.Redis, new_store: NewStore, seconds_late: float
) -> None:
    store, reports = new_store(), []
    for number in range(1, 61):
        publish(redis_client, TICKER, [quote(at=number - 0.5, bid_size=100 + number, seq=number)])
        at = second(number - seconds_late)
        if number % 4 == 0:
            kind, member, _ = ODD[number // 4 % len(ODD)]
            redis_client.zadd(f"orderflow:{kind}:{TICKER}", {f"{member} {' ' * number}": at})
        if number == 30:
            again = json.loads(quote_member(quote(at=30 - seconds_late, seq=7000)))
            key = f"orderflow:quotes:{TICKER}"
            redis_client.zadd(key, {json.dumps(again | {"n": n}): at for n in range(2)})
        if number % 7 == 0:
            store = new_store()
        reports.append(store.run_tick(TICKER, second(number)))

    counts = counted(redis_client)
    assert totals_of(reports) == counts
    assert len(counts) >= 10
    assert ("late" in counts) == (seconds_late > 1)
