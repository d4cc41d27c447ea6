"""Detect stacking: a best price to which size keeps being added."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import NEVER, DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.patterns.walls import HOLD_MS
from app.analysis.touch import SIDE_NAMES, Visit, is_better

MIN_GROWTH_RATIO: Final = 2.0
FADED_RATIO: Final = 1.25


@dataclass(slots=True)
class Stack:
    """A visit whose size grew; `median` is the side's median size."""

    start_size: float
    median: float
    peak_size: float
    is_open: bool = False


@dataclass(slots=True)
class Stacking(Detector):
    """Opens an event where a visit 2 s old has twice its start size and over twice the median."""

    due_at: list[float] = field(default_factory=lambda: [NEVER, NEVER])
    stacks: list[Stack | None] = field(default_factory=lambda: [None, None])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "stacking"

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Set a timer for when the visit is 2 s old."""
        self.due_at[side] = visit.since + HOLD_MS
        self.request_timer(context, self.due_at[side])

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Check visits that are 2 s old."""
        for side in (0, 1):
            if self.due_at[side] > at:
                if self.due_at[side] < NEVER:
                    self.request_timer(context, self.due_at[side])
                continue
            self.due_at[side] = NEVER
            visit, median = context.visits[side], context.thresholds.median_size[side]
            if visit is None or not median or visit.size <= visit.start_size:
                continue
            stack = self.stacks[side] = Stack(visit.start_size, median, visit.size)
            if (
                visit.size >= MIN_GROWTH_RATIO * visit.start_size
                and visit.size > MIN_GROWTH_RATIO * median
            ):
                stack.is_open = True
                self._open(context, side, visit, stack, visit.since + HOLD_MS)

    def _open(
        self, context: DetectorContext, side: int, visit: Visit, stack: Stack, at: float
    ) -> None:
        context.events.open_or_extend(
            Opening(
                type="stacking",
                side=SIDE_NAMES[side],
                opened_at=visit.since,
                completed_at=at,
                statistic=stack.peak_size / stack.median,
                threshold=MIN_GROWTH_RATIO,
                evidence_class="C",
                evidence=_stack_evidence(stack),
                price_low=visit.price,
                price_high=visit.price,
                key=visit.key(side),
            )
        )

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Update the peak, or close the event where the size fell."""
        stack = self.stacks[side]
        if stack is None:
            return
        if visit.size > stack.peak_size:
            stack.peak_size = visit.size
            event = context.events.find("stacking", visit.key(side)) if stack.is_open else None
            if event is not None:
                statistic = stack.peak_size / stack.median
                context.events.update(event, stamp, statistic, _stack_evidence(stack))
        elif stack.is_open and visit.size < FADED_RATIO * stack.start_size:
            self._close(context, side, visit, stamp, "faded")

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Close the visit's event, and add it as a candidate."""
        self.due_at[side] = NEVER
        stack = self.stacks[side]
        if stack is None:
            return
        is_improved = to is not None and is_better(side, to, visit.price)
        if stack.is_open:
            self._close(context, side, visit, stamp, "improved" if is_improved else "lost")
        context.events.candidates_of("stacking").add_candidate(
            stamp, stack.peak_size / stack.median
        )
        self.stacks[side] = None

    def _close(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, reason: str
    ) -> None:
        event = context.events.find("stacking", visit.key(side))
        if event is not None:
            context.events.schedule_close(event, stamp, reason)
        stack = self.stacks[side]
        if stack is not None:
            stack.is_open = False


def _stack_evidence(stack: Stack) -> Evidence:
    return {
        "start_shares": stack.start_size,
        "size_shares": stack.peak_size,
        "median_shares": stack.median,
        "added_shares": stack.peak_size - stack.start_size,
    }
