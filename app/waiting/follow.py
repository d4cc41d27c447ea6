"""Follow tickers without end: yield what newly meets a condition, as soon as a tick tells it."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import redis

from app.answers.freshness import STALE_INTERVALS
from app.core import clock
from app.core.errors import StoreUnavailable
from app.core.settings import Settings
from app.storage.keys import ticked_channels
from app.waiting.looks import LookReader, TickerLook
from app.waiting.silences import Silences, TickChange
from app.waiting.watch import Matches, Watch

RETRY_SECONDS = 2.0
# If no tick is heard of for so long, the tickers are looked at all the same.
SILENT_SECONDS = 5.0


class Teller(Protocol):
    """Tells whoever follows tickers why nothing can be found."""

    def trouble(self, cause: str | None) -> None:
        """Tell why Redis can't be asked, and None once it can."""

    def ticks(self, change: TickChange) -> None:
        """Tell that ticks of a ticker stopped, or come again."""


def follow(settings: Settings, watch: Watch, teller: Teller) -> Iterator[list[Matches]]:
    """Yield what newly meets the watch's condition; its cursors are behind it then.

    While Redis can't be asked, nothing is lost that it keeps.
    """
    looks = LookReader.from_settings(settings)
    silent_seconds = max(SILENT_SECONDS, float(STALE_INTERVALS * settings.interval_seconds))
    silences = Silences(watch.tickers, silent_seconds, time.monotonic())
    try:
        while True:
            try:
                yield from _follow(settings, watch, looks, silences, teller)
            except (redis.RedisError, OSError, StoreUnavailable) as error:
                teller.trouble(str(error))
                time.sleep(RETRY_SECONDS)
    finally:
        looks.close()


def _follow(
    settings: Settings,
    watch: Watch,
    looks: LookReader,
    silences: Silences,
    teller: Teller,
) -> Iterator[list[Matches]]:
    prefix = ticked_channels(settings.redis_database)
    with redis.Redis.from_url(settings.redis_url) as client, client.pubsub() as channel:
        channel.subscribe(*(prefix + name for name in watch.tickers))
        due: Iterable[str] = watch.tickers
        silences.begin_again(time.monotonic())
        while True:
            seen = _look(watch, looks, due)
            teller.trouble(None)
            for change in silences.note(seen, time.monotonic()):
                teller.ticks(change)
            taken = (watch.take(look, clock.now_ms()) for look in seen)
            if found := [matches for matches in taken if matches]:
                yield found
            else:
                ticked = _next_ticked(channel, prefix)
                due = ticked | silences.overdue(time.monotonic()) if ticked else watch.tickers


def _look(watch: Watch, looks: LookReader, tickers: Iterable[str]) -> list[TickerLook]:
    now_ms = clock.now_ms()
    oldest = {name: watch.oldest_ms(name, now_ms) for name in tickers}
    return [*looks.read(oldest, watch.condition.windows).values()]


def _next_ticked(channel: Any, prefix: str) -> set[str]:  # noqa: ANN401 - redis-py's, untyped
    """Wait for a tick; return the tickers of all received by then, none after a long silence."""
    tickers: set[str] = set()
    ends_at = time.monotonic() + SILENT_SECONDS
    while not tickers and time.monotonic() < ends_at:
        message = channel.get_message(timeout=1.0)
        while message is not None:
            if message["type"] == "message":
                tickers.add(message["channel"].decode("ascii", "replace").removeprefix(prefix))
            message = channel.get_message(timeout=0)
    return tickers
