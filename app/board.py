"""All active tickers at once: how fresh each is, and which events are open or new in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from app import keys
from app.activity import ACTIVE_MS, AHEAD_MS
from app.errors import AnalysisNotRunning, BrokerSilent, NoAnswer
from app.glance import evidence_class_of
from app.published import (
    Event,
    EvidenceClass,
    Number,
    events_of,
    number_of,
    quality_of,
)
from app.settings import Settings
from app.silence import STALE_INTERVALS, is_quiet, silence
from app.tickers import is_ticker
from app.trouble import Failures, Pulse, why_no_tick

WINDOW = "1min"
WINDOW_SECONDS = keys.WINDOWS[WINDOW]
# Above these the answer would take too long or be too long; what is left out is counted.
MAX_TICKERS_READ = 1000
MAX_EVENTS_A_TICKER = 100
_BATCH = 100
_METRICS = ("as_of", "covered_seconds", "quote_count", "quotes_per_second", "quality")


@dataclass(frozen=True, slots=True)
class Seen:
    """One active ticker; measures are those of its newest minute."""

    ticker: str
    newest_quote_ms: float
    as_of_ms: int | None
    covered_seconds: Number | None
    quotes_per_second: Number | None
    evidence_class: EvidenceClass
    counts: Mapping[str, int]
    flags: list[Literal["stale", "quiet", "warming"]]
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Overview:
    """The active tickers at `now_ms`; `cause` says why what they tell is not fresh."""

    now_ms: float
    tickers: Sequence[Seen]
    not_read: int
    cause: str | None

    @property
    def as_of_ms(self) -> int | None:
        """Return the newest tick of all, None before the first."""
        return max((seen.as_of_ms for seen in self.tickers if seen.as_of_ms), default=None)


class Board:
    """Reads overviews, a round trip for a hundred tickers."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        # `Any`: redis-py's annotations promise an awaitable beside every answer.
        self._redis: Any = client
        self._settings = settings
        self._keys = keys.Keys(cluster=settings.cluster)

    def overview(self, now_ms: float) -> Overview:
        """Return all active tickers.

        Raises `AnalysisNotRunning` or `BrokerSilent` where there are none.
        """
        pulse = Pulse.of(self._redis.hgetall(keys.PULSE), now_ms)
        why = why_no_tick(pulse, Failures(), self._settings)
        scored = self._redis.zrevrangebyscore(keys.TICKERS, "+inf", now_ms - ACTIVE_MS)
        names = [name.decode("ascii", "replace") for name in scored]
        names = [name for name in names if is_ticker(name)]
        if not names:
            raise self._nothing(now_ms, why)
        tickers = list(self._seen(names[:MAX_TICKERS_READ], now_ms))
        return Overview(
            now_ms, tickers, max(0, len(names) - MAX_TICKERS_READ), why or _silence(tickers, now_ms)
        )

    def _nothing(self, now_ms: float, why: str | None) -> NoAnswer:
        if why is not None:
            return AnalysisNotRunning(f"no ticker is known to be active, and {why}")
        newest = self._redis.zrevrange(keys.TICKERS, 0, 0, withscores=True)
        why = silence(newest[0][1], now_ms) if newest else "no quote ever came; check the broker"
        return BrokerSilent(f"no ticker is active: {why}")

    def _seen(self, names: Sequence[str], now_ms: float) -> Iterator[Seen]:
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            replies = iter(self._replies(some, now_ms))
            for name, four in zip(some, zip(*[replies] * 4, strict=True), strict=True):
                seen = self._one(name, now_ms, four)
                if seen is not None:
                    yield seen

    def _replies(self, names: Sequence[str], now_ms: float) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(self._keys.metrics(name, WINDOW), *_METRICS)
            for key in (self._keys.quotes(name), self._keys.trades(name)):
                pipe.zrevrangebyscore(key, now_ms + AHEAD_MS, "-inf", 0, 1, withscores=True)
            pipe.zrevrange(self._keys.patterns(name), 0, MAX_EVENTS_A_TICKER - 1)
        replies = pipe.execute(raise_on_error=False)
        return [_usable(reply) for reply in replies]

    def _one(self, name: str, now_ms: float, replies: tuple[Any, ...]) -> Seen | None:
        fields, quote, trade, events = replies
        if not quote:
            return None
        as_of, covered, count, rate, quality = fields or [None] * len(_METRICS)
        as_of_ms, newest_ms, covered_seconds = number_of(as_of), quote[0][1], number_of(covered)
        is_stale = (
            as_of_ms is None or now_ms - as_of_ms > STALE_INTERVALS * self._settings.interval_ms
        )
        found = {
            "stale": is_stale,
            "quiet": is_quiet(now_ms - newest_ms, count, covered),
            "warming": covered_seconds is None or covered_seconds < WINDOW_SECONDS - 1,
        }
        return Seen(
            ticker=name,
            newest_quote_ms=newest_ms,
            as_of_ms=None if as_of_ms is None else int(as_of_ms),
            covered_seconds=covered_seconds,
            quotes_per_second=number_of(rate),
            evidence_class=evidence_class_of(trade),
            counts=quality_of(quality).counts,
            flags=[flag for flag in ("stale", "quiet", "warming") if found[flag]],
            events=events_of(events or (), name),
        )


def _silence(tickers: Sequence[Seen], now_ms: float) -> str | None:
    if not all("quiet" in seen.flags for seen in tickers):
        return None
    newest_ms = max((seen.newest_quote_ms for seen in tickers), default=None)
    return None if newest_ms is None else silence(newest_ms, now_ms)


def _usable(reply: object) -> object:
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    raise reply
