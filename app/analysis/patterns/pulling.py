"""Detect pulling: size removed from the best price without trades."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import Quote
from app.analysis.touch import SIDE_NAMES, is_better

MIN_PULLED_SHARE: Final = 0.5
MIN_RESTORED_SHARE: Final = 0.8
RESTORE_MS: Final = 500.0
MAX_DURATION_MS: Final = 5000.0


@dataclass(slots=True)
class Pull:
    """A removal that may be restored: price and size before it, and when it was noticed (ms)."""

    price: int
    displayed: float
    noticed_at: int


@dataclass(slots=True, init=False)
class DisplayedSize:
    """Best price and size of a side at the end of a second."""

    price: int
    size: float

    def __init__(self, price: int, size: float) -> None:
        self.price = price
        self.size = size


@dataclass(slots=True)
class Pulling(Detector):
    """Opens an event in seconds in which a side lost much displayed size not by trades."""

    previous: list[DisplayedSize | None] = field(default_factory=lambda: [None, None])
    pulls: list[Pull | None] = field(default_factory=lambda: [None, None])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "pulling"

    def on_quote(self, context: DetectorContext, quote: Quote) -> None:
        """Close events whose size was restored within 500 ms."""
        for side, pull in enumerate(self.pulls):
            if pull is not None and quote.stamp <= pull.noticed_at + RESTORE_MS:
                self._close_if_restored(context, side, pull, quote.stamp)

    def _close_if_restored(
        self, context: DetectorContext, side: int, pull: Pull, stamp: float
    ) -> None:
        """Close the event as a flicker if most of the size is back."""
        visit = context.visits[side]
        if visit is None or is_better(side, pull.price, visit.price):
            return
        if visit.size >= MIN_RESTORED_SHARE * pull.displayed:
            self._close(context, side, stamp, "flicker")

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Close events after 5 s."""
        for side in (0, 1):
            pull = self.pulls[side]
            if pull is None:
                continue
            due = pull.noticed_at + MAX_DURATION_MS
            if due <= at:
                self._close(context, side, due, "elapsed")
            else:
                self.request_timer(context, due)

    def _close(self, context: DetectorContext, side: int, at: float, reason: str) -> None:
        self.pulls[side] = None
        event = context.events.find("pulling", SIDE_NAMES[side])
        if event is not None:
            context.events.schedule_close(event, at, reason)

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Check the size that each side lost in the second."""
        for side in (0, 1):
            previous = self.previous[side]
            if previous is not None:
                self._check_removal(context, side, end, previous.price, previous.size)
            visit = context.visits[side]
            self.previous[side] = None if visit is None else DisplayedSize(visit.price, visit.size)

    def _check_removal(
        self, context: DetectorContext, side: int, end: int, price: int, displayed: float
    ) -> None:
        """Add a large removal as a candidate, and open an event for an unusual one."""
        threshold, removed = context.thresholds.removal, context.second_totals.net_removal(side)
        if not threshold or removed <= 0 or removed < MIN_PULLED_SHARE * displayed:
            return
        if removed >= threshold:
            self._open_or_update(context, side, end, price, displayed, removed / threshold)
        context.events.candidates_of("pulling").add_candidate(end, removed / threshold)

    def _open_or_update(  # noqa: PLR0913, PLR0917 - a removal and its statistic
        self,
        context: DetectorContext,
        side: int,
        end: int,
        price: int,
        displayed: float,
        statistic: float,
    ) -> None:
        event = context.events.find("pulling", SIDE_NAMES[side])
        if event is not None:
            if statistic > event.statistic:
                context.events.lower_evidence_class(event, end, _pull_class(context, side))
                evidence = _pull_evidence(context, side, displayed)
                context.events.update(event, end, statistic, evidence)
            return
        opening = Opening(
            type="pulling",
            side=SIDE_NAMES[side],
            opened_at=context.second_totals.first_removal_at[side],
            completed_at=end,
            statistic=statistic,
            threshold=1.0,
            evidence_class=_pull_class(context, side),
            evidence=_pull_evidence(context, side, displayed),
            price_low=price,
            price_high=price,
            key=SIDE_NAMES[side],
        )
        context.events.open_or_extend(opening)
        self.pulls[side] = Pull(price, displayed, end)
        self.request_timer(context, end + MAX_DURATION_MS)


def _pull_class(context: DetectorContext, side: int) -> str:
    if not context.trades_seen:
        return "C"
    return "A" if context.second_totals.traded_given[side] else "B"


def _pull_evidence(context: DetectorContext, side: int, displayed: float) -> Evidence:
    return {
        "removed_shares": context.second_totals.net_removal(side),
        "traded_shares": context.second_totals.traded[side],
        "displayed_shares": displayed,
        "cause": "cancelled" if context.trades_seen else "unknown",
    }
