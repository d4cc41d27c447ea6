"""What is special about Coinbase: a whole book, numbered messages, the maker's side."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from app.core.errors import FeedInterrupted
from app.feeds.live.coinbase import Coinbase
from app.feeds.publish import QuoteMember
from tests.venues.coinbase import CoinbaseVenue
from tests.venues.listener import Listener
from tests.venues.market import Print


@pytest.fixture
def venue() -> Iterator[CoinbaseVenue]:
    with CoinbaseVenue("BTC-USD") as running:
        yield running


@pytest.fixture
def feed(venue: CoinbaseVenue) -> Iterator[Listener]:
    with Listener(Coinbase(["BTC/USD"], venue.url)) as listening:
        listening.wait_for_updates(1)
        venue.wait_subscribed()
        yield listening


def test_the_side_of_a_print_is_the_makers(venue: CoinbaseVenue, feed: Listener) -> None:
    sale = Print("BTC-USD", venue.now_ns(), Decimal("99.5"), Decimal("0.25"), "sell", 7)
    venue.publish(sale)

    _, update = feed.wait_for_updates(2)

    assert '"side": "BUY"' in venue.print_frames[-1]
    assert update.record.aggressor == "sell"


def test_a_level_behind_the_touch_becomes_the_touch_when_that_is_gone(
    venue: CoinbaseVenue, feed: Listener
) -> None:
    first = venue.market.standing["BTC-USD"]
    better = replace(first, bid=first.bid + Decimal("0.01"), bid_size=Decimal(3), number=10_001)
    back = replace(first, number=10_002)
    venue.publish(better, back)

    prices = [update.record.bid_price for update in feed.wait_for_updates(3)]

    assert prices == [float(first.bid), float(better.bid), float(first.bid)]


def test_a_side_without_orders_is_empty(venue: CoinbaseVenue, feed: Listener) -> None:
    first = venue.market.standing["BTC-USD"]
    venue.publish(replace(first, ask_size=Decimal(0), number=10_001))

    _, update = feed.wait_for_updates(2)

    assert (update.record.ask_price, update.record.ask_size) == (0.0, 0.0)


def test_levels_behind_the_touch_are_no_quotes(venue: CoinbaseVenue, feed: Listener) -> None:
    first = venue.market.standing["BTC-USD"]
    venue.change_level("BTC-USD", first.bid - 2, Decimal(9))
    venue.publish(replace(first, bid_size=Decimal(4), number=10_001))

    updates = feed.wait_for_updates(2)

    assert [type(update.record) for update in updates] == [QuoteMember, QuoteMember]
    assert updates[1].record.bid_size == 4


def test_a_message_that_is_missing_ends_the_connection(
    venue: CoinbaseVenue, feed: Listener
) -> None:
    venue.clients[0].take_sequence()
    venue.burst(1)

    assert isinstance(feed.wait_for_error(), FeedInterrupted)


def test_a_message_that_is_repeated_counts_once(venue: CoinbaseVenue, feed: Listener) -> None:
    venue.faults.repeat = True
    venue.publish(replace(venue.market.standing["BTC-USD"], bid_size=Decimal(4), number=10_001))
    venue.faults.repeat = False
    venue.publish(replace(venue.market.standing["BTC-USD"], bid_size=Decimal(5), number=10_002))

    updates = feed.wait_for_updates(3)

    assert [update.record.bid_size for update in updates[1:]] == [4, 5]
    assert feed.adapter.counts == {"repeated": 1}
