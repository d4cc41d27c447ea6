"""Health of the system: Redis, fan-out, workers, tickers, refused records, failures."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import redis

from app.analysis.record_schemas import MIN_EPOCH_MS
from app.answers.diagnosis import Heartbeat, TickFailures, describe_refused_writes
from app.answers.durations import ago
from app.answers.reader import store_errors
from app.core import clock
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS, SCAN_COUNT
from app.storage.published import read_number
from app.storage.redis_client import address_of
from app.storage.write_probe import find_refusal

MAX_NAMES = 20
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
    """The state of the system; `troubles` is empty while nothing is wrong."""

    redis: str
    pulse: Heartbeat
    active: int
    behind: Sequence[str]
    counters: Mapping[str, int]
    seconds_not_ms: Sequence[str]
    wrong_type: Sequence[str]
    failing: Mapping[str, TickFailures]
    refusal: str | None
    """What Redis refuses whoever writes; None where it takes writes."""
    troubles: Sequence[str] = field(default=())


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
            pulse = Heartbeat.from_fields(self._redis.hgetall(keys.HEARTBEAT), now_ms)
            active = self._active_tickers(now_ms)
            status = Status(
                redis=address_of(self._client),
                pulse=pulse,
                active=len(active),
                behind=self._stale_tickers(active, now_ms),
                counters=self._counters(),
                seconds_not_ms=self._keys_stamped_in_seconds(),
                wrong_type=self._wrong_type_keys(),
                failing=self._failing_tickers(active),
                refusal=find_refusal(self._client),
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

    def _active_tickers(self, now_ms: float) -> list[str]:
        found = self._redis.zrangebyscore(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        names = (name.decode("ascii", "replace") for name in found)
        return [name for name in names if is_ticker(name)]

    def _stale_tickers(self, active: list[str], now_ms: float) -> list[str]:
        """List the active tickers whose newest tick is stale."""
        oldest_ms = now_ms - 3 * self._settings.interval_ms
        ticks = self._ask_each(
            active, lambda pipe, ticker: pipe.hget(self._keys.metrics(ticker, "10s"), "as_of")
        )
        return [ticker for ticker, as_of in ticks if (read_number(as_of) or 0) < oldest_ms]

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
                if (
                    self._keys.ticker_of_quotes(name.replace(f":{kind}:", ":quotes:", 1))
                    is not None
                ):
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


def _with_troubles(status: Status, settings: Settings) -> Status:
    return replace(status, troubles=tuple(_troubles(status, settings)))


def _stopped_components(
    pulse: Heartbeat, active: int, refusal: str | None, settings: Settings
) -> Iterator[str]:
    """Yield a line for each component that stopped; of a Redis that refuses, only that line."""
    if refusal is not None:
        yield describe_refused_writes(refusal)
    elif not pulse.is_recent(pulse.fanout_ms, settings):
        seen = pulse.last_seen(pulse.fanout_ms)
        yield f"fan-out {seen}: start `celery -A tasks beat` and `celery -A tasks worker`"
    elif active and not _at_newest_fan_out(pulse).is_recent(pulse.tick_ms, settings):
        seen = pulse.last_seen(pulse.tick_ms)
        yield f"ticks {seen}: start `celery -A tasks worker` or look at its log"


def _at_newest_fan_out(pulse: Heartbeat) -> Heartbeat:
    """Return the heartbeat at the newest fan-out: without one, workers have nothing to do."""
    return replace(pulse, now_ms=pulse.fanout_ms or pulse.now_ms)


def _troubles(status: Status, settings: Settings) -> Iterator[str]:
    yield from _stopped_components(status.pulse, status.active, status.refusal, settings)
    if status.behind:
        yield f"no fresh tick of {_join_names(status.behind)}"
    if status.failing:
        yield f"ticks fail of {_join_names(list(status.failing))}"
    if status.seconds_not_ms:
        names = _join_names(status.seconds_not_ms)
        yield f"stamped in seconds, not milliseconds, and left out: {names}"
    if status.wrong_type:
        yield f"not sorted sets, and left alone: {_join_names(status.wrong_type)}"
    if not status.active:
        yield "no ticker is active: no quote in the last 300 s"


def _join_names(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def as_text(status: Status) -> str:
    """Return a status for a person."""
    return "\n".join(_lines(status))


def _lines(status: Status) -> Iterator[str]:
    pulse = status.pulse
    yield f"redis: {status.redis}"
    yield f"fan-out: {pulse.last_seen(pulse.fanout_ms)}"
    yield f"ticks: {pulse.last_seen(pulse.tick_ms)}"
    yield f"tickers: {status.active} active, {status.active - len(status.behind)} with a fresh tick"
    yield from (
        f"failed ticks of {ticker}: {_failed(failed, pulse)}"
        for ticker, failed in status.failing.items()
    )
    yield from (f"{name}: {count}" for name, count in status.counters.items())
    yield from (f"TROUBLE: {trouble}" for trouble in status.troubles)


def _failed(failed: TickFailures, pulse: Heartbeat) -> str:
    when = "" if failed.last_ms is None else f", last {ago(failed.last_ms, pulse.now_ms)}"
    return f"{failed.count}{when}, {failed.error}"


def as_json(status: Status) -> dict[str, Any]:
    """Return a status for a program."""
    return asdict(status)
