"""Parts of an answer about a ticker: standing book, levels, quality, failed ticks, behaviours."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from app.answers.diagnosis import TickFailures
from app.answers.schema import AnswerModel, Known, Number, seconds_of, short, whole
from app.storage.published import BookSide, LevelRecord, QualityRecord, Value

WARMING_METRICS: Final = ("log_ofi", "large_bids_appeared", "large_asks_appeared")
"""Metrics that are absent while the ticker's usual sizes were not known in all of the history."""


class LevelFacts(AnswerModel):
    """A price that was the best of its side; held, broke: how often it was left."""

    side: BookSide
    price: Number
    size: Annotated[Number, Field(description="mean size shown")]
    appearances: int
    held: int
    broke: int
    unseen_seconds: Number
    distance_bps: Annotated[Known, Field(description="bp from mid, above it > 0")] = None


class StandingFacts(AnswerModel):
    """The book at as_of, and how far its mid moved over the history."""

    spread_bps: Known = None
    mid_moved_bps: Known = None


class QualityFacts(AnswerModel):
    """What was odd about the records of the history."""

    counts: dict[str, int] = {}
    gap_seconds: Known = None
    rebuilt_at: int | None = None
    clock_corrected_at: int | None = None
    failed_detectors: list[str] = []


class FailureFacts(AnswerModel):
    """Ticks of this ticker that failed."""

    count: int
    last_at: int | None = None
    error: str | None = None


def standing_facts(metrics: Mapping[str, Value], mid: float | None) -> StandingFacts | None:
    """Return the standing spread and the mid's move in bp, where both sides have a price."""
    if mid is None:
        return None
    spread = _number(metrics.get("ask_price"), 0.0) - _number(metrics.get("bid_price"), 0.0)
    return StandingFacts(
        spread_bps=short(1e4 * spread / mid, 3) if spread >= 0 else None,
        mid_moved_bps=mid_moved_bps(metrics, mid),
    )


def mid_moved_bps(metrics: Mapping[str, Value], mid: float | None) -> Number | None:
    """Return how far the mid moved over the history in bp, None where that is not known."""
    moves = [metrics.get(f"{side}_price_movement") for side in ("bid", "ask")]
    if mid is None or None in moves:
        return None
    moved = sum(_number(move, 0.0) for move in moves) / 2
    start = mid - moved
    return short(1e4 * moved / start, 3) if start > 0 else None


def _number(value: Value | None, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) else otherwise


def warming_metrics(metrics: Mapping[str, Value]) -> list[str]:
    """Return the metrics that are absent because the past that they compare with is too short."""
    if not metrics.get("quote_count"):
        return []
    return [name for name in WARMING_METRICS if name not in metrics]


def behavior_state(state: str) -> str:
    """Return a behaviour's state in words that differ from those of a young ticker.

    >>> behavior_state("unknown: warming, 12 of 200 samples"), behavior_state("on")
    ('unknown: 12 of 200 samples so far', 'on')
    """
    reason = state.removeprefix("unknown: warming")
    if reason == state:
        return state
    return f"unknown: {reason.lstrip(', ')} so far" if reason else "unknown: too few samples so far"


def level_facts(level: LevelRecord, mid: float | None, as_of_ms: float) -> LevelFacts:
    """Return a level in the published form, with its distance from the mid, as of `as_of_ms`."""
    return LevelFacts(
        side=level.side,
        price=whole(level.price),
        size=short(level.size, 4),
        appearances=level.appearances,
        held=level.held,
        broke=level.broke,
        unseen_seconds=seconds_of(as_of_ms - level.last_seen),
        distance_bps=None if mid is None else _distance_bps(level.price, mid),
    )


def _distance_bps(price: float, mid: float) -> Number:
    """Return how far a price lies above the mid; what floats leave of no distance is 0."""
    return short(round((price / mid - 1) * 1e4, 6), 3)


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


def failure_facts(failures: TickFailures) -> FailureFacts | None:
    """Return failed ticks in the published form, None where there are none."""
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
