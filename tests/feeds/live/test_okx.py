"""What is special about OKX: pings that are text, notices, errors that pass."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from app.core.errors import FeedInterrupted
from app.feeds.live.okx import Okx
from tests.processes import wait_until
from tests.venues.listener import Listener
from tests.venues.okx import PING, OkxVenue


@pytest.fixture
def venue() -> Iterator[OkxVenue]:
    with OkxVenue("BTC-USDT") as running:
        yield running


def test_pings_are_text_and_their_answers_count_as_frames(
    venue: OkxVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Okx, "quiet_seconds", 0.1)
    with Listener(Okx(["BTC/USDT"], venue.url)) as feed:
        feed.wait_for_batches(3)
        wait_until(lambda: venue.requests.count(PING) >= 2, "two pings")

    assert feed.error is None


def test_a_notice_of_an_upgrade_changes_nothing_yet(venue: OkxVenue) -> None:
    with Listener(Okx(["BTC/USDT"], venue.url)) as feed:
        feed.wait_for_updates(1)
        venue.announce_upgrade()
        venue.burst(1)
        feed.wait_for_updates(2)


def test_an_error_of_the_venues_own_is_passing(venue: OkxVenue) -> None:
    with Listener(Okx(["BTC/USDT"], venue.url)) as feed:
        feed.wait_for_updates(1)
        venue.refuse_for_now()

        assert isinstance(feed.wait_for_error(), FeedInterrupted)


def test_a_side_without_orders_is_empty(venue: OkxVenue) -> None:
    with Listener(Okx(["BTC/USDT"], venue.url)) as feed:
        feed.wait_for_updates(1)
        standing = venue.market.standing["BTC-USDT"]
        venue.publish(replace(standing, ask_size=Decimal(0), number=10_001))
        _, update = feed.wait_for_updates(2)

    assert (update.record.ask_price, update.record.ask_size) == (0.0, 0.0)
