"""What is special about Databento: flags, prices that are none, publishers, records of errors."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from databento_dbn import UNDEF_PRICE, Action, BidAskPair, ErrorCode, Side

from app.core.errors import FeedInterrupted, FeedRefused, SettingError
from app.feeds.live.databento import LAST_OF_EVENT, MAYBE_BAD_BOOK, Databento
from app.feeds.live.sources import parse_request
from app.feeds.publish import QuoteMember, TradeMember
from tests.processes import wait_until
from tests.venues.databento import PUBLISHER, DatabentoVenue
from tests.venues.listener import Listener
from tests.venues.market import BestQuote, Print
from tests.venues.server import KEY

LEVEL = BidAskPair(585_330_000_000, 585_940_000_000, 18, 200, 1, 2)
CENT = 10_000_000


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabentoVenue]:
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    with DatabentoVenue("SPY", "QQQ") as running:
        yield running


@pytest.fixture
def feed(venue: DatabentoVenue) -> Iterator[Listener]:
    with Listener(Databento(["SPY", "QQQ"], venue.url)) as listening:
        listening.wait_for_batches(1)
        venue.wait_subscribed()
        yield listening


def send(venue: DatabentoVenue, level: BidAskPair = LEVEL, **options: Any) -> None:
    """Send a change of the book."""
    quote = venue.market.standing["SPY"]
    at_now = replace(quote, at_ns=venue.now_ns())
    venue.send_raw(venue.record(at_now, level, Action.MODIFY, Side.BID, CENT, 1, **options))


def send_trade(venue: DatabentoVenue, side: Side, price: int = CENT, **options: Any) -> None:
    """Send a trade."""
    one = Print("SPY", venue.now_ns(), Decimal(0), Decimal(0), "", 7)
    venue.send_raw(venue.record(one, LEVEL, Action.TRADE, side, price, 100, **options))


def test_the_side_of_a_trade_is_the_aggressors(venue: DatabentoVenue, feed: Listener) -> None:
    for side in (Side.BID, Side.ASK, Side.NONE):
        send_trade(venue, side, flags=0)

    updates = feed.wait_for_updates(3)

    assert [update.record.aggressor for update in updates] == ["buy", "sell", None]


def test_a_trade_changes_no_quote(venue: DatabentoVenue, feed: Listener) -> None:
    send(venue)
    send_trade(venue, Side.BID, flags=LAST_OF_EVENT)
    send(venue, BidAskPair(585_330_000_000, 585_940_000_000, 18, 100, 1, 1))

    updates = feed.wait_for_updates(3)

    assert [type(update.record) for update in updates] == [QuoteMember, TradeMember, QuoteMember]


def test_a_book_within_an_event_is_no_quote(venue: DatabentoVenue, feed: Listener) -> None:
    send(venue, BidAskPair(585_330_000_000, 585_340_000_000, 18, 1, 1, 1), flags=0)
    send(venue)

    (update,) = feed.wait_for_updates(1)

    assert update.record.ask_price == 585.94


def test_a_price_that_is_undefined_is_an_empty_side(venue: DatabentoVenue, feed: Listener) -> None:
    send(venue, BidAskPair(UNDEF_PRICE, 585_940_000_000, 0, 200, 0, 2))

    (update,) = feed.wait_for_updates(1)

    quote = update.record
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == (0, 0, 585.94, 200)


def test_a_book_that_may_be_bad_is_counted_and_left_out(
    venue: DatabentoVenue, feed: Listener
) -> None:
    send(venue, flags=LAST_OF_EVENT | MAYBE_BAD_BOOK)
    send(venue, BidAskPair(585_330_000_000, 585_940_000_000, 19, 200, 1, 2))

    (update,) = feed.wait_for_updates(1)

    assert update.record.bid_size == 19
    assert feed.adapter.counts == {"maybe_bad_book": 1}


def test_equal_trades_of_one_moment_are_several(venue: DatabentoVenue, feed: Listener) -> None:
    one = Print("SPY", venue.now_ns(), Decimal("585.94"), Decimal(100), "buy", 7)
    venue.publish(one, one)

    quote, first, second = feed.wait_for_updates(3)

    assert isinstance(quote.record, QuoteMember), "the quote before the first trade"
    assert first.record == second.record
    assert first.identity != second.identity


def test_books_of_several_publishers_are_refused(venue: DatabentoVenue, feed: Listener) -> None:
    send(venue)
    send(venue, publisher=PUBLISHER + 1)

    assert isinstance(feed.wait_for_error(), FeedRefused)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCode.API_KEY_DEACTIVATED, FeedRefused),
        (ErrorCode.CONNECTION_LIMIT_EXCEEDED, FeedInterrupted),
        (ErrorCode.INTERNAL_ERROR, FeedInterrupted),
        (ErrorCode.SKIPPED_RECORDS_AFTER_SLOW_READING, FeedInterrupted),
    ],
)
def test_an_error_during_the_session_ends_the_connection(
    venue: DatabentoVenue, feed: Listener, code: ErrorCode, error: type[Exception]
) -> None:
    venue.send_error("what it is", code)

    given = feed.wait_for_error()

    assert type(given) is error
    assert str(given) == "what it is"


def test_many_symbols_are_subscribed_in_several_lines(venue: DatabentoVenue) -> None:
    tickers = ["SPY", *(f"SPY   241220C{strike:08}" for strike in range(600)), "NONE"]
    with Listener(Databento(tickers, venue.url)) as feed:
        error = feed.wait_for_error()

    lines = [request for request in venue.requests if "symbols" in request]
    assert [line["is_last"] for line in lines] == ["0", "1"]
    assert lines[1]["symbols"].endswith(",NONE")
    assert isinstance(error, FeedRefused)


@pytest.mark.parametrize(
    ("dataset", "scope"), [("XNAS.ITCH", "venue"), ("EQUS.MINI", "consolidated")]
)
def test_a_source_is_named_with_its_dataset(dataset: str, scope: str) -> None:
    adapter = Databento(["SPY"], None, dataset)

    assert adapter.source == f"databento.{dataset.lower()}"
    assert Databento(["SPY"], None, f"{dataset}/tbbo").source == f"{adapter.source}.tbbo"
    assert adapter.scope == scope


def test_quotes_and_prints_come_in_the_venues_order(venue: DatabentoVenue, feed: Listener) -> None:
    send(venue)
    venue.publish(replace(venue.market.standing["QQQ"], number=10_001))
    events = venue.burst(500)

    updates = feed.wait_for_updates(502)[2:]

    kinds = [QuoteMember if isinstance(event, BestQuote) else TradeMember for event in events]
    assert [type(update.record) for update in updates] == kinds


def test_tbbo_is_each_print_with_the_quote_that_stood_before_it(venue: DatabentoVenue) -> None:
    with Listener(Databento(["SPY"], venue.url, "XNAS.ITCH/tbbo")) as feed:
        feed.wait_for_batches(1)
        wait_until(lambda: venue.clients and "SPY" in venue.clients[0].trades, "the subscription")
        for side in (Side.BID, Side.NONE):
            send_trade(venue, side, flags=0)

        quote, *prints = feed.wait_for_updates(3)

    assert (quote.record.bid_price, quote.record.ask_price) == (585.33, 585.94)
    assert [update.record.aggressor for update in prints] == ["buy", None]
    assert [line["schema"] for line in venue.requests if "symbols" in line] == ["tbbo"]


def test_tbbo_has_all_prints_of_a_burst(venue: DatabentoVenue) -> None:
    with Listener(Databento(["SPY", "QQQ"], venue.url, "XNAS.ITCH/tbbo")) as feed:
        feed.wait_for_batches(1)
        wait_until(lambda: venue.clients and len(venue.clients[0].trades) == 2, "subscriptions")
        events = [event for event in venue.burst(500) if isinstance(event, Print)]

        def prints() -> list[TradeMember]:
            return [one.record for one in feed.updates if isinstance(one.record, TradeMember)]

        wait_until(lambda: len(prints()) >= len(events), "the prints")

    assert [(one.price, one.size) for one in prints()] == [
        (float(event.price), float(event.size)) for event in events
    ]


def test_a_schema_that_is_not_read_is_refused_with_those_that_are() -> None:
    assert parse_request("databento:XNAS.ITCH/tbbo:SPY").dataset == "XNAS.ITCH/tbbo"
    with pytest.raises(SettingError, match="there is no schema 'mbo'; schemas: mbp-1, tbbo"):
        parse_request("databento:XNAS.ITCH/mbo:SPY")
