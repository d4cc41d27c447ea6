"""Suspected absorption: the form of absorption for feeds without trades."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.touch import SIDE_NAMES, Visit

SUSPECTED_AGE_MS: Final = 2000.0
SUSPECTED_DECREASE: Final = 3.0
SUSPECTED_REGAIN: Final = 0.7
SUSPECTED_MS: Final = 60_000.0


@dataclass(slots=True)
class SuspectedAbsorption(Detector):
    """A best price that loses and regains several times its size, where no trades come."""

    is_open: list[bool] = field(default_factory=lambda: [False, False])
    is_spent: list[bool] = field(default_factory=lambda: [False, False])
    closes_at: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "absorption_suspected"

    @property
    def is_needed(self) -> bool:
        """Tell whether one is open still: none opens where trades come."""
        return any(self.is_open)

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Wait for the visit to be 2 s old."""
        self.is_open[side] = self.is_spent[side] = False
        self.request_timer(context, visit.since + SUSPECTED_AGE_MS)

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Look again, once the visit is old enough."""
        if self.is_open[side] or visit.decreased >= SUSPECTED_DECREASE * visit.start_size:
            self._look(context, side, visit, stamp)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Look at a visit that is 2 s old; close an event after 60 s."""
        for side in (0, 1):
            visit = context.visits[side]
            if visit is None:
                continue
            due = visit.since + SUSPECTED_AGE_MS
            if due > at:
                self.request_timer(context, due)
            elif due == at:
                self._look(context, side, visit, at)
            if self.is_open[side]:
                self._time_out(context, side, visit, at)

    def _time_out(self, context: DetectorContext, side: int, visit: Visit, at: float) -> None:
        if self.closes_at[side] > at:
            self.request_timer(context, self.closes_at[side])
            return
        self._close(context, side, visit, self.closes_at[side], "elapsed")

    def _look(self, context: DetectorContext, side: int, visit: Visit, at: float) -> None:
        old_enough = at - visit.since >= SUSPECTED_AGE_MS
        if not old_enough or self.is_spent[side]:
            return
        touch = context.thresholds.median_size[side]
        enough = (
            touch is not None
            and visit.decreased >= SUSPECTED_DECREASE * max(visit.start_size, touch)
            and visit.increased >= SUSPECTED_REGAIN * visit.decreased
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
        elif enough and not context.trades_seen:
            self.is_open[side] = True
            context.events.open_or_extend(self._opening(side, visit, at, statistic, evidence))
            self.closes_at[side] = at + SUSPECTED_MS
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
            threshold=SUSPECTED_DECREASE,
            evidence_class="C",
            evidence=evidence,
            price_low=visit.price,
            price_high=visit.price,
            key=visit.key(side),
        )

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """End with the visit."""
        old_enough = stamp - visit.since >= SUSPECTED_AGE_MS
        if not context.trades_seen and old_enough and visit.decreased >= visit.start_size:
            peak = visit.decreased / visit.start_size
            context.events.of_type("absorption_suspected").add_candidate(stamp, peak)
        if self.is_open[side]:
            self._close(context, side, visit, stamp, "level_lost")

    def _close(
        self, context: DetectorContext, side: int, visit: Visit, at: float, reason: str
    ) -> None:
        self.is_open[side], self.is_spent[side] = False, True
        event = context.events.find("absorption_suspected", visit.key(side))
        if event is not None:
            context.events.schedule_close(event, at, reason)
