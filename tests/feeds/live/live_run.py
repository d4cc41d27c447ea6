"""A live feed of all pairs of a vendor, in a thread of its own."""

import asyncio
import threading
from typing import Self

import msgspec

from app.core.settings import Settings
from app.feeds.live.live_feed import LiveFeed
from app.feeds.publish import QuoteMember, TradeMember
from app.storage.redis_client import connect
from tests.feeds.live.vendors import Vendor
from tests.processes import BOUND_SECONDS
from tests.venues.server import Venue


class LiveRun:
    """A live feed from `with` on until the block ends."""

    def __init__(self, vendor: Vendor, venue: Venue, settings: Settings) -> None:
        tickers = [pair.ticker for pair in vendor.pairs]
        rest = () if vendor.dataset is None else (vendor.dataset,)
        feed = LiveFeed(
            lambda: vendor.adapter(tickers, venue.url, *rest), tickers, connect(settings), settings
        )
        self._loop, self._stop = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(feed.run(self._stop))
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(BOUND_SECONDS)
        assert not self._thread.is_alive()
        self._loop.close()


def content(record: QuoteMember | TradeMember) -> tuple[object, ...]:
    """Return what a record says, without its stamp and number."""
    return msgspec.structs.astuple(record)[1:-1]
