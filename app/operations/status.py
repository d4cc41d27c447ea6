"""Health of the system: Redis, fan-out, workers, tickers, refused records, failures."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec
import redis

from app.analysis.bars import SECOND_MS
from app.analysis.record_schemas import MIN_EPOCH_MS
from app.answers.diagnosis import (
    Heartbeat,
    TickFailures,
    describe_refused_writes,
    why_clocks_differ,
    why_outdated,
    why_shards_differ,
)
from app.answers.durations import ago, lag
from app.answers.freshness import STALE_INTERVALS, is_ahead
from app.answers.rejected_records import rejected_facts, rejected_text
from app.answers.session_facts import count_feeds, feed_lines
from app.core import clock
from app.core.settings import Settings
from app.core.tickers import ALLOWED, is_ticker
from app.operations.foreign_names import find_foreign_names
from app.operations.history_status import history_line, history_troubles
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS, SCAN_COUNT
from app.storage.feed_lags import FeedLags, is_delayed
from app.storage.feeds import Feeds, is_down
from app.storage.history_report import HistoryReport, read_report
from app.storage.mis_stamped import NO_UNIT, unit_of_score
from app.storage.newcomers import Waiting, read_waiting
from app.storage.published import (
    FeedRecord,
    RejectedRecords,
    read_number,
    read_rejected,
    read_ticked_at,
)
from app.storage.redis_client import address_of
from app.storage.store_errors import store_errors
from app.storage.tick.score_bounds import AHEAD_MS, NEWEST_MS
from app.storage.worker_presence import RECENT_MS, count_workers
from app.storage.write_probe import find_refusal

MAX_NAMES = 20
# Its key outlives three intervals of any length; that of the shortest window, 60 s, does not.
LASTING_WINDOW = "5min"
# A single record that can't be used is no trouble of the system where usable ones came before.
MIN_REJECTED = 3
MAX_FOREIGN_NAMES = 5
MAX_WAITING_NAMES = 5
_BATCH = 500
_COUNTER = re.compile(r"[a-z_:.]{1,60}")


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether Redis, beat and workers run; `troubles` lists what does not."""

    redis: str
    pulse: Heartbeat
    active: int
    refusal: str | None
    troubles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the system; `troubles` is empty while nothing is wrong.

    `not_ms` holds the unit of the scores by key where they are too great for milliseconds;
    `ahead` lists the keys whose newest record is over 5 s ahead of the clock.
    """

    redis: str
    pulse: Heartbeat
    active: int
    behind: Sequence[str]
    counters: Mapping[str, int]
    seconds_not_ms: Sequence[str]
    not_ms: Mapping[str, str]
    ahead: Sequence[str]
    wrong_type: Sequence[str]
    not_tickers: Sequence[str]
    failing: Mapping[str, TickFailures]
    rejected: Mapping[str, RejectedRecords]
    lagging: Mapping[str, int]
    delayed: Mapping[str, int]
    ticks_ahead: Sequence[str]
    """Tickers whose newest tick is over two intervals ahead of this clock."""
    refusal: str | None
    """What Redis refuses whoever writes; None where it takes writes."""
    waiting: Waiting
    """New tickers that have to wait until the workers have time for them."""
    feeds: Mapping[str, FeedRecord]
    """What the feeds of tickers say of themselves, or last said."""
    feeds_down: Sequence[str]
    workers: int
    """Worker processes that did work in the last 10 s."""
    memory_bytes: int | None
    """What Redis uses, as workers last told; None where none runs."""
    history: HistoryReport | None
    """What the writer of the history last told, None where none is written."""
    troubles: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class _NewestTick:
    """A ticker's newest tick: its `as_of`, 0 without any, and what it found to be rejected.

    `ticked_at_ms` is when it was, by its clock: after its `as_of` where a feed is behind.
    """

    as_of_ms: float
    ticked_at_ms: float
    rejected: RejectedRecords

    @classmethod
    def of(cls, published_as_of: object, state: object) -> "_NewestTick":
        """Read a tick from Redis's replies, which are errors for keys of a wrong type."""
        as_of, quote_at, found, version = state if isinstance(state, list) else [None] * 4
        rejected = read_rejected(found)
        # Before the first usable record there are no metrics.
        in_state = as_of if rejected and quote_at is None else None
        published = published_as_of if isinstance(published_as_of, bytes) else in_state
        as_of_ms = read_number(published) or 0
        return cls(as_of_ms, max(as_of_ms, read_ticked_at(version) or 0), rejected)


class HealthInspector:
    """Reads the state of the system from Redis."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        # `Any`: redis-py's return types include an awaitable.
        self._redis: Any = client
        self._settings = settings
        self._keys = keys.Keys(cluster=settings.cluster)

    def status(self) -> Status:
        """Return the state of the system now, in as many round trips as needed.

        Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._client):
            now_ms = clock.now_ms()
            beats = self._redis.hgetall(keys.HEARTBEAT)
            pulse = Heartbeat.from_fields(beats, now_ms)
            workers = count_workers(self._client, now_ms)
            active = self._active_tickers(now_ms)
            ticks = self._ticks(active)
            newest = self._newest_scores()
            lags = FeedLags(self._redis).all()
            feeds = Feeds(self._client, self._keys).all(now_ms)
            status = Status(
                redis=address_of(self._client),
                pulse=pulse,
                active=len(active),
                behind=self._stale_tickers(ticks, now_ms, lags),
                counters=self._counters(),
                seconds_not_ms=self._keys_stamped_in_seconds(),
                not_ms={
                    key: unit_of_score(score) or NO_UNIT
                    for key, score in newest.items()
                    if score > NEWEST_MS
                },
                ahead=[key for key, ms in newest.items() if now_ms + AHEAD_MS < ms <= NEWEST_MS],
                wrong_type=self._wrong_type_keys(),
                not_tickers=find_foreign_names(self._client, self._keys),
                failing=self._failing_tickers(active),
                rejected={ticker: tick.rejected for ticker, tick in ticks.items() if tick.rejected},
                lagging={ticker: lag for ticker, lag in lags.items() if not is_delayed(lag)},
                delayed={ticker: lag for ticker, lag in lags.items() if is_delayed(lag)},
                ticks_ahead=[
                    ticker
                    for ticker, tick in ticks.items()
                    if is_ahead(tick.ticked_at_ms, now_ms, self._settings.interval_ms)
                ],
                refusal=find_refusal(self._client),
                waiting=read_waiting(self._client, MAX_WAITING_NAMES),
                feeds=feeds,
                workers=workers,
                memory_bytes=_used_memory(beats) if workers else None,
                history=read_report(self._client),
                feeds_down=[ticker for ticker, feed in feeds.items() if is_down(feed, now_ms)],
            )
        return _with_troubles(status, self._settings)

    def readiness(self) -> Readiness:
        """Return whether questions about now can be answered, in three round trips.

        A silent broker counts as ready. Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._client):
            now_ms = clock.now_ms()
            pulse = Heartbeat.from_fields(self._redis.hgetall(keys.HEARTBEAT), now_ms)
            active = self._redis.zcount(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
            refusal = find_refusal(self._client)
        address = address_of(self._client)
        idle = tuple(_stopped_components(pulse, active, refusal, self._settings))
        return Readiness(address, pulse, active, refusal, idle)

    def stale_tickers(self) -> list[str]:
        """Return the active tickers without a fresh tick, in a few round trips.

        Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._client):
            now_ms = clock.now_ms()
            ticks = self._ticks(self._active_tickers(now_ms))
            return self._stale_tickers(ticks, now_ms, FeedLags(self._redis).all())

    def _active_tickers(self, now_ms: float) -> list[str]:
        found = self._redis.zrangebyscore(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        names = (name.decode("ascii", "replace") for name in found)
        return [name for name in names if is_ticker(name)]

    def _ticks(self, active: list[str]) -> dict[str, _NewestTick]:
        """Read the newest tick of each active ticker."""
        published = self._ask_each(
            active,
            lambda pipe, ticker: pipe.hget(self._keys.metrics(ticker, LASTING_WINDOW), "as_of"),
        )
        fields = "as_of", keys.QUOTE_AT, keys.REJECTED, "version"
        states = self._ask_each(
            active, lambda pipe, ticker: pipe.hmget(self._keys.state(ticker), *fields)
        )
        return {
            ticker: _NewestTick.of(as_of, state)
            for (ticker, as_of), (_, state) in zip(published, states, strict=True)
        }

    def _stale_tickers(
        self, ticks: Mapping[str, _NewestTick], now_ms: float, lags: Mapping[str, int]
    ) -> list[str]:
        """List the active tickers whose newest tick is stale."""
        oldest_ms = now_ms - STALE_INTERVALS * self._settings.interval_ms
        return [
            ticker
            for ticker, tick in ticks.items()
            if tick.as_of_ms < oldest_ms - lags.get(ticker, 0) * SECOND_MS
        ]

    def _failing_tickers(self, active: list[str]) -> dict[str, TickFailures]:
        found = self._ask_each(
            active, lambda pipe, ticker: pipe.hgetall(self._keys.failures(ticker))
        )
        failures = {
            ticker: TickFailures.from_fields(fields)
            for ticker, fields in found
            if isinstance(fields, dict)
        }
        return {ticker: failed for ticker, failed in failures.items() if failed.count}

    def _counters(self) -> dict[str, int]:
        fields = self._redis.hgetall(keys.COUNTERS)
        named = (
            (name.decode("ascii", "replace"), read_number(value)) for name, value in fields.items()
        )
        return {
            name: int(value)
            for name, value in sorted(named)
            if value is not None and _COUNTER.fullmatch(name)
        }

    def _keys_stamped_in_seconds(self) -> list[str]:
        """List the broker keys whose oldest score can't be milliseconds."""
        oldest = self._ask_each(
            list(self._broker_keys()), lambda pipe, key: pipe.zrange(key, 0, 0, withscores=True)
        )
        return [
            key
            for key, found in oldest
            if isinstance(found, list) and found and found[0][1] < MIN_EPOCH_MS
        ]

    def _newest_scores(self) -> dict[str, float]:
        """Return the greatest score of each broker key."""
        newest = self._ask_each(
            list(self._broker_keys()), lambda pipe, key: pipe.zrange(key, -1, -1, withscores=True)
        )
        return {key: found[0][1] for key, found in newest if isinstance(found, list) and found}

    def _wrong_type_keys(self) -> list[str]:
        """List the broker keys that are not sorted sets."""
        right = set(self._broker_keys())
        return sorted(set(self._broker_keys(None)) - right)

    def _broker_keys(self, kept_as: str | None = "zset") -> Iterator[str]:
        for kind in ("quotes", "trades"):
            for key in self._redis.scan_iter(
                f"{keys.PREFIX}{kind}:*", count=SCAN_COUNT, _type=kept_as
            ):
                name = key.decode("ascii", "replace")
                if self._keys.ticker_of_records(name) is not None:
                    yield name

    def _ask_each(
        self, names: list[str], asked: Callable[[Any, str], object]
    ) -> Iterator[tuple[str, Any]]:
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            pipe = self._redis.pipeline(transaction=False)
            for name in some:
                asked(pipe, name)
            yield from zip(some, pipe.execute(raise_on_error=False), strict=True)


def _used_memory(beats: Mapping[bytes, bytes]) -> int | None:
    used = read_number(beats.get(keys.USED_MEMORY.encode()))
    return None if used is None else int(used)


def _with_troubles(status: Status, settings: Settings) -> Status:
    return replace(status, troubles=tuple(dict.fromkeys(_troubles(status, settings))))


def _stopped_components(
    pulse: Heartbeat, active: int, refusal: str | None, settings: Settings
) -> Iterator[str]:
    """Yield a line for each component that stopped; of a Redis that refuses, only that line."""
    if refusal is not None:
        yield describe_refused_writes(refusal)
    elif (clock_trouble := pulse.clock_trouble(settings)) is not None:
        yield clock_trouble
    elif not pulse.is_recent(pulse.fanout_ms, settings):
        seen = pulse.last_seen(pulse.fanout_ms)
        yield why_clocks_differ(pulse, settings) or (
            f"fan-out {seen}: start `celery -A tasks beat` and `celery -A tasks worker`"
        )
    elif active and not _at_newest_fan_out(pulse).is_recent(pulse.tick_ms, settings):
        seen = pulse.last_seen(pulse.tick_ms)
        yield f"ticks {seen}: start `celery -A tasks worker` or look at its log"


def _at_newest_fan_out(pulse: Heartbeat) -> Heartbeat:
    """Return the heartbeat at the newest fan-out: without one, workers have nothing to do."""
    return replace(pulse, now_ms=pulse.fanout_ms or pulse.now_ms)


def _troubles(status: Status, settings: Settings) -> Iterator[str]:
    yield from _stopped_components(status.pulse, status.active, status.refusal, settings)
    if status.ticks_ahead:
        names = _join_names(status.ticks_ahead)
        yield f"AHEAD of this clock, and not to be believed: ticks of {names}"
    causes = (why_clocks_differ, why_outdated, why_shards_differ)
    yield from filter(None, (why(status.pulse, settings) for why in causes))
    if status.behind:
        yield f"no fresh tick of {_join_names(status.behind)}"
    if status.failing:
        yield f"ticks fail of {_join_names(list(status.failing))}"
    if status.waiting.number:
        yield f"new tickers wait to enter: {_waiting(status.waiting)}"
    if status.feeds_down:
        yield f"FEED DOWN, last sign {_last_signs(status)}"
    if status.history is not None:
        yield from history_troubles(status.history, status.pulse.now_ms)
    if status.lagging:
        yield f"feeds are behind by {_join_lags(status.lagging)}"
    unusable = list(_unusable(status, settings))
    if unusable:
        yield f"rejected, and nothing usable since: {_join_names(unusable)}"
    yield from _odd_keys(status)
    if not status.active:
        yield "no ticker is active: no quote, and no record that arrived, in the last 300 s"


def _odd_keys(status: Status) -> Iterator[str]:
    """Yield a line for each oddity of the broker's keys."""
    if status.seconds_not_ms:
        names = _join_names(status.seconds_not_ms)
        yield f"stamped in seconds, not milliseconds, and left out: {names}"
    for unit in sorted({*status.not_ms.values()}):
        names = _join_names([key for key, said in status.not_ms.items() if said == unit])
        yield f"stamped in {unit}, not milliseconds, and left out: {names}"
    if status.ahead:
        yield f"stamped ahead of the clock, and not read before: {_join_names(status.ahead)}"
    if status.wrong_type:
        yield f"not sorted sets, and left alone: {_join_names(status.wrong_type)}"
    if status.not_tickers:
        names = _join_names(status.not_tickers, MAX_FOREIGN_NAMES)
        yield f"names that are no tickers, and left alone: {names}; a ticker is {ALLOWED}"


def _last_signs(status: Status) -> str:
    """Return when dead feeds gave their last sign, with source and tickers."""
    names: dict[str, list[str]] = {}
    for ticker in status.feeds_down:
        feed = status.feeds[ticker]
        last = ago(feed.alive_at or 0.0, status.pulse.now_ms)
        names.setdefault(f"{last} of {feed.source or 'unnamed'}", []).append(ticker)
    return "; ".join(f"{sign}: {_join_names(tickers)}" for sign, tickers in names.items())


def _unusable(status: Status, settings: Settings) -> Iterator[str]:
    """Yield the tickers of which records have been rejected, and none usable, for too long."""
    oldest_ms = status.pulse.now_ms - STALE_INTERVALS * settings.interval_ms
    for ticker, rejected in status.rejected.items():
        for kind in (rejected.quotes, rejected.trades):
            if kind.count >= MIN_REJECTED and kind.since_ms < oldest_ms:
                yield ticker
                break


def _join_names(names: Sequence[str], most: int = MAX_NAMES) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _waiting(waiting: Waiting) -> str:
    more = waiting.number - len(waiting.first)
    return ", ".join(waiting.first) + (f" and {more} more" if more > 0 else "")


def _join_lags(lags: Mapping[str, int]) -> str:
    """Return tickers by how far their feeds are behind, the farthest first."""
    names: dict[int, list[str]] = {}
    for ticker in sorted(lags):
        names.setdefault(lags[ticker], []).append(ticker)
    return "; ".join(f"{lag(it)}: {_join_names(names[it])}" for it in sorted(names, reverse=True))


def as_text(status: Status) -> str:
    """Return a status for a person."""
    return "\n".join(_lines(status))


def _lines(status: Status) -> Iterator[str]:
    pulse = status.pulse
    yield f"redis: {status.redis}{_memory(status.memory_bytes)}"
    yield f"workers: {status.workers} did work in the last {RECENT_MS // SECOND_MS} s"
    yield f"fan-out: {pulse.last_seen(pulse.fanout_ms)}"
    yield f"ticks: {pulse.last_seen(pulse.tick_ms)}"
    fresh = status.active - len(status.behind) - len(status.ticks_ahead)
    yield f"tickers: {status.active} active, {fresh} with a fresh tick"
    if status.history is not None:
        yield history_line(status.history, pulse.now_ms)
    kinds = count_feeds(status.feeds.values(), pulse.now_ms)
    yield from feed_lines(kinds)
    if status.delayed:
        yield f"delayed feeds, by {_join_lags(status.delayed)}"
    yield from (
        f"failed ticks of {ticker}: {_failed(failed, pulse)}"
        for ticker, failed in status.failing.items()
    )
    yield from _rejected_lines(status)
    yield from (f"{name}: {count}" for name, count in status.counters.items())
    yield from (f"TROUBLE: {trouble}" for trouble in status.troubles)


def _memory(used_bytes: int | None) -> str:
    return "" if used_bytes is None else f", {used_bytes / 1e6:.0f} MB in use"


def _rejected_lines(status: Status) -> Iterator[str]:
    now_ms = status.pulse.now_ms
    most = sorted(
        status.rejected.items(), key=lambda item: (item[1].quotes.since_ms or now_ms, item[0])
    )
    for ticker, rejected in most[:MAX_NAMES]:
        facts = rejected_facts(rejected)
        if facts is not None:
            yield f"rejected of {ticker}: {rejected_text(facts, now_ms)}"
    if len(most) > MAX_NAMES:
        yield f"rejected of {len(most) - MAX_NAMES} more tickers"


def _failed(failed: TickFailures, pulse: Heartbeat) -> str:
    when = "" if failed.last_ms is None else f", last {ago(failed.last_ms, pulse.now_ms)}"
    return f"{failed.count}{when}, {failed.error}"


def as_json(status: Status) -> dict[str, Any]:
    """Return a status for a program."""
    fields = asdict(status)
    fields["history"] = None if status.history is None else msgspec.structs.asdict(status.history)
    return fields
