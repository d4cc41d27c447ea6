"""What a detector may be told; each does nothing until a family says otherwise."""

from dataclasses import dataclass

from app.analysis.detector_context import NEVER, DetectorContext
from app.analysis.records import Quote, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import Visit


@dataclass(slots=True)
class Detector:
    """One pattern's memory and rules. Only the hooks that a family overrides are called.

    `due` is its own earliest timer.
    """

    timer_at: float = NEVER

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return ""

    def request_timer(self, context: DetectorContext, at: float) -> None:
        """Ask for a timer at `at`."""
        if at < self.timer_at:
            self.timer_at = at
            context.next_timer = min(context.next_timer, at)

    @property
    def is_needed(self) -> bool:
        """Tell whether it has anything to hear once trades come."""
        return True

    def on_quote(self, context: DetectorContext, quote: Quote) -> None:
        """Look at a quote, after the touch has moved."""

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Hear that a price became the best of its side."""

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Hear that the size at an unchanged best price changed."""

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Hear that a side's best price changed to `to`; `visit` is the one that ended."""

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Hear of a print; the touch is as it was just before."""

    def on_jump(
        self, context: DetectorContext, side: int, visit: Visit, jump: int, before: Visit
    ) -> None:
        """Hear that a best price, next after `before`, is `jump` from that of 5 ms ago."""

    def on_stamp_complete(self, context: DetectorContext, stamp: float) -> None:
        """All records of a stamp that had a print are folded."""

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Do all that is due at or before `at`, and ask for the next timer."""

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Look at the second that ended; thresholds are those of the second before."""
