"""Read all active tickers at once: the age of their data, and their open and recent events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, get_args

import redis

from app.analysis.bars import SECOND_MS
from app.analysis.windows import WINDOWS
from app.answers.diagnosis import (
    Heartbeat,
    TickFailures,
    describe_refused_writes,
    why_no_tick,
)
from app.answers.event_selection import LONGEST_NOTICE_MS, RECENT_MS
from app.answers.freshness import (
    STALE_INTERVALS,
    describe_ahead,
    describe_quiet,
    describe_silence,
    have_records_arrived,
    is_ahead,
    is_quiet,
)
from app.answers.rejected_records import find_newest_quote
from app.answers.schema import Flag
from app.answers.ticker_read import NEWEST_TRADES, Scored, evidence_class_of
from app.core.errors import AnalysisNotRunning, BrokerSilent, NoAnswer
from app.core.settings import Settings
from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS
from app.storage.feed_lags import FeedLags, is_delayed
from app.storage.feeds import is_down, remembered_feed
from app.storage.published import (
    EventRecord,
    EvidenceClass,
    FeedRecord,
    Number,
    RejectedRecords,
    events_after,
    read_feed,
    read_number,
    read_quality,
    read_rejected,
    read_stamp,
    read_ticked_at,
)
from app.storage.tick.score_bounds import AHEAD_MS
from app.storage.write_probe import find_refusal

WINDOW = "1min"
WINDOW_SECONDS = WINDOWS[WINDOW]
# More would take too long; the answer counts the tickers left out.
MAX_TICKERS_READ = 2000
# The newest events read of a ticker whose state does not list the open ones.
MAX_EVENTS_A_TICKER = 500
_BATCH = 100
_STATE = (keys.OPEN_EVENTS, "as_of", keys.QUOTE_AT, keys.REJECTED, "version")
_METRICS = (
    "as_of",
    "covered_seconds",
    "quote_count",
    "quotes_per_second",
    "quality",
    "trade_count",
)


@dataclass(frozen=True, slots=True)
class TickerSummary:
    """One active ticker, measured over its newest minute.

    `newest_quote_ms` is the stamp of its newest usable quote, None if all are rejected,
    `newest_member_ms` that of its newest, usable or not. `events` are open or closed in the
    10 s before its newest tick; there are none if that is older than an active ticker's newest
    quote may be. Of a feed that is behind, all is so much older, but `ticked_at_ms`: when, by its
    clock, the newest tick was.
    """

    ticker: str
    newest_quote_ms: Number | None
    newest_member_ms: float
    as_of_ms: int | None
    ticked_at_ms: int | None
    covered_seconds: Number | None
    quotes_per_second: Number | None
    evidence_class: EvidenceClass
    counts: Mapping[str, int]
    rejected: RejectedRecords
    flags: list[Flag]
    events: Sequence[EventRecord]
    feed_lag_seconds: int = 0
    feed: FeedRecord | None = None
    window: Mapping[bytes, bytes] = field(default_factory=dict)
    """The fields of the last minute that the reader of the overview was asked for."""

    @property
    def feed_lag_ms(self) -> int:
        """Return by how much the ticker's feed is behind, 0 for one in time."""
        return self.feed_lag_seconds * SECOND_MS


@dataclass(frozen=True, slots=True)
class Overview:
    """The active tickers at `now_ms`; `cause` states why their data is not current."""

    now_ms: float
    tickers: Sequence[TickerSummary]
    not_read: int
    cause: str | None

    @property
    def as_of_ms(self) -> int | None:
        """Return the time of the newest tick of any ticker, None before the first."""
        return max((ticker.as_of_ms for ticker in self.tickers if ticker.as_of_ms), default=None)


class _Replies(NamedTuple):
    """One ticker's replies; None for a key of a wrong type, or a state without open events."""

    metrics: Sequence[bytes | None] | None
    quote: Scored | None
    trade: Scored | None
    state: Sequence[bytes | None] | None
    recent_events: Sequence[bytes] | None
    feed: Mapping[bytes, bytes] | None

    @property
    def open_events(self) -> bytes | None:
        """Return the lines of the open events, None where the state does not list them."""
        return self.state[0] if self.state else None

    def feed_record(self, last_said: bytes | None) -> FeedRecord | None:
        """Return what the ticker's feed says of itself, or last said before it died."""
        if self.feed:
            return read_feed(self.feed)
        newest_ms = max((found[0][1] for found in (self.quote, self.trade) if found), default=0.0)
        return remembered_feed(last_said, newest_ms)

    def members(self) -> list[bytes]:
        """Return the open and the recent events; some are both."""
        lines = (self.open_events or b"").split(b"\n", MAX_EVENTS_A_TICKER)
        return [*filter(None, lines), *(self.recent_events or ())]


class OverviewReader:
    """Read overviews, with one round trip per hundred tickers.

    `window_fields` are further fields of each ticker's last minute: `TickerSummary.window`.
    """

    def __init__(
        self, client: redis.Redis, settings: Settings, window_fields: Sequence[str] = ()
    ) -> None:
        # `Any`: redis-py's annotations add an awaitable to every reply.
        self._redis: Any = client
        self._settings = settings
        self._keys = keys.Keys(cluster=settings.cluster)
        self._metrics = (*_METRICS, *window_fields)

    def overview(self, now_ms: float) -> Overview:
        """Return all active tickers.

        Raises `AnalysisNotRunning` or `BrokerSilent` if there are none.
        """
        heartbeat = Heartbeat.from_fields(self._redis.hgetall(keys.HEARTBEAT), now_ms)
        why = why_no_tick(heartbeat, TickFailures(), self._settings)
        refusal = None if why is None else find_refusal(self._redis)
        if refusal is not None:
            why = describe_refused_writes(refusal)
        scored = self._redis.zrevrangebyscore(
            keys.TICKERS, "+inf", now_ms - ACTIVE_MS, withscores=True
        )
        names = [name.decode("ascii", "replace") for name, _ in scored]
        names = [name for name in names if is_ticker(name)]
        if not names:
            raise self._no_active_tickers(now_ms, why)
        lags = FeedLags(self._redis).all()
        last_feeds = self._redis.hgetall(keys.FEEDS)
        tickers = list(self._summaries(names[:MAX_TICKERS_READ], now_ms, lags, last_feeds))
        return Overview(
            now_ms,
            tickers,
            max(0, len(names) - MAX_TICKERS_READ),
            _ahead_of_all(tickers, now_ms)
            or why
            or _silence_of_all(tickers, max(score for _, score in scored), now_ms),
        )

    def _no_active_tickers(self, now_ms: float, why: str | None) -> NoAnswer:
        if why is not None:
            return AnalysisNotRunning(f"no ticker is known to be active, and {why}")
        newest = self._redis.zrevrange(keys.TICKERS, 0, 0, withscores=True)
        why = (
            describe_silence(newest[0][1], now_ms)
            if newest
            else "no usable quote ever came; check the broker, and `orderflow status`"
        )
        return BrokerSilent(f"no ticker is active: {why}")

    def _summaries(
        self,
        names: Sequence[str],
        now_ms: float,
        lags: Mapping[str, int],
        last_feeds: Mapping[bytes, bytes],
    ) -> Iterator[TickerSummary]:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            rows = self._replies(batch, now_ms, lags)
            unlisted = [n for n, row in zip(batch, rows, strict=True) if row.open_events is None]
            members = dict(zip(unlisted, self._all_events(unlisted), strict=True))
            for name, row in zip(batch, rows, strict=True):
                lag = lags.get(name, 0)
                expected_ms = now_ms - lag * SECOND_MS
                summary = self._summary(name, expected_ms, row, members.get(name) or (), lag)
                if summary is not None:
                    feed = row.feed_record(last_feeds.get(name.encode()))
                    yield with_feed(summary, feed, now_ms)

    def _replies(
        self, names: Sequence[str], now_ms: float, lags: Mapping[str, int]
    ) -> list[_Replies]:
        newest_ms = now_ms + AHEAD_MS
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(self._keys.metrics(name, WINDOW), *self._metrics)
            of_kind = (self._keys.quotes(name), 1), (self._keys.trades(name), NEWEST_TRADES)
            for key, most in of_kind:
                pipe.zrevrangebyscore(key, newest_ms, "-inf", 0, most, withscores=True)
            pipe.hmget(self._keys.state(name), *_STATE)
            opened_ms = now_ms - lags.get(name, 0) * SECOND_MS - RECENT_MS - LONGEST_NOTICE_MS
            recent = (self._keys.patterns(name), "+inf", opened_ms, 0, MAX_EVENTS_A_TICKER)
            pipe.zrevrangebyscore(*recent)
            pipe.hgetall(self._keys.feed(name))
        replies = iter(_execute(pipe))
        return [_Replies(*six) for six in zip(*[replies] * len(_Replies._fields), strict=True)]

    def _all_events(self, names: Sequence[str]) -> list[Any]:
        """Return the newest events of tickers whose state does not list the open ones."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.zrevrange(self._keys.patterns(name), 0, MAX_EVENTS_A_TICKER - 1)
        return _execute(pipe)

    def _summary(
        self,
        name: str,
        now_ms: float,
        row: _Replies,
        all_events: Sequence[bytes],
        feed_lag_seconds: int,
    ) -> TickerSummary | None:
        """Return a ticker's summary at a time that a feed's lag is subtracted from."""
        if not row.quote:
            return None
        found = row.metrics or [None] * len(self._metrics)
        as_of, covered, count, rate, quality, trades = found[: len(_METRICS)]
        _, state_as_of, quote_at, rejected, version = row.state or [None] * len(_STATE)
        as_of_ms, covered_seconds = read_stamp(as_of or state_as_of), read_number(covered)
        ticked_at_ms = max(filter(None, (as_of_ms, read_ticked_at(version))), default=None)
        newest = find_newest_quote(
            row.quote, as_of_ms, read_stamp(quote_at), read_rejected(rejected), covered_seconds
        )
        usable_ms = newest.usable_ms
        has_recent_tick = as_of_ms is not None and now_ms - as_of_ms <= ACTIVE_MS
        members = [*row.members(), *all_events] if has_recent_tick else []
        # From its tick on, as in an answer; a tick ahead of the clock hides nothing of now.
        moment_ms = now_ms if as_of_ms is None else min(now_ms, as_of_ms)
        events = events_after(members, name, moment_ms - RECENT_MS)
        flags = {
            "quiet": usable_ms is not None and is_quiet(now_ms - usable_ms, count, covered),
            "warming": usable_ms is not None
            and (covered_seconds is None or covered_seconds < WINDOW_SECONDS - 1),
            "rejected": bool(newest.rejected),
            **self._clock_flags(as_of_ms, ticked_at_ms, now_ms, feed_lag_seconds),
        }
        return TickerSummary(
            ticker=name,
            newest_quote_ms=usable_ms,
            newest_member_ms=row.quote[0][1],
            as_of_ms=None if as_of_ms is None else int(as_of_ms),
            ticked_at_ms=None if ticked_at_ms is None else int(ticked_at_ms),
            covered_seconds=covered_seconds,
            quotes_per_second=read_number(rate),
            evidence_class=evidence_class_of(row.trade or (), has_trades=trades is not None),
            # Before the first usable record there are no windows: all that came was rejected.
            counts=newest.rejected.reasons() if as_of is None else read_quality(quality).counts,
            rejected=newest.rejected,
            flags=[flag for flag in get_args(Flag) if flags.get(flag)],
            # By id: an event that is both open and recent was read twice.
            events=[*{event.id: event for event in events}.values()],
            feed_lag_seconds=feed_lag_seconds,
            window=self._window(found),
        )

    def _window(self, found: Sequence[bytes | None]) -> dict[bytes, bytes]:
        """Return the fields of the window that were asked for, those that are there."""
        asked = zip(self._metrics[len(_METRICS) :], found[len(_METRICS) :], strict=True)
        return {name.encode(): text for name, text in asked if text is not None}

    def _clock_flags(
        self,
        as_of_ms: float | None,
        ticked_at_ms: float | None,
        now_ms: float,
        feed_lag_seconds: int,
    ) -> dict[str, bool]:
        """Return the flags that compare a tick with the clock, from which a lag is subtracted."""
        interval_ms = self._settings.interval_ms
        return {
            "stale": as_of_ms is None or now_ms - as_of_ms > STALE_INTERVALS * interval_ms,
            "lagging": feed_lag_seconds > 0 and not is_delayed(feed_lag_seconds),
            "delayed": is_delayed(feed_lag_seconds),
            # Against the reader's clock, without the lag.
            "ahead": is_ahead(ticked_at_ms, now_ms + feed_lag_seconds * SECOND_MS, interval_ms),
        }


def with_feed(summary: TickerSummary, feed: FeedRecord | None, now_ms: float) -> TickerSummary:
    """Return a summary with what the ticker's feed says, flagged if the feed is down."""
    flags: list[Flag] = [*summary.flags, "feed_down"] if is_down(feed, now_ms) else summary.flags
    return replace(summary, feed=feed, flags=flags)


def _ahead_of_all(tickers: Sequence[TickerSummary], now_ms: float) -> str | None:
    ahead = [it.ticked_at_ms for it in tickers if "ahead" in it.flags and it.ticked_at_ms]
    return describe_ahead(max(ahead), now_ms) if ahead else None


def _silence_of_all(
    tickers: Sequence[TickerSummary], active_ms: float, now_ms: float
) -> str | None:
    if not all("quiet" in ticker.flags or ticker.newest_quote_ms is None for ticker in tickers):
        return None
    if not tickers:
        return None
    newest_ms = max(it.newest_member_ms for it in tickers)
    return describe_quiet(
        max((it.newest_quote_ms for it in tickers if it.newest_quote_ms is not None), default=None),
        newest_ms,
        now_ms,
        is_rejected=any(it.rejected.quotes.count for it in tickers),
        records_arrive=have_records_arrived(active_ms, newest_ms, now_ms),
    )


def _execute(pipe: Any) -> list[Any]:  # noqa: ANN401 - as the client
    return [_reply_or_none(reply) for reply in pipe.execute(raise_on_error=False)]


def _reply_or_none(reply: object) -> object:
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    raise reply
