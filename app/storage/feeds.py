"""What feeds said of themselves, also once they are dead and their own keys have expired.

A feed's hash lives for 120 s. Without it a dead feed would look like a broker that says nothing of
itself, and its tickers quiet: discovery keeps what each feed of an active ticker last said.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import redis

from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS
from app.storage.keys import Keys
from app.storage.published import FEED_FIELDS, FeedRecord, read_feed

FEED_DOWN_MS: Final = 15_000
"""A feed whose `alive_at` is older is down."""
NOTED_EVERY_SECONDS: Final = 20.0
_BATCH: Final = 250

Fields = Mapping[bytes, bytes]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


def is_down(feed: FeedRecord | None, now_ms: float) -> bool:
    """Return whether a feed has given no sign of life for too long."""
    return feed is not None and feed.alive_at is not None and now_ms - feed.alive_at > FEED_DOWN_MS


def remembered_feed(packed: bytes | None, newest_record_ms: float) -> FeedRecord | None:
    """Return what a feed last said, whose own key is gone.

    None where a record came after its last sign of life: somebody else writes the ticker now.
    """
    try:
        feed = read_feed(_decode(packed)) if packed else None
    except msgspec.MsgspecError:
        return None
    if feed is None or feed.alive_at is None or newest_record_ms > feed.alive_at + FEED_DOWN_MS:
        return None
    return feed


class Feeds:
    """Reads and remembers what the feeds of tickers say of themselves."""

    def __init__(self, client: redis.Redis, names: Keys) -> None:
        # `Any`: redis-py's annotations add an awaitable to every reply.
        self._redis: Any = client
        self._keys = names
        self._due = 0.0
        self._ignored: dict[str, int] = {}

    def note_when_due(self, now_ms: float) -> int:
        """Remember every few seconds what the feeds of active tickers say.

        Returns how many fields were new among those that are ignored.
        """
        if time.monotonic() < self._due:
            return 0
        self._due = time.monotonic() + NOTED_EVERY_SECONDS
        said = {name: fields for name, fields in self._said(self._active(now_ms)) if fields}
        packed = {name: _encode(_known(fields)) for name, fields in said.items()}
        if packed:
            pipe = self._redis.pipeline(transaction=False)
            pipe.hset(keys.FEEDS, mapping=packed)
            pipe.expire(keys.FEEDS, keys.FEEDS_LIFETIME_SECONDS)
            pipe.execute()
        ignored = {name: len(fields.keys() - FEED_FIELDS) for name, fields in said.items()}
        grown = sum(max(0, n - self._ignored.get(name, 0)) for name, n in ignored.items())
        self._ignored = ignored
        return grown

    def all(self, now_ms: float) -> dict[str, FeedRecord]:
        """Return what the feeds of active and remembered tickers say, or last said."""
        remembered = self._remembered()
        said = dict(self._said({*remembered, *self._active(now_ms)}))
        feeds = {name: read_feed(fields) for name, fields in said.items() if fields}
        lost = [name for name in remembered if not said[name]]
        pipe = self._redis.pipeline(transaction=False)
        for name in lost:
            pipe.zscore(keys.TICKERS, name)
        for name, score in zip(lost, pipe.execute(), strict=True):
            feeds[name] = remembered_feed(remembered[name], score or 0.0)
        return {name: feed for name, feed in sorted(feeds.items()) if feed is not None}

    def down(self, now_ms: float) -> dict[str, FeedRecord]:
        """Return the feeds that are down, by ticker."""
        return {name: feed for name, feed in self.all(now_ms).items() if is_down(feed, now_ms)}

    def _remembered(self) -> dict[str, bytes]:
        found = self._redis.hgetall(keys.FEEDS)
        named = ((name.decode("ascii", "replace"), packed) for name, packed in found.items())
        return {name: packed for name, packed in named if is_ticker(name)}

    def _active(self, now_ms: float) -> list[str]:
        found = self._redis.zrangebyscore(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        names = (name.decode("ascii", "replace") for name in found)
        return [name for name in names if is_ticker(name)]

    def _said(self, names: Iterable[str]) -> Iterable[tuple[str, Fields]]:
        for some in _batches([*names]):
            pipe = self._redis.pipeline(transaction=False)
            for name in some:
                pipe.hgetall(self._keys.feed(name))
            replies = pipe.execute(raise_on_error=False)
            for name, fields in zip(some, replies, strict=True):
                yield name, fields if isinstance(fields, dict) else {}


def _known(fields: Fields) -> Fields:
    return {name: text[:64] for name, text in fields.items() if name in FEED_FIELDS}


def _batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]
