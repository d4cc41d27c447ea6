"""What waits to be written to Redis: records, gaps before them, and what the feed says of itself.

What Redis does not take waits, up to a number of records. Beyond it the oldest are left out, and
the time in which they lay is declared as a gap.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisClusterException, RedisError

from app.core.outage_log import OutageLog
from app.core.refusals import is_unavailable
from app.feeds.publish import (
    MIN_PAUSE_SECONDS,
    Backoff,
    GapMember,
    GapReason,
    QuoteMember,
    TradeMember,
)
from app.storage.keys import FEED_LIFETIME_SECONDS, Keys
from app.storage.published import read_feed
from app.storage.redis_client import RedisSettings

MAX_WAITING = 100_000
BATCH_RECORDS = 5_000

Record = QuoteMember | TradeMember
Answer = TypeVar("Answer")

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode

FeedFields = dict[Any, str | float]


class _Waiting(NamedTuple):
    ticker: str
    is_trade: bool
    stamp: float
    member: bytes


class Outbox:
    """Records, gaps and feed hashes on their way to Redis."""

    def __init__(
        self, redis: Redis, settings: RedisSettings, max_waiting: int = MAX_WAITING
    ) -> None:
        self._redis = redis
        self._keys = Keys(cluster=settings.cluster)
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._sending: list[_Waiting] = []
        self._gaps: list[tuple[str, GapMember]] = []
        self._feeds: dict[str, FeedFields] = {}
        self._lost_from: dict[str, float] = {}
        self._refused_keys: set[str] = set()
        self._backoff = Backoff()
        self._outage = OutageLog(log, database=settings.redis_database)
        self._flushing: asyncio.Task[None] | None = None
        self.published_count = 0
        self.lost_count = 0

    def add(self, ticker: str, record: Record) -> None:
        """Add a record that is complete, to be written by the next `flush`."""
        member = _encode(record)
        is_trade = isinstance(record, TradeMember)
        self._waiting.append(_Waiting(ticker, is_trade, record.timestamp, member))
        if len(self._waiting) > self._max_waiting:
            self._lose_oldest()

    def _lose_oldest(self) -> None:
        oldest = self._waiting.popleft()
        if not self.lost_count:
            log.warning("records lost", reason="too many wait for redis", at_most=self._max_waiting)
        self.lost_count += 1
        self._lost_from.setdefault(oldest.ticker, oldest.stamp)

    def add_gap(self, ticker: str, from_ms: float, to_ms: float, reason: GapReason) -> None:
        """Declare a gap; it is written before any record that is added later."""
        if from_ms < to_ms:
            self._gaps.append((ticker, GapMember(from_ms, to_ms, reason)))

    def set_feed(self, ticker: str, fields: FeedFields) -> None:
        """Say what the feed is, as of now."""
        self._feeds[ticker] = fields

    @property
    def pending_count(self) -> int:
        """Count the records that are not written yet."""
        return len(self._waiting) + len(self._sending)

    async def known_until(self, tickers: Sequence[str], source: str) -> dict[str, float]:
        """Return up to when records of each ticker are known, waiting for Redis if it is away.

        Not only up to the newest one: a feed of the same source had lived up to `alive_at`.
        """
        return await self._answer(lambda: self._read_known(tickers, source))

    async def renewed_seconds_ago(self, tickers: Sequence[str]) -> float:
        """Return how long ago any feed of these tickers last said that it is there."""
        keys = [self._keys.feed(ticker) for ticker in tickers]
        left_ms = await self._answer(lambda: [self._redis.pttl(key) for key in keys])
        return FEED_LIFETIME_SECONDS - max(left_ms) / 1000

    async def _answer(self, read: Callable[[], Answer]) -> Answer:
        """Return what is read of Redis, waiting for it if it is away."""
        while True:
            if self._backoff.is_over():
                try:
                    found = await asyncio.to_thread(read)
                except (RedisError, RedisClusterException) as error:
                    self._note_outage(error)
                else:
                    self._note_success()
                    return found
            await asyncio.sleep(MIN_PAUSE_SECONDS)

    def _read_known(self, tickers: Sequence[str], source: str) -> dict[str, float]:
        found = {}
        for ticker in tickers:
            newest = [
                score
                for key in (self._keys.quotes(ticker), self._keys.trades(ticker))
                for _, score in self._newest(key)
            ]
            if newest:
                found[ticker] = max(*newest, self._alive_at(ticker, source))
        return found

    def _newest(self, key: str) -> "list[tuple[bytes, float]]":
        # redis-py's type for the reply covers all options of the command.
        reply = self._redis.zrange(key, -1, -1, withscores=True)
        return cast("list[tuple[bytes, float]]", reply)

    def _alive_at(self, ticker: str, source: str) -> float:
        """Return until when the feed of this source lived, as a stamp of it; 0 if not known."""
        fields = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.feed(ticker)))
        said = read_feed(fields)
        if said is None or said.source != source or said.alive_at is None:
            return 0.0
        return said.alive_at - (said.delay_ms or 0)

    async def flush(self) -> None:
        """Write what waits; log an outage once and retry at a later call.

        One that is cancelled writes on, and the next call waits for it: both take the same records.
        """
        if self._flushing is not None:
            await asyncio.wait((self._flushing,))
        self._flushing = asyncio.create_task(self._flush())
        await asyncio.shield(self._flushing)

    async def _flush(self) -> None:
        if not self._backoff.is_over():
            return
        gaps, feeds = self._take()
        if not (self._sending or gaps or feeds):
            return
        try:
            # In a thread of its own: frames are read, and stamped, while Redis is slow or away.
            await asyncio.to_thread(self._write, gaps, feeds)
        except (RedisError, RedisClusterException) as error:
            self._take_back(gaps)
            self._note_outage(error)
        else:
            self._note_success()

    def _note_outage(self, error: Exception) -> None:
        """Put off the next attempt; raises the error unless it means that Redis is unavailable."""
        if not is_unavailable(error):
            raise error
        self._outage.note_error(error)
        self._backoff.note_failure()

    def _note_success(self) -> None:
        self._outage.note_success()
        self._backoff.note_success()

    def _take(self) -> tuple[list[tuple[str, GapMember]], dict[str, FeedFields]]:
        """Take the next records to send, after those that their key refused, and all else."""
        for ticker in list(self._lost_from):
            first = next((one.stamp for one in self._waiting if one.ticker == ticker), None)
            if first is not None:
                self.add_gap(ticker, self._lost_from.pop(ticker), first, "overflow")
        while self._waiting and len(self._sending) < BATCH_RECORDS:
            self._sending.append(self._waiting.popleft())
        gaps, self._gaps = self._gaps, []
        feeds, self._feeds = self._feeds, {}
        return gaps, feeds

    def _take_back(self, gaps: list[tuple[str, GapMember]]) -> None:
        """Let wait again what was not written; of what is lost more may be lost, up to later."""
        self._waiting.extendleft(reversed(self._sending))
        self._sending = []
        for ticker, gap in gaps:
            if gap.reason == "overflow":
                lost_from = self._lost_from.get(ticker, gap.from_ms)
                self._lost_from[ticker] = min(gap.from_ms, lost_from)
        self._gaps[:0] = [one for one in gaps if one[1].reason != "overflow"]

    def _write(self, gaps: list[tuple[str, GapMember]], feeds: dict[str, FeedFields]) -> None:
        """Send gaps first, then trades, then quotes: a reader of a quote finds what was before."""
        pipeline = self._redis.pipeline(transaction=False)
        for ticker, gap in gaps:
            pipeline.zadd(self._keys.gaps(ticker), {_encode(gap): gap.to_ms})
        for ticker, fields in feeds.items():
            pipeline.hset(self._keys.feed(ticker), mapping=fields)
            pipeline.expire(self._keys.feed(ticker), FEED_LIFETIME_SECONDS)
        by_key = dict(_by_key(self._sending))
        for (is_trade, ticker), waiting in by_key.items():
            key = self._keys.trades(ticker) if is_trade else self._keys.quotes(ticker)
            pipeline.zadd(key, {one.member: one.stamp for one in waiting})
        replies = pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and is_unavailable(reply):
                raise reply
        self._sending = list(self._refused(by_key, replies[len(replies) - len(by_key) :]))

    def _refused(
        self, by_key: dict[tuple[bool, str], list[_Waiting]], replies: list[object]
    ) -> Iterator[_Waiting]:
        """Yield the records of keys that refused them: of another type, until a tick moves it."""
        for (key, waiting), reply in zip(by_key.items(), replies, strict=True):
            name = f"{'trades' if key[0] else 'quotes'}:{key[1]}"
            if isinstance(reply, Exception):
                if name not in self._refused_keys:
                    log.warning("key refused, trying again", key=name, error=str(reply))
                self._refused_keys.add(name)
                yield from waiting
            else:
                self._refused_keys.discard(name)
                self.published_count += len(waiting)


def _by_key(records: Iterable[_Waiting]) -> Iterator[tuple[tuple[bool, str], list[_Waiting]]]:
    """Group records by key, those of trades first."""
    groups: dict[tuple[bool, str], list[_Waiting]] = {}
    for one in records:
        groups.setdefault((one.is_trade, one.ticker), []).append(one)
    yield from sorted(groups.items(), key=lambda item: not item[0][0])
