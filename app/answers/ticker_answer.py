"""Answer about a ticker: typed models whose fields are the published schema.

Numbers are rounded here, once, so that text and JSON carry the same facts.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, create_model

from app.analysis.behavior_table import BEHAVIORS
from app.analysis.metric_table import BRIEF, BRIEF_DIGITS, SHOWN
from app.answers.event_selection import MAX_EVENTS, event_rank, top_events
from app.answers.level_selection import significance, top_levels
from app.answers.reader import TickerSnapshot
from app.answers.rejected_records import rejected_facts
from app.answers.schema import (
    AnswerModel,
    EpochMs,
    FeedLag,
    Known,
    Number,
    Price,
    RejectedFacts,
    Reply,
    metric_fields,
    rounded,
    seconds_of,
    short,
    significant,
    whole,
)
from app.storage.feed_lags import is_delayed
from app.storage.published import (
    BookSide,
    EventRecord,
    EvidenceClass,
    LevelRecord,
    PatternSide,
    PatternType,
    QualityRecord,
    Value,
)

if TYPE_CHECKING:
    _MetricFields = AnswerModel
else:
    _MetricFields = create_model("_MetricFields", __base__=AnswerModel, **metric_fields(SHOWN))


class Metrics(_MetricFields):
    """Measures over the history; bid_/ask_ price and size stand at as_of."""


class EventFacts(AnswerModel):
    """A pattern event; side is the book's side where it happens."""

    id: str
    type: PatternType
    side: PatternSide
    status: Literal["open", "closed"]
    opened_at: Annotated[int, Field(description="epoch ms")]
    closed_at: EpochMs = None
    close_reason: str | None = None
    price_low: Price = None
    price_high: Price = None
    strength: Annotated[
        Known, Field(description="0..1, rank among the ticker's own candidates")
    ] = None
    evidence_class: EvidenceClass
    statistic: Known = None
    threshold: Known = None


class LevelFacts(AnswerModel):
    """A price that was the best of its side; held, broke: how often it was left."""

    side: BookSide
    price: Number
    size: Annotated[Number, Field(description="mean size shown")]
    appearances: int
    held: int
    broke: int
    last_seen: Annotated[int, Field(description="epoch ms")]
    distance_bps: Annotated[Known, Field(description="bp from mid")] = None


class QualityFacts(AnswerModel):
    """What was odd about the records of the history."""

    counts: dict[str, int] = {}
    gap_seconds: Known = None
    rebuilt_at: EpochMs = None
    clock_corrected_at: EpochMs = None
    failed_detectors: list[PatternType] = []


class FailureFacts(AnswerModel):
    """Ticks of this ticker that failed."""

    count: int
    last_at: EpochMs = None
    error: str | None = None


class Answer(Reply):
    """Order flow of a ticker over a history that ends at as_of. Times are epoch ms."""

    ticker: str
    now: int
    as_of: EpochMs = None
    age_seconds: Annotated[Known, Field(description="now - as_of")] = None
    history_seconds: int
    covered_seconds: Annotated[Known, Field(description="seconds of the history with data")] = None
    newest_quote_at: EpochMs = None
    newest_quote_age_seconds: Number
    stale: Annotated[bool, Field(description="no tick for over 3 intervals; see note")]
    feed_lag_seconds: FeedLag = None
    ahead: Annotated[bool, Field(description="as_of is ahead of now; see note")] = False
    quiet: Annotated[bool, Field(description="no quote for unusually long")]
    warming: Annotated[bool, Field(description="younger than the history")]
    ready_in_seconds: Known = None
    note: str | None = None
    evidence_class: Annotated[
        EvidenceClass,
        Field(description="A trades with aggressor, B aggressor inferred, C quotes only"),
    ]
    not_observable: list[Literal["trades"]] = []
    metrics: Metrics
    behaviors: Annotated[dict[str, str], Field(description="on, off, or unknown: reason")] = {}
    events: Annotated[
        list[EventFacts] | None, Field(description="open first; absent: not asked for")
    ] = None
    open_patterns: Annotated[
        list[str] | None, Field(description="brief: type, side, strength of open events")
    ] = None
    events_left_out: int | None = None
    last_sweep: Annotated[EventFacts | None, Field(description="where not among events")] = None
    levels: list[LevelFacts] = []
    levels_left_out: int | None = None
    quality: QualityFacts
    rejected: RejectedFacts | None = None
    failed_ticks: FailureFacts | None = None
    engine: str | None = None

    @property
    def lagging(self) -> bool:
        """Return whether records keep coming late."""
        return bool(self.feed_lag_seconds) and not self.delayed

    @property
    def delayed(self) -> bool:
        """Return whether the feed is a delayed one."""
        return is_delayed(self.feed_lag_seconds or 0)


def build_answer(snapshot: TickerSnapshot) -> Answer:
    """Return a snapshot as an answer: rounded, with the strongest events and levels only."""
    events = None if snapshot.events is None else top_events(snapshot.events)
    return _answer(snapshot, events, top_levels(snapshot.levels))


def fit_to_budget(snapshot: TickerSnapshot, cost: Callable[[Answer], float]) -> Answer:
    """Return an answer whose cost is at most 1, else the smallest; see `_without_least`."""
    events = None if snapshot.events is None else top_events(snapshot.events)
    levels = top_levels(snapshot.levels)
    answer = _answer(snapshot, events, levels)
    while cost(answer) > 1 and (events or levels):
        events, levels = _without_least(events, levels)
        answer = _answer(snapshot, events, levels)
    return answer


def _without_least(
    events: list[EventRecord] | None, levels: list[LevelRecord]
) -> tuple[list[EventRecord] | None, list[LevelRecord]]:
    """Drop one item: the weakest closed event, else the least level, else the weakest event."""
    if events and (events[-1].status == "closed" or not levels):
        return events[:-1], levels
    least = min(levels, key=significance)
    return events, [level for level in levels if level is not least]


def build_brief(snapshot: TickerSnapshot, names: Iterable[str] = BRIEF) -> Answer:
    """Put a snapshot into its shortest form: some metrics, and what is open or on."""
    wanted = {*names, "covered_seconds"}
    metrics = {n: _brief(n, v) for n, v in snapshot.metrics.items() if n in wanted}
    on = [name for name in BEHAVIORS if snapshot.behaviors.get(name) == "on"]
    # What was rejected says why the ticker is quiet.
    is_said = snapshot.rejected.quotes.count > 0 and not snapshot.stale
    shortened = dataclasses.replace(
        snapshot,
        metrics=metrics,
        behaviors=dict.fromkeys(on, "on"),
        last_sweep=None,
        engine=None,
        cause=None if is_said else snapshot.cause,
    )
    patterns = None if snapshot.events is None else open_patterns(snapshot.events)
    left_out = dict.fromkeys(("newest_quote_at", "levels_left_out", "events_left_out"))
    answer = _answer(shortened, None, [])
    return answer.model_copy(update={"open_patterns": patterns, **left_out})


def fit_brief_to_budget(snapshot: TickerSnapshot, cost: Callable[[Answer], float]) -> Answer:
    """Return a brief answer with as many open events as a cost of at most 1 allows."""
    answer = build_brief(snapshot)
    for most in range(MAX_EVENTS - 1, -1, -1):
        if cost(answer) <= 1 or snapshot.events is None:
            break
        answer = answer.model_copy(update={"open_patterns": open_patterns(snapshot.events, most)})
    return answer


def _brief(name: str, value: Value) -> Value:
    digits = BRIEF_DIGITS.get(name)
    return value if digits is None or isinstance(value, str) else short(value, digits)


def open_patterns(events: Iterable[EventRecord], most: int = MAX_EVENTS) -> list[str]:
    """List the strongest open events as type, side and, where known, strength."""
    ranked = [
        event for event in sorted(events, key=event_rank, reverse=True) if event.status == "open"
    ]
    named = [_named(event) for event in ranked[:most]]
    more = len(ranked) - len(named)
    return [*named, f"{more} more"] if more else named


def _named(event: EventRecord) -> str:
    strength = "" if event.strength is None else f" {short(event.strength, 2)}"
    return f"{event.type} {event.side}{strength}"


def _answer(
    snapshot: TickerSnapshot, events: list[EventRecord] | None, levels: list[LevelRecord]
) -> Answer:
    metrics = {name: rounded(name, value) for name, value in snapshot.metrics.items()}
    metrics.pop("as_of", None)
    metrics.pop("covered_seconds", None)
    mid = mid_of(snapshot.metrics)
    return Answer(
        ticker=snapshot.ticker,
        now=round(snapshot.now_ms),
        as_of=snapshot.as_of_ms,
        age_seconds=None
        if snapshot.as_of_ms is None
        else seconds_of(snapshot.now_ms - snapshot.as_of_ms),
        history_seconds=snapshot.history_seconds,
        covered_seconds=_covered(snapshot.metrics),
        newest_quote_at=round(snapshot.newest_quote_ms),
        newest_quote_age_seconds=seconds_of(snapshot.now_ms - snapshot.newest_quote_ms),
        stale=snapshot.stale,
        ahead=snapshot.ahead,
        feed_lag_seconds=snapshot.feed_lag_seconds or None,
        quiet=snapshot.quiet,
        warming=snapshot.warming,
        ready_in_seconds=None
        if snapshot.ready_in_seconds is None
        else math.ceil(snapshot.ready_in_seconds),
        note=snapshot.cause,
        evidence_class=snapshot.evidence_class,
        not_observable=["trades"] if snapshot.evidence_class == "C" else [],
        metrics=Metrics.model_validate(metrics),
        behaviors=dict(snapshot.behaviors),
        events=None if events is None else [event_facts(event) for event in events],
        events_left_out=_left_out(snapshot.events, events),
        last_sweep=_unless_shown(snapshot.last_sweep, events),
        levels=[level_facts(level, mid) for level in levels],
        levels_left_out=_left_out(snapshot.levels, levels),
        quality=quality_facts(snapshot.quality),
        rejected=rejected_facts(snapshot.rejected),
        failed_ticks=_failures(snapshot),
        engine=snapshot.engine,
    )


def _covered(metrics: Mapping[str, Value]) -> Number | None:
    covered = metrics.get("covered_seconds")
    return short(covered, 6) if isinstance(covered, (int, float)) else None


def _left_out(all_of_them: Iterable[object] | None, shown: Iterable[object] | None) -> int | None:
    missing = len(list(all_of_them or ())) - len(list(shown or ()))
    return missing or None


def _unless_shown(sweep: EventRecord | None, shown: list[EventRecord] | None) -> EventFacts | None:
    if sweep is None or any(event.id == sweep.id for event in shown or ()):
        return None
    return event_facts(sweep)


def event_facts(event: EventRecord) -> EventFacts:
    """Return an event in the published form, without the evidence that explain_pattern gives."""
    return EventFacts(
        id=event.id,
        type=event.type,
        side=event.side,
        status=event.status,
        opened_at=round(event.opened_at),
        closed_at=None if event.closed_at is None else round(event.closed_at),
        close_reason=event.close_reason,
        price_low=event.price_low,
        price_high=event.price_high,
        strength=significant(event.strength, 2),
        evidence_class=event.evidence_class,
        statistic=significant(event.statistic, 3),
        threshold=significant(event.threshold, 3),
    )


def level_facts(level: LevelRecord, mid: float | None) -> LevelFacts:
    """Return a level in the published form, with its distance from the mid."""
    return LevelFacts(
        side=level.side,
        price=whole(level.price),
        size=short(level.size, 4),
        appearances=level.appearances,
        held=level.held,
        broke=level.broke,
        last_seen=round(level.last_seen),
        distance_bps=None if mid is None else short(abs(level.price / mid - 1) * 1e4, 3),
    )


def quality_facts(quality: QualityRecord) -> QualityFacts:
    """Return a window's quality in the published form."""
    return QualityFacts(
        counts=dict(quality.counts),
        gap_seconds=short(quality.gap_seconds, 4) if quality.gaps else None,
        rebuilt_at=None if quality.rebuilt_at is None else round(quality.rebuilt_at),
        clock_corrected_at=None
        if quality.clock_corrected_at is None
        else round(quality.clock_corrected_at),
        failed_detectors=list(quality.failed_detectors),
    )


def _failures(snapshot: TickerSnapshot) -> FailureFacts | None:
    failures = snapshot.failures
    if not failures.count:
        return None
    last_at = None if failures.last_ms is None else round(failures.last_ms)
    return FailureFacts(count=failures.count, last_at=last_at, error=failures.error)


def mid_of(metrics: Mapping[str, Value]) -> float | None:
    """Return the mid of the standing quote, None unless both sides have a price."""
    bid, ask = metrics.get("bid_price"), metrics.get("ask_price")
    if isinstance(bid, (int, float)) and isinstance(ask, (int, float)) and bid + ask > 0:
        return (bid + ask) / 2
    return None
