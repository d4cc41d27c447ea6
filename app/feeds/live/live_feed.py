"""One live feed: what a venue sends, numbered and stamped, and what was lost, to Redis."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from redis import Redis

from app.feeds.live.connections import Connections
from app.feeds.live.outbox import FeedFields, Outbox, Record
from app.feeds.live.record_order import RecordOrder
from app.feeds.live.venue import Batch, Venue
from app.feeds.live.venue_clock import TELLING_MS, VenueClock
from app.feeds.publish import GapReason, QuoteMember
from app.storage.redis_client import RedisSettings

FLUSH_SECONDS = 0.02
RENEW_SECONDS = 0.9
ALONE_AFTER_SECONDS = 3.0
"""A feed that has said nothing for so long has ended, or has no connection."""
LOOK_SECONDS = 0.2
STOP_SECONDS = 2.0
MAX_GAP_MS = 24 * 3600 * 1000.0

log = structlog.get_logger()


class Recorder(Protocol):
    """Who also gets every record and gap, as published: a writer of tapes."""

    def add(self, ticker: str, record: Record) -> None:
        """Take a record, its stamp and `seq` set."""

    def add_gap(self, ticker: str, from_ms: float, to_ms: float, reason: GapReason) -> None:
        """Take a gap, before the first record after it."""

    def flush(self) -> None:
        """Write what is due; called every few milliseconds."""

    def close(self) -> None:
        """Write the rest and end."""


class LiveFeed:
    """Publishes what a venue sends until it is asked to stop."""

    def __init__(
        self,
        make: Callable[[], Venue],
        tickers: Sequence[str],
        redis: Redis,
        settings: RedisSettings,
        recorder: Recorder | None = None,
    ) -> None:
        self.outbox = Outbox(redis, settings)
        self._venue = make()
        self._tickers = tickers
        self._recorder = recorder
        self._order = {ticker: RecordOrder() for ticker in tickers}
        self._resumed_from: dict[str, float] = {}
        self._gap_ends: dict[str, float] = {}
        self._clock = VenueClock()
        self._stamp_ms = 0.0
        self._newest = (0.0, 0.0)
        self._told_delay_ms = 0.0
        self._connections = Connections(make, self)

    @property
    def counts(self) -> Counter[str]:
        """Return what was left out, by reason."""
        return sum((order.counts for order in self._order.values()), self._connections.counts)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop` is set.

        Raises `FeedRefused` where the venue refuses what is asked of it.
        """
        stopping = asyncio.create_task(stop.wait())
        tasks = (stopping, asyncio.create_task(self._serve()))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await self._end()
        if not tasks[1].cancelled():
            tasks[1].result()

    async def _serve(self) -> None:
        """Connect once Redis has said up to when records are known, and publish."""
        await self._wait_until_alone()
        self._resumed_from = await self.outbox.known_until(self._tickers, self._venue.source)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._connections.run())
                group.create_task(self._publish())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _wait_until_alone(self) -> None:
        """Wait while another process feeds one of the tickers: each record would come twice.

        What a process said that was killed a moment ago is waited for as well.
        """
        silent = 0.0
        is_told = False
        while True:
            before, silent = silent, await self.outbox.renewed_seconds_ago(self._tickers)
            if silent > ALONE_AFTER_SECONDS:
                break
            if silent < before and not is_told:
                log.warning("another process feeds these tickers, waiting for its end")
                is_told = True
            await asyncio.sleep(LOOK_SECONDS)
        if is_told:
            log.info("the other process ended")

    async def _publish(self) -> None:
        """Write what waits every 20 ms, and renew what the feed says of itself."""
        renew_at = 0.0
        while True:
            if time.monotonic() >= renew_at:
                self._renew()
                renew_at = time.monotonic() + RENEW_SECONDS
            await self.outbox.flush()
            if self._recorder is not None:
                self._recorder.flush()
            await asyncio.sleep(FLUSH_SECONDS)

    def _renew(self) -> None:
        """Say what the feed is, unless no connection stands: it is then seen to be down."""
        alive_ms = self._connections.alive_ms
        if alive_ms is None:
            return
        delay_ms = self._clock.delay_ms
        self._tell_delay(delay_ms or 0.0)
        fields: FeedFields = {
            "source": self._venue.source,
            "scope": self._venue.scope,
            "stamps": self._venue.stamps,
            "alive_at": round(alive_ms, 3),
        }
        if delay_ms is not None:
            fields["delay_ms"] = round(max(0.0, delay_ms))
        for ticker in self._tickers:
            self.outbox.set_feed(ticker, fields)

    def _tell_delay(self, delay_ms: float) -> None:
        """Log that stamps and this machine's clock are apart, once and where that changes."""
        is_apart = abs(delay_ms) >= TELLING_MS
        if is_apart and abs(delay_ms - self._told_delay_ms) < TELLING_MS:
            return
        if is_apart:
            log.warning("stamps and clock are apart", stamps_behind_s=round(delay_ms / 1000, 1))
        elif self._told_delay_ms:
            log.info("stamps and clock agree again")
        self._told_delay_ms = delay_ms if is_apart else 0.0

    async def _end(self) -> None:
        """Write what waits, if Redis takes it."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.outbox.flush()
                while self.outbox.pending_count:
                    await asyncio.sleep(FLUSH_SECONDS)
                    await self.outbox.flush()
        except TimeoutError:
            log.warning("records not sent", count=self.outbox.pending_count)
        if self._recorder is not None:
            self._recorder.close()

    def begin(self, lost_from_ms: float | None, now_ms: float) -> None:
        """Declare what was lost before a connection that stands from now on."""
        to_ms = self._at_venue(now_ms)
        from_ms = None if lost_from_ms is None else self._known_until(lost_from_ms)
        for ticker, order in self._order.items():
            order.restart(now_ms)
            self._gap_ends[ticker] = 0.0
            if from_ms is not None:
                self._declare(ticker, from_ms, to_ms, "disconnected")
        for ticker, from_ms in self._resumed_from.items():
            self._declare(ticker, from_ms, to_ms, "resumed")
        self._resumed_from = {}

    def _at_venue(self, received_ms: float) -> float:
        """Return what time it is on the clock that stamps the records."""
        is_venues = self._venue.stamps == "venue"
        return round(self._clock.at_venue(received_ms) if is_venues else received_ms, 3)

    def _known_until(self, heard_ms: float) -> float:
        """Return up to which stamp everything is known by what was last heard at `heard_ms`.

        Where that was a record, up to its stamp: others like it may have been under way.
        """
        received_ms, stamp_ms = self._newest
        known_ms = self._at_venue(heard_ms)
        return min(known_ms, stamp_ms) if received_ms == heard_ms else known_ms

    def _declare(self, ticker: str, from_ms: float, to_ms: float, reason: GapReason) -> None:
        from_ms = max(from_ms, to_ms - MAX_GAP_MS)
        if from_ms >= to_ms:
            return
        self._gap_ends[ticker] = to_ms
        self.outbox.add_gap(ticker, from_ms, to_ms, reason)
        if self._recorder is not None:
            self._recorder.add_gap(ticker, from_ms, to_ms, reason)

    def receive(self, batch: Batch, received_ms: float) -> None:
        """Publish the records of a frame that are new."""
        for update in batch:
            ticker, record = update.ticker, update.record
            if self._order[ticker].accept(update):
                self._stamp(ticker, record, received_ms)
                self._newest = received_ms, record.timestamp
                self.outbox.add(ticker, record)
                if self._recorder is not None:
                    self._recorder.add(ticker, record)

    def _stamp(self, ticker: str, record: Record, received_ms: float) -> None:
        """Stamp what the venue did not stamp.

        A ticker's first quote on a connection may be an older one that stands: the venue's clock is
        not known by it. After a gap, quotes of before its end stand from its end on.
        """
        if not record.timestamp:
            self._stamp_ms = max(self._stamp_ms, self._at_venue(received_ms))
            record.timestamp = self._stamp_ms
            return
        gap_end = self._gap_ends.get(ticker)
        if gap_end is None:
            self._clock.note(record.timestamp, received_ms)
        elif isinstance(record, QuoteMember):
            if record.timestamp < gap_end:
                record.timestamp = gap_end
            else:
                del self._gap_ends[ticker]
