"""What is known of a ticker now: fresh, stale, quiet, warming or absent."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from app.analysis.bars import SECOND_MS
from app.analysis.quality_table import NOW_NAMES
from app.answers.absence import AbsenceReasons, no_usable_quotes
from app.answers.diagnosis import TickFailures
from app.answers.freshness import STALE_INTERVALS, describe_ahead, is_ahead, is_quiet
from app.answers.redis_and_files import RedisAndFiles
from app.answers.rejected_records import NewestQuote
from app.answers.snapshot import TickerSnapshot, still_warming
from app.answers.ticker_read import (
    WINDOW_OF_SECONDS,
    ReadRequest,
    TickerReads,
    TickerReplies,
    nearest_window,
)
from app.core.settings import Settings
from app.storage.active_tickers import ACTIVE_MS
from app.storage.published import (
    QualityRecord,
    Value,
    read_behaviors,
    read_engine,
    read_levels,
    read_metrics,
    read_number,
    read_quality,
    read_ranks,
)

DISCOVERY_SECONDS = 2


class CurrentMoment:
    """Makes snapshots of now, or raises `NoAnswer` with what is missing."""

    def __init__(
        self,
        reads: TickerReads,
        kept: RedisAndFiles,
        absence: AbsenceReasons,
        settings: Settings,
    ) -> None:
        self._reads = reads
        self._kept = kept
        self._absence = absence
        self._settings = settings

    def stale_before_ms(self, request: ReadRequest) -> float:
        """Return the moment before which a tick is too old, where the feed is in time."""
        return request.now_ms - STALE_INTERVALS * self._settings.interval_ms

    def snapshot(self, request: ReadRequest, replies: TickerReplies) -> TickerSnapshot:
        """Return what is known of a ticker from the replies to one read."""
        quote_ms, as_of_ms = replies.newest_quote_ms, replies.as_of_ms
        if quote_ms is None:
            raise self._absence.no_quotes(request, replies)
        if request.now_ms - max(quote_ms, replies.active_at or 0.0) > ACTIVE_MS:
            raise self._absence.silence(request, replies, quote_ms)
        newest, expected_ms = replies.newest_quote, request.now_ms - replies.feed_lag_ms
        # Where the newest quote of all is usable but old, records arrive that are no newer quotes.
        if newest.usable_ms is None or (
            newest.usable_ms != quote_ms and expected_ms - newest.usable_ms > ACTIVE_MS
        ):
            if as_of_ms is None or self._is_stale(request, replies, as_of_ms):
                self._absence.check_analysis(request, replies, quote_ms)
            raise no_usable_quotes(request, newest)
        known = _before_any_tick(request, replies, newest, newest.usable_ms)
        if as_of_ms is None or expected_ms - as_of_ms > ACTIVE_MS or not newest.is_folded:
            return self._before_first_tick(request, replies, known)
        found = self._with_window(known, request, replies, as_of_ms)
        found = self._with_published(found, request, replies, as_of_ms)
        found = _with_ranks(found, replies, as_of_ms)
        return self._with_timeliness(found, request, replies, newest)

    def _is_stale(self, request: ReadRequest, replies: TickerReplies, as_of_ms: float) -> bool:
        return as_of_ms < self.stale_before_ms(request) - replies.feed_lag_ms

    def _before_first_tick(
        self, request: ReadRequest, replies: TickerReplies, known: TickerSnapshot
    ) -> TickerSnapshot:
        """Return the newest usable quote alone; raise `NoAnswer` if no tick is to be expected."""
        self._absence.check_analysis(request, replies, known.newest_quote_ms)
        return dataclasses.replace(
            known,
            metrics=replies.newest_quote_metrics(),
            ready_in_seconds=float(self._settings.interval_seconds + DISCOVERY_SECONDS),
            cause="no tick has seen this ticker yet; what is known is its newest quote",
        )

    def _with_window(
        self, known: TickerSnapshot, request: ReadRequest, replies: TickerReplies, as_of_ms: int
    ) -> TickerSnapshot:
        """Add the numbers of the history."""
        # Of a feed that is behind, the bars that were read begin too late as well.
        is_old = as_of_ms < self.stale_before_ms(request)
        window = self._window(request, replies, as_of_ms, stale=is_old)
        return dataclasses.replace(
            known,
            as_of_ms=as_of_ms,
            metrics=window.metrics,
            quality=window.quality,
            ready_in_seconds=still_warming(window.unseen_seconds),
        )

    def _with_published(
        self, known: TickerSnapshot, request: ReadRequest, replies: TickerReplies, as_of_ms: int
    ) -> TickerSnapshot:
        """Add what each tick publishes beside the windows: events, levels, session, behaviours."""
        start_ms = as_of_ms - request.seconds * SECOND_MS
        events = self._kept.events_after(request, replies, start_ms, as_of_ms)
        return dataclasses.replace(
            known,
            behaviors=read_behaviors(replies.five_minutes.get(b"behaviors")),
            events=tuple(events),
            levels=tuple(read_levels([*replies.levels, *replies.ask_levels])),
            engine=read_engine(replies.five_minutes.get(b"engine")),
            session=replies.session_numbers(),
            followed=replies.followed(),
            feed=replies.feed_record(),
        )

    def _with_timeliness(
        self,
        known: TickerSnapshot,
        request: ReadRequest,
        replies: TickerReplies,
        newest: NewestQuote,
    ) -> TickerSnapshot:
        """Add whether the tick and the newest quote are as new as they should be, or why not."""
        as_of_ms, quote_ms = known.bounds.end_ms, known.newest_quote_ms
        ticked_at_ms = replies.ticked_at_ms or as_of_ms
        ahead = is_ahead(ticked_at_ms, request.now_ms, self._settings.interval_ms)
        stale = self._is_stale(request, replies, as_of_ms)
        quiet = _is_quiet(request.now_ms - replies.feed_lag_ms - quote_ms, replies)
        cause = None
        if ahead:
            cause = describe_ahead(ticked_at_ms, request.now_ms)
        elif stale:
            cause = self._absence.why_stale(request, known.failures)
        elif quiet:
            cause = self._absence.why_quiet(request, replies, newest, quote_ms)
        return dataclasses.replace(known, ahead=ahead, stale=stale, quiet=quiet, cause=cause)

    def _window(
        self, request: ReadRequest, replies: TickerReplies, as_of_ms: int, *, stale: bool
    ) -> "_Window":
        """Return a history's metrics: from its hash if it has one, else from bars."""
        has_hash = request.seconds in WINDOW_OF_SECONDS
        if has_hash and read_number(replies.window.get(b"as_of")) == as_of_ms:
            return _window_from_hash(request, replies, as_of_ms)
        if stale or has_hash:
            replies = self._reads.read_bars(replies, request, as_of_ms)
        sums = self._kept.sums(request, replies, as_of_ms, replies.tick_size)
        known = read_quality(replies.five_minutes.get(b"quality"))
        at_tick = {name: count for name, count in known.counts.items() if name in NOW_NAMES}
        counts = {**sums.counts, **at_tick}
        quality = dataclasses.replace(known, counts=counts, gaps=sums.gaps)
        return _Window(sums.metrics, quality, sums.unseen_seconds)


def _before_any_tick(
    request: ReadRequest, replies: TickerReplies, newest: NewestQuote, quote_ms: float
) -> TickerSnapshot:
    """Return what is known of a ticker also where no tick has seen it."""
    return TickerSnapshot(
        ticker=request.ticker,
        now_ms=request.now_ms,
        history_seconds=request.seconds,
        newest_quote_ms=quote_ms,
        evidence_class=replies.evidence_class,
        failures=TickFailures.from_fields(replies.failures),
        rejected=newest.rejected,
        feed_lag_seconds=replies.feed_lag_seconds,
    )


def _with_ranks(known: TickerSnapshot, replies: TickerReplies, as_of_ms: int) -> TickerSnapshot:
    """Add the ranks of the published window that is nearest to the history."""
    ranked = replies.window if read_number(replies.window.get(b"as_of")) == as_of_ms else {}
    has_window = known.history_seconds in WINDOW_OF_SECONDS
    return dataclasses.replace(
        known,
        ranks=read_ranks(ranked.get(b"ranks")),
        ranks_window=nearest_window(known.history_seconds),
        rank_windows=read_number(ranked.get(b"rank_windows")),
        ranked_metrics={} if has_window else read_metrics(ranked),
    )


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


def _is_quiet(quote_age_ms: float, replies: TickerReplies) -> bool:
    fields = replies.five_minutes
    return is_quiet(quote_age_ms, fields.get(b"quote_count"), fields.get(b"covered_seconds"))
