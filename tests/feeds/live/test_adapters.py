"""Every adapter against the local server that speaks its vendor's protocol."""

import math
import os

import pytest

from app.core.errors import FeedInterrupted, FeedRefused
from tests.feeds.live.vendors import VENDORS, Vendor, by_kind, names_of
from tests.venues.listener import Listener
from tests.venues.server import KEY, SECRET

KEY_VARIABLES = ("APCA_API_KEY_ID", "DATABENTO_API_KEY")
BURST = 5000


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Give each vendor in turn, with the key that its server takes."""
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    return VENDORS[request.param]


def _wait_until_told(vendor: Vendor, feed: Listener) -> int:
    """Wait for what a connection begins with, and return how many records that is."""
    feed.wait_for_batches(1)
    standing = len(vendor.pairs) if vendor.sends_standing_quote else 0
    assert len(feed.wait_for_updates(standing)) == standing
    return standing


def test_a_burst_arrives_whole_and_in_order(vendor: Vendor) -> None:
    with vendor.open_venue() as venue, vendor.listen(venue) as feed:
        before = _wait_until_told(vendor, feed)
        venue.burst(BURST)
        updates = feed.wait_for_updates(before + BURST)[before:]

    assert by_kind(updates) == by_kind(vendor.updates(venue.sent))


@pytest.mark.parametrize("vendor", names_of("sends_standing_quote"), indirect=True)
def test_the_standing_quotes_come_again_with_each_connection(vendor: Vendor) -> None:
    with vendor.open_venue() as venue:
        venue.burst(50)
        with vendor.listen(venue) as feed:
            updates = feed.wait_for_updates(len(vendor.pairs))

    standing = by_kind(vendor.updates(venue.market.standing.values()))
    got = by_kind(updates)
    assert got.keys() == standing.keys(), "prints of before the connection are left out"
    for key, (quote,) in standing.items():
        (given,) = got[key]
        quote.timestamp = given.timestamp
        assert given == quote


@pytest.mark.parametrize("ending", ["close_connections", "kill_connections", "go_down"])
def test_a_connection_that_ends_is_passing(vendor: Vendor, ending: str) -> None:
    with vendor.open_venue() as venue, vendor.listen(venue) as feed:
        feed.wait_for_batches(1)
        getattr(venue, ending)()

        assert isinstance(feed.wait_for_error(), FeedInterrupted | OSError)


def test_a_venue_that_is_away_is_passing(vendor: Vendor) -> None:
    with vendor.open_venue() as venue:
        venue.go_down()
        with vendor.listen(venue) as feed:
            assert isinstance(feed.wait_for_error(), FeedInterrupted | OSError)


@pytest.mark.parametrize("silence", ["mute", "stall"])
def test_a_quiet_market_gives_frames_and_a_silent_venue_gives_none(
    vendor: Vendor, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor.adapter, "quiet_seconds", 0.2)
    monkeypatch.setattr(vendor.venue, "heartbeat_seconds", 0.1)
    with vendor.open_venue() as venue, vendor.listen(venue) as feed:
        feed.wait_for_batches(5)
        getattr(venue, silence)()
        venue.burst(10)
        with vendor.listen(venue) as other:  # a new connection is served: time goes by
            other.wait_for_batches(3)
            count = len(feed.batches)
            other.wait_for_batches(8)

        assert len(feed.batches) == count
        assert venue.sent == []


@pytest.mark.parametrize("vendor", names_of("refuses_unknown_symbols"), indirect=True)
def test_an_unknown_symbol_is_refused_by_name(vendor: Vendor) -> None:
    with vendor.open_venue() as venue, vendor.listen(venue, "NONE/SUCH") as feed:
        error = feed.wait_for_error()

    assert isinstance(error, FeedRefused)
    assert "SUCH" in str(error)


def test_more_symbols_than_are_allowed_are_refused(vendor: Vendor) -> None:
    with vendor.open_venue() as venue:
        venue.faults.symbol_limit = 1
        with vendor.listen(venue) as feed:
            assert isinstance(feed.wait_for_error(), FeedRefused)


@pytest.mark.parametrize("vendor", names_of("needs_key"), indirect=True)
def test_a_wrong_key_is_refused_and_not_shown(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, KEY[:-5] + "wrong")
    with vendor.open_venue() as venue, vendor.listen(venue) as feed:
        error = feed.wait_for_error()

    assert isinstance(error, FeedRefused)
    assert all(os.environ[name] not in str(error) for name in KEY_VARIABLES)
    assert SECRET not in str(error)


@pytest.mark.parametrize("vendor", names_of("stamps_quotes"), indirect=True)
def test_a_clock_that_is_ahead_shows_in_the_stamps(vendor: Vendor) -> None:
    with vendor.open_venue() as venue, vendor.listen(venue) as feed:
        before = _wait_until_told(vendor, feed)
        venue.faults.skew_ms = 60_000
        (event,) = venue.burst(1)
        (update,) = feed.wait_for_updates(before + 1)[before:]

    assert math.isclose(update.record.timestamp, event.at_ns / 1e6, abs_tol=1.0)
