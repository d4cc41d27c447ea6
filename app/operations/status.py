"""How everything fares: Redis, fan-out, workers, tickers, refused records, failures."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import redis

from app.answers.diagnosis import Heartbeat, TickFailures
from app.answers.durations import ago
from app.answers.reader import store_errors
from app.answers.ticker_read import MIN_EPOCH_MS
from app.core import clock
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS, SCAN_COUNT
from app.storage.published import read_number
from app.storage.redis_client import address_of

MAX_NAMED = 20
_BATCH = 500
_COUNTER = re.compile(r"[a-z_:.]{1,60}")


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether Redis, beat and workers do their part; `troubles` says what doesn't."""

    redis: str
    pulse: Heartbeat
    active: int
    troubles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Status:
    """What an operator asks first; `troubles` is empty while all is well."""

    redis: str
    pulse: Heartbeat
    active: int
    behind: Sequence[str]
    counters: Mapping[str, int]
    seconds_not_ms: Sequence[str]
    wrong_type: Sequence[str]
    failing: Mapping[str, TickFailures]
    troubles: Sequence[str] = field(default=())


class HealthInspector:
    """Reads how everything fares; an operator's question, so that it may take many round trips."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        # `Any`: redis-py's annotations promise an awaitable beside every answer.
        self._redis: Any = client
        self._settings = settings
        self._keys = keys.Keys(cluster=settings.cluster)

    def status(self) -> Status:
        """Return how everything fares now.

        Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._client):
            now_ms = clock.now_ms()
            pulse = Heartbeat.from_fields(self._redis.hgetall(keys.HEARTBEAT), now_ms)
            active = self._active(now_ms)
            status = Status(
                redis=address_of(self._client),
                pulse=pulse,
                active=len(active),
                behind=self._behind(active, now_ms),
                counters=self._counters(),
                seconds_not_ms=self._stamped_in_seconds(),
                wrong_type=self._of_another_type(),
                failing=self._failing(active),
            )
        return _with_troubles(status, self._settings)

    def readiness(self) -> Readiness:
        """Return whether questions about now can be answered; two round trips, whatever there is.

        A silent broker is no fault of ours. Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._client):
            now_ms = clock.now_ms()
            pulse = Heartbeat.from_fields(self._redis.hgetall(keys.HEARTBEAT), now_ms)
            active = self._redis.zcount(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        address = address_of(self._client)
        idle = tuple(_stopped_components(pulse, active, self._settings))
        return Readiness(address, pulse, active, idle)

    def _active(self, now_ms: float) -> list[str]:
        found = self._redis.zrangebyscore(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        names = (name.decode("ascii", "replace") for name in found)
        return [name for name in names if is_ticker(name)]

    def _behind(self, active: list[str], now_ms: float) -> list[str]:
        """Name the active tickers whose newest tick is stale."""
        oldest_ms = now_ms - 3 * self._settings.interval_ms
        ticks = self._each(
            active, lambda pipe, ticker: pipe.hget(self._keys.metrics(ticker, "10s"), "as_of")
        )
        return [ticker for ticker, as_of in ticks if (read_number(as_of) or 0) < oldest_ms]

    def _failing(self, active: list[str]) -> dict[str, TickFailures]:
        found = self._each(active, lambda pipe, ticker: pipe.hgetall(self._keys.failures(ticker)))
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

    def _stamped_in_seconds(self) -> list[str]:
        """Name the broker keys whose oldest score can't be milliseconds."""
        oldest = self._each(
            list(self._broker_keys()), lambda pipe, key: pipe.zrange(key, 0, 0, withscores=True)
        )
        return [
            key
            for key, found in oldest
            if isinstance(found, list) and found and found[0][1] < MIN_EPOCH_MS
        ]

    def _of_another_type(self) -> list[str]:
        """Name the broker keys that are no sorted sets."""
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

    def _each(
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


def _stopped_components(pulse: Heartbeat, active: int, settings: Settings) -> Iterator[str]:
    """Say who does not do their part."""
    if not pulse.is_recent(pulse.fanout_ms, settings):
        seen = pulse.last_seen(pulse.fanout_ms)
        yield f"fan-out {seen}: start `celery -A tasks beat` and `celery -A tasks worker`"
    elif active and not _as_of_fan_out(pulse).is_recent(pulse.tick_ms, settings):
        seen = pulse.last_seen(pulse.tick_ms)
        yield f"ticks {seen}: start `celery -A tasks worker` or look at its log"


def _as_of_fan_out(pulse: Heartbeat) -> Heartbeat:
    """Return the pulse as the newest fan-out found it: workers are not to blame for a lost beat."""
    return replace(pulse, now_ms=pulse.fanout_ms or pulse.now_ms)


def _troubles(status: Status, settings: Settings) -> Iterator[str]:
    yield from _stopped_components(status.pulse, status.active, settings)
    if status.behind:
        yield f"no fresh tick of {_named(status.behind)}"
    if status.failing:
        yield f"ticks fail of {_named(list(status.failing))}"
    if status.seconds_not_ms:
        yield f"stamped in seconds, not milliseconds, and left out: {_named(status.seconds_not_ms)}"
    if status.wrong_type:
        yield f"not sorted sets, and left alone: {_named(status.wrong_type)}"
    if not status.active:
        yield "no ticker is active: no quote in the last 300 s"


def _named(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


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
