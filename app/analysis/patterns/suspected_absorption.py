"""Detect suspected absorption, from quotes alone, on feeds without trades."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.touch import SIDE_NAMES, Visit

MIN_AGE_MS: Final = 2000.0
MIN_DECREASE_RATIO: Final = 3.0
MIN_REGAIN_RATIO: Final = 0.7
MAX_DURATION_MS: Final = 60_000.0


@dataclass(slots=True)
class SuspectedAbsorption(Detector):
    """Finds best prices that lose and regain several times their size; only without trades."""

    is_open: list[bool] = field(default_factory=lambda: [False, False])
    has_closed: list[bool] = field(default_factory=lambda: [False, False])
    closes_at: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "absorption_suspected"

    @property
    def is_needed(self) -> bool:
        """Return whether an event is open; none opens once trades come."""
        return any(self.is_open)

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Set a timer for when the visit is 2 s old."""
        self.is_open[side] = self.has_closed[side] = False
        self.request_timer(context, visit.since + MIN_AGE_MS)

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Evaluate the visit again after enough decreases."""
        if self.is_open[side] or visit.decreased >= MIN_DECREASE_RATIO * visit.start_size:
            self._evaluate(context, side, visit, stamp)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Evaluate a visit that is 2 s old; close an event after 60 s."""
        for side in (0, 1):
            visit = context.visits[side]
            if visit is None:
                continue
            due = visit.since + MIN_AGE_MS
            if due > at:
                self.request_timer(context, due)
            elif due == at:
                self._evaluate(context, side, visit, at)
            if self.is_open[side]:
                self._close_if_elapsed(context, side, visit, at)

    def _close_if_elapsed(
        self, context: DetectorContext, side: int, visit: Visit, at: float
    ) -> None:
        """Close an event that lasted 60 s, or set the timer again."""
        if self.closes_at[side] > at:
            self.request_timer(context, self.closes_at[side])
            return
        self._close(context, side, visit, self.closes_at[side], "elapsed")

    def _evaluate(self, context: DetectorContext, side: int, visit: Visit, at: float) -> None:
        """Open or update the event of a visit that is old enough."""
        is_old_enough = at - visit.since >= MIN_AGE_MS
        if not is_old_enough or self.has_closed[side]:
            return
        median_size = context.thresholds.median_size[side]
        is_absorbed = (
            median_size is not None
            and visit.decreased >= MIN_DECREASE_RATIO * max(visit.start_size, median_size)
            and visit.increased >= MIN_REGAIN_RATIO * visit.decreased
        )
        statistic = visit.decreased / visit.start_size
        evidence: Evidence = {
            "start_shares": visit.start_size,
            "decreased_shares": visit.decreased,
            "increased_shares": visit.increased,
            "age_seconds": (at - visit.since) / SECOND_MS,
        }
        if self.is_open[side]:
            event = context.events.find("absorption_suspected", visit.key(side))
            if event is not None:
                context.events.update(event, at, statistic, evidence)
        elif is_absorbed and not context.trades_seen:
            self.is_open[side] = True
            context.events.open_or_extend(self._opening(side, visit, at, statistic, evidence))
            self.closes_at[side] = at + MAX_DURATION_MS
            self.request_timer(context, self.closes_at[side])

    def _opening(
        self, side: int, visit: Visit, at: float, statistic: float, evidence: Evidence
    ) -> Opening:
        return Opening(
            type="absorption_suspected",
            side=SIDE_NAMES[side],
            opened_at=visit.since,
            completed_at=at,
            statistic=statistic,
            threshold=MIN_DECREASE_RATIO,
            evidence_class="C",
            evidence=evidence,
            price_low=visit.price,
            price_high=visit.price,
            key=visit.key(side),
        )

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Add the visit as a candidate, and close its event."""
        is_old_enough = stamp - visit.since >= MIN_AGE_MS
        if not context.trades_seen and is_old_enough and visit.decreased >= visit.start_size:
            peak = visit.decreased / visit.start_size
            context.events.candidates_of("absorption_suspected").add_candidate(stamp, peak)
        if self.is_open[side]:
            self._close(context, side, visit, stamp, "level_lost")

    def _close(
        self, context: DetectorContext, side: int, visit: Visit, at: float, reason: str
    ) -> None:
        self.is_open[side], self.has_closed[side] = False, True
        event = context.events.find("absorption_suspected", visit.key(side))
        if event is not None:
            context.events.schedule_close(event, at, reason)
