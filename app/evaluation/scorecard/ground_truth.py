"""True events, and their matching with detected events."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.bars import SECOND_MS
from app.analysis.patterns.events import Event
from app.analysis.records import PRICE_UNITS
from app.evaluation.scorecard.precision_recall import PrecisionRecall, Proportion

SLACK_MS = 0.001
"""Stamps in label files are rounded to less than this."""


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """One true event; prices in 1e-8; None and "" where they are unknown."""

    kind: str
    side: str
    start_ms: float
    end_ms: float
    price: int | None = None
    form: str = ""

    def explains(self, event: Event, grace_ms: float) -> bool:
        """Tell whether `event` detects this true event, at most `grace_ms` after its end."""
        end = event.closed_at if event.closed_at is not None else float(event.updated_at)
        return (
            (not self.side or self.side == event.side)
            and (self.price is None or self.price == price_units(event.price_low))
            and event.opened_at <= self.end_ms + grace_ms + SLACK_MS
            and max(end, event.noticed_at) >= self.start_ms - SLACK_MS
        )


def price_units(price: float | None) -> int | None:
    """Convert a published price to integers of 1e-8."""
    return None if price is None else round(price * PRICE_UNITS)


def match_events(
    events: Sequence[Event], truths: Sequence[TrueEvent], hours: float, grace_ms: float = 0.0
) -> PrecisionRecall:
    """Score the events of one pattern against its true events."""
    found: dict[int, Event] = {}
    right = 0
    order = sorted(range(len(truths)), key=lambda i: truths[i].start_ms)
    for event in events:
        mine = [i for i in order if truths[i].explains(event, grace_ms)]
        right += bool(mine)
        for i in mine:
            if i not in found or event.noticed_at < found[i].noticed_at:
                found[i] = event
    delays = [(found[i].noticed_at - truths[i].start_ms) / SECOND_MS for i in found]
    return PrecisionRecall(
        Proportion(right, len(events)), Proportion(len(found), len(truths)), delays, hours
    )
