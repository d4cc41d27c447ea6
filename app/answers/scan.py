"""Find the current pattern events of all active tickers, or of some."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from app.analysis.pattern_table import PATTERN_SIDES, PATTERN_TYPES
from app.answers.event_facts import EventFacts, event_facts
from app.answers.event_selection import (
    MIN_RETURN_MINUTES,
    check_return_minutes,
    is_routine,
    rarity,
)
from app.answers.list_tickers import ReplyHeader, reply_header
from app.answers.overview import RECENT_EVENT_MS, Overview, TickerSummary
from app.answers.reader import Reader
from app.answers.schema import Flags
from app.answers.ticker_text import EVENT_COLUMNS, event_line, id_line, shown
from app.core.arguments import check_range
from app.core.errors import BadQuestion, UnknownTicker
from app.core.tickers import distinct_names, match_ticker
from app.core.words import find_name, parse_names
from app.storage.published import EventRecord, EvidenceClass

ANY = "any"
MAX_LIMIT = 100
RAREST, STRONGEST, NEWEST = "rarest", "strongest", "newest"
SORTS = {
    **dict.fromkeys((RAREST, "rarity", "rare", "return_minutes"), RAREST),
    **dict.fromkeys((STRONGEST, "strength", "strong"), STRONGEST),
    **dict.fromkeys((NEWEST, "new", "recent", "time"), NEWEST),
}
# Unless tickers are named, one takes at most this part of the rows.
_SHARE = 3

Found = tuple[EventRecord, TickerSummary]


class FoundEvent(EventFacts):
    """An event, the ticker it is in, and what is odd about that ticker."""

    ticker: str
    flags: Flags = []


class Scan(ReplyHeader):
    """Events that are open now, or opened in the last 10 s."""

    events: list[FoundEvent]
    events_left_out: Annotated[
        int | None, Field(description="to reach by limit, tickers, pattern, side")
    ] = None
    routine: Annotated[
        dict[str, int], Field(description="under min_return_minutes, by type and side")
    ] = {}
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
                *self._routine(),
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
        flags = "".join(f", {flag.upper().replace('_', ' ')}" for flag in event.flags)
        return f"{event.ticker} {event_line(event, self.now)}{flags}"

    def _routine(self) -> Iterator[str]:
        if self.routine:
            counts = ", ".join(f"{count} {name}" for name, count in self.routine.items())
            yield f"more often than asked for: {counts}"


def scan(  # noqa: PLR0913 - the tool's arguments
    reader: Reader,
    pattern: str = ANY,
    side: str = ANY,
    min_strength: float = 0,
    limit: int = 10,
    *,
    tickers: Sequence[str] = (),
    sort: str = RAREST,
    min_return_minutes: float = MIN_RETURN_MINUTES,
) -> Scan:
    """Return the current events in an order; those known to be frequent are only counted.

    No ticker takes more than a third of the rows, unless tickers are named. Unknown strength counts
    as 0. Raises `BadQuestion`, `NoAnswer` or `StoreUnavailable`.
    """
    types = parse_names("pattern", pattern, PATTERN_TYPES)
    sides = parse_names("side", side, PATTERN_SIDES)
    order = _sort_order(sort)
    check_range("min_strength", min_strength, 0, 1)
    check_range("limit", limit, 1, MAX_LIMIT)
    check_return_minutes(min_return_minutes)
    overview = reader.overview()
    names = _names_meant(overview, tickers)
    found = [
        (event, summary)
        for event, summary in _current_events(overview)
        if (not types or event.type in types)
        and (not sides or event.side in sides)
        and (not names or summary.ticker in names)
        and (event.strength or 0) >= min_strength
    ]
    rare = [it for it in found if not is_routine(it[0], min_return_minutes)]
    rare.sort(key=lambda it: (_KEYS[order](it[0], overview.now_ms), it[0].id), reverse=True)
    rows = [_found_event(*it) for it in _shared_out(rare, limit, is_asked=bool(names))]
    return Scan.model_validate(
        {
            **reply_header(overview, overview.not_read),
            "events": rows,
            "events_left_out": len(rare) - len(rows) or None,
            "routine": _routine_counts(found, min_return_minutes),
            **_tickers(overview),
        }
    )


def _routine_counts(found: Sequence[Found], min_return_minutes: float) -> dict[str, int]:
    """Return how many routine events there are of each type and side, most first."""
    kinds = (f"{it.type} {it.side}" for it, _ in found if is_routine(it, min_return_minutes))
    return dict(Counter(kinds).most_common())


def _sort_order(typed: str) -> str:
    name = find_name(typed, SORTS)
    if name is None:
        accepted = f"{RAREST}, {STRONGEST}, {NEWEST}"
        raise BadQuestion(f"sort {typed[:40]!r} is not known; accepted: {accepted}")
    return SORTS[name]


def _names_meant(overview: Overview, typed: Sequence[str]) -> set[str]:
    """Return the active tickers that typed names mean; raise `UnknownTicker` if one means none."""
    active = [summary.ticker for summary in overview.tickers]
    names = set()
    for name in distinct_names(typed):
        found = name if name in active else match_ticker(name, active)
        if found is None:
            raise UnknownTicker(f"ticker {name[:40]!r} is not active; list_tickers names those")
        names.add(found)
    return names


def _shared_out(ranked: Sequence[Found], limit: int, *, is_asked: bool) -> list[Found]:
    """Return the first `limit` events, of no ticker more than its share where others have some."""
    is_alone = len({summary.ticker for _, summary in ranked}) == 1
    most = limit if is_asked or is_alone else max(1, limit // _SHARE)
    rows: list[Found] = []
    taken: Counter[str] = Counter()
    for event, summary in ranked:
        if len(rows) < limit and taken[summary.ticker] < most:
            taken[summary.ticker] += 1
            rows.append((event, summary))
    return rows


def _found_event(event: EventRecord, summary: TickerSummary) -> FoundEvent:
    return FoundEvent(
        **event_facts(event).model_dump(),
        ticker=summary.ticker,
        flags=list(summary.flags),
    )


def _current_events(overview: Overview) -> Iterator[Found]:
    for summary in overview.tickers:
        for event in summary.events:
            # A feed that is behind tells of its newest events later.
            if is_current(event, overview.now_ms - summary.feed_lag_ms):
                yield event, summary


def _rarity(event: EventRecord, now_ms: float) -> tuple[float, ...]:
    """Return a sort key: rarest first, of equally rare ones the strongest for its ticker."""
    *how_rare, _ = rarity(event, now_ms)
    return *how_rare, *_strength(event, now_ms)


def _strength(event: EventRecord, _now_ms: float) -> tuple[float, ...]:
    strength = -1.0 if event.strength is None else event.strength
    return strength, event.status == "open", event.opened_at


def _newness(event: EventRecord, _now_ms: float) -> tuple[float, ...]:
    return event.noticed_at, event.opened_at


_KEYS = {RAREST: _rarity, STRONGEST: _strength, NEWEST: _newness}


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
