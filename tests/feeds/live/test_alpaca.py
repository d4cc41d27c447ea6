"""What is special about Alpaca: corrections, cancels, numbers of each exchange, error codes."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from app.core.errors import FeedInterrupted, FeedRefused
from app.feeds.live.alpaca import Alpaca
from app.feeds.live.alpaca_streams import STREAMS
from tests.venues.alpaca import AlpacaVenue
from tests.venues.listener import Listener
from tests.venues.market import Print
from tests.venues.server import KEY, SECRET


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", KEY)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)


@pytest.fixture
def venue() -> Iterator[AlpacaVenue]:
    with AlpacaVenue("SPY", "BRK.B") as running:
        yield running


@pytest.fixture
def feed(venue: AlpacaVenue) -> Iterator[Listener]:
    with Listener(Alpaca(["SPY", "BRK.B"], venue.url)) as listening:
        listening.wait_for_batches(1)
        yield listening


def trade(venue: AlpacaVenue, number: int) -> Print:
    return Print("SPY", venue.now_ns(), Decimal("585.94"), Decimal(100), "buy", number)


def test_corrections_and_cancels_are_counted_and_are_no_records(
    venue: AlpacaVenue, feed: Listener
) -> None:
    first = trade(venue, 1)
    venue.publish(first)
    venue.correct(first)
    venue.cancel(first)
    venue.cancel(trade(venue, 2))
    venue.publish(trade(venue, 3))

    assert len(feed.wait_for_updates(2)) == 2
    assert feed.adapter.counts == {"correction": 1, "cancel": 2}


def test_equal_trades_of_one_moment_are_told_apart_by_exchange_and_number(
    venue: AlpacaVenue, feed: Listener
) -> None:
    first = trade(venue, 1)
    venue.publish(first, replace(first, number=2))

    one, other = feed.wait_for_updates(2)

    assert one.record == other.record
    assert one.identity != other.identity
    assert one.order is None


def test_a_stocks_trade_names_no_aggressor(venue: AlpacaVenue, feed: Listener) -> None:
    venue.publish(trade(venue, 1))

    (update,) = feed.wait_for_updates(1)

    assert update.record.aggressor is None


@pytest.mark.parametrize("code", [401, 402, 405, 409, 410])
def test_what_no_other_attempt_changes_is_refused(
    venue: AlpacaVenue, feed: Listener, code: int
) -> None:
    venue.send_error(code, "no")

    assert isinstance(feed.wait_for_error(), FeedRefused)


@pytest.mark.parametrize("code", [404, 406, 407, 500])
def test_other_errors_pass(venue: AlpacaVenue, feed: Listener, code: int) -> None:
    venue.send_error(code, "not now")

    error = feed.wait_for_error()

    assert isinstance(error, FeedInterrupted)
    assert str(error) == f"not now ({code})"


@pytest.mark.parametrize("dataset", STREAMS)
def test_a_source_is_named_with_its_dataset(dataset: str) -> None:
    adapter = Alpaca(["SPY"], None, dataset)

    assert adapter.source == f"alpaca.{dataset}"
    assert adapter.scope == ("venue" if dataset in {"iex", "crypto"} else "consolidated")


def test_many_symbols_are_subscribed_in_several_messages(venue: AlpacaVenue) -> None:
    tickers = [f"SPY241220C{strike:08}" for strike in range(1000, 1650)]
    with Listener(Alpaca(tickers, venue.url, "opra")) as feed:
        feed.wait_for_batches(1)

    sizes = [len(one["quotes"]) for one in venue.requests if one["action"] == "subscribe"]
    assert sizes == [300, 300, 50]
