"""Answers show prices of any size as the broker wrote them."""

import json
from decimal import Decimal
from typing import NamedTuple

import pytest
import redis

from app.answers.ask import ask
from app.answers.explain import explain
from app.answers.reader import Reader
from app.answers.schema import plain
from app.answers.series import series
from app.core.clock import now_ms
from app.core.settings import Settings
from app.storage.tick_store import TickStore
from tests.key_writer import EVENT, KeyWriter

TICKER = "COIN"
SECONDS = 60
CASES = {
    "a 1e-9 tick": ("0.000009723", "0.000000001"),
    "a 1e-12 token": ("0.000000000345", "0.000000000001"),
    "a 1e-16 tick": ("0.0000000000001234", "0.0000000000000001"),
    "won": ("145000000", "1000"),
    "rupiah": ("1534000000.5", "0.25"),
    "near 9e10": ("89999000000", "100"),
}


class Quoted(NamedTuple):
    """A minute of quotes up to now: the last bid, the tick, and the lowest bid."""

    bid: Decimal
    tick: Decimal
    lowest: Decimal
    end_ms: int


@pytest.fixture(params=CASES)
def quoted(request: pytest.FixtureRequest, redis_client: redis.Redis, settings: Settings) -> Quoted:
    """Write a ticker's quotes and prints, and run its ticks."""
    lowest, tick = map(Decimal, CASES[request.param])
    end_ms = int(now_ms()) // 1000 * 1000
    store = TickStore(settings)
    bid = lowest
    for step in range(SECONDS * 5):
        bid = lowest + (step * 7 % 23) * tick
        stamp = end_ms - SECONDS * 1000 + 200 * step + 100
        fields = {"bid_price": float(bid), "bid_size": 1 + step % 3, "ask_size": 2}
        fields |= {"ask_price": float(bid + tick), "timestamp": stamp, "seq": 2 * step + 1}
        redis_client.zadd(f"orderflow:quotes:{TICKER}", {json.dumps(fields): stamp})
        trade = {"price": float(bid), "size": 1, "timestamp": stamp - 1, "seq": 2 * step}
        redis_client.zadd(f"orderflow:trades:{TICKER}", {json.dumps(trade): stamp - 1})
    for second in range(end_ms - SECONDS * 1000 + 1000, end_ms + 1, 1000):
        store.run_tick(TICKER, second)
    return Quoted(bid, tick, lowest, end_ms)


def as_written(price: Decimal) -> str:
    return plain(int(price) if price == int(price) else float(price))


@pytest.mark.parametrize("history", ["1min", "45s"])
def test_an_answer_shows_the_quote_its_spread_and_levels(
    quoted: Quoted, reader: Reader, history: str
) -> None:
    answer, reply = ask(reader, TICKER, history)

    said = answer.as_json()
    metrics = said["metrics"]
    ask_price = quoted.bid + quoted.tick
    assert (metrics["bid_price"], metrics["ask_price"]) == (float(quoted.bid), float(ask_price))
    assert metrics["min_spread"] == metrics["max_spread"] == float(quoted.tick)
    assert metrics["spread_ticks"] == 1
    assert f"price {as_written(quoted.bid)}/{as_written(ask_price)}" in reply.text
    prices = {float(quoted.lowest + n * quoted.tick) for n in range(24)}
    assert said["levels"]
    assert {level["price"] for level in said["levels"]} <= prices


def test_a_quote_that_no_tick_has_seen_yet_is_usable(
    quoted: Quoted, reader: Reader, redis_client: redis.Redis
) -> None:
    stamp = quoted.end_ms + 0.5
    fields = {"bid_price": float(quoted.bid), "bid_size": 1, "timestamp": stamp, "seq": 10**6}
    fields |= {"ask_price": float(quoted.bid + quoted.tick), "ask_size": 1}
    redis_client.zadd(f"orderflow:quotes:{TICKER}", {json.dumps(fields): stamp})

    answer, reply = ask(reader, TICKER, "1min")

    assert answer.as_json().get("rejected") is None
    assert "rejected" not in reply.text
    assert "inexact_price" not in reply.text


def test_a_series_measures_in_ticks(quoted: Quoted, reader: Reader) -> None:
    said = series(reader, TICKER, ["bid_price", "min_spread", "spread_ticks"], "30s", 3)

    prices = {float(quoted.lowest + n * quoted.tick) for n in range(24)}
    assert set(said.columns["bid_price"]) <= prices
    assert said.columns["min_spread"] == [float(quoted.tick)] * 3
    assert said.columns["spread_ticks"] == [1, 1, 1]


def test_an_explanation_of_fractional_sizes_leaves_no_volume_unsigned(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    writer.event()
    for number, size in enumerate((0.1, 0.2, 0.3, 0.7)):  # less its parts no 0 of floats
        at = writer.now - 5000 - number
        trade = {"timestamp": at, "price": 585.94, "size": size, "aggressor": "buy"}
        redis_client.zadd("orderflow:trades:SPY", {json.dumps(trade): at})

    said = explain(reader, "SPY~k3f9x2ab")

    assert said.during.by_buyers == 101.3
    assert (said.during.by_sellers, said.during.unsigned) == (0, 0)
    assert "unsigned 0," in said.as_text()


def test_an_explanation_shows_the_prices_around_an_event(
    quoted: Quoted, reader: Reader, redis_client: redis.Redis
) -> None:
    at = quoted.end_ms - 10_000
    event = EVENT | {"id": f"{TICKER}~k3f9x2ab", "opened_at": at, "noticed_at": at + 1000}
    event |= {"updated_at": at + 1000, "closed_at": quoted.end_ms, "status": "closed"}
    redis_client.zadd(f"orderflow:patterns:{TICKER}", {json.dumps(event): at})

    during = explain(reader, event["id"]).during

    assert during.bid_to == float(quoted.bid)
    assert during.ask_to == float(quoted.bid + quoted.tick)
    assert during.trade_low == float(quoted.lowest)
    assert during.trade_high == float(quoted.lowest + 22 * quoted.tick)
