"""Prices of any size, from the broker's JSON to what is published: right, or rejected and said."""

import json
import math
from collections.abc import Callable
from decimal import Decimal

import pytest
import redis

from app.analysis.records import Quote
from app.answers.ticker_read import ReadRequest, TickerReads
from app.core.settings import Settings
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from tests.builders import START_MS, second
from tests.strategies import Flavour

TICKER = "COIN"
STATE = f"orderflow:state:{TICKER}"
NewStore = Callable[[], TickStore]

SCALES = {
    "a 1e-9 tick": (-7, "9"),
    "a 1e-12 token": (-10, "12"),
    "a 1e-16 tick": (-14, "16"),
    "won": (5, None),
    "rupiah": (7, None),
    "up to 9e10": (8, None),
}
"""The power of ten that a feed of prices around 10 with a tick of a cent is multiplied by."""


@pytest.fixture
def new_store(settings: Settings) -> NewStore:
    """Return a function that makes workers' stores, which share nothing but Redis."""
    return lambda: TickStore(settings)


class Broker:
    """Writes records whose prices are decimals."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.seq = 0

    def quote(
        self, at: float, bid: object, ask: object, sizes: tuple[float, float] = (1, 1)
    ) -> None:
        """Write a quote stamped `at` seconds after the start."""
        prices = {"bid_price": float(str(bid)), "ask_price": float(str(ask))}
        self._write("quotes", at, {**prices, "bid_size": sizes[0], "ask_size": sizes[1]})

    def trade(self, at: float, price: object, size: float = 1.0, aggressor: str = "buy") -> None:
        """Write a print stamped `at` seconds after the start."""
        fields = {"price": float(str(price)), "size": size, "aggressor": aggressor}
        self._write("trades", at, fields)

    def _write(self, kind: str, at: float, fields: dict[str, object]) -> None:
        self.seq += 1
        stamp = START_MS + at * 1000
        member = json.dumps({**fields, "timestamp": stamp, "seq": self.seq})
        self.client.zadd(f"orderflow:{kind}:{TICKER}", {member: stamp})


@pytest.fixture
def broker(redis_client: redis.Redis) -> Broker:
    """Give a broker."""
    return Broker(redis_client)


def metrics(client: redis.Redis, window: str = "10s") -> dict[str, object]:
    fields = client.hgetall(f"orderflow:metrics:{TICKER}:{window}")
    words = {b"behaviors", b"quality", b"engine", b"last_sweep"}
    read = {
        name.decode(): float(text) if _is_number(text) else text.decode()
        for name, text in fields.items()
        if name not in words
    }
    return read | {"quality": json.loads(fields[b"quality"])}


def _is_number(text: bytes) -> bool:
    return text[:1] in b"-0123456789"


def levels(client: redis.Redis, side: str) -> list[float]:
    members = client.zrange(f"orderflow:levels:{TICKER}:{side}", 0, -1)
    return sorted(json.loads(member)["price"] for member in members)


def events(client: redis.Redis) -> list[dict[str, object]]:
    found = [json.loads(one) for one in client.zrange(f"orderflow:patterns:{TICKER}", 0, -1)]
    # By id, which tells the price, those of one stamp would stand otherwise at another scale.
    return sorted(found, key=lambda e: (e["opened_at"], e["type"], e["side"], e["price_low"] or 0))


# --- the rows of the issue ------------------------------------------------------------------------


def test_a_token_with_a_tick_of_1e_9_has_its_own_spread_and_levels(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    store = new_store()
    for step in range(120):
        bid = Decimal("0.000009720") + (step % 5) * Decimal("1e-9")
        broker.quote(step / 10 + 0.05, bid, bid + Decimal("1e-9"))
        if step % 10 == 9:
            store.run_tick(TICKER, second(step // 10 + 1))

    found = metrics(redis_client)
    assert found["quality"] == {}
    assert (found["min_spread"], found["max_spread"]) == (1e-9, 1e-9)
    assert math.isclose(found["avg_spread"], 1e-9, rel_tol=1e-12)  # type: ignore[arg-type]
    assert (found["bid_price"], found["ask_price"]) == (0.000009724, 0.000009725)
    assert levels(redis_client, "bid") == [9.720e-6, 9.721e-6, 9.722e-6, 9.723e-6, 9.724e-6]


@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        ("145000000", "145001000"),
        ("1534000000.5", "1534000001.25"),
        ("89999999999", "90000000000"),
        ("23450000.12345678", "23450000.12345679"),
    ],
    ids=["won", "rupiah", "the greatest", "eight places"],
)
def test_large_prices_are_published_as_they_are(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore, bid: str, ask: str
) -> None:
    broker.quote(0.1, bid, ask)
    broker.trade(0.5, ask)
    broker.quote(1.5, bid, ask, (2, 1))

    new_store().run_tick(TICKER, second(3))
    # A worker that takes over goes on from what was stored.
    new_store().run_tick(TICKER, second(4))

    found = metrics(redis_client)
    assert found["quality"] == {}
    assert (found["bid_price"], found["ask_price"]) == (float(bid), float(ask))
    assert found["vwap"] == float(ask)
    assert math.isclose(
        found["min_spread"],  # type: ignore[arg-type]
        float(Decimal(ask) - Decimal(bid)),
        rel_tol=1e-6,
    )
    assert levels(redis_client, "ask") == [float(ask)]


# --- the whole kind -------------------------------------------------------------------------------


def scaled_feed(broker: Broker, power: int, seed: int) -> None:
    """Write a feed with its prices times a power of ten."""
    flavour = Flavour(seed, 500, 0.3, 1.0, 0.05, 0.0, 0.5, 0.4)

    def price(units: int) -> Decimal:
        return Decimal(units).scaleb(power - 8)

    for record in flavour.stream():
        at = (record.stamp - START_MS) / 1000
        if isinstance(record, Quote):
            sizes = record.bid_size, record.ask_size
            broker.quote(at, price(record.bid_price), price(record.ask_price), sizes)
        else:
            side = {1: "buy", -1: "sell"}[record.aggressor]
            broker.trade(at, price(record.price), record.size, side)


PRICE_NAMES = [
    "bid_price",
    "ask_price",
    "bid_price_movement",
    "ask_price_movement",
    "avg_spread",
    "min_spread",
    "max_spread",
    "weighted_mid",
    "price_velocity",
    "vwap",
]


def ticked(
    client: redis.Redis, new_store: NewStore
) -> tuple[dict[str, object], list[dict[str, object]], list[float]]:
    """Tick over all records by workers that take over from each other; return what is told."""
    [(_, newest)] = client.zrange(f"orderflow:quotes:{TICKER}", -1, -1, withscores=True)
    workers = [new_store(), new_store()]
    for number in range(1, int((newest - START_MS) / 1000) + 8, 3):
        worker = new_store() if number % 8 == 0 else workers[number // 5 % 2]
        worker.run_tick(TICKER, second(number))
    return metrics(client, "1min"), events(client), levels(client, "bid")


@pytest.mark.parametrize("name", SCALES)
def test_a_feed_at_another_scale_has_the_same_events_and_scaled_numbers(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore, name: str
) -> None:
    power, digits = SCALES[name]
    scaled_feed(broker, 0, seed=6)
    usual, usual_events, usual_levels = ticked(redis_client, new_store)
    redis_client.flushall()
    scaled_feed(broker, power, seed=6)
    found, found_events, found_levels = ticked(redis_client, new_store)

    factor = 10.0**power
    assert redis_client.hget(STATE, "digits") == (digits and digits.encode())
    for field, value in usual.items():
        if isinstance(value, float):
            expected = value * factor if field in PRICE_NAMES else value
            assert found[field] == pytest.approx(expected, rel=1e-9, abs=factor * 1e-9), field
        else:
            assert found[field] == value
    assert found_levels == pytest.approx([price * factor for price in usual_levels], rel=1e-14)
    assert len(found_events) == len(usual_events) > 5
    for one, other in zip(usual_events, found_events, strict=True):
        same = ("type", "side", "status", "opened_at", "noticed_at", "closed_at", "close_reason")
        assert [one[it] for it in same] == [other[it] for it in same]
        if one["price_low"] is not None:
            assert other["price_low"] == pytest.approx(one["price_low"] * factor, rel=1e-14)  # type: ignore[operator]


@pytest.mark.parametrize(
    "takeovers",
    [{40}, {41}, {43, 44}, {47}, set(range(3, 80, 7)), set(range(80))],
    ids=lambda ticks: f"{len(ticks)} from {min(ticks)}",
)
def test_a_crash_to_finer_prices_says_the_same_whoever_ticks(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore, takeovers: set[int]
) -> None:
    calm = crash(redis_client, broker, new_store, set())
    redis_client.flushall()
    broker.seq = 0

    shaken = crash(redis_client, broker, new_store, takeovers)

    assert redis_client.hget(STATE, "digits") == b"9"
    assert shaken == calm
    kept = {name for name in redis_client.hkeys(STATE) if name.startswith(b"l:")}
    assert len(kept) <= 2 * 64


def crash(
    client: redis.Redis, broker: Broker, new_store: NewStore, takeovers: set[int]
) -> list[object]:
    """Let prices fall below the unit in the 40th of 80 seconds, and tell what ticks published."""
    said: list[object] = []
    store = new_store()
    for step in range(400):
        price = Decimal("0.00001") if step < 200 else Decimal("0.000000321")
        tick = Decimal("1e-8") if step < 200 else Decimal("1e-9")
        bid = price + (step * 7 % 25) * tick
        broker.quote(step / 5 + 0.1, bid, bid + tick * (1 + step % 3), (1 + step % 4, 2))
        if step % 3 == 0:
            broker.trade(step / 5 + 0.15, bid, 1 + step % 2, "sell")
        if step % 5 == 4:
            if step // 5 in takeovers:
                store = new_store()
            store.run_tick(TICKER, second(step // 5 + 1))
            said.append(metrics(client, "1min"))
    return [said, events(client), levels(client, "bid"), levels(client, "ask")]


@pytest.mark.parametrize(
    ("usual", "odd", "reason"),
    [
        ("585.33", "1e-16", "inexact_price"),
        ("60000.5", "0.000000000000001", "inexact_price"),
        ("0.000009723", "90000000000", "inexact_price"),
        ("585.33", str(1 / 3e6), "inexact_price"),
        ("585.33", "1e-17", "inexact_price"),
        ("585.33", "90000000001", "out_of_range"),
        ("145000000", "1e300", "out_of_range"),
    ],
)
def test_an_absurd_print_is_rejected_by_name_and_costs_the_ticker_nothing(  # noqa: PLR0913, PLR0917 - fixtures, and a case
    redis_client: redis.Redis,
    broker: Broker,
    new_store: NewStore,
    usual: str,
    odd: str,
    reason: str,
) -> None:
    store = new_store()
    ask = Decimal(usual) * 2
    broker.quote(0.1, usual, ask)
    store.run_tick(TICKER, second(1))
    digits = redis_client.hget(STATE, "digits")
    for number in range(50):
        broker.trade(1.1 + number / 100, odd)
    broker.quote(1.9, usual, ask, (5, 5))
    report = store.run_tick(TICKER, second(2))

    found = metrics(redis_client)
    assert found["quality"] == {"rejected": {reason: 50}}
    assert report.oddities == {reason: 50}
    assert (found["bid_price"], found["bid_size"]) == (float(usual), 5.0)
    assert "trade_count" not in found
    assert redis_client.hget(STATE, "digits") == digits


def test_a_finer_print_is_taken_and_later_prices_have_room(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    store = new_store()
    broker.quote(0.1, "585.33", "585.94")
    broker.trade(0.5, repr(1756.0 / 3))  # an average price, as some venues print
    broker.quote(0.7, "585.33", "585.94", (2, 1))
    broker.quote(1.7, "58533", "58594")
    store.run_tick(TICKER, second(2))

    found = metrics(redis_client)
    assert found["quality"] == {}
    assert found["vwap"] == pytest.approx(1756.0 / 3, rel=1e-15)
    assert (found["bid_price"], found["ask_price"]) == (58533.0, 58594.0)
    assert (found["min_spread"], found["max_spread"]) == (0.61, 61.0)


def test_an_empty_side_asks_for_no_unit(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    broker.quote(0.1, "585.33", "0.000000000123", (1, 0))
    broker.quote(0.2, "1e-15", "585.94", (0, 1))
    new_store().run_tick(TICKER, second(1))

    assert metrics(redis_client)["quality"] == {"one_sided": 2}
    assert redis_client.hget(STATE, "digits") is None


def test_noise_of_doubles_is_no_digit(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    broker.quote(0.1, "585.3300000000001", "585.9399999999999")
    broker.quote(0.2, "585.33", "585.94", (2, 2))
    new_store().run_tick(TICKER, second(1))

    found = metrics(redis_client)
    assert (found["bid_price"], found["ask_price"]) == (585.33, 585.94)
    assert (found["bid_lift_count"], found["bid_drop_count"]) == (0, 0)
    assert redis_client.hget(STATE, "digits") is None


def test_a_late_record_that_the_unit_can_not_hold_is_rejected_and_a_held_one_counts(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    store = new_store()
    broker.quote(0.1, "0.5", "0.6")
    for number in range(1, 4):
        store.run_tick(TICKER, second(number))
    broker.trade(2.5, "0.55")
    broker.trade(2.6, "0.555555555")
    broker.quote(3.5, "0.5", "0.6", (2, 2))
    store.run_tick(TICKER, second(4))

    found = metrics(redis_client)
    assert found["quality"] == {"late": 1, "rejected": {"inexact_price": 1}}
    assert (found["trade_count"], found["vwap"]) == (1, 0.55)


@pytest.mark.parametrize(
    ("absurd", "usual"),
    [("90000000000", "0.000009723"), ("1e-16", "60000.5"), ("1e-15", "145000000")],
)
@pytest.mark.parametrize("kind", ["print", "quote"])
def test_an_absurd_first_price_keeps_the_real_ones_out_for_five_minutes_only(  # noqa: PLR0913, PLR0917 - fixtures, and a case
    redis_client: redis.Redis,
    broker: Broker,
    new_store: NewStore,
    absurd: str,
    usual: str,
    kind: str,
) -> None:
    store = new_store()
    if kind == "print":
        broker.trade(0.1, absurd)
    else:
        broker.quote(0.1, absurd, float(absurd) * 1.0)
    for number in range(1, 40):
        for part in range(10):
            broker.quote(10 * number - 9.5 + part, usual, Decimal(usual) * 2, (1 + part, 1))
        store.run_tick(TICKER, second(10 * number))
        if number == 20:
            assert metrics(redis_client)["quality"] == {"rejected": {"inexact_price": 10}}
            store = new_store()

    found = metrics(redis_client, "1min")
    assert found["quality"] == {}
    assert (found["quote_count"], found["bid_price"]) == (60, float(usual))
    assert levels(redis_client, "bid") == [float(usual)]
    stored = [name for name in redis_client.hkeys(STATE) if name.startswith(b"l:")]
    assert len(stored) == 2
    new_store().run_tick(TICKER, second(400))
    assert metrics(redis_client)["bid_price"] == float(usual)


def test_an_odd_print_overnight_changes_nothing(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    store = new_store()
    for part in range(300):
        broker.quote(part / 5 + 0.1, 585 + part % 30 / 100, 586, (1 + part % 5, 2))
    store.run_tick(TICKER, second(60))
    before = levels(redis_client, "bid")
    for number in range(99):
        broker.trade(1000 + number, "1e-16")
    broker.quote(1100.5, 585.01, 586)
    store.run_tick(TICKER, second(1100))
    store.run_tick(TICKER, second(1101))

    found = metrics(redis_client)
    assert found["spread_ticks"] == 99
    assert redis_client.hget(STATE, "digits") is None
    assert before


# --- answers --------------------------------------------------------------------------------------


def test_a_history_across_a_change_of_the_unit_is_summed_in_one(
    redis_client: redis.Redis, broker: Broker, new_store: NewStore
) -> None:
    store = new_store()
    for number in range(40):
        finer = Decimal("1e-9") if number >= 25 else 0
        broker.quote(number + 0.5, Decimal("0.00001") + finer, Decimal("0.00002") + finer)
        store.run_tick(TICKER, second(number + 1))

    reads = TickerReads(redis_client, Keys(cluster=False))
    request = ReadRequest(TICKER, 30, second(40))
    replies = reads.read(request, second(38))
    sums = replies.sum_window(second(40), 30)
    table = replies.table(second(40), 30)

    assert replies.price_digits == 9
    assert sums.metrics["bid_price"] == 0.000010001
    assert sums.metrics["bid_price_movement"] == 1e-9
    assert sums.metrics["avg_spread"] == pytest.approx(1e-5, rel=1e-12)
    assert set(table.bars.column("spread", second(40), 30)) == {1e-5 * 1e9}
    # At a second before the change, from bars of the former unit only.
    earlier = reads.read_bars(replies, ReadRequest(TICKER, 15, second(20)), second(20))
    assert earlier.sum_window(second(20), 15).metrics["bid_price"] == 0.00001


def test_before_the_first_tick_the_newest_quote_is_exact(
    redis_client: redis.Redis, broker: Broker
) -> None:
    for bid, ask in (("0.000009723", "0.000009724"), ("1534000000.5", "90000000000")):
        broker.quote(0.1, bid, ask)
        request = ReadRequest(TICKER, 60, second(1))
        replies = TickerReads(redis_client, Keys(cluster=False)).read(request, second(1))
        found = replies.newest_quote_metrics()
        assert (found["bid_price"], found["ask_price"]) == (float(bid), float(ask))
        redis_client.flushall()
