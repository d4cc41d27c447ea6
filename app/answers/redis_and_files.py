"""Read a ticker's seconds and events of a time: from Redis, and from files what it forgot."""

from collections.abc import Sequence
from typing import Any

import redis

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.answers.as_of_argument import PAST_MS
from app.answers.history_argument import MAX_SECONDS
from app.answers.kept_past import KeptPast
from app.answers.ticker_read import (
    MAX_EVENTS_READ,
    ReadRequest,
    SecondTable,
    TickerReads,
    TickerReplies,
    WindowSums,
)
from app.core import clock
from app.core.errors import StoreUnavailable, UnknownAnswer
from app.core.settings import Settings
from app.storage.answer_archive import AnswerArchive
from app.storage.keys import Keys
from app.storage.published import EventRecord, events_after
from app.storage.store_errors import store_errors


class RedisAndFiles:
    """Reads what lies in Redis, in the history's files, or in both."""

    def __init__(
        self, client: redis.Redis, names: Keys, reads: TickerReads, settings: Settings
    ) -> None:
        self._redis = client
        self._keys = names
        self._reads = reads
        self._archive = AnswerArchive(client)
        self.past = KeptPast(settings, self._bars_in_redis)

    def table(self, ticker: str, as_of_ms: int, seconds: int) -> SecondTable:
        """Return the bars of each second of a history, with the tick size."""
        request = ReadRequest(ticker, seconds, as_of_ms)
        with store_errors(self._redis):
            if self.past.is_beyond_redis(as_of_ms, seconds):
                return self.past.table(ticker, as_of_ms, seconds)
            replies = self._reads.read_bars(self._reads.read_state(ticker), request, as_of_ms)
        return replies.table(as_of_ms, seconds)

    def sums(
        self, request: ReadRequest, replies: TickerReplies, as_of_ms: int, tick_size: int = 0
    ) -> WindowSums:
        """Return the numbers of a history: from the bars that were read, else also from files."""
        if not self.past.is_beyond_redis(as_of_ms, request.seconds):
            return replies.sum_window(as_of_ms, request.seconds, tick_size)
        digits = replies.price_digits
        return self.past.sums(request.ticker, as_of_ms, request.seconds, tick_size, digits)

    def events_after(
        self, request: ReadRequest, replies: TickerReplies, start_ms: float, as_of_ms: int
    ) -> Sequence[EventRecord]:
        """Return the events that were open after `start_ms`; older ones are only in files."""
        events = events_after(replies.events, request.ticker, start_ms)
        if request.seconds <= MAX_SECONDS or not self.past.is_kept:
            return events
        return self.past.events(request.ticker, start_ms, as_of_ms, events)

    def events_noticed(self, ticker: str, after_ms: int, at_ms: int) -> tuple[EventRecord, ...]:
        """Return the events that were open after one moment and noticed by a later one."""
        members = self.event_members(ticker)
        events: Sequence[EventRecord] = events_after(members, ticker, after_ms)
        if self.past.is_kept and after_ms < clock.now_ms() - PAST_MS:
            events = self.past.events(ticker, after_ms, at_ms, events)
        return tuple(event for event in events if event.noticed_at <= at_ms)

    def event_members(self, ticker: str) -> list[bytes]:
        """Return a ticker's events in Redis, the newest first, as they are stored."""
        store: Any = self._redis
        with store_errors(self._redis):
            members: list[bytes] = store.zrevrange(
                self._keys.patterns(ticker), 0, MAX_EVENTS_READ - 1
            )
        return members

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

    def _bars_in_redis(
        self, ticker: str, after_ms: int, until_ms: int
    ) -> tuple[Sequence[Bar], Sequence[Gap]]:
        """Return the bars and gaps that Redis has of some time, and the bar before it."""
        request = ReadRequest(ticker, (until_ms - after_ms) // SECOND_MS, until_ms)
        with store_errors(self._redis):
            state = self._reads.read_state(ticker)
            replies = self._reads.read_bars(state, request, until_ms)
        return replies.bars_until(until_ms), replies.gaps_until(until_ms)
