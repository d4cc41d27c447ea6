"""All active tickers at once: how fresh each is, and which events are open or new in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import redis

from app.analysis.windows import WINDOWS
from app.answers.diagnosis import Heartbeat, TickFailures, why_no_tick
from app.answers.freshness import STALE_INTERVALS, is_quiet, silence
from app.answers.ticker_read import Scored, evidence_class_of
from app.core.errors import AnalysisNotRunning, BrokerSilent, NoAnswer
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS, AHEAD_MS
from app.storage.published import (
    EventRecord,
    EvidenceClass,
    Number,
    events_after,
    read_number,
    read_quality,
)

WINDOW = "1min"
WINDOW_SECONDS = WINDOWS[WINDOW]
# Above it the answer would take too long; what is left out is counted.
MAX_TICKERS_READ = 2000
# Of a ticker whose state does not tell which of its events are open, its newest so many are read.
MAX_EVENTS_A_TICKER = 500
# An event without duration, a sweep, is happening for so long.
FRESH_MS = 10_000
_BATCH = 100
_METRICS = ("as_of", "covered_seconds", "quote_count", "quotes_per_second", "quality")


@dataclass(frozen=True, slots=True)
class TickerSummary:
    """One active ticker; measures are those of its newest minute.

    `events` are open, or were closed in the last 10 s; none are known where the newest tick is as
    old as a ticker that is no longer active.
    """

    ticker: str
    newest_quote_ms: float
    as_of_ms: int | None
    covered_seconds: Number | None
    quotes_per_second: Number | None
    evidence_class: EvidenceClass
    counts: Mapping[str, int]
    flags: list[Literal["stale", "quiet", "warming"]]
    events: Sequence[EventRecord]


@dataclass(frozen=True, slots=True)
class Overview:
    """The active tickers at `now_ms`; `cause` says why what they tell is not fresh."""

    now_ms: float
    tickers: Sequence[TickerSummary]
    not_read: int
    cause: str | None

    @property
    def as_of_ms(self) -> int | None:
        """Return the newest tick of all, None before the first."""
        return max((seen.as_of_ms for seen in self.tickers if seen.as_of_ms), default=None)


class _Replies(NamedTuple):
    """What is asked of each ticker; None for a key of a wrong type, or without open events."""

    metrics: Sequence[bytes | None] | None
    quote: Scored | None
    trade: Scored | None
    open_events: bytes | None
    fresh_events: Sequence[bytes] | None

    def members(self) -> list[bytes]:
        """Return the open events and the fresh ones; some are both."""
        lines = (self.open_events or b"").split(b"\n", MAX_EVENTS_A_TICKER)
        return [*filter(None, lines), *(self.fresh_events or ())]


class OverviewReader:
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
        pulse = Heartbeat.of(self._redis.hgetall(keys.HEARTBEAT), now_ms)
        why = why_no_tick(pulse, TickFailures(), self._settings)
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

    def _seen(self, names: Sequence[str], now_ms: float) -> Iterator[TickerSummary]:
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            rows = self._replies(some, now_ms)
            untold = [n for n, row in zip(some, rows, strict=True) if row.open_events is None]
            members = dict(zip(untold, self._all_events(untold), strict=True))
            for name, row in zip(some, rows, strict=True):
                seen = self._one(name, now_ms, row, members.get(name) or ())
                if seen is not None:
                    yield seen

    def _replies(self, names: Sequence[str], now_ms: float) -> list[_Replies]:
        newest_ms, fresh_ms = now_ms + AHEAD_MS, now_ms - FRESH_MS
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(self._keys.metrics(name, WINDOW), *_METRICS)
            for key in (self._keys.quotes(name), self._keys.trades(name)):
                pipe.zrevrangebyscore(key, newest_ms, "-inf", 0, 1, withscores=True)
            pipe.hget(self._keys.state(name), keys.OPEN_EVENTS)
            fresh = (self._keys.patterns(name), "+inf", fresh_ms, 0, MAX_EVENTS_A_TICKER)
            pipe.zrevrangebyscore(*fresh)
        replies = iter(_executed(pipe))
        return [_Replies(*five) for five in zip(*[replies] * len(_Replies._fields), strict=True)]

    def _all_events(self, names: Sequence[str]) -> list[Any]:
        """Read the events of tickers whose state does not tell which are open."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.zrevrange(self._keys.patterns(name), 0, MAX_EVENTS_A_TICKER - 1)
        return _executed(pipe)

    def _one(
        self, name: str, now_ms: float, row: _Replies, all_events: Sequence[bytes]
    ) -> TickerSummary | None:
        if not row.quote:
            return None
        as_of, covered, count, rate, quality = row.metrics or [None] * len(_METRICS)
        as_of_ms, newest_ms, covered_seconds = (
            read_number(as_of),
            row.quote[0][1],
            read_number(covered),
        )
        are_known = as_of_ms is not None and now_ms - as_of_ms <= ACTIVE_MS
        members = [*row.members(), *all_events] if are_known else []
        events = events_after(members, name, now_ms - FRESH_MS)
        is_stale = (
            as_of_ms is None or now_ms - as_of_ms > STALE_INTERVALS * self._settings.interval_ms
        )
        found = {
            "stale": is_stale,
            "quiet": is_quiet(now_ms - newest_ms, count, covered),
            "warming": covered_seconds is None or covered_seconds < WINDOW_SECONDS - 1,
        }
        return TickerSummary(
            ticker=name,
            newest_quote_ms=newest_ms,
            as_of_ms=None if as_of_ms is None else int(as_of_ms),
            covered_seconds=covered_seconds,
            quotes_per_second=read_number(rate),
            evidence_class=evidence_class_of(row.trade or ()),
            counts=read_quality(quality).counts,
            flags=[flag for flag in ("stale", "quiet", "warming") if found[flag]],
            # An open one that is fresh came twice.
            events=[*{event.id: event for event in events}.values()],
        )


def _silence(tickers: Sequence[TickerSummary], now_ms: float) -> str | None:
    if not all("quiet" in seen.flags for seen in tickers):
        return None
    newest_ms = max((seen.newest_quote_ms for seen in tickers), default=None)
    return None if newest_ms is None else silence(newest_ms, now_ms)


def _executed(pipe: Any) -> list[Any]:  # noqa: ANN401 - as the client
    return [_usable(reply) for reply in pipe.execute(raise_on_error=False)]


def _usable(reply: object) -> object:
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    raise reply
