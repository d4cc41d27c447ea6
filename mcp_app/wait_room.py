"""Let clients wait until a condition is met: bounded in time, and in number of waits."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from app.core import clock
from app.core.errors import BadQuestion, StoreUnavailable
from app.waiting.looks import TickerLook
from app.waiting.watch import MAX_MATCHES, Matches, Watch
from mcp_app.tick_looks import TickLooks

MAX_A_SESSION = 32
MAX_IN_ALL = 256
# Also a wait of no time looks once.
_LOOK_SECONDS = 1.5


class Waiter(NamedTuple):
    """Who waits: a session, the client's name where there is none, and the client's address."""

    session: str
    address: str


class WaitRoom:
    """The waits of a server."""

    def __init__(self, looks: TickLooks) -> None:
        self._looks = looks
        self._waits_of: Counter[str] = Counter()
        self._waits_from: Counter[str] = Counter()

    async def wait(self, watch: Watch, seconds: float, waiter: Waiter) -> list[Matches]:
        """Return what newly meets the watch's condition; nothing once the time is over.

        Raises `BadQuestion` for a wait too many; `StoreUnavailable` if Redis did not answer at the
        end, and nothing was found.
        """
        with self._counted(waiter):
            one = _Wait(watch, seconds)
            self._looks.add(one, watch.tickers)
            try:
                async with asyncio.timeout(max(seconds, _LOOK_SECONDS)):
                    await one.is_over.wait()
            except TimeoutError:
                if one.error is not None:
                    raise one.error from None
            finally:
                self._looks.remove(one, watch.tickers)
            return one.found

    @contextmanager
    def _counted(self, waiter: Waiter) -> Iterator[None]:
        """Count a wait; an address may have half of all, so that it never keeps others out."""
        if self._waits_of[waiter.session] >= MAX_A_SESSION:
            raise BadQuestion(f"{MAX_A_SESSION} waits of this client are open; end one first")
        if self._waits_from[waiter.address] >= MAX_IN_ALL // 2:
            raise BadQuestion(f"{MAX_IN_ALL // 2} waits of this address are open; ask again later")
        if self._waits_of.total() >= MAX_IN_ALL:
            raise BadQuestion(f"all {MAX_IN_ALL} waits of this server are taken; ask again later")
        counts = ((self._waits_of, waiter.session), (self._waits_from, waiter.address))
        for count, name in counts:
            count[name] += 1
        try:
            yield
        finally:
            for count, name in counts:
                count[name] -= 1
                if not count[name]:
                    del count[name]


class _Wait:
    """One wait: it takes looks until one holds something new, or its time is over."""

    def __init__(self, watch: Watch, seconds: float) -> None:
        self._watch = watch
        self._ends_at = time.monotonic() + seconds
        self._unseen = {*watch.tickers}
        self.windows = watch.condition.windows
        self.is_over = asyncio.Event()
        self.found: list[Matches] = []
        self.error: StoreUnavailable | None = None

    def oldest_ms(self, ticker: str, now_ms: float) -> float:
        """Return the opening from which on a ticker's events are needed."""
        return self._watch.oldest_ms(ticker, now_ms)

    def take(self, looks: Sequence[TickerLook]) -> None:
        """Take what is new in looks; after the first that holds something, no more."""
        if self.is_over.is_set():
            return
        room = MAX_MATCHES
        for look in looks:
            matches = self._watch.take(look, clock.now_ms(), room)
            if matches:
                self.found.append(matches)
                room -= len(matches.events)
            self._unseen.discard(look.ticker)
        if self.found or (not self._unseen and time.monotonic() >= self._ends_at):
            self.is_over.set()

    def fail(self, error: StoreUnavailable | None) -> None:
        """Keep why the tickers can't be looked at, or that they can."""
        self.error = error
