"""True events, and their matching with detected events."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.bars import SECOND_MS
from app.analysis.patterns.events import Event
from app.analysis.price_units import DEFAULT_DIGITS, UNITS_PER_ONE
from app.evaluation.scorecard.precision_recall import PrecisionRecall, Proportion

SLACK_MS = 0.001
"""Stamps in label files are rounded to less than this."""


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """One true event; prices in units of its tape; None and "" where they are unknown."""

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
            and (self.price is None or _is_in_range(self.price, event))
            and event.opened_at <= self.end_ms + grace_ms + SLACK_MS
            and max(end, event.noticed_at) >= self.start_ms - SLACK_MS
        )


def _is_in_range(price: int, event: Event) -> bool:
    low, high = price_units(event.price_low), price_units(event.price_high)
    return low is not None and high is not None and low <= price <= high


def price_units(price: float | None, digits: int = DEFAULT_DIGITS) -> int | None:
    """Convert a price to integers of 10^-digits.

    The scorecard folds each tape as if its unit were 1e-8, which changes no event but its prices:
    labels are converted by the tape's digits, prices of events by 8.
    """
    return None if price is None else round(price * UNITS_PER_ONE[digits])


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
