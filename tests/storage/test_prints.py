"""Prints of a range have the sides that the analysis gives them, wherever the range begins."""

import pytest
import redis

from app.analysis.records import BUY, SELL, UNSIGNED, Record, Trade
from app.analysis.standing_quote import StandingQuote
from app.storage import prints
from app.storage.keys import Keys
from app.storage.prints import PrintRange, read_prints
from tests.broker import publish
from tests.builders import START_MS, quote, stream, trade


def read(client: redis.Redis, from_seconds: float = 0.0) -> PrintRange:
    start_ms = START_MS + from_seconds * 1000
    return read_prints(client, Keys(), "SPY", start_ms, START_MS + 3_600_000)


def sides_of_all(records: list[Record]) -> list[int]:
    """Sign all prints of a stream from its beginning on."""
    standing, sides = StandingQuote(), []
    for record in records:
        if isinstance(record, Trade):
            sides.append(standing.sign_trade(record).aggressor)
        else:
            standing.add_quote(record)
    return sides


def test_the_quote_that_stood_may_be_much_older_than_the_print(redis_client: redis.Redis) -> None:
    publish(redis_client, "SPY", stream(quote(at=1), trade(at=100, price=10.00)))

    [found] = read(redis_client, 99).prints

    assert found.aggressor == SELL


def test_prints_at_the_mid_have_the_same_side_wherever_the_range_begins(
    redis_client: redis.Redis,
) -> None:
    quotes = [quote(at=at, bid=10.00, ask=10.04) for at in range(1, 60, 5)]
    rising = [trade(at=10.5, price=10.01)]
    at_mid = [trade(at=at, price=10.02) for at in (20.5, 30.5, 40.5)]
    records = stream(*quotes, *rising, *at_mid)
    publish(redis_client, "SPY", records)
    expected = sides_of_all(records)
    assert expected == [SELL, BUY, BUY, BUY]

    for from_seconds, count in ((0, 4), (15, 3), (25, 2), (40, 1)):
        sides = [it.aggressor for it in read(redis_client, from_seconds).prints]
        assert sides == expected[-count:], from_seconds


def test_a_side_is_not_guessed_where_the_quotes_were_not_read(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prints, "MAX_QUOTES", 5)
    falling = [quote(at=at, bid=20.00 - at, ask=20.02 - at) for at in range(10)]
    at_ask = [trade(at=at + 0.5, price=20.02 - at) for at in range(10)]
    given = trade(at=1.6, price=19.00, aggressor="sell")
    records = stream(*falling, *at_ask, given)
    publish(redis_client, "SPY", records)

    sides = {it.stamp - START_MS: it.aggressor for it in read(redis_client, -1).prints}

    assert sides.pop(1600.0) == SELL
    assert [side for stamp, side in sides.items() if stamp < 5000] == [UNSIGNED] * 5
    assert [side for stamp, side in sides.items() if stamp >= 5000] == [BUY] * 5
