"""Publish records to Redis when they are due, as a broker does: JSON in sorted sets, in batches."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisClusterException, RedisError

from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE, published_price
from app.analysis.record_schemas import AGGRESSOR_NAMES
from app.analysis.records import Quote, Record, Span, Trade
from app.core.clock import now_ms
from app.core.outage_log import OutageLog
from app.core.refusals import is_unavailable
from app.storage.keys import FEED_LIFETIME_SECONDS, Keys

if TYPE_CHECKING:  # a live feed needs what is here, and not pydantic's 10 MB
    from app.core.settings import Settings

MIN_PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 0.2
MIN_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 1.0
MAX_ROUND_MS = 50.0
MAX_ROUNDS = 8
BATCH_RECORDS = 20_000
FEED_RENEWAL_MS = 4_000.0

log = structlog.get_logger()

KeyOf = Callable[[str], str]
GapReason = Literal["disconnected", "overflow", "resumed", "unknown"]


class QuoteMember(msgspec.Struct):
    """A quote as a member of a broker's sorted set."""

    timestamp: float
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    seq: int = 0


class TradeMember(msgspec.Struct):
    """A trade as a member of a broker's sorted set."""

    timestamp: float
    price: float
    size: float
    aggressor: str | None
    seq: int = 0


class GapMember(msgspec.Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """A gap as a member of a ticker's sorted set of gaps: records between the times were lost."""

    from_ms: float
    to_ms: float
    reason: GapReason = "unknown"


class ScheduledRecord(NamedTuple):
    """A record with its ticker and the time at which to publish it (epoch ms).

    Its prices are in units of 10^-`digits`. `gap` is one that ends before it.
    """

    due_ms: float
    ticker: str
    record: Record
    digits: int = DEFAULT_DIGITS
    gap: Span | None = None


_encode = msgspec.json.Encoder().encode


def member_of(record: Record, digits: int = DEFAULT_DIGITS) -> bytes:
    """Return a record, its prices in 10^-digits, as a broker's JSON; parsing gives it back.

    >>> from app.analysis.records import BUY
    >>> member_of(Trade(1340285400123.456, 16, 58594000000, 100.0, BUY))
    b'{"timestamp":1340285400123.456,"price":585.94,"size":100,"aggressor":"buy","seq":16}'
    """
    units_per_one = FLOAT_UNITS_PER_ONE[digits]
    if isinstance(record, Quote):
        return _encode(
            QuoteMember(
                record.stamp,
                published_price(record.bid_price, units_per_one),
                _whole_if_possible(record.bid_size),
                published_price(record.ask_price, units_per_one),
                _whole_if_possible(record.ask_size),
                record.seq,
            )
        )
    return _encode(
        TradeMember(
            record.stamp,
            published_price(record.price, units_per_one),
            _whole_if_possible(record.size),
            AGGRESSOR_NAMES.get(record.aggressor),
            record.seq,
        )
    )


def gap_member(gap: Span) -> bytes:
    """Return a gap as a feed declares it.

    >>> gap_member((1340285400000.0, 1340285401500.5))
    b'{"from":1340285400000.0,"to":1340285401500.5,"reason":"unknown"}'
    """
    return _encode(GapMember(*gap))


def _whole_if_possible(size: float) -> float:
    """Return whole sizes as integers, which JSON writes without `.0`."""
    return int(size) if size.is_integer() else size


class Backoff:
    """The pause between failing attempts: doubled after each failure, one second at most."""

    def __init__(self) -> None:
        self.pause_seconds = 0.0
        self._until = 0.0

    @property
    def is_failing(self) -> bool:
        """Tell whether the last attempt failed."""
        return self.pause_seconds > 0

    def is_over(self) -> bool:
        """Tell whether the next attempt may be made."""
        return time.monotonic() >= self._until

    def note_failure(self) -> None:
        """Put off the next attempt."""
        self.pause_seconds = min(
            max(2 * self.pause_seconds, MIN_BACKOFF_SECONDS), MAX_BACKOFF_SECONDS
        )
        self._until = time.monotonic() + self.pause_seconds

    def note_success(self) -> None:
        """Forget the failures."""
        self.pause_seconds = self._until = 0.0


@dataclass(slots=True)
class _KeyBacklog:
    """Records to write to one key; beyond the key's greatest length the oldest are dropped."""

    key: str
    pending: deque[tuple[float, bytes]]
    backoff: Backoff = field(default_factory=Backoff)

    def drop_before(self, stamp_ms: float) -> None:
        while self.pending and self.pending[0][0] < stamp_ms:
            self.pending.popleft()


class RecordPublisher:
    """Writes records to Redis; those that Redis does not accept are kept for the next attempt."""

    def __init__(self, redis: Redis, settings: "Settings") -> None:
        self._redis = redis
        self._keys = Keys(cluster=settings.cluster)
        self._retention_ms = settings.retention_seconds * 1000.0
        self._max_records = settings.max_records
        self._trades: dict[str, _KeyBacklog] = {}
        self._quotes: dict[str, _KeyBacklog] = {}
        self._backoff = Backoff()
        self._outage = OutageLog(log, database=settings.redis_database)
        self._gaps: list[tuple[str, Span]] = []
        self._feed: dict[Any, Any] = {}
        self._feed_tickers: dict[str, None] = {}
        self._feed_due_ms = 0.0
        self.published_count = 0

    def describe_feed(self, scope: str, tickers: Iterable[str]) -> None:
        """Say with each flush, every few seconds, what the records are and that the feed lives."""
        self._feed = {"source": scope, "scope": scope, "stamps": "venue", "delay_ms": 0}
        self._feed_tickers = dict.fromkeys(tickers)

    def declare_gap(self, ticker: str, gap: Span) -> None:
        """Queue a gap, to be written before the records that are queued after it."""
        self._gaps.append((ticker, gap))

    def add(self, ticker: str, record: Record, digits: int = DEFAULT_DIGITS) -> None:
        """Queue a record, its prices in 10^-digits, for the next `flush`."""
        if isinstance(record, Trade):
            backlog = self._backlog_of(self._trades, self._keys.trades, ticker)
        else:
            backlog = self._backlog_of(self._quotes, self._keys.quotes, ticker)
        backlog.pending.append((record.stamp, member_of(record, digits)))

    def _backlog_of(
        self, backlogs: dict[str, _KeyBacklog], key_of: KeyOf, ticker: str
    ) -> _KeyBacklog:
        backlog = backlogs.get(ticker)
        if backlog is None:
            backlog = backlogs[ticker] = _KeyBacklog(
                key_of(ticker), deque(maxlen=self._max_records)
            )
        return backlog

    @property
    def pending_count(self) -> int:
        """Count the queued records."""
        return sum(len(backlog.pending) for backlog in self._backlogs())

    def _backlogs(self) -> Iterator[_KeyBacklog]:
        # Trades first, so that a tick which reads a quote also reads the trade before it.
        yield from self._trades.values()
        yield from self._quotes.values()

    def flush(self) -> None:
        """Write the queued records; log an outage once and retry at a later call."""
        if not self._backoff.is_over():
            return
        try:
            self._write_gaps()
            self._renew_feed(now_ms())
        except (RedisError, RedisClusterException) as error:
            if not is_unavailable(error):
                raise
            self._handle_outage(error)
            return
        for backlogs in _batches(
            [
                backlog
                for backlog in self._backlogs()
                if backlog.pending and backlog.backoff.is_over()
            ]
        ):
            try:
                self._write(backlogs)
            except (RedisError, RedisClusterException) as error:
                if not is_unavailable(error):
                    raise
                self._handle_outage(error)
                return
            self._outage.note_success()
            self._backoff.note_success()

    def _write_gaps(self) -> None:
        """Declare gaps before the first record after them is there to be read."""
        if self._gaps:
            pipeline = self._redis.pipeline(transaction=False)
            for ticker, gap in self._gaps:
                pipeline.zadd(self._keys.gaps(ticker), {gap_member(gap): gap[1]})
            pipeline.execute()
            self._gaps = []

    def _renew_feed(self, now: float) -> None:
        """Write what the feed says of itself, if that is due."""
        if not self._feed or now < self._feed_due_ms:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for ticker in self._feed_tickers:
            key = self._keys.feed(ticker)
            pipeline.hset(key, mapping={**self._feed, "alive_at": round(now)})
            pipeline.expire(key, FEED_LIFETIME_SECONDS)
        pipeline.execute()
        self._feed_due_ms = now + FEED_RENEWAL_MS

    def _write(self, backlogs: list[_KeyBacklog]) -> None:
        """Send one ZADD per key, so that readers see all of a key's backlog or none of it."""
        pipeline = self._redis.pipeline(transaction=False)
        for backlog in backlogs:
            pipeline.zadd(backlog.key, {member: stamp for stamp, member in backlog.pending})
        for backlog, reply in zip(backlogs, pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, Exception) and is_unavailable(reply):
                raise reply
            self._handle_reply(backlog, reply)

    def _handle_reply(self, backlog: _KeyBacklog, reply: object) -> None:
        """Drop the records that were written; a key of another type does not delay other keys."""
        if isinstance(reply, RedisError):
            if not backlog.backoff.is_failing:
                log.warning("key refused, trying again", key=backlog.key, error=str(reply))
            backlog.backoff.note_failure()
            return
        backlog.backoff.note_success()
        self.published_count += len(backlog.pending)
        backlog.pending.clear()

    def _handle_outage(self, error: Exception) -> None:
        self._outage.note_error(error)
        self._backoff.note_failure()
        oldest_kept = now_ms() - self._retention_ms
        for backlog in self._backlogs():
            backlog.drop_before(oldest_kept)


def _batches(backlogs: list[_KeyBacklog]) -> Iterator[list[_KeyBacklog]]:
    """Group backlogs into round trips short enough for the client's time-out."""
    batch: list[_KeyBacklog] = []
    records = 0
    for backlog in backlogs:
        batch.append(backlog)
        records += len(backlog.pending)
        if records >= BATCH_RECORDS:
            yield batch
            batch, records = [], 0
    if batch:
        yield batch


def publish_when_due(
    records: Iterable[ScheduledRecord], publisher: RecordPublisher, stop: Event
) -> None:
    """Publish each record at its due time, until there are no more or `stop` is set."""
    stream = iter(records)
    pending = next(stream, None)
    while pending is not None and not stop.is_set():
        pending = _add_all_due(pending, stream, publisher, stop)
        publisher.flush()
        if pending is not None:
            stop.wait(_pause_seconds(pending.due_ms - now_ms()))
    _drain(publisher, stop)


def _add_all_due(
    first: ScheduledRecord,
    stream: Iterator[ScheduledRecord],
    publisher: RecordPublisher,
    stop: Event,
) -> ScheduledRecord | None:
    """Queue the due records; repeat where queueing took so long that more became due.

    Otherwise a tick could read half of a backlog, and the rest would count as late.
    """
    pending: ScheduledRecord | None = first
    for _ in range(MAX_ROUNDS):
        began_ms = now_ms()
        while pending is not None and pending.due_ms <= began_ms and not stop.is_set():
            if pending.gap is not None:
                publisher.declare_gap(pending.ticker, pending.gap)
            publisher.add(pending.ticker, pending.record, pending.digits)
            pending = next(stream, None)
        if now_ms() - began_ms < MAX_ROUND_MS:
            break
    return pending


def _pause_seconds(ahead_ms: float) -> float:
    return min(max(ahead_ms / 1000.0, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)


def _drain(publisher: RecordPublisher, stop: Event) -> None:
    publisher.flush()
    while publisher.pending_count and not stop.wait(MIN_PAUSE_SECONDS):
        publisher.flush()
