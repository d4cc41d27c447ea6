"""Look at tickers as soon as they tick, once for all who watch them.

While nobody watches, the server does not subscribe to Redis: 1,500 ticks a second take 4 % of a
core in every server, and over stdio each client has a server of its own.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import redis
import redis.asyncio
import structlog

from app.core import clock
from app.core.errors import StoreUnavailable
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage.keys import ticked_channels
from app.waiting.looks import LookReader, TickerLook

RETRY_SECONDS = 1.0
# If no tick is heard of for so long, the tickers are looked at all the same: a connection that is
# half dead tells of nothing.
SILENT_SECONDS = 5.0
# Between two looks of a ticker: other databases' and doubled notices cost no more than that.
_PAUSE_SECONDS = 0.005

_log = structlog.get_logger()


class Watcher(Protocol):
    """Somebody who is shown looks at tickers."""

    @property
    def windows(self) -> Sequence[str]:
        """Return the windows whose ranks are needed."""
        ...

    def oldest_ms(self, ticker: str, now_ms: float) -> float:
        """Return the opening from which on a ticker's events are needed."""
        ...

    def take(self, looks: Sequence[TickerLook]) -> None:
        """Take new looks at some of the watched tickers."""
        ...

    def fail(self, error: StoreUnavailable | None) -> None:
        """Take that Redis did not answer, or that it does again."""
        ...


class TickLooks:
    """Who watches which tickers, and the tasks that listen for ticks and look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader = LookReader.from_settings(settings)
        # One thread: looks that wait for it become one round trip.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="looks")
        self._watchers: defaultdict[str, dict[Watcher, None]] = defaultdict(dict)
        self._of_all: dict[Watcher, None] = {}
        self._due: dict[str, None] = {}
        self._is_due = asyncio.Event()
        self._is_watched = asyncio.Event()

    def add(self, watcher: Watcher, tickers: Iterable[str]) -> None:
        """Show a watcher tickers: each at once, and then with each of its ticks."""
        for ticker in tickers:
            self._watchers[ticker][watcher] = None
            self._due[ticker] = None
        self._is_due.set()
        self._is_watched.set()

    def remove(self, watcher: Watcher, tickers: Iterable[str]) -> None:
        """Show a watcher some tickers no more."""
        for ticker in tickers:
            self._watchers[ticker].pop(watcher, None)
            if not self._watchers[ticker]:
                del self._watchers[ticker]

    def add_to_all(self, watcher: Watcher) -> None:
        """Show a watcher every ticker that ticks."""
        self._of_all[watcher] = None
        self._is_watched.set()

    def remove_from_all(self, watcher: Watcher) -> None:
        """Show a watcher only the tickers that it was added for."""
        self._of_all.pop(watcher, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen and look as long as the context lasts."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._reader.close()

    def _has_watchers(self) -> bool:
        return bool(self._watchers or self._of_all)

    async def _listen(self) -> None:
        while True:
            await self._is_watched.wait()
            self._is_watched.clear()
            try:
                await self._listen_while_watched()
            except (redis.RedisError, OSError) as error:
                # Tools report that Redis is away; here it is enough to try again.
                _log.debug("updates_wait_for_redis", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._is_watched.set()

    async def _listen_while_watched(self) -> None:
        """Make the tickers due that tick, until nobody watches."""
        prefix = ticked_channels(self._settings.redis_database)
        client = redis.asyncio.Redis.from_url(self._settings.redis_url, socket_timeout=None)
        async with client, client.pubsub() as channel:
            await channel.psubscribe(f"{prefix}*")
            # Reading the confirmation: what ticked before it was not heard of.
            await channel.get_message(timeout=SILENT_SECONDS)
            self._make_all_due()
            while self._has_watchers():
                message = await channel.get_message(
                    ignore_subscribe_messages=True, timeout=SILENT_SECONDS
                )
                if message is None:
                    self._make_all_due()
                else:
                    name = message["channel"].decode("ascii", "replace").removeprefix(prefix)
                    self._make_due(name)

    def _make_all_due(self) -> None:
        self._due |= dict.fromkeys(self._watchers)
        self._is_due.set()

    def _make_due(self, name: str) -> None:
        if name in self._watchers or (self._of_all and is_ticker(name)):
            self._due[name] = None
            self._is_due.set()

    async def _look(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            due, self._due = self._due, {}
            try:
                await self._look_at(list(due))
            except StoreUnavailable as error:
                self._tell_failure(due, error)
                self._due = due | self._due
                await asyncio.sleep(RETRY_SECONDS)
                self._is_due.set()
            except Exception:  # noqa: BLE001 - told, and the others go on
                # One look that fails must not end those of all others.
                _log.exception("look_failed")
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _look_at(self, names: Sequence[str]) -> None:
        watched = {name: self._watchers_of(name) for name in names}
        watched = {name: watchers for name, watchers in watched.items() if watchers}
        if not watched:
            return
        now_ms = clock.now_ms()
        oldest = {
            name: min(one.oldest_ms(name, now_ms) for one in watchers)
            for name, watchers in watched.items()
        }
        windows = {w: None for some in watched.values() for one in some for w in one.windows}
        looks = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._reader.read, oldest, tuple(windows)
        )
        shown: defaultdict[Watcher, list[TickerLook]] = defaultdict(list)
        for name, watchers in watched.items():
            for one in watchers:
                shown[one].append(looks[name])
        for one, its_looks in shown.items():
            one.fail(None)
            one.take(its_looks)

    def _watchers_of(self, name: str) -> list[Watcher]:
        return [*{**self._watchers.get(name, {}), **self._of_all}]

    def _tell_failure(self, names: Iterable[str], error: StoreUnavailable) -> None:
        for one in {one for name in names for one in self._watchers_of(name)}:
            one.fail(error)
