"""The base class of detectors."""

from dataclasses import dataclass

from app.analysis.detector_context import NEVER, DetectorContext
from app.analysis.records import Quote, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import Visit


@dataclass(slots=True)
class Detector:
    """Detects one pattern: its memory and its rules.

    Only the hooks that a detector overrides are called; `timer_at` is its earliest timer.
    """

    timer_at: float = NEVER

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that it opens."""
        return ""

    def request_timer(self, context: DetectorContext, at: float) -> None:
        """Have `on_timer` called at `at` (epoch ms), or earlier if a timer is due earlier."""
        if at < self.timer_at:
            self.timer_at = at
            context.next_timer = min(context.next_timer, at)

    @property
    def is_needed(self) -> bool:
        """Return whether it is still needed once trades arrive."""
        return True

    def on_quote(self, context: DetectorContext, quote: Quote) -> None:
        """Handle a quote, after the best prices and sizes were updated."""

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Handle a price that became the best of its side."""

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Handle a change of the size at an unchanged best price; `before` is the size before."""

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Handle a side's best price that changed to `to`; `visit` is the visit that ended."""

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Handle a print; best prices and sizes are those just before it."""

    def on_jump(
        self, context: DetectorContext, side: int, visit: Visit, jump: int, before: Visit
    ) -> None:
        """Handle a best price that is `jump` price units above that of 5 ms ago."""

    def on_stamp_complete(self, context: DetectorContext, stamp: float) -> None:
        """Handle the end of a stamp that had a print: all its records are folded."""

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Handle what is due at or before `at`, and request the next timer."""

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Handle the end of a second; thresholds are those of the second before."""
