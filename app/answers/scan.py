"""Find the current pattern events of all active tickers, or those of a kept day."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Annotated, NamedTuple

from pydantic import Field

from app.analysis.pattern_table import PATTERN_SIDES, PATTERN_TYPES
from app.answers.day_argument import parse_day
from app.answers.event_facts import EventFacts, event_facts
from app.answers.event_selection import (
    MIN_RETURN_MINUTES,
    Ranking,
    Rarity,
    check_return_minutes,
    is_routine,
    rank_current,
)
from app.answers.kept_past import list_days
from app.answers.list_tickers import ReplyHeader, reply_header
from app.answers.overview import Overview
from app.answers.reader import Reader
from app.answers.schema import Flags
from app.answers.ticker_text import EVENT_COLUMNS, event_line, id_line, shown
from app.core import clock
from app.core.arguments import check_range
from app.core.errors import BadQuestion, NotKept, UnknownTicker
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
MAX_DAY_TICKERS = 100
"""Of so many tickers a day's events are read for one answer."""
DAY_NOTE = "closed events as they ended; those of the last minutes may not be kept yet"


class Found(NamedTuple):
    """An event, how rare it is, and its ticker with the flags of its newest tick."""

    event: EventRecord
    rarity: Rarity
    ticker: str
    flags: Flags = []


class Wanted(NamedTuple):
    """Which events are asked for, and how many in which order."""

    types: Collection[str]
    sides: Collection[str]
    min_strength: float
    min_return_minutes: float
    limit: int
    order: str
    is_named: bool

    def fits(self, event: EventRecord) -> bool:
        """Return whether an event is of a type, a side and a strength that is asked for."""
        return (
            (not self.types or event.type in self.types)
            and (not self.sides or event.side in self.sides)
            and (event.strength or 0) >= self.min_strength
        )

    def select(self, found: Iterable[Found]) -> dict[str, object]:
        """Return the events to show in their order, and how many others there are."""
        found = [it for it in found if self.fits(it.event)]
        rare = [it for it in found if not is_routine(it.event, self.min_return_minutes)]
        rare.sort(key=lambda it: (_KEYS[self.order](it), it.event.id), reverse=True)
        rows = [_found_event(it) for it in _shared_out(rare, self.limit, is_asked=self.is_named)]
        return {
            "events": rows,
            "events_left_out": len(rare) - len(rows) or None,
            "routine": _routine_counts(found, self.min_return_minutes),
        }


class FoundEvent(EventFacts):
    """An event, the ticker it is in, and what is odd about that ticker."""

    ticker: str
    flags: Flags = []


class Scan(ReplyHeader):
    """Events that are open now, or were noticed in the last 10 s; or all of a kept day."""

    day: Annotated[
        str | None, Field(description="session date; active: the tickers kept of it")
    ] = None
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
    ] = {}
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
                *(self.heading() if self.day is None else self._day_heading()),
                *([f"tickers: {', '.join(self._tickers())}"] if self.day is None else []),
                head.rstrip(),
                *(f"- {self._line(event)}" for event in self.events),
                *self._routine(),
                *id_line(self.answer_id),
            ]
        )

    def _day_heading(self) -> Iterator[str]:
        left_out = f", {self.left_out} of them left out" if self.left_out else ""
        yield f"session of {self.day}: {self.active} tickers kept{left_out}"
        if self.note is not None:
            yield f"note: {self.note}"

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
    day: str = "",
) -> Scan:
    """Return the current events in an order; those known to be frequent are only counted.

    No ticker takes more than a third of the rows, unless tickers are named. Unknown strength counts
    as 0. `day` asks for all events of a kept session date. Raises `BadQuestion`, `BadMoment`,
    `NoAnswer`, `StoreUnavailable`, `HistoryUnavailable` or `HistoryFileUnreadable`.
    """
    types = parse_names("pattern", pattern, PATTERN_TYPES)
    sides = parse_names("side", side, PATTERN_SIDES)
    order = _sort_order(sort)
    check_range("min_strength", min_strength, 0, 1)
    check_range("limit", limit, 1, MAX_LIMIT)
    check_return_minutes(min_return_minutes)
    named = bool(distinct_names(tickers))
    wanted = Wanted(types, sides, min_strength, min_return_minutes, limit, order, named)
    if day.strip():
        return _scan_day(reader, wanted, tickers, parse_day(day, clock.now_ms()))
    overview = reader.overview()
    names = _names_meant(overview, tickers)
    found = (it for it in _current_events(overview) if not names or it.ticker in names)
    return Scan.model_validate(
        {
            **reply_header(overview, overview.not_read),
            **wanted.select(found),
            **_tickers(overview),
        }
    )


def _scan_day(reader: Reader, wanted: Wanted, typed: Sequence[str], day: date) -> Scan:
    """Return the events that were noticed in a kept session."""
    files = reader.past.files
    kept = files.tickers([day])
    if not kept:
        raise NotKept(f"nothing is kept of {day.isoformat()}; {list_days(files.all_dates())}")
    names = [_kept_name(name, kept, day) for name in distinct_names(typed)] or kept
    read = names[:MAX_DAY_TICKERS]
    now_ms = clock.now_ms()
    found = []
    for name in read:
        events = files.events(name, day)
        ranking = Ranking.of(events, now_ms)
        found += [Found(event, ranking.rarity(event), name) for event in events]
    return Scan.model_validate(
        {
            "now": round(now_ms),
            "day": day.isoformat(),
            "active": len(names),
            "left_out": len(names) - len(read) or None,
            "note": DAY_NOTE,
            **wanted.select(found),
        }
    )


def _kept_name(typed: str, kept: Sequence[str], day: date) -> str:
    found = typed if typed in kept else match_ticker(typed, kept)
    if found is None:
        raise NotKept(f"{typed[:40]}: nothing is kept of it on {day.isoformat()}")
    return found


def _routine_counts(found: Sequence[Found], min_return_minutes: float) -> dict[str, int]:
    """Return how many routine events there are of each type and side, most first."""
    events = (it.event for it in found)
    kinds = (f"{it.type} {it.side}" for it in events if is_routine(it, min_return_minutes))
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
    is_alone = len({it.ticker for it in ranked}) == 1
    most = limit if is_asked or is_alone else max(1, limit // _SHARE)
    rows: list[Found] = []
    taken: Counter[str] = Counter()
    for it in ranked:
        if len(rows) < limit and taken[it.ticker] < most:
            taken[it.ticker] += 1
            rows.append(it)
    return rows


def _found_event(found: Found) -> FoundEvent:
    return FoundEvent(
        **event_facts(found.event).model_dump(),
        ticker=found.ticker,
        flags=found.flags,
    )


def _current_events(overview: Overview) -> Iterator[Found]:
    for summary in overview.tickers:
        # A feed that is behind tells of its newest events later.
        now_ms = overview.now_ms - summary.feed_lag_ms
        for rarity, event in rank_current(summary.events, now_ms):
            yield Found(event, rarity, summary.ticker, [*summary.flags])


def _rarity(found: Found) -> tuple[float, ...]:
    """Return a sort key: rarest first, of equally rare ones the strongest for its ticker."""
    *how_rare, _ = found.rarity
    return *how_rare, *_strength(found)


def _strength(found: Found) -> tuple[float, ...]:
    event = found.event
    strength = -1.0 if event.strength is None else event.strength
    return strength, event.status == "open", event.opened_at


def _newness(found: Found) -> tuple[float, ...]:
    return found.event.noticed_at, found.event.opened_at


_KEYS = {RAREST: _rarity, STRONGEST: _strength, NEWEST: _newness}


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
