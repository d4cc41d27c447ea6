"""Keep one connection to a venue: open it again when it ends, replace it before the venue ends it.

What arrives goes to a `Receiver`, which is also told between which times nothing could arrive.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol

import structlog

from app.core.clock import now_ms
from app.core.errors import FeedInterrupted
from app.core.rare_events import OncePerMinute
from app.feeds.live.venue import Batch, Venue

CONNECT_SECONDS = 40.0
OVERLAP_SECONDS = 3.0
REPLACE_AHEAD_SECONDS = 600.0
REPLACE_AGAIN_SECONDS = 60.0
STEADY_SECONDS = 20.0
"""A connection that held for so long was a good one: the next pause is a short one again."""
MIN_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 10.0
POLL_SECONDS = 0.1

log = structlog.get_logger()


class Receiver(Protocol):
    """Who takes what arrives."""

    def receive(self, batch: Batch, received_ms: float) -> None:
        """Take the records of a frame."""

    def begin(self, lost_from_ms: float | None, now_ms: float) -> None:
        """Note that a connection stands, and since when, if ever, there was none."""


class _Connection:
    """One connection, read in a task of its own."""

    def __init__(self, venue: Venue, receiver: Receiver, *, holds_back: bool = False) -> None:
        self.opened_at = time.monotonic()
        self.heard_ms: float | None = None
        self.ended_ms = 0.0
        self.counts = venue.counts
        self._venue = venue
        self._receiver = receiver
        self._polled_at = self.opened_at
        self._silent_seconds = 0.0
        self._held: list[tuple[Batch, float]] | None = [] if holds_back else None
        self._on_stand: Callable[[float], None] = _nothing
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            # Closed here, not when the garbage is collected: the socket's end takes a moment.
            async with aclosing(self._venue.records()) as batches:
                async for batch in batches:
                    self._take(batch, now_ms())
        finally:
            self.ended_ms = now_ms()
        raise FeedInterrupted("the connection ended")

    def _take(self, batch: Batch, received_ms: float) -> None:
        if self.heard_ms is None:
            self._on_stand(received_ms)
        self.heard_ms, self._silent_seconds = received_ms, 0.0
        if self._held is None:
            self._receiver.receive(batch, received_ms)
        else:
            self._held.append((batch, received_ms))

    def when_it_stands(self, tell: Callable[[float], None]) -> None:
        """Have `tell` called with the time when all subscriptions are confirmed."""
        self._on_stand = tell

    def take_over(self) -> None:
        """Hand on what was held back, and everything from now on."""
        held, self._held = self._held, None
        for batch, received_ms in held or ():
            self._receiver.receive(batch, received_ms)

    @property
    def has_stood(self) -> bool:
        """Tell whether all subscriptions were confirmed."""
        return self.heard_ms is not None

    @property
    def has_ended(self) -> bool:
        """Tell whether it ended, or is silent for longer than the venue ever is."""
        allowed = self._venue.quiet_seconds if self.has_stood else CONNECT_SECONDS
        return self._task.done() or self._silent_seconds > allowed

    async def watch(self) -> None:
        """Wait a moment, or until it ends, and count how long it is silent.

        A process that was stopped, or starved, counts as silent for two moments only: what arrived
        meanwhile is still to be read.
        """
        await asyncio.wait((self._task,), timeout=POLL_SECONDS)
        now = time.monotonic()
        self._silent_seconds += min(now - self._polled_at, 2 * POLL_SECONDS)
        self._polled_at = now

    async def until_end(self, until: float | None) -> bool:
        """Wait until it ended, at most until a time of the monotonic clock; tell whether it did."""
        while not self.has_ended:
            if until is not None and time.monotonic() >= until:
                return False
            await self.watch()
        return True

    async def end(self) -> Exception:
        """End it, and return why it ended; raises what is no passing error of the venue's."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._task.cancelled():
            what = "the connection is silent" if self.has_stood else "no answer"
            return FeedInterrupted(what)
        error = self._task.exception()
        if not isinstance(error, FeedInterrupted | OSError):
            raise error or FeedInterrupted("the connection ended")
        return error


def _nothing(_: float) -> None:
    """Tell nobody."""


class Connections:
    """The connections to a venue, one after the other."""

    def __init__(self, make: Callable[[], Venue], receiver: Receiver) -> None:
        self._make, self._receiver = make, receiver
        self._open: list[_Connection] = []
        self._past_counts: Counter[str] = Counter()
        self._lost_from_ms: float | None = None
        self._pause_seconds = 0.0
        self._attempts = OncePerMinute()
        self._lifetime_seconds: float | None = None

    @property
    def alive_ms(self) -> float | None:
        """Return when the connection was last heard of; None if none stands."""
        one = self._open[0] if self._open else None
        return None if one is None or one.has_ended else one.heard_ms

    @property
    def counts(self) -> Counter[str]:
        """Return what the adapters left out, by reason."""
        return sum((Counter(one.counts) for one in self._open), self._past_counts)

    async def run(self) -> None:
        """Keep a connection until this is cancelled.

        Raises `FeedRefused` where the venue refuses what is asked of it.
        """
        try:
            while True:
                connection = self._connect()
                connection.when_it_stands(self._begin)
                await self._serve(connection)
        finally:
            await asyncio.gather(*(one.end() for one in self._open), return_exceptions=True)

    def _connect(self, *, holds_back: bool = False) -> _Connection:
        venue = self._make()
        self._lifetime_seconds = venue.lifetime_seconds
        connection = _Connection(venue, self._receiver, holds_back=holds_back)
        self._open.append(connection)
        return connection

    def _close(self, connection: _Connection) -> None:
        """Count what a connection left out, and forget it."""
        self._open.remove(connection)
        self._past_counts.update(connection.counts)

    def _begin(self, at_ms: float) -> None:
        log.info("connected", **_seconds_lost(self._lost_from_ms, at_ms))
        self._receiver.begin(self._lost_from_ms, at_ms)
        self._lost_from_ms = None

    async def _serve(self, connection: _Connection) -> None:
        """Serve until a connection ends that was not replaced before."""
        replace_at = self._replace_at(connection)
        while not await connection.until_end(replace_at):
            successor = await self._replaced(connection)
            if successor is None:
                replace_at = time.monotonic() + REPLACE_AGAIN_SECONDS
            else:
                connection, replace_at = successor, self._replace_at(successor)
        await self._note_end(connection)

    def _replace_at(self, connection: _Connection) -> float | None:
        """Return when to replace a connection: before the venue ends it."""
        lifetime = self._lifetime_seconds
        if lifetime is None:
            return None
        return connection.opened_at + lifetime - min(REPLACE_AHEAD_SECONDS, lifetime / 2)

    async def _replaced(self, connection: _Connection) -> _Connection | None:
        """Open another connection beside one; return it once it took over, None if it did not.

        For some seconds both receive. What the new one received by then is handed on when the old
        one ended, and what was had already is left out by the receiver.
        """
        successor = self._connect(holds_back=True)
        stood_at: float | None = None
        while not (connection.has_ended or successor.has_ended):
            if successor.has_stood:
                stood_at = stood_at or time.monotonic()
                if time.monotonic() - stood_at >= OVERLAP_SECONDS:
                    break
            await asyncio.gather(connection.watch(), successor.watch())
        if successor.has_ended or not successor.has_stood:
            self._close(successor)
            log.warning("connection not replaced", error=str(await successor.end()))
            return None
        self._close(connection)
        await connection.end()
        successor.take_over()
        log.info("connection replaced")
        return successor

    async def _note_end(self, connection: _Connection) -> None:
        """Note since when nothing arrives, and wait before the next attempt."""
        self._close(connection)
        error = await connection.end()
        if connection.has_stood:
            is_complete = isinstance(error, FeedInterrupted) and error.is_complete
            self._lost_from_ms = connection.ended_ms if is_complete else connection.heard_ms
        if connection.has_stood and time.monotonic() - connection.opened_at > STEADY_SECONDS:
            self._pause_seconds = 0.0
        pause = max(2 * self._pause_seconds, MIN_PAUSE_SECONDS)
        self._pause_seconds = min(pause, MAX_PAUSE_SECONDS)
        # Of several feeds that lost one venue not all come back at once.
        seconds = self._pause_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._log_end(error, was_standing=connection.has_stood)
        await asyncio.sleep(seconds)

    def _log_end(self, error: Exception, *, was_standing: bool) -> None:
        """Log each connection that is lost, and attempts in vain once a minute."""
        if was_standing:
            log.warning("connection lost, trying again", error=str(error))
            return
        left_out = self._attempts.left_out("in vain")
        if left_out is not None:
            log.warning("no connection, trying again", error=str(error), further=left_out)


def _seconds_lost(from_ms: float | None, to_ms: float) -> dict[str, float]:
    return {} if from_ms is None else {"lost_s": round((to_ms - from_ms) / 1000, 1)}
