"""Read a ticker's current state from Redis: fresh, stale, quiet, warming or absent."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec
import redis
from redis.exceptions import RedisClusterException

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.analysis.quality_table import NOW_NAMES
from app.answers.as_of_argument import PAST_MS
from app.answers.diagnosis import (
    TICK_LATE,
    TICKS_FAIL,
    Heartbeat,
    TickFailures,
    describe_active_tickers,
    describe_refused_writes,
    why_no_tick,
    why_outdated,
)
from app.answers.durations import age, ago, since
from app.answers.event_selection import HistoryBounds
from app.answers.freshness import (
    ARRIVAL_NOTED_MS,
    STALE_INTERVALS,
    describe_ahead,
    describe_quiet,
    describe_silence,
    have_records_arrived,
    is_ahead,
    is_quiet,
)
from app.answers.half_hour import HalfHourRanks
from app.answers.history_argument import MAX_SECONDS
from app.answers.kept_past import KeptPast
from app.answers.overview import Overview, OverviewReader
from app.answers.rejected_records import NewestQuote, describe_unusable
from app.answers.ticker_read import (
    MAX_EVENTS_READ,
    WINDOW_OF_SECONDS,
    ReadRequest,
    SecondTable,
    TickerReads,
    TickerReplies,
    WindowSums,
    nearest_window,
)
from app.core import clock
from app.core.errors import (
    AnalysisFailing,
    AnalysisNotRunning,
    BadTicker,
    BrokerSilent,
    NoAnswer,
    NoQuotes,
    NoUsableQuotes,
    StoreUnavailable,
    UnknownAnswer,
    UnknownTicker,
)
from app.core.refusals import describe_refusal
from app.core.settings import Settings
from app.core.tickers import is_ticker, match_ticker, parse_ticker
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS
from app.storage.answer_archive import AnswerArchive, Renderings
from app.storage.feed_lags import is_delayed
from app.storage.feeds import is_down
from app.storage.mis_stamped import read_mis_stamped
from app.storage.prints import PrintRange, read_prints
from app.storage.published import (
    EventRecord,
    EvidenceClass,
    FeedRecord,
    FollowedRecord,
    LevelRecord,
    QualityRecord,
    RejectedRecords,
    Value,
    events_after,
    read_behaviors,
    read_engine,
    read_events,
    read_levels,
    read_metrics,
    read_number,
    read_quality,
    read_ranks,
)
from app.storage.record_range import RecordRange, read_record_range
from app.storage.redis_client import address_of, connect, database_of
from app.storage.write_probe import find_refusal

_Found = TypeVar("_Found")

# With one retry, an answer still comes within two seconds.
TIMEOUT_SECONDS = 0.5
DISCOVERY_SECONDS = 2
GROWING_TYPES = ("hidden_print",)
"""Types whose price range may grow after the opening."""
PAST_NOTE = (
    "an earlier moment, as asked; not kept of it: ranks, levels, behaviors, session, spread in "
    "ticks, sizes of events that changed since, weak closed events of over 10 min ago"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerSnapshot:
    """All that is known of a ticker at `now_ms`; `as_of_ms` is None before its first tick.

    `newest_quote_ms` is the stamp of the newest usable quote; `rejected` are records that are newer
    than the newest usable one. `ready_in_seconds` is the time until the history is covered, None if
    it is; `feed_lag_seconds` is by how much the feed is behind, 0 for one in time; `cause` states
    why the snapshot is stale or quiet; `events` is None if they were not requested. `ahead`: the
    newest tick lies ahead of the clock that reads it.

    `ranked_metrics` are those of `ranks_window`, where the history is another one.

    `ranks`, 0 to 1 by metric, are those of the published window `ranks_window`, the nearest to the
    history; `rank_windows` is from how many independent windows they come. `followed` is what
    followed earlier events within a minute, by type and side. `half_hour` are ranks among the same
    half hour of earlier sessions, in full answers. `asked_at_ms` is set for an earlier
    moment, where `now_ms` is that moment.
    """

    ticker: str
    now_ms: float
    history_seconds: int
    newest_quote_ms: float
    evidence_class: EvidenceClass
    as_of_ms: int | None = None
    metrics: Mapping[str, Value] = field(default_factory=dict)
    behaviors: Mapping[str, str] = field(default_factory=dict)
    quality: QualityRecord = field(default_factory=QualityRecord)
    events: tuple[EventRecord, ...] | None = ()
    levels: tuple[LevelRecord, ...] = ()
    stale: bool = False
    quiet: bool = False
    ready_in_seconds: float | None = None
    cause: str | None = None
    failures: TickFailures = field(default_factory=TickFailures)
    engine: str | None = None
    asked_at_ms: float | None = None
    rejected: RejectedRecords = field(default_factory=RejectedRecords)
    feed_lag_seconds: int = 0
    ranks: Mapping[str, float] = field(default_factory=dict)
    ranks_window: str | None = None
    rank_windows: float | None = None
    ranked_metrics: Mapping[str, Value] = field(default_factory=dict)
    ahead: bool = False
    session: Mapping[str, Value] = field(default_factory=dict)
    followed: Mapping[tuple[str, str], FollowedRecord] = field(default_factory=dict)
    feed: FeedRecord | None = None
    half_hour: HalfHourRanks | None = None

    @property
    def past(self) -> bool:
        """Return whether the snapshot is of an earlier moment."""
        return self.asked_at_ms is not None

    @property
    def bounds(self) -> HistoryBounds:
        """Return the start and end of the history."""
        end_ms = self.now_ms if self.as_of_ms is None else self.as_of_ms
        return HistoryBounds(end_ms - self.history_seconds * SECOND_MS, end_ms)

    @property
    def warming(self) -> bool:
        """Return whether the ticker is younger than the history requested."""
        return self.ready_in_seconds is not None

    @property
    def feed_down(self) -> bool:
        """Return whether the feed gives no sign of life."""
        return not self.past and is_down(self.feed, self.now_ms)

    @property
    def lagging(self) -> bool:
        """Return whether the ticker's records keep coming late."""
        return self.feed_lag_seconds > 0 and not self.delayed

    @property
    def delayed(self) -> bool:
        """Return whether the ticker's feed is a delayed one."""
        return is_delayed(self.feed_lag_seconds)


class WatchedTicker(NamedTuple):
    """A snapshot with what a picture of the time from `from_ms` to its `as_of` is drawn from.

    `seconds` is None before the first tick, and where no second is new. `events` are those that
    are open or closed after `from_ms`.
    """

    snapshot: TickerSnapshot
    seconds: SecondTable | None
    events: tuple[EventRecord, ...]
    from_ms: int | None = None


@contextlib.contextmanager
def store_errors(client: redis.Redis) -> Iterator[None]:
    """Raise redis-py's errors as `StoreUnavailable`, with a one-line message without secrets."""
    try:
        yield
    except (redis.RedisError, RedisClusterException) as error:
        described = describe_refusal(error, database_of(client)) or _describe_error(error)
        raise StoreUnavailable(f"Redis at {address_of(client)} {described}") from error


def _describe_error(error: Exception) -> str:
    match error:
        case redis.AuthenticationError() | redis.exceptions.NoPermissionError():
            return "refuses the user or password: check REDIS_PASSWORD or REDIS_URL"
        case redis.TimeoutError():
            return "does not answer in time: check that it runs and is not overloaded"
        case redis.ConnectionError() | RedisClusterException():
            return "can't be reached: check that it runs and that REDIS_URL or REDIS_HOST names it"
    return f"answers with an error ({type(error).__name__}): see its log"


class Reader:
    """Read tickers from Redis; holds no state but its connections."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._settings = settings
        self._keys = keys.Keys(cluster=settings.cluster)
        self._ticker_reads = TickerReads(client, self._keys)
        self._overviews = OverviewReader(client, settings)
        self._archive = AnswerArchive(client)
        self.past = KeptPast(settings, self._bars_in_redis)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Reader":
        """Return a reader with a connection pool of its own."""
        return cls(connect(settings, timeout_seconds=TIMEOUT_SECONDS), settings)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def snapshot(
        self,
        typed_ticker: str,
        history_seconds: int,
        *,
        include_patterns: bool = True,
        at_ms: int | None = None,
    ) -> TickerSnapshot:
        """Return what is known of a ticker over exactly the last `history_seconds`.

        The ticker is the one of exactly the typed name, or else the active one that it means
        (`app.core.tickers.match_ticker`). `at_ms` requests an earlier moment; it has no effect
        unless it is before the newest tick.

        Raises `BadTicker`; `NoAnswer` with what is missing and what to check; `StoreUnavailable`
        without Redis; `HistoryUnavailable` or `HistoryFileUnreadable` of a kept past.
        """
        is_beyond = at_ms is not None and at_ms < clock.now_ms() - PAST_MS
        if at_ms is not None and is_beyond and self.past.is_kept:
            return self._kept(typed_ticker, history_seconds, at_ms, has_events=include_patterns)
        try:
            found = self._of_meant_ticker(
                typed_ticker, lambda ticker: self._snapshot(ticker, history_seconds, at_ms)
            )
        except (BadTicker, UnknownTicker, NoQuotes, BrokerSilent):
            if at_ms is None or not self.past.is_kept:
                raise
            return self._kept(typed_ticker, history_seconds, at_ms, has_events=include_patterns)
        return found if include_patterns else dataclasses.replace(found, events=None)

    def _of_meant_ticker(self, typed_ticker: str, ask: Callable[[str], _Found]) -> _Found:
        """Ask about the ticker of exactly the typed name, or else the active one that it means."""
        try:
            return ask(parse_ticker(typed_ticker))
        except (BadTicker, UnknownTicker, NoQuotes, BrokerSilent):
            ticker = match_ticker(typed_ticker, self.active(clock.now_ms()))
            if ticker is None or ticker == typed_ticker.strip():
                raise
            return ask(ticker)

    def watched(
        self, typed_ticker: str, history_seconds: int, since_ms: int | None, most_seconds: int
    ) -> WatchedTicker:
        """Return what `snapshot` does, with the ticker's seconds and events since a moment.

        All of it comes from one transaction, and so from one tick. The seconds are those that end
        after `since_ms`, at most the last `most_seconds`: all of these where `since_ms` is None or
        not among them.

        Raises as `snapshot` does.
        """
        return self._of_meant_ticker(
            typed_ticker,
            lambda ticker: self._watched(ticker, history_seconds, since_ms, most_seconds),
        )

    def _watched(
        self, ticker: str, history_seconds: int, since_ms: int | None, most_seconds: int
    ) -> WatchedTicker:
        request = ReadRequest(ticker, history_seconds, clock.now_ms())
        stale_before_ms = self._stale_before(request)
        oldest_ms = int(stale_before_ms) - most_seconds * SECOND_MS
        is_recent = since_ms is not None and oldest_ms < since_ms <= request.now_ms
        from_ms = since_ms if is_recent and since_ms is not None else oldest_ms
        with store_errors(self._redis):
            replies = self._ticker_reads.read(request, stale_before_ms, from_ms)
            snapshot = self._current(request, replies)
        as_of_ms = snapshot.as_of_ms
        if as_of_ms is None:
            return WatchedTicker(snapshot, None, ())
        # Of a feed that is behind, what was read begins later than so long before its `as_of`.
        from_ms = max(from_ms, as_of_ms - most_seconds * SECOND_MS)
        seconds = (as_of_ms - from_ms) // SECOND_MS
        return WatchedTicker(
            snapshot,
            replies.table(as_of_ms, seconds) if seconds > 0 else None,
            tuple(events_after(replies.events, ticker, from_ms)),
            from_ms,
        )

    def _snapshot(self, ticker: str, history_seconds: int, at_ms: int | None) -> TickerSnapshot:
        request = ReadRequest(ticker, history_seconds, clock.now_ms())
        with store_errors(self._redis):
            # Enough bars for a tick of at most three intervals' age; an older one reads them again.
            replies = self._ticker_reads.read(
                request, newest_tick_after_ms=self._stale_before(request)
            )
            snapshot = self._current(request, replies)
            if at_ms is not None and snapshot.as_of_ms is not None and at_ms < snapshot.as_of_ms:
                snapshot = self._earlier(request, replies, snapshot, at_ms)
        return snapshot

    def with_half_hour(self, snapshot: TickerSnapshot) -> TickerSnapshot:
        """Return a snapshot with its ranks among the same half hour of earlier sessions."""
        if snapshot.as_of_ms is None or not self.past.is_kept:
            return snapshot
        ranks = self.past.half_hour_ranks(
            snapshot.ticker, snapshot.as_of_ms, snapshot.history_seconds, snapshot.metrics
        )
        return dataclasses.replace(snapshot, half_hour=ranks)

    def _kept(
        self, typed_ticker: str, seconds: int, at_ms: int, *, has_events: bool
    ) -> TickerSnapshot:
        """Return what was known at a moment that only the history holds."""
        ticker = self.past.meant(typed_ticker)
        found = self.past.moment(ticker, at_ms, seconds, has_events=has_events)
        events = {event.id: event for event in found.events}
        if has_events and self.past.may_be_in_redis(at_ms):
            # Files have events once they are closed, and minutes after.
            members = self._event_members(ticker)
            recent = events_after(members, ticker, at_ms - seconds * SECOND_MS)
            events |= {event.id: event for event in recent if event.noticed_at <= at_ms}
        return TickerSnapshot(
            ticker=ticker,
            now_ms=at_ms,
            asked_at_ms=clock.now_ms(),
            as_of_ms=at_ms,
            history_seconds=seconds,
            newest_quote_ms=found.newest_quote_ms,
            evidence_class=found.evidence_class,
            metrics=found.sums.metrics,
            quality=QualityRecord(found.sums.counts, found.sums.gaps),
            events=tuple(event_at(it, at_ms) for it in events.values()) if has_events else None,
            ready_in_seconds=_still_warming(found.sums.unseen_seconds),
            cause=found.note,
            engine=found.engine,
        )

    def _bars_in_redis(
        self, ticker: str, after_ms: int, until_ms: int
    ) -> tuple[Sequence[Bar], Sequence[Gap]]:
        """Return the bars and gaps that Redis has of some time, and the bar before it."""
        request = ReadRequest(ticker, (until_ms - after_ms) // SECOND_MS, until_ms)
        with store_errors(self._redis):
            state = self._ticker_reads.read_state(ticker)
            replies = self._ticker_reads.read_bars(state, request, until_ms)
        return replies.bars_until(until_ms), replies.gaps_until(until_ms)

    def overview(self) -> Overview:
        """Return all active tickers as of their newest ticks.

        Raises `NoAnswer` with the cause if none is active; `StoreUnavailable` without Redis.
        """
        with store_errors(self._redis):
            return self._overviews.overview(clock.now_ms())

    def table(self, ticker: str, as_of_ms: int, seconds: int) -> SecondTable:
        """Return the bars of each second of a history, with the tick size."""
        request = ReadRequest(ticker, seconds, as_of_ms)
        with store_errors(self._redis):
            if self.past.is_beyond_redis(as_of_ms, seconds):
                return self.past.table(ticker, as_of_ms, seconds)
            replies = self._ticker_reads.read_bars(
                self._ticker_reads.read_state(ticker), request, as_of_ms
            )
        return replies.table(as_of_ms, seconds)

    def events_at(self, ticker: str, after_ms: int, at_ms: int) -> tuple[EventRecord, ...]:
        """Return the events that were open after one moment, as they were known at a later one."""
        store: Any = self._redis
        with store_errors(self._redis):
            members = store.zrevrange(self._keys.patterns(ticker), 0, MAX_EVENTS_READ - 1)
        events: Sequence[EventRecord] = events_after(members, ticker, after_ms)
        if self.past.is_kept and after_ms < clock.now_ms() - PAST_MS:
            events = self.past.events(ticker, after_ms, at_ms, events)
        return tuple(event_at(event, at_ms) for event in events if event.noticed_at <= at_ms)

    def event(self, ticker: str, event_id: str) -> EventRecord | None:
        """Return a ticker's event by its id, None if it is not kept."""
        members = self._event_members(ticker)
        wanted = event_id.encode()
        events = read_events((member for member in members if wanted in member), ticker)
        return next((event for event in events if event.id == event_id), None)

    def _event_members(self, ticker: str) -> list[bytes]:
        store: Any = self._redis
        with store_errors(self._redis):
            members: list[bytes] = store.zrevrange(
                self._keys.patterns(ticker), 0, MAX_EVENTS_READ - 1
            )
        return members

    def followed(self, ticker: str, pattern: str, side: str) -> dict[int, FollowedRecord]:
        """Return what followed a ticker's events of one type and side, by horizon in seconds."""
        with store_errors(self._redis):
            return self._ticker_reads.read_followed(ticker, pattern, side)

    def session(self, ticker: str) -> dict[str, Value]:
        """Return what is published of a ticker's session: numbers, phase and calendar."""
        with store_errors(self._redis):
            return self._ticker_reads.read_session(ticker)

    def records(self, ticker: str, from_ms: float, to_ms: float) -> RecordRange:
        """Return the records stamped in (from, to], at most some thousands of each kind."""
        with store_errors(self._redis):
            return read_record_range(self._redis, self._keys, ticker, from_ms, to_ms)

    def prints(self, ticker: str, from_ms: float, to_ms: float) -> PrintRange:
        """Return the prints stamped in (from, to], the newest thousands, each with its side."""
        with store_errors(self._redis):
            return read_prints(self._redis, self._keys, ticker, from_ms, to_ms)

    def archive(self, answer_id: str, renderings: Renderings) -> bool:
        """Archive an answer for an hour; return whether Redis stored it."""
        return self._archive.keep(answer_id, renderings)

    def archived(self, answer_id: str) -> dict[str, bytes]:
        """Return an archived answer's renderings: from Redis, or else from the history.

        Raises `UnknownAnswer`, `StoreUnavailable` or `HistoryUnavailable`.
        """
        try:
            with store_errors(self._redis):
                return self._archive.find(answer_id)
        except (UnknownAnswer, StoreUnavailable) as error:
            found = self.past.answer(answer_id)
            if found:
                return found
            if self.past.is_kept and isinstance(error, UnknownAnswer):
                raise UnknownAnswer(f"{error}; nor is it in the history") from error
            raise

    def active(self, now_ms: float) -> list[str]:
        """Return the tickers that were active in the last 300 s, as discovery found them.

        Raises `StoreUnavailable`.
        """
        store: Any = self._redis
        with store_errors(self._redis):
            found = store.zrevrangebyscore(keys.TICKERS, "+inf", now_ms - ACTIVE_MS)
        names = (name.decode("ascii", "replace") for name in found)
        return [name for name in names if is_ticker(name)]

    def _stale_before(self, request: ReadRequest) -> float:
        return request.now_ms - STALE_INTERVALS * self._settings.interval_ms

    def _current(self, request: ReadRequest, replies: TickerReplies) -> TickerSnapshot:
        ticker, now_ms = request.ticker, request.now_ms
        quote_ms, as_of_ms = replies.newest_quote_ms, replies.as_of_ms
        if quote_ms is None:
            raise self._no_quotes(request, replies)
        if now_ms - max(quote_ms, replies.active_at or 0.0) > ACTIVE_MS:
            misstamped = self._mis_stamped(ticker, now_ms)
            silence = describe_silence(
                quote_ms,
                now_ms,
                ticker=ticker if self._do_others_arrive(ticker, now_ms) else None,
                to_check=misstamped,
            )
            raise BrokerSilent(f"{ticker}: {silence}{_feed_note(replies, now_ms)}")
        newest, expected_ms = replies.newest_quote, now_ms - replies.feed_lag_ms
        # Where the newest quote of all is usable but old, records arrive that are no newer quotes.
        if newest.usable_ms is None or (
            newest.usable_ms != quote_ms and expected_ms - newest.usable_ms > ACTIVE_MS
        ):
            if as_of_ms is None or as_of_ms < self._stale_before(request) - replies.feed_lag_ms:
                self._check_analysis(request, replies, quote_ms)
            raise _no_usable_quotes(request, newest)
        if as_of_ms is None or expected_ms - as_of_ms > ACTIVE_MS or not newest.is_folded:
            return self._before_first_tick(request, replies, newest.usable_ms)
        return self._after_tick(request, replies, newest, newest.usable_ms, as_of_ms)

    def _no_quotes(self, request: ReadRequest, replies: TickerReplies) -> NoAnswer:
        ticker, now_ms = request.ticker, request.now_ms
        misstamped = self._mis_stamped(ticker, now_ms)
        if misstamped is not None:
            return NoQuotes(f"{ticker}: {misstamped}")
        if replies.trade:
            newest_ms = replies.newest_trade_ms
            seen = "" if newest_ms is None else f", the newest {since(newest_ms, now_ms)}"
            return NoQuotes(
                f"{ticker}: has trades{seen} but no quotes: "
                "check that the broker writes its quotes too"
            )
        return UnknownTicker(
            f"{ticker}: no record of this ticker in Redis; "
            f"{describe_active_tickers(ticker, self.active(now_ms))}. "
            "Check the spelling and that the broker writes this ticker"
        )

    def _check_analysis(
        self, request: ReadRequest, replies: TickerReplies, quote_ms: float
    ) -> None:
        """Raise `NoAnswer` if no first tick is to be expected."""
        reason = self._why_no_tick(request, TickFailures.from_fields(replies.failures))
        if reason is not None:
            kind = AnalysisFailing if reason.startswith(TICKS_FAIL) else AnalysisNotRunning
            newest = ago(quote_ms, request.now_ms)
            raise kind(f"{request.ticker}: quotes come in (the newest {newest}), but {reason}")

    def _mis_stamped(self, ticker: str, now_ms: float) -> str | None:
        """Return what is wrong with the stamps of a ticker's records, None if nothing is."""
        found = read_mis_stamped(self._redis, self._keys, ticker, now_ms)
        if found is None:
            return None
        if found.unit is None:
            return (
                f"its newest {found.kind} are stamped {age(found.ahead_ms / 1000)} ahead of the "
                "clock and count when their time comes: check the clocks of the broker and of this "
                "machine"
            )
        return (
            f"its {found.kind} are scored in {found.unit}, not milliseconds, and left out: "
            "the broker must score them by epoch milliseconds"
        )

    def _why_no_tick(self, request: ReadRequest, failures: TickFailures) -> str | None:
        refusal = find_refusal(self._redis)
        if refusal is not None:
            return describe_refused_writes(refusal)
        return why_no_tick(self._heartbeat(request), failures, self._settings)

    def _why_stale(self, request: ReadRequest, failures: TickFailures) -> str:
        return (
            self._why_no_tick(request, failures)
            or why_outdated(self._heartbeat(request), self._settings)
            or TICK_LATE
        )

    def _why_quiet(
        self, request: ReadRequest, replies: TickerReplies, newest: NewestQuote, quote_ms: float
    ) -> str:
        now_ms, ticker = request.now_ms, request.ticker
        return describe_quiet(
            quote_ms,
            replies.newest_quote_ms or quote_ms,
            now_ms,
            is_rejected=newest.rejected.quotes.count > 0,
            records_arrive=_do_records_arrive(quote_ms, now_ms, replies),
            ticker=ticker if self._do_others_arrive(ticker, now_ms) else None,
        )

    def _do_others_arrive(self, ticker: str, now_ms: float) -> bool:
        """Return whether quotes of other tickers arrived lately, as discovery saw them."""
        store: Any = self._redis
        newest = store.zrevrange(keys.TICKERS, 0, 1, withscores=True)
        return any(
            name != ticker.encode() and now_ms - seen_ms <= ARRIVAL_NOTED_MS
            for name, seen_ms in newest
        )

    def _heartbeat(self, request: ReadRequest) -> Heartbeat:
        store: Any = self._redis
        return Heartbeat.from_fields(store.hgetall(keys.HEARTBEAT), request.now_ms)

    def _before_first_tick(
        self, request: ReadRequest, replies: TickerReplies, quote_ms: float
    ) -> TickerSnapshot:
        """Return the newest usable quote alone; raise `NoAnswer` if no tick is to be expected."""
        self._check_analysis(request, replies, quote_ms)
        return TickerSnapshot(
            ticker=request.ticker,
            now_ms=request.now_ms,
            history_seconds=request.seconds,
            newest_quote_ms=quote_ms,
            evidence_class=replies.evidence_class,
            metrics=replies.newest_quote_metrics(),
            ready_in_seconds=float(self._settings.interval_seconds + DISCOVERY_SECONDS),
            cause="no tick has seen this ticker yet; what is known is its newest quote",
            failures=TickFailures.from_fields(replies.failures),
            rejected=replies.newest_quote.rejected,
            feed_lag_seconds=replies.feed_lag_seconds,
        )

    def _after_tick(
        self,
        request: ReadRequest,
        replies: TickerReplies,
        newest: NewestQuote,
        quote_ms: float,
        as_of_ms: int,
    ) -> TickerSnapshot:
        seconds = request.seconds
        stale_before = self._stale_before(request)
        stale = as_of_ms < stale_before - replies.feed_lag_ms
        window = self._window(request, replies, as_of_ms, stale=as_of_ms < stale_before)
        start_ms = as_of_ms - seconds * SECOND_MS
        events = self._events_after(request, replies, start_ms, as_of_ms)
        failures = TickFailures.from_fields(replies.failures)
        ticked_at_ms = replies.ticked_at_ms or as_of_ms
        ahead = is_ahead(ticked_at_ms, request.now_ms, self._settings.interval_ms)
        quiet = _is_quiet(request.now_ms - replies.feed_lag_ms - quote_ms, replies)
        cause = None
        if ahead:
            cause = describe_ahead(ticked_at_ms, request.now_ms)
        elif stale:
            cause = self._why_stale(request, failures)
        elif quiet:
            cause = self._why_quiet(request, replies, newest, quote_ms)
        ranked = replies.window if read_number(replies.window.get(b"as_of")) == as_of_ms else {}
        return TickerSnapshot(
            ticker=request.ticker,
            now_ms=request.now_ms,
            as_of_ms=as_of_ms,
            history_seconds=seconds,
            newest_quote_ms=quote_ms,
            evidence_class=replies.evidence_class,
            metrics=window.metrics,
            behaviors=read_behaviors(replies.five_minutes.get(b"behaviors")),
            quality=window.quality,
            events=tuple(events),
            levels=tuple(read_levels([*replies.levels, *replies.ask_levels])),
            stale=stale,
            quiet=quiet,
            ready_in_seconds=_still_warming(window.unseen_seconds),
            cause=cause,
            failures=failures,
            rejected=newest.rejected,
            feed_lag_seconds=replies.feed_lag_seconds,
            engine=read_engine(replies.five_minutes.get(b"engine")),
            ranks=read_ranks(ranked.get(b"ranks")),
            ranks_window=nearest_window(seconds),
            rank_windows=read_number(ranked.get(b"rank_windows")),
            ranked_metrics={} if seconds in WINDOW_OF_SECONDS else read_metrics(ranked),
            ahead=ahead,
            session=replies.session_numbers(),
            followed=replies.followed({(event.type, event.side) for event in events}),
            feed=replies.feed_record(),
        )

    def _earlier(
        self, request: ReadRequest, replies: TickerReplies, newest: TickerSnapshot, at_ms: int
    ) -> TickerSnapshot:
        """Return what was known at an earlier moment, as far as it is kept."""
        replies = self._ticker_reads.read_moment(replies, request, at_ms)
        quote_ms = replies.usable_quote_ms(at_ms)
        if quote_ms is None:
            raise NoQuotes(
                f"{request.ticker}: no quote is kept of {since(at_ms, request.now_ms)} or before; "
                "ask for a later moment, or for now"
            )
        # The tick size of that moment is not kept.
        sums = self._sums(request, replies, at_ms)
        start_ms = at_ms - request.seconds * SECOND_MS
        recent = self._events_after(request, replies, start_ms, at_ms)
        events = [event_at(event, at_ms) for event in recent if event.noticed_at <= at_ms]
        rebuilt_at = newest.quality.rebuilt_at
        is_rebuilt = rebuilt_at is not None and rebuilt_at <= at_ms
        return TickerSnapshot(
            ticker=newest.ticker,
            now_ms=at_ms,
            asked_at_ms=request.now_ms,
            as_of_ms=at_ms,
            history_seconds=request.seconds,
            newest_quote_ms=quote_ms,
            evidence_class=replies.evidence_class,
            metrics=sums.metrics,
            quality=QualityRecord(sums.counts, sums.gaps, rebuilt_at if is_rebuilt else None),
            events=tuple(events),
            ready_in_seconds=_still_warming(sums.unseen_seconds),
            cause=f"{PAST_NOTE}; now {newest.cause}" if newest.cause else PAST_NOTE,
            engine=newest.engine,
            feed=None,
        )

    def _window(
        self, request: ReadRequest, replies: TickerReplies, as_of_ms: int, *, stale: bool
    ) -> "_Window":
        """Return a history's metrics: from its hash if it has one, else from bars."""
        has_hash = request.seconds in WINDOW_OF_SECONDS
        if has_hash and read_number(replies.window.get(b"as_of")) == as_of_ms:
            return _window_from_hash(request, replies, as_of_ms)
        if stale or has_hash:
            replies = self._ticker_reads.read_bars(replies, request, as_of_ms)
        sums = self._sums(request, replies, as_of_ms, replies.tick_size)
        known = read_quality(replies.five_minutes.get(b"quality"))
        at_tick = {name: count for name, count in known.counts.items() if name in NOW_NAMES}
        counts = {**sums.counts, **at_tick}
        quality = dataclasses.replace(known, counts=counts, gaps=sums.gaps)
        return _Window(sums.metrics, quality, sums.unseen_seconds)

    def _sums(
        self, request: ReadRequest, replies: TickerReplies, as_of_ms: int, tick_size: int = 0
    ) -> WindowSums:
        """Return the numbers of a history: from the bars that were read, else also from files."""
        if not self.past.is_beyond_redis(as_of_ms, request.seconds):
            return replies.sum_window(as_of_ms, request.seconds, tick_size)
        digits = replies.price_digits
        return self.past.sums(request.ticker, as_of_ms, request.seconds, tick_size, digits)

    def _events_after(
        self, request: ReadRequest, replies: TickerReplies, start_ms: float, as_of_ms: int
    ) -> Sequence[EventRecord]:
        """Return the events that were open after `start_ms`; older ones are only in files."""
        events = events_after(replies.events, request.ticker, start_ms)
        if request.seconds <= MAX_SECONDS or not self.past.is_kept:
            return events
        return self.past.events(request.ticker, start_ms, as_of_ms, events)


def _no_usable_quotes(request: ReadRequest, newest: NewestQuote) -> NoUsableQuotes:
    ticker, rejected = request.ticker, newest.rejected.quotes
    if rejected.count:
        reason = describe_unusable(rejected, newest.usable_ms, request.now_ms)
        return NoUsableQuotes(f"{ticker}: {reason}")
    return NoUsableQuotes(
        f"{ticker}: quotes arrive too late to be analysed: write each within 200 ms of its stamp"
    )


def event_at(event: EventRecord, at_ms: float) -> EventRecord:
    """Return an event as it was at `at_ms`, without what has changed since and is not kept.

    An event that changed since was open: what closed it was its last change. Its id, type, side,
    times are those of its opening, and so is its price, but for types whose price range grows.
    """
    if event.updated_at <= at_ms and (event.closed_at is None or event.closed_at <= at_ms):
        return event
    is_grown = event.type in GROWING_TYPES and event.price_low != event.price_high
    return msgspec.structs.replace(
        event,
        status="open",
        updated_at=event.noticed_at,
        closed_at=None,
        close_reason=None,
        price_low=None if is_grown else event.price_low,
        price_high=None if is_grown else event.price_high,
        strength=None,
        statistic=None,
        threshold=None,
        evidence={},
        return_minutes=None,
        at_least=False,
    )


def _still_warming(unseen_seconds: float) -> float | None:
    """Return when a history is covered; less than a second is the part before the first quote."""
    return unseen_seconds if unseen_seconds >= 1 else None


class _Window(NamedTuple):
    metrics: Mapping[str, Value]
    quality: QualityRecord
    unseen_seconds: float


def _window_from_hash(request: ReadRequest, replies: TickerReplies, as_of_ms: int) -> _Window:
    metrics = read_metrics(replies.window)
    quality = read_quality(replies.window.get(b"quality"), as_of_ms - request.seconds * SECOND_MS)
    covered = read_number(replies.window.get(b"covered_seconds"))
    unseen = 0.0 if covered is None else request.seconds - covered - quality.gap_seconds
    return _Window(metrics, quality, unseen)


def _feed_note(replies: TickerReplies, now_ms: float) -> str:
    """Return that a silent ticker's feed is down or alive, nothing where it says nothing."""
    feed = replies.feed_record()
    if feed is None or feed.alive_at is None:
        return ""
    state = "FEED DOWN" if is_down(feed, now_ms) else "its feed is alive"
    return f". {state}: last sign of it {ago(feed.alive_at, now_ms)}"


def _is_quiet(quote_age_ms: float, replies: TickerReplies) -> bool:
    fields = replies.five_minutes
    return is_quiet(quote_age_ms, fields.get(b"quote_count"), fields.get(b"covered_seconds"))


def _do_records_arrive(quote_ms: float, now_ms: float, replies: TickerReplies) -> bool:
    """Return whether records arrive, though none is a newer quote: records with old stamps."""
    if have_records_arrived(replies.active_at or 0.0, quote_ms, now_ms):
        return True
    late = read_quality(replies.window.get(b"quality")).counts.get("late")
    return bool(late) and read_number(replies.window.get(b"quote_count")) == 0
