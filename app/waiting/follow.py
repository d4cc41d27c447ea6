"""Follow tickers without end: yield what newly meets a condition, as soon as a tick tells it."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis

from app.core import clock
from app.core.errors import StoreUnavailable
from app.core.settings import Settings
from app.storage.keys import ticked_channels
from app.waiting.looks import LookReader
from app.waiting.watch import Matches, Watch

RETRY_SECONDS = 2.0
# If no tick is heard of for so long, the tickers are looked at all the same.
SILENT_SECONDS = 5.0


def follow(
    settings: Settings, watch: Watch, tell_trouble: Callable[[str | None], None]
) -> Iterator[list[Matches]]:
    """Yield what newly meets the watch's condition; its cursors are behind it then.

    `tell_trouble` is told why Redis can't be asked, and None once it can: nothing is lost meanwhile
    that Redis keeps.
    """
    looks = LookReader.from_settings(settings)
    try:
        while True:
            try:
                yield from _follow(settings, watch, looks, tell_trouble)
            except (redis.RedisError, OSError, StoreUnavailable) as error:
                tell_trouble(str(error))
                time.sleep(RETRY_SECONDS)
    finally:
        looks.close()


def _follow(
    settings: Settings,
    watch: Watch,
    looks: LookReader,
    tell_trouble: Callable[[str | None], None],
) -> Iterator[list[Matches]]:
    prefix = ticked_channels(settings.redis_database)
    with redis.Redis.from_url(settings.redis_url) as client, client.pubsub() as channel:
        channel.subscribe(*(prefix + name for name in watch.tickers))
        due: Iterable[str] = watch.tickers
        while True:
            found = _look(watch, looks, due)
            tell_trouble(None)
            if found:
                yield found
            else:
                due = _next_ticked(channel, prefix) or watch.tickers


def _look(watch: Watch, looks: LookReader, tickers: Iterable[str]) -> list[Matches]:
    now_ms = clock.now_ms()
    oldest = {name: watch.oldest_ms(name, now_ms) for name in tickers}
    read = looks.read(oldest, watch.condition.windows)
    found = [watch.take(look, clock.now_ms()) for look in read.values()]
    return [matches for matches in found if matches]


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
