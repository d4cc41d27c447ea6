"""Read from Redis, and from the history, what questions about tickers need."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import redis

from app.analysis.bars import SECOND_MS
from app.answers.absence import AbsenceReasons
from app.answers.as_of_argument import PAST_MS
from app.answers.current_moment import CurrentMoment
from app.answers.earlier_moments import EarlierMoments, event_at
from app.answers.overview import Overview, OverviewReader
from app.answers.redis_and_files import RedisAndFiles
from app.answers.snapshot import TickerSnapshot, WatchedTicker
from app.answers.ticker_read import ReadRequest, SecondTable, StoredRanks, TickerReads
from app.core import clock
from app.core.errors import BadTicker, BrokerSilent, NoQuotes, UnknownTicker
from app.core.settings import Settings
from app.core.tickers import match_ticker, parse_ticker
from app.storage import keys
from app.storage.active_tickers import newest_active
from app.storage.answer_archive import AnswerArchive, Renderings
from app.storage.prints import PrintRange, read_prints
from app.storage.published import EventRecord, FollowedRecord, Value, events_after, read_events
from app.storage.record_range import RecordRange, read_record_range
from app.storage.redis_client import connect
from app.storage.store_errors import store_errors

_Found = TypeVar("_Found")

# With one retry, an answer still comes within two seconds.
TIMEOUT_SECONDS = 0.5


class Reader:
    """Read tickers from Redis; holds no state but its connections."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._keys = keys.Keys(cluster=settings.cluster)
        self._ticker_reads = TickerReads(client, self._keys)
        self._overviews = OverviewReader(client, settings)
        self._archive = AnswerArchive(client)
        self._kept = RedisAndFiles(client, self._keys, self._ticker_reads, settings)
        absence = AbsenceReasons(client, self._keys, settings)
        self._current = CurrentMoment(self._ticker_reads, self._kept, absence, settings)
        self._earlier = EarlierMoments(self._ticker_reads, self._kept)
        self.past = self._kept.past

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
            return self._in_files(typed_ticker, history_seconds, at_ms, has_events=include_patterns)
        try:
            found = self._of_meant_ticker(
                typed_ticker, lambda ticker: self._snapshot(ticker, history_seconds, at_ms)
            )
        except (BadTicker, UnknownTicker, NoQuotes, BrokerSilent) as error:
            if at_ms is None or not self.past.is_kept:
                raise
            # Of a ticker that is in no file yet, Redis knows better what is kept.
            if isinstance(error, NoQuotes) and self.past.find_ticker(typed_ticker) is None:
                raise
            return self._in_files(typed_ticker, history_seconds, at_ms, has_events=include_patterns)
        return found if include_patterns else dataclasses.replace(found, events=None)

    def _in_files(
        self, typed_ticker: str, seconds: int, at_ms: int, *, has_events: bool
    ) -> TickerSnapshot:
        """Return what was known at a moment that only the history holds."""
        ticker = self.past.meant(typed_ticker)
        return self._earlier.in_files(ticker, seconds, at_ms, has_events=has_events)

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
        stale_before_ms = self._current.stale_before_ms(request)
        oldest_ms = int(stale_before_ms) - most_seconds * SECOND_MS
        is_recent = since_ms is not None and oldest_ms < since_ms <= request.now_ms
        from_ms = since_ms if is_recent and since_ms is not None else oldest_ms
        with store_errors(self._redis):
            replies = self._ticker_reads.read(request, stale_before_ms, from_ms)
            snapshot = self._current.snapshot(request, replies)
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
                request, newest_tick_after_ms=self._current.stale_before_ms(request)
            )
            snapshot = self._current.snapshot(request, replies)
            if at_ms is not None and snapshot.as_of_ms is not None and at_ms < snapshot.as_of_ms:
                snapshot = self._earlier.in_redis(request, replies, snapshot, at_ms)
        return snapshot

    def with_half_hour(self, snapshot: TickerSnapshot) -> TickerSnapshot:
        """Return a snapshot with its ranks among the same half hour of earlier sessions."""
        if snapshot.as_of_ms is None or not self.past.is_kept:
            return snapshot
        ranks = self.past.half_hour_ranks(
            snapshot.ticker, snapshot.as_of_ms, snapshot.history_seconds, snapshot.metrics
        )
        return dataclasses.replace(snapshot, half_hour=ranks)

    def overview(self) -> Overview:
        """Return all active tickers as of their newest ticks.

        Raises `NoAnswer` with the cause if none is active; `StoreUnavailable` without Redis.
        """
        with store_errors(self._redis):
            return self._overviews.overview(clock.now_ms())

    def table(self, ticker: str, as_of_ms: int, seconds: int) -> SecondTable:
        """Return the bars of each second of a history, with the tick size."""
        return self._kept.table(ticker, as_of_ms, seconds)

    def stored_ranks(self, ticker: str) -> StoredRanks | None:
        """Return the past that a ticker's ranks come from, None where none can be read."""
        with store_errors(self._redis):
            return self._ticker_reads.read_ranks(ticker)

    def events_at(self, ticker: str, after_ms: int, at_ms: int) -> tuple[EventRecord, ...]:
        """Return the events that were open after one moment, as they were known at a later one."""
        events = self._kept.events_noticed(ticker, after_ms, at_ms)
        return tuple(event_at(event, at_ms) for event in events)

    def event(self, ticker: str, event_id: str) -> EventRecord | None:
        """Return a ticker's event by its id, None if it is not kept."""
        members = self._kept.event_members(ticker)
        wanted = event_id.encode()
        events = read_events((member for member in members if wanted in member), ticker)
        return next((event for event in events if event.id == event_id), None)

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
        return self._kept.archived(answer_id)

    def active(self, now_ms: float) -> list[str]:
        """Return the tickers that were active in the last 300 s, as discovery found them.

        Raises `StoreUnavailable`.
        """
        with store_errors(self._redis):
            return newest_active(self._redis, now_ms)
