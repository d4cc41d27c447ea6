"""What is special about Bybit: quotes that come again, and few topics a request."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from app.feeds.live.bybit import Bybit
from tests.venues.bybit import MAX_TOPICS, BybitVenue
from tests.venues.listener import Listener

SYMBOLS = tuple(f"COIN{number}USDT" for number in range(12))


@pytest.fixture
def venue() -> Iterator[BybitVenue]:
    with BybitVenue("BTCUSDT", "ETHUSDT") as running:
        yield running


def test_a_quote_that_comes_again_unchanged_is_no_record(venue: BybitVenue) -> None:
    with Listener(Bybit(["BTC/USDT", "ETH-USDT"], venue.url)) as feed:
        feed.wait_for_updates(2)
        venue.send_standing_quotes_again()
        standing = venue.market.standing["ETHUSDT"]
        venue.publish(replace(standing, bid_size=Decimal(77), number=10_001))
        updates = feed.wait_for_updates(3)

    assert [update.ticker for update in updates] == ["BTC/USDT", "ETH-USDT", "ETH-USDT"]
    assert updates[2].record.bid_size == 77


def test_a_side_without_orders_is_empty(venue: BybitVenue) -> None:
    with Listener(Bybit(["BTC/USDT"], venue.url)) as feed:
        feed.wait_for_updates(1)
        standing = venue.market.standing["BTCUSDT"]
        venue.publish(replace(standing, bid_size=Decimal(0), number=10_001))
        _, update = feed.wait_for_updates(2)

    assert (update.record.bid_price, update.record.bid_size) == (0.0, 0.0)


def test_many_symbols_are_subscribed_in_requests_that_bybit_takes() -> None:
    with BybitVenue(*SYMBOLS) as venue, Listener(Bybit(SYMBOLS, venue.url)) as feed:
        feed.wait_for_updates(len(SYMBOLS))
        venue.wait_subscribed()

    assert [len(request["args"]) for request in venue.requests] == [MAX_TOPICS, MAX_TOPICS, 4]
