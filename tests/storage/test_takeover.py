"""A worker that takes a ticker over publishes and stores what the one before would have."""

import itertools
from collections.abc import Callable

import pytest
import redis
from redis.exceptions import ConnectionError as Disconnected

from app.core.settings import Settings
from app.storage import tick_reads
from app.storage.engine_restore import EngineRestorer
from app.storage.keys import Keys
from app.storage.tick import codec
from app.storage.tick.write import HOUSEKEEPING_SECONDS, is_housekeeping_turn
from app.storage.tick_reads import TickReads
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.builders import START_MS, quote, second, stream, trade
from tests.storage.test_tick_store import TICKER, Records, published

pytestmark = pytest.mark.redis

STATE = f"orderflow:state:{TICKER}"
QUOTES = f"orderflow:quotes:{TICKER}"


def steady(start: float, end: float, rate: float = 5) -> Records:
    """Make quotes at a rate and a print a second, numbered by their time."""
    quotes = [
        quote(at=start + n / rate, bid_size=100 + n % 7) for n in range(int((end - start) * rate))
    ]
    prints = [trade(at=start + n + 0.3) for n in range(int(end - start))]
    records = stream(*quotes, *prints)
    for number, record in enumerate(records):
        record.seq = int(start * 1000) + number
    return records


def ticked(store: TickStore, *seconds: int) -> list[str]:
    return [store.run_tick(TICKER, second(number)).outcome for number in seconds]


def as_of(client: redis.Redis) -> int:
    return int(client.hget(STATE, "as_of") or 0) - START_MS


@pytest.mark.parametrize("taken_over_at", [0, 105, 112, 140])
def test_lost_seconds_are_uncovered_whoever_adds_them_up(
    redis_client: redis.Redis, settings: Settings, taken_over_at: int
) -> None:
    publish(redis_client, TICKER, steady(0, 60))
    store = TickStore(settings)
    ticked(store, *range(1, 61))
    publish(redis_client, TICKER, [trade(at=70.0 + n, seq=90_000 + n) for n in range(20)])
    redis_client.hset(STATE, "lost_to", second(100.5))
    publish(redis_client, TICKER, steady(100.5, 160))
    for number in range(101, 160):
        store = TickStore(settings) if number == taken_over_at else store
        assert ticked(store, number) == ["written"]

    covered = redis_client.hget(f"orderflow:metrics:{TICKER}:5min", "covered_seconds")
    assert float(covered or 0) == pytest.approx(60 + 58.5, abs=0.01)


def test_a_ticker_whose_quotes_were_trimmed_goes_on_though_older_trades_wait(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_reads, "MAX_RECORDS_READ", 80)
    settings = settings.model_copy(update={"max_records": 1000})
    store = TickStore(settings)
    publish(redis_client, TICKER, steady(0, 20))
    ticked(store, *range(1, 21))
    publish(redis_client, TICKER, steady(20, 140, rate=60))

    assert set(ticked(store, *range(140, 170))) == {"written"}
    assert redis_client.zcard(QUOTES) <= 2000
    assert as_of(redis_client) == 169_000


def test_a_sleeping_ticker_can_be_taken_over(redis_client: redis.Redis, settings: Settings) -> None:
    publish(redis_client, TICKER, steady(0, 10))
    store = TickStore(settings)
    for number in range(11, 400):
        broken = f'{{"bid_price":1,"bid_size":-1,"ask_price":2,"ask_size":1,"seq":{number}}}'
        redis_client.zadd(QUOTES, {broken: second(number) - 500})
    ticked(store, *range(1, 336))
    publish(redis_client, TICKER, steady(341, 400))

    assert set(ticked(TickStore(settings), *range(336, 400))) == {"written"}


def test_what_stood_before_a_long_silence_is_known_to_who_takes_over(
    redis_client: redis.Redis, settings: Settings
) -> None:
    def run(store_of: Callable[[int], TickStore]) -> list[object]:
        redis_client.flushall()
        publish(redis_client, TICKER, steady(0, 30))
        publish(redis_client, TICKER, steady(600.25, 640))
        for number in [*range(1, 35), *range(600, 640)]:
            store_of(number).run_tick(TICKER, second(number))
        return list(published(redis_client).values())

    first, calm = TickStore(settings), TickStore(settings)
    often = run(lambda number: TickStore(settings) if number > 605 else first)
    assert often == run(lambda _: calm)


def test_silence_before_a_loss_is_no_loss_to_who_takes_over(
    redis_client: redis.Redis, settings: Settings
) -> None:
    def run(store_of: Callable[[int], TickStore]) -> list[object]:
        redis_client.flushall()
        publish(redis_client, TICKER, steady(0, 30))
        for number in [*range(1, 35), 399]:
            store_of(number).run_tick(TICKER, second(number))
        redis_client.hset(STATE, "lost_to", second(399.6))
        for number in range(400, 404):
            store_of(number).run_tick(TICKER, second(number))
        return list(published(redis_client).values())

    first, calm = TickStore(settings), TickStore(settings)
    often = run(lambda number: TickStore(settings) if number > 401 else first)
    assert often == run(lambda _: calm)
    covered = redis_client.hget(f"orderflow:metrics:{TICKER}:5min", "covered_seconds")
    assert float(covered or 0) > 290


def test_a_size_of_minus_zero_is_a_size_of_zero(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(0, 5))
    empty = b'{"bid_price":10,"bid_size":-0.0,"ask_price":10.05,"ask_size":100.0,"seq":99000}'
    redis_client.zadd(QUOTES, {empty: second(5.5)})
    seen = []
    for store in (TickStore(settings), TickStore(settings)):
        redis_client.delete(STATE)
        ticked(store, 6, 7)
        seen.append(redis_client.hget(f"orderflow:metrics:{TICKER}:10s", "bid_size"))

    assert seen == [b"0.0", b"0.0"]


def test_a_worker_that_lost_its_connection_between_reads_writes_nothing(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    *records, late = steady(0, 40), quote(at=19.81, seq=77_777)
    publish(redis_client, TICKER, records[0])
    slow, quick = TickStore(settings), TickStore(settings)
    ticked(slow, *range(1, 21))
    publish(redis_client, TICKER, [late])
    look = TickReads._read_late_records  # noqa: SLF001

    def frozen(reads: TickReads, *rest: object) -> None:
        monkeypatch.undo()
        ticked(quick, *range(21, 31))
        redis_client.client_kill_filter(_type="normal", skipme=True)
        look(reads, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TickReads, "_read_late_records", frozen)
    with pytest.raises(Disconnected):
        slow.run_tick(TICKER, second(21))
    assert as_of(redis_client) == 30_000
    assert ticked(slow, 30, 31) == ["overtaken", "written"]


def test_a_worker_overtaken_before_it_reads_a_full_second_writes_nothing(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(redis_client, TICKER, steady(0, 5))
    slow, quick = TickStore(settings), TickStore(settings)
    ticked(slow, *range(1, 6))
    publish(redis_client, TICKER, steady(5, 9, rate=6000))
    read_more = TickReads._read_more  # noqa: SLF001

    def frozen(reads: TickReads, *rest: object) -> bool:
        monkeypatch.undo()
        ticked(quick, *range(6, 9))
        return read_more(reads, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TickReads, "_read_more", frozen)
    assert ticked(slow, 6) == ["overtaken"]
    assert as_of(redis_client) == 8000


def test_a_lone_ticker_of_a_worker_stays_warm(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(0, 60))
    store = TickStore(settings)
    whole = 0
    for number in range(1, 41):
        store.begin_tick(TICKER, second(number), lambda *_: None)
        whole += redis_client.hget(STATE, "journal") == b""
    store.await_pending()

    assert whole <= 40 / HOUSEKEEPING_SECONDS + 1


def test_no_crash_loses_a_state_to_what_was_trimmed(
    redis_client: redis.Redis, settings: Settings
) -> None:
    settings = settings.model_copy(update={"max_records": 1000})
    store = TickStore(settings)
    publish(redis_client, TICKER, steady(0, 60, rate=300))
    for number in range(1, 60):
        ticked(store, number)
        fields = {n.decode(): it for n, it in redis_client.hgetall(STATE).items()}
        newcomer = EngineRestorer(redis_client, Keys(), settings).restore(TICKER, fields)
        assert codec.encode_state(newcomer.state).blob
        assert newcomer.state.as_of == second(number)


def test_records_trimmed_before_they_were_counted_lose_no_state(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(0, 10))
    store = TickStore(settings)
    ticked(store, *range(1, 10))
    redis_client.hset(STATE, "behind", -282)

    assert ticked(store, 10) == ["written"]
    assert ticked(TickStore(settings), 11) == ["written"]
    assert not redis_client.keys("orderflow:bad:*")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", b"\xff"),
        ("lost_to", b"abc"),
        ("lost_to", b"inf"),
        (b"\xff", b"1"),
        ("engine", b"\xff"),
        ("journal", b"x"),
        ("l:zz", b"x"),
    ],
)
def test_a_field_of_a_state_that_says_nothing_is_survived(
    redis_client: redis.Redis, settings: Settings, field: str, value: bytes
) -> None:
    publish(redis_client, TICKER, steady(0, 30))
    ticked(TickStore(settings), *range(1, 10))
    redis_client.hset(STATE, field, value)

    outcomes = ticked(TickStore(settings), *range(10, 20))
    assert outcomes[-5:] == ["written"] * 5


@pytest.mark.parametrize("interval", [1, 2, 3, 5, 7, 10, 30])
def test_every_ticker_keeps_house_at_every_interval(interval: int) -> None:
    moments = range(START_MS, START_MS + 120_000, interval * 1000)
    for ticker in map("T{}".format, range(50)):
        turns = [at for at in moments if is_housekeeping_turn(ticker, at, interval)]
        assert turns
        gaps = [later - earlier for earlier, later in itertools.pairwise(turns)]
        assert all(gap <= max(HOUSEKEEPING_SECONDS, interval) * 1000 for gap in gaps)


def test_a_ticks_keys_are_named_alike_one_by_one_and_all_at_once() -> None:
    for is_cluster in (False, True):
        names = Keys(cluster=is_cluster)
        assert names.of_tick("BTC/USDT")[:4] == [
            names.state("BTC/USDT"),
            names.quotes("BTC/USDT"),
            names.trades("BTC/USDT"),
            names.bars("BTC/USDT"),
        ]
