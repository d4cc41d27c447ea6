"""What was known of a ticker at an earlier moment, as far as it is kept."""

from typing import Final

import msgspec

from app.analysis.bars import SECOND_MS
from app.answers.durations import since
from app.answers.redis_and_files import RedisAndFiles
from app.answers.snapshot import TickerSnapshot, still_warming
from app.answers.ticker_read import ReadRequest, TickerReads, TickerReplies
from app.core import clock
from app.core.errors import NoQuotes
from app.storage.published import EventRecord, QualityRecord, events_after

GROWING_TYPES: Final = ("hidden_print",)
"""Types whose price range may grow after the opening."""
PAST_NOTE: Final = (
    "an earlier moment, as asked; not kept of it: ranks, levels, behaviors, session, spread in "
    "ticks, sizes of events that changed since, weak closed events of over 10 min ago"
)


class EarlierMoments:
    """Make snapshots of earlier moments: from what Redis holds, or from the history."""

    def __init__(self, reads: TickerReads, kept: RedisAndFiles) -> None:
        self._reads = reads
        self._kept = kept

    def in_redis(
        self, request: ReadRequest, replies: TickerReplies, newest: TickerSnapshot, at_ms: int
    ) -> TickerSnapshot:
        """Return what was known at an earlier moment, as far as it is kept."""
        replies = self._reads.read_moment(replies, request, at_ms)
        quote_ms = replies.usable_quote_ms(at_ms)
        if quote_ms is None:
            raise NoQuotes(
                f"{request.ticker}: no quote is kept of {since(at_ms, request.now_ms)} or before; "
                "ask for a later moment, or for now"
            )
        # The tick size of that moment is not kept.
        sums = self._kept.sums(request, replies, at_ms)
        start_ms = at_ms - request.seconds * SECOND_MS
        recent = self._kept.events_after(request, replies, start_ms, at_ms)
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
            ready_in_seconds=still_warming(sums.unseen_seconds),
            cause=f"{PAST_NOTE}; now {newest.cause}" if newest.cause else PAST_NOTE,
            engine=newest.engine,
            feed=None,
        )

    def in_files(
        self, ticker: str, seconds: int, at_ms: int, *, has_events: bool
    ) -> TickerSnapshot:
        """Return what was known at a moment that only the history holds."""
        found = self._kept.past.moment(ticker, at_ms, seconds, has_events=has_events)
        events = {event.id: event for event in found.events}
        if has_events and self._kept.past.may_be_in_redis(at_ms):
            # Files have events once they are closed, and minutes after.
            members = self._kept.event_members(ticker)
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
            ready_in_seconds=still_warming(found.sums.unseen_seconds),
            cause=found.note,
            engine=found.engine,
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
