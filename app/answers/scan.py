"""Find the current pattern events of all active tickers."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from app.analysis.pattern_table import PATTERN_SIDES, PATTERN_TYPES
from app.answers.event_facts import EventFacts, event_facts
from app.answers.list_tickers import ReplyHeader, reply_header
from app.answers.overview import RECENT_EVENT_MS, Overview, TickerSummary
from app.answers.reader import Reader
from app.answers.schema import Flags
from app.answers.ticker_text import EVENT_COLUMNS, event_line, id_line, shown
from app.core.arguments import check_range, check_word
from app.storage.published import EventRecord, EvidenceClass

ANY = "any"
MAX_LIMIT = 40


class FoundEvent(EventFacts):
    """An event, the ticker it is in, and what is odd about that ticker."""

    ticker: str
    flags: Flags = []


class Scan(ReplyHeader):
    """Events that are open now, or opened in the last 10 s, strongest first."""

    events: list[FoundEvent]
    events_left_out: int | None = None
    evidence: Annotated[
        dict[EvidenceClass, int],
        Field(description="active tickers by class: A aggressors given, B inferred, C quotes only"),
    ]
    stale_tickers: int | None = None
    warming_tickers: int | None = None
    rejected_tickers: int | None = None
    ahead_tickers: int | None = None
    odd_records: Annotated[dict[str, int], Field(description="of the last minute, by name")] = {}

    def as_text(self) -> str:
        """Return one line for each event."""
        count = shown(len(self.events), self.events_left_out) if self.events else "none"
        head = f"events: {count} {EVENT_COLUMNS if self.events else ''}"
        return "\n".join(
            [
                *self.heading(),
                f"tickers: {', '.join(self._tickers())}",
                head.rstrip(),
                *(f"- {self._line(event)}" for event in self.events),
                *id_line(self.answer_id),
            ]
        )

    def _tickers(self) -> Iterator[str]:
        yield from (f"class {name} {count}" for name, count in self.evidence.items())
        if self.stale_tickers:
            yield f"STALE {self.stale_tickers}"
        if self.warming_tickers:
            yield f"WARMING {self.warming_tickers}"
        if self.rejected_tickers:
            yield f"REJECTED {self.rejected_tickers}"
        if self.ahead_tickers:
            yield f"AHEAD {self.ahead_tickers}"
        yield from (f"{name} {count}" for name, count in self.odd_records.items())

    def _line(self, event: FoundEvent) -> str:
        flags = "".join(f", {flag.upper()}" for flag in event.flags)
        return f"{event.ticker} {event_line(event, self.now)}{flags}"


def scan(
    reader: Reader, pattern: str = ANY, side: str = ANY, min_strength: float = 0, limit: int = 10
) -> Scan:
    """Return the current events, strongest first; unknown strength counts as 0.

    Raises `BadQuestion`, `NoAnswer` or `StoreUnavailable`.
    """
    check_word("pattern", pattern, (ANY, *PATTERN_TYPES))
    check_word("side", side, (ANY, *PATTERN_SIDES))
    check_range("min_strength", min_strength, 0, 1)
    check_range("limit", limit, 1, MAX_LIMIT)
    overview = reader.overview()
    found = [
        (event, summary)
        for event, summary in _current_events(overview)
        if pattern in (ANY, event.type)
        and side in (ANY, event.side)
        and (event.strength or 0) >= min_strength
    ]
    found.sort(key=lambda row: strength_rank(row[0]), reverse=True)
    rows = [
        FoundEvent(
            **event_facts(event).model_dump(), ticker=summary.ticker, flags=list(summary.flags)
        )
        for event, summary in found[:limit]
    ]
    return Scan.model_validate(
        {
            **reply_header(overview, overview.not_read),
            "events": rows,
            "events_left_out": len(found) - len(rows) or None,
            **_tickers(overview),
        }
    )


def _current_events(overview: Overview) -> Iterator[tuple[EventRecord, TickerSummary]]:
    for summary in overview.tickers:
        for event in summary.events:
            # A feed that is behind tells of its newest events later.
            if is_current(event, overview.now_ms - summary.feed_lag_ms):
                yield event, summary


def strength_rank(event: EventRecord) -> tuple[float, bool, float]:
    """Return a sort key for events of different tickers; strengths are ranks within a ticker."""
    strength = -1.0 if event.strength is None else event.strength
    return strength, event.status == "open", event.opened_at


def is_current(event: EventRecord, now_ms: float) -> bool:
    """Return whether an event is open or opened in the last 10 s."""
    return event.status == "open" or event.opened_at > now_ms - RECENT_EVENT_MS


def _tickers(overview: Overview) -> dict[str, object]:
    flags = Counter(flag for summary in overview.tickers for flag in summary.flags)
    classes = Counter(summary.evidence_class for summary in overview.tickers)
    odd: Counter[str] = Counter()
    for summary in overview.tickers:
        odd.update(summary.counts)
    return {
        "evidence": dict(sorted(classes.items())),
        "stale_tickers": flags["stale"] or None,
        "warming_tickers": flags["warming"] or None,
        "rejected_tickers": flags["rejected"] or None,
        "ahead_tickers": flags["ahead"] or None,
        "odd_records": dict(sorted(odd.items())),
    }
