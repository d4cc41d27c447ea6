"""A pattern event as answers publish it."""

from typing import Annotated, Literal

from pydantic import Field

from app.analysis.pattern_table import POINT_TYPES
from app.answers.event_words import in_words
from app.answers.schema import AnswerModel, Known, Price, short, significant
from app.storage.published import (
    EventRecord,
    EvidenceClass,
    FollowedRecord,
    PatternSide,
    PatternType,
)


class EventFacts(AnswerModel):
    """A pattern event; bid, ask: the resting side. Times: epoch ms."""

    id: str
    type: PatternType
    side: PatternSide
    status: Literal["open", "closed"]
    words: Annotated[str, Field(description="what, where, how rare, when (UTC)")]
    followed: Annotated[
        str | None, Field(description="after earlier ones; the past, no forecast")
    ] = None
    opened_at: int | None = None
    noticed_at: int
    closed_at: int | None = None
    close_reason: str | None = None
    price_low: Price = None
    price_high: Price = None
    return_minutes: Annotated[Known, Field(description="of its type, at least as great")] = None
    at_least: Annotated[bool, Field(description="none so far was as great")] = False
    strength: Annotated[
        Known, Field(description="0..1, rank among the ticker's own candidates")
    ] = None
    evidence_class: EvidenceClass | None = None
    statistic: Known = None
    threshold: Known = None


def event_facts(event: EventRecord) -> EventFacts:
    """Return an event in the published form, without the evidence that explain_pattern gives."""
    return EventFacts(
        id=event.id,
        type=event.type,
        side=event.side,
        status=event.status,
        words=in_words(event),
        opened_at=round(event.opened_at),
        noticed_at=round(event.noticed_at),
        closed_at=None if event.closed_at is None else round(event.closed_at),
        # A point is over at once, whatever closes it a second later.
        close_reason=None if event.type in POINT_TYPES else event.close_reason,
        price_low=event.price_low,
        price_high=event.price_high,
        return_minutes=significant(event.return_minutes, 3),
        at_least=event.at_least,
        strength=significant(event.strength, 2),
        evidence_class=event.evidence_class,
        statistic=significant(event.statistic, 3),
        threshold=significant(event.threshold, 3),
    )


def shown_facts(event: EventRecord, evidence_class: EvidenceClass) -> EventFacts:
    """Return an event as a full answer shows it: what its words hold is left out.

    `evidence_class` is that of the answer, said only where the event's differs.
    """
    return EventFacts(
        id=event.id,
        type=event.type,
        side=event.side,
        status=event.status,
        words=in_words(event),
        noticed_at=round(event.noticed_at),
        closed_at=None if event.closed_at is None else round(event.closed_at),
        price_low=event.price_low,
        price_high=None if event.price_high == event.price_low else event.price_high,
        return_minutes=significant(event.return_minutes, 3),
        at_least=event.at_least,
        evidence_class=None if event.evidence_class == evidence_class else event.evidence_class,
    )


def followed_words(past: FollowedRecord | None) -> str | None:
    """Return what followed earlier events of a kind within a minute, None where it is too few."""
    if past is None or past.mean_bps is None or past.low_bps is None or past.high_bps is None:
        return None
    mean, low, high = (short(bps, 2) for bps in (past.mean_bps, past.low_bps, past.high_bps))
    usual = "" if past.baseline_mean_bps is None else f"; usual {short(past.baseline_mean_bps, 2)}"
    moved = f"{mean} bp on average (95 % interval {low}..{high}{usual})"
    return f"60 s after {past.n} such, the mid had moved {moved}"
