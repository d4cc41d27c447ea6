"""The way of records to Redis: a broker's JSON in its sorted sets, sent in batches when due."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import NamedTuple

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from app.analysis.record_schemas import AGGRESSOR_NAMES
from app.analysis.records import PRICE_UNITS, Quote, Record, Trade
from app.core.clock import now_ms
from app.core.outage_log import UNAVAILABLE, OutageLog
from app.core.settings import Settings
from app.storage.keys import Keys

PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.2
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0
BEHIND_MS = 50.0
CATCH_UPS = 8
LOAD_RECORDS = 20_000

log = structlog.get_logger()

KeyOf = Callable[[str], str]


class QuoteMember(msgspec.Struct):
    """A quote as a broker stores it."""

    timestamp: float
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    seq: int


class TradeMember(msgspec.Struct):
    """A trade as a broker stores it."""

    timestamp: float
    price: float
    size: float
    aggressor: str | None
    seq: int


class Posting(NamedTuple):
    """A record, the ticker that it belongs to, and when it is due (epoch ms)."""

    stamp: float
    ticker: str
    record: Record


_encode = msgspec.json.Encoder().encode


def member_of(record: Record) -> bytes:
    """Write a record as a broker would; reading it back gives the same record.

    >>> from app.analysis.records import BUY
    >>> member_of(Trade(1340285400123.456, 16, 58594000000, 100.0, BUY))
    b'{"timestamp":1340285400123.456,"price":585.94,"size":100,"aggressor":"buy","seq":16}'
    """
    if isinstance(record, Quote):
        return _encode(
            QuoteMember(
                record.stamp,
                record.bid_price / PRICE_UNITS,
                _plain(record.bid_size),
                record.ask_price / PRICE_UNITS,
                _plain(record.ask_size),
                record.seq,
            )
        )
    return _encode(
        TradeMember(
            record.stamp,
            record.price / PRICE_UNITS,
            _plain(record.size),
            AGGRESSOR_NAMES.get(record.aggressor),
            record.seq,
        )
    )


def _plain(size: float) -> float:
    """Drop the `.0` of whole sizes."""
    return int(size) if size.is_integer() else size


class Backoff:
    """How long to let a failing thing be: twice as long each time, a second at most."""

    def __init__(self) -> None:
        self.pause_seconds = 0.0
        self._until = 0.0

    @property
    def failing(self) -> bool:
        """Tell whether the last attempt failed."""
        return self.pause_seconds > 0

    def is_over(self) -> bool:
        """Tell whether the next attempt may be made."""
        return time.monotonic() >= self._until

    def failed(self) -> None:
        """Put off the next attempt."""
        self.pause_seconds = min(
            max(2 * self.pause_seconds, FIRST_BACKOFF_SECONDS), LONGEST_BACKOFF_SECONDS
        )
        self._until = time.monotonic() + self.pause_seconds

    def succeeded(self) -> None:
        """Forget the failures."""
        self.pause_seconds = self._until = 0.0


@dataclass(slots=True)
class _Lane:
    """What waits for one key; the oldest is let go where more waits than the key may hold."""

    key: str
    waiting: deque[tuple[float, bytes]]
    backoff: Backoff = field(default_factory=Backoff)

    def drop_before(self, stamp_ms: float) -> None:
        while self.waiting and self.waiting[0][0] < stamp_ms:
            self.waiting.popleft()


class Outbox:
    """Records on their way to Redis; what Redis does not take waits for the next attempt."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(cluster=settings.cluster)
        self._retention_ms = settings.retention_seconds * 1000.0
        self._max_records = settings.max_records
        self._trades: dict[str, _Lane] = {}
        self._quotes: dict[str, _Lane] = {}
        self._backoff = Backoff()
        self._outage = OutageLog(log)
        self.published = 0

    def put(self, ticker: str, record: Record) -> None:
        """Take a record for the next `send`."""
        if isinstance(record, Trade):
            lane = self._lane(self._trades, self._keys.trades, ticker)
        else:
            lane = self._lane(self._quotes, self._keys.quotes, ticker)
        lane.waiting.append((record.stamp, member_of(record)))

    def _lane(self, lanes: dict[str, _Lane], key_of: KeyOf, ticker: str) -> _Lane:
        lane = lanes.get(ticker)
        if lane is None:
            lane = lanes[ticker] = _Lane(key_of(ticker), deque(maxlen=self._max_records))
        return lane

    @property
    def waiting(self) -> int:
        """Count the records that Redis has not taken yet."""
        return sum(len(lane.waiting) for lane in self._lanes())

    def _lanes(self) -> Iterator[_Lane]:
        # Trades first: a tick that sees a quote then sees the print before it as well.
        yield from self._trades.values()
        yield from self._quotes.values()

    def send(self) -> None:
        """Write what waits; trouble is said once, and tried again at a later call."""
        if not self._backoff.is_over():
            return
        for lanes in _loads(
            [lane for lane in self._lanes() if lane.waiting and lane.backoff.is_over()]
        ):
            try:
                self._send(lanes)
            except UNAVAILABLE as error:
                self._redis_is_away(error)
                return
            self._outage.note_success()
            self._backoff.succeeded()

    def _send(self, lanes: list[_Lane]) -> None:
        """Send one ZADD a key, whole: a reader sees all of a key's backlog or nothing of it."""
        pipeline = self._redis.pipeline(transaction=False)
        for lane in lanes:
            pipeline.zadd(lane.key, {member: stamp for stamp, member in lane.waiting})
        for lane, reply in zip(lanes, pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, UNAVAILABLE):
                raise reply
            self._settle(lane, reply)

    def _settle(self, lane: _Lane, reply: object) -> None:
        """Forget what was written; a key of another type holds up no other."""
        if isinstance(reply, RedisError):
            if not lane.backoff.failing:
                log.warning("key refused, trying again", key=lane.key, error=str(reply))
            lane.backoff.failed()
            return
        lane.backoff.succeeded()
        self.published += len(lane.waiting)
        lane.waiting.clear()

    def _redis_is_away(self, error: Exception) -> None:
        self._outage.note_error(error)
        self._backoff.failed()
        oldest_kept = now_ms() - self._retention_ms
        for lane in self._lanes():
            lane.drop_before(oldest_kept)


def _loads(lanes: list[_Lane]) -> Iterator[list[_Lane]]:
    """Share the lanes out over round trips that Redis answers well within a time-out."""
    load: list[_Lane] = []
    records = 0
    for lane in lanes:
        load.append(lane)
        records += len(lane.waiting)
        if records >= LOAD_RECORDS:
            yield load
            load, records = [], 0
    if load:
        yield load


def publish_when_due(postings: Iterable[Posting], outbox: Outbox, stop: Event) -> None:
    """Publish each posting once its stamp is reached, until they end or `stop` is set."""
    stream = iter(postings)
    pending = next(stream, None)
    while pending is not None and not stop.is_set():
        pending = _put_all_due(pending, stream, outbox, stop)
        outbox.send()
        if pending is not None:
            stop.wait(_pause_seconds(pending.stamp - now_ms()))
    _drain(outbox, stop)


def _put_all_due(
    first: Posting, stream: Iterator[Posting], outbox: Outbox, stop: Event
) -> Posting | None:
    """Take what is due by now; again, where that took so long that more has become due.

    A tick must not see half of a backlog: what came behind its fold would count as late.
    """
    pending: Posting | None = first
    for _ in range(CATCH_UPS):
        began_ms = now_ms()
        while pending is not None and pending.stamp <= began_ms and not stop.is_set():
            outbox.put(pending.ticker, pending.record)
            pending = next(stream, None)
        if now_ms() - began_ms < BEHIND_MS:
            break
    return pending


def _pause_seconds(ahead_ms: float) -> float:
    return min(max(ahead_ms / 1000.0, PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


def _drain(outbox: Outbox, stop: Event) -> None:
    outbox.send()
    while outbox.waiting and not stop.wait(PAUSE_SECONDS):
        outbox.send()
