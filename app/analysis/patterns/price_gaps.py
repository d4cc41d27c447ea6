"""Detect price gaps: a best price that jumps several ticks at once."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.pattern_table import UP_AND_DOWN
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Opening
from app.analysis.touch import SIDE_NAMES, Visit

MIN_TICKS: Final = 2
MIN_JUMP_RATIO: Final = 1.5
JUMP_MS: Final = 5.0
CLOSE_AFTER_MS: Final = 1000.0


@dataclass(slots=True)
class PriceGaps(Detector):
    """Opens an event where a best price is far from the best of 5 ms before."""

    last_opened: list[float] = field(default_factory=lambda: [-1e18, -1e18])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "price_gap"

    def on_jump(
        self, context: DetectorContext, side: int, visit: Visit, jump: int, before: Visit
    ) -> None:
        """Check the distance of a new best price from that of 5 ms before."""
        tick = context.tick_size.size
        jump_q95 = context.thresholds.jump
        size = abs(jump)
        if not tick or not jump_q95 or size < MIN_TICKS * tick:
            return
        threshold = max(MIN_TICKS * tick, MIN_JUMP_RATIO * jump_q95)
        is_large = size > MIN_JUMP_RATIO * jump_q95
        if is_large and visit.since - self.last_opened[side] > JUMP_MS:
            self._open(context, side, visit, jump, before, threshold)
        context.events.candidates_of("price_gap").add_candidate(visit.since, size / threshold)

    def _open(  # noqa: PLR0913, PLR0917 - a jump and its threshold
        self,
        context: DetectorContext,
        side: int,
        visit: Visit,
        jump: int,
        before: Visit,
        threshold: float,
    ) -> None:
        """Open an event, which closes 1 s later."""
        self.last_opened[side] = visit.since
        event = context.events.open_or_extend(
            Opening(
                type="price_gap",
                side=SIDE_NAMES[side],
                opened_at=visit.since,
                completed_at=visit.since,
                statistic=abs(jump) / threshold,
                threshold=1.0,
                evidence_class="C",
                evidence={
                    "ticks": round(abs(jump) / context.tick_size.size),
                    "direction": UP_AND_DOWN[0 if jump > 0 else 1],
                    "size_before_shares": before.size,
                    "size_after_shares": visit.size,
                },
                price_low=min(visit.price, before.price),
                price_high=max(visit.price, before.price),
            )
        )
        context.events.schedule_close(event, visit.since + CLOSE_AFTER_MS, "elapsed")
