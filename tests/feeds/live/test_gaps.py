"""Connections of every source end and fall silent by chance: what is lost is declared, no more."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import msgspec
import pytest
import redis

from app.analysis.records import Quote
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.feeds.live import connections
from app.feeds.publish import QuoteMember, TradeMember
from app.storage.keys import Keys
from tests.analysis.test_engine import differences, events_differ, slack_of
from tests.feeds.live.live_run import LiveRun, content
from tests.feeds.live.replayed_ticks import FeedWritten, published_events, replay_ticks
from tests.feeds.live.vendors import VENDORS, Vendor
from tests.processes import wait_until
from tests.reference import Reference
from tests.reference.metrics import lost_ms
from tests.timing import AssertWithin
from tests.venues.market import Event
from tests.venues.server import KEY, SECRET, Venue

pytestmark = pytest.mark.redis

KEYS = Keys()
FAULTS_EACH = int(os.environ.get("LIVE_FAULTS_EACH", "2"))
SEED = 22
QUIET_SECONDS = 3.0
EVENTS_A_SECOND = 40.0
BOUND_SECONDS = 1.0
DECLARED_WITHIN_SECONDS = 3.0
SLACK_MS = 1000.0
FAULTS = ("close_connections", "kill_connections", "stall", "mute", "go_down")


@dataclass
class Course:
    """What happened to one source, and when its gaps were first seen."""

    vendor: Vendor
    venue: Venue
    redis: redis.Redis
    faults: list[tuple[float, float]] = field(default_factory=list)
    """From when to when nothing came, epoch ms."""
    seen_ms: dict[bytes, float] = field(default_factory=dict)
    is_over: bool = False

    def run(self, seed: int) -> None:
        """Let a fault happen again and again, and wait each time until the records go on."""
        chance = random.Random(seed)  # noqa: S311 - nothing secret
        self.venue.wait_subscribed()
        self.venue.rate = EVENTS_A_SECOND
        for _ in range(FAULTS_EACH):
            self._wait_for_records()
            time.sleep(chance.uniform(0.2, 1.0))  # how long a connection lasts
            self._let_fail(chance)
        self._wait_for_records()
        self.venue.rate = 0.0
        self.is_over = True

    def _let_fail(self, chance: random.Random) -> None:
        fault = chance.choice(FAULTS)
        began_ms = time.time() * 1000
        getattr(self.venue, fault)()
        if fault == "go_down":
            time.sleep(chance.uniform(0.1, 2.0))  # how long the venue is away
            self.venue.come_up()
        self.venue.wait_subscribed()
        self.faults.append((began_ms, time.time() * 1000))

    def _wait_for_records(self) -> None:
        """Wait until each ticker has records from now on."""
        counts = [len(self.published(pair.ticker)) for pair in self.vendor.pairs]

        def have_grown() -> bool:
            now = [len(self.published(pair.ticker)) for pair in self.vendor.pairs]
            return all(later > before + 2 for later, before in zip(now, counts, strict=True))

        wait_until(have_grown, f"records of {self.vendor.adapter}")

    def published(self, ticker: str) -> list[bytes]:
        """Return the members of a ticker's keys."""
        keys = (KEYS.quotes(ticker), KEYS.trades(ticker))
        return [*chain.from_iterable(cast("Any", self.redis.zrange(key, 0, -1)) for key in keys)]

    def watch_gaps(self) -> None:
        """Note when each gap was first seen."""
        while not self.is_over:
            for pair in self.vendor.pairs:
                for gap in cast("list[bytes]", self.redis.zrange(KEYS.gaps(pair.ticker), 0, -1)):
                    self.seen_ms.setdefault(pair.ticker.encode() + gap, time.time() * 1000)
            time.sleep(0.05)

    def gaps(self, ticker: str) -> list[tuple[float, float]]:
        """Return a ticker's declared gaps, in order."""
        members = cast("list[bytes]", self.redis.zrange(KEYS.gaps(ticker), 0, -1))
        gaps = [cast("dict[str, Any]", msgspec.json.decode(gap)) for gap in members]
        return [(gap["from"], gap["to"]) for gap in gaps]


@pytest.fixture
def slow_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the keys, and one quiet limit for all sources."""
    for name in ("APCA_API_KEY_ID", "DATABENTO_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    monkeypatch.setattr(Venue, "heartbeat_seconds", 0.5)
    # A connection that ends soon after another is opened again later and later: not in this test.
    monkeypatch.setattr(connections, "STEADY_SECONDS", 0.0)
    for vendor in VENDORS.values():
        monkeypatch.setattr(vendor.adapter, "quiet_seconds", QUIET_SECONDS)


@pytest.mark.usefixtures("slow_to_notice")
@pytest.mark.parametrize("name", VENDORS)
def test_what_is_lost_is_declared_and_nothing_comes_twice(
    name: str, settings: Settings, redis_client: redis.Redis, assert_within: AssertWithin
) -> None:
    vendor = VENDORS[name]
    with vendor.open_venue() as venue, LiveRun(vendor, venue, settings):
        course = Course(vendor, venue, redis_client)
        watch = threading.Thread(target=course.watch_gaps)
        watch.start()
        try:
            course.run(SEED)
            _wait_for(course, venue.sent[-1])
        finally:
            course.is_over = True
            watch.join()

    for pair in vendor.pairs:
        gaps = course.gaps(pair.ticker)
        assert len(gaps) == len(course.faults), "one gap a fault, and none besides"
        for (from_ms, to_ms), (began_ms, ended_ms) in zip(gaps, course.faults, strict=True):
            assert_within(BOUND_SECONDS, abs(from_ms - began_ms) / 1000)
            assert_within(BOUND_SECONDS, abs(to_ms - ended_ms) / 1000)
        _check_records(course, pair.ticker, pair.symbol, gaps)
        _check_ticks(course, settings, pair.ticker)
    for key, seen_ms in course.seen_ms.items():
        gap = cast("dict[str, Any]", msgspec.json.decode(key[key.index(b"{") :]))
        assert_within(DECLARED_WITHIN_SECONDS, (seen_ms - gap["to"]) / 1000)


def _wait_for(course: Course, event: Event) -> None:
    """Wait until an event is published."""
    (update,) = course.vendor.updates([event])

    def is_there() -> bool:
        return content(update.record) in map(_content_of, course.published(update.ticker))

    wait_until(is_there, "the last event")


def _check_records(
    course: Course, ticker: str, symbol: str, gaps: list[tuple[float, float]]
) -> None:
    """Check that each event is published once, or was lost in a declared gap."""
    published = Counter(map(_content_of, course.published(ticker)))
    happened = [event for event in course.venue.happened if event.symbol == symbol]
    expected = Counter(content(update.record) for update in course.vendor.updates(happened))
    twice = published - expected
    # A connection begins with the quote that stands, which may have been published before.
    assert sum(twice.values()) <= 1 + len(course.faults)
    assert all(len(one) == 4 for one in twice), "no print comes twice"
    for event, update in zip(happened, course.vendor.updates(happened), strict=True):
        if published[content(update.record)] == 0:
            at_ms = event.at_ns / 1e6
            assert any(from_ms - SLACK_MS < at_ms < to_ms + SLACK_MS for from_ms, to_ms in gaps)


def _check_ticks(course: Course, settings: Settings, ticker: str) -> None:
    """Check that ticks publish what the plain definitions say of the records and the gaps.

    A connection may begin with a quote that is stamped inside the gap: what grows with time is then
    not exact near the gap's ends (decision 24), and not compared; covered time always is.
    """
    written = FeedWritten.read(course.redis, ticker)
    records, gaps = written.records, written.spans
    first_quote = next(record for record in records if isinstance(record, Quote))
    reference = Reference(records, ticker, gaps)
    inexact = [gap for gap in gaps if any(gap[0] < one.stamp < gap[1] for one in records)]
    for as_of, windows in replay_ticks(course.redis, settings, written):
        for window, seconds in WINDOWS.items():
            published, expected = windows[window], reference.metrics(as_of, seconds)
            begun_ms = max(as_of - seconds * 1000, first_quote.stamp)
            known = [gap for gap in gaps if gap[1] <= as_of]
            covered_ms = as_of - begun_ms - lost_ms(known, begun_ms, as_of)
            assert published["covered_seconds"] == pytest.approx(covered_ms / 1000, abs=1e-6)
            oldest_ms = as_of - (seconds + 1) * 1000
            if any(gap[1] > oldest_ms and gap[0] < as_of for gap in inexact):
                continue
            ours = {name: published.get(name) for name in expected}
            assert differences(ours, expected, slack_of(records)) == []
    if inexact:
        return
    events = published_events(course.redis, ticker)
    assert events_differ(events, reference.events(as_of), slack_of(records)) == []


def _content_of(text: bytes) -> tuple[object, ...]:
    kind: Callable[..., Any] = TradeMember if b'"price"' in text else QuoteMember
    return content(msgspec.json.decode(text, type=cast("Any", kind)))
