"""Every source as a whole: from its local server through the live feed into a real Redis."""

from typing import Any, cast

import msgspec
import pytest
import redis

from app.core.settings import Settings
from app.feeds.publish import QuoteMember, TradeMember
from app.storage.keys import Keys
from tests.feeds.live.live_run import LiveRun, content
from tests.feeds.live.vendors import VENDORS, Vendor, names_of
from tests.processes import wait_until
from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import KEY, SECRET

KEYS = Keys()

pytestmark = pytest.mark.redis


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Give each vendor in turn, with the key that its server takes."""
    for name in ("APCA_API_KEY_ID", "DATABENTO_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    return VENDORS[request.param]


def published(client: redis.Redis, ticker: str) -> list[tuple[object, ...]]:
    """Return what was published of a ticker: the quotes in order of `seq`, then the prints."""
    found: list[tuple[object, ...]] = []
    for key, kind in ((KEYS.quotes(ticker), QuoteMember), (KEYS.trades(ticker), TradeMember)):
        texts = cast("list[bytes]", client.zrange(key, 0, -1))
        members: list[Any] = [msgspec.json.decode(text, type=kind) for text in texts]
        found += map(content, sorted(members, key=lambda member: member.seq))
    return found


def truth(vendor: Vendor, events: list[Event], symbol: str) -> list[tuple[object, ...]]:
    """Return what has to be published of a symbol's events, likewise."""
    ours = [event for event in events if event.symbol == symbol]
    ours.sort(key=lambda event: not isinstance(event, BestQuote))
    return [content(update.record) for update in vendor.updates(ours)]


def told_first(vendor: Vendor, standing: BestQuote, events: list[Event]) -> list[BestQuote]:
    """Return the standing quote if a connection tells it before the events."""
    first = next(event for event in events if event.symbol == standing.symbol)
    is_shown = vendor.prints_show_the_quote and not isinstance(first, BestQuote)
    return [standing] if vendor.sends_standing_quote or is_shown else []


def test_each_event_is_published_once_around_a_gap(
    vendor: Vendor, settings: Settings, redis_client: redis.Redis
) -> None:
    """The connection is cut between two bursts; what happened meanwhile is a declared gap."""
    with vendor.open_venue() as venue:
        standing = {**venue.market.standing}
        with LiveRun(vendor, venue, settings):
            venue.wait_subscribed()
            before = venue.burst(200)
            _wait_for_newest(redis_client, vendor, before)
            venue.go_down()
            venue.burst(50)
            again = {**venue.market.standing}
            venue.come_up()
            venue.wait_subscribed()
            after = venue.burst(200)
            _wait_for_newest(redis_client, vendor, after)

    for pair in vendor.pairs:
        told = told_first(vendor, standing[pair.symbol], before)
        told_again = told_first(vendor, again[pair.symbol], after)
        events = [*told, *before, *told_again, *after]
        assert published(redis_client, pair.ticker) == truth(vendor, events, pair.symbol)
        (gap,) = cast("list[bytes]", redis_client.zrange(KEYS.gaps(pair.ticker), 0, -1))
        assert msgspec.json.decode(gap)["reason"] == "disconnected"


@pytest.mark.parametrize("vendor", names_of("may_repeat"), indirect=True)
def test_frames_that_come_twice_are_published_once(
    vendor: Vendor, settings: Settings, redis_client: redis.Redis
) -> None:
    with vendor.open_venue() as venue:
        standing = {**venue.market.standing}
        with LiveRun(vendor, venue, settings):
            venue.wait_subscribed()
            venue.faults.repeat = True
            twice = venue.burst(200)
            venue.faults.repeat = False
            once = venue.burst(50)
            _wait_for_newest(redis_client, vendor, [*twice, *once])

    for pair in vendor.pairs:
        told = told_first(vendor, standing[pair.symbol], twice)
        events = [*told, *twice, *once]
        assert published(redis_client, pair.ticker) == truth(vendor, events, pair.symbol)


@pytest.mark.parametrize("vendor", names_of("may_reorder"), indirect=True)
def test_frames_out_of_order_lose_no_print_and_make_no_false_quote(
    vendor: Vendor, settings: Settings, redis_client: redis.Redis
) -> None:
    with vendor.open_venue() as venue, LiveRun(vendor, venue, settings):
        venue.wait_subscribed()
        venue.faults.reorder = True
        swapped = venue.burst(201)
        venue.faults.reorder = False
        _wait_for_newest(redis_client, vendor, [e for e in swapped if isinstance(e, Print)])

        if vendor.stamps_quotes:  # a quote behind others, stamped by its arrival, would stand
            _wait_for_newest(redis_client, vendor, swapped)


def test_frames_that_are_delayed_arrive_all_the_same(
    vendor: Vendor, settings: Settings, redis_client: redis.Redis
) -> None:
    with vendor.open_venue() as venue, LiveRun(vendor, venue, settings):
        venue.wait_subscribed()
        venue.faults.slow_seconds = 0.5
        _wait_for_newest(redis_client, vendor, venue.burst(100))

        for pair in vendor.pairs:
            assert redis_client.exists(KEYS.gaps(pair.ticker)) == 0


def _wait_for_newest(client: redis.Redis, vendor: Vendor, events: list[Event]) -> None:
    """Wait until all of some events are published."""
    for pair in vendor.pairs:
        expected = truth(vendor, events, pair.symbol)

        def is_there(ticker: str = pair.ticker, wanted: Any = expected) -> bool:
            return set(wanted) <= set(published(client, ticker))

        wait_until(is_there, f"what happened to {pair.ticker}")
