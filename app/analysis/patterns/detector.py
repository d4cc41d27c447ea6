"""What a detector may be told; each does nothing until a family says otherwise."""

from dataclasses import dataclass

from app.analysis.detector_context import NEVER, Scene
from app.analysis.records import Quote, Trade
from app.analysis.standing_quote import Side
from app.analysis.touch import Visit


@dataclass(slots=True)
class Detector:
    """One pattern's memory and rules. Only the hooks that a family overrides are called.

    `due` is its own earliest timer.
    """

    due: float = NEVER

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return ""

    def wake(self, scene: Scene, at: float) -> None:
        """Ask for a timer at `at`."""
        if at < self.due:
            self.due = at
            scene.next_due = min(scene.next_due, at)

    @property
    def is_needed(self) -> bool:
        """Tell whether it has anything to hear once trades come."""
        return True

    def quoted(self, scene: Scene, quote: Quote) -> None:
        """Look at a quote, after the touch has moved."""

    def entered(self, scene: Scene, side: int, visit: Visit) -> None:
        """Hear that a price became the best of its side."""

    def resized(self, scene: Scene, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Hear that the size at an unchanged best price changed."""

    def left(self, scene: Scene, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """Hear that a side's best price changed to `to`; `visit` is the one that ended."""

    def printed(self, scene: Scene, trade: Trade, side: Side) -> None:
        """Hear of a print; the touch is as it was just before."""

    def jumped(self, scene: Scene, side: int, visit: Visit, jump: int, before: Visit) -> None:
        """Hear that a best price, next after `before`, is `jump` from that of 5 ms ago."""

    def moment_ended(self, scene: Scene, stamp: float) -> None:
        """All records of a stamp that had a print are folded."""

    def timed(self, scene: Scene, at: float) -> None:
        """Do all that is due at or before `at`, and ask for the next timer."""

    def second(self, scene: Scene, end: int) -> None:
        """Look at the second that ended; thresholds are those of the second before."""
