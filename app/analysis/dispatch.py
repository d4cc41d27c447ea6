"""Who is told of what the stream does: the detectors of one ticker, by what they listen to."""

from dataclasses import fields

from app.analysis.detector_context import NEVER
from app.analysis.patterns.detector import Detector
from app.analysis.records import Quote, Trade
from app.analysis.standing_quote import Side
from app.analysis.state import Detectors, State
from app.analysis.touch import Visit

NAMES = tuple(f.name for f in fields(Detectors))


class Listeners:
    """The detectors by hook, in their order.

    A detector that fails begins anew, its events end, and `failures` keeps the error: one
    detector's fault must not stop a tick.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.failures: dict[str, Exception] = {}
        self.find()

    def find(self) -> None:
        """List who is to be told; the quotes-only forms are left out where trades come."""
        self.awaits_trades = not self._state.scene.trades_seen
        self._on_quoted = self._listening("quoted")
        self._on_entered = self._listening("entered")
        self._on_resized = self._listening("resized")
        self._on_left = self._listening("left")
        self._on_printed = self._listening("printed")
        self._on_jumped = self._listening("jumped")
        self._on_moment_ended = self._listening("moment_ended")
        self._on_second = self._listening("second")
        self._timed = self._listening("timed")

    def _listening(self, hook: str) -> list[Detector]:
        members: list[Detector] = [getattr(self._state.detectors, name) for name in NAMES]
        return [
            detector
            for detector in members
            if getattr(type(detector), hook) is not getattr(Detector, hook)
            and (self.awaits_trades or detector.is_needed)
        ]

    def quoted(self, quote: Quote) -> None:
        """Tell of a quote. Each hook has a loop of its own: through a function it costs more."""
        for detector in self._on_quoted:
            try:
                detector.quoted(self._state.scene, quote)
            except Exception as error:  # noqa: BLE001 - see the class, here and below
                self._failed(detector, error)

    def resized(self, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Tell that the size at an unchanged best price changed."""
        for detector in self._on_resized:
            try:
                detector.resized(self._state.scene, side, visit, stamp, before)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def left(self, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """Tell that a side's best price changed to `to`."""
        for detector in self._on_left:
            try:
                detector.left(self._state.scene, side, visit, stamp, to)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def entered(self, side: int, visit: Visit) -> None:
        """Tell that a price became the best of its side."""
        for detector in self._on_entered:
            try:
                detector.entered(self._state.scene, side, visit)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def jumped(self, side: int, visit: Visit, jump: int, before: Visit) -> None:
        """Tell how far a best price is from that of 5 ms ago."""
        for detector in self._on_jumped:
            try:
                detector.jumped(self._state.scene, side, visit, jump, before)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def printed(self, trade: Trade, side: Side) -> None:
        """Tell of a print."""
        for detector in self._on_printed:
            try:
                detector.printed(self._state.scene, trade, side)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def moment_ended(self, stamp: float) -> None:
        """Tell that all records of a stamp that had a print are folded."""
        for detector in self._on_moment_ended:
            try:
                detector.moment_ended(self._state.scene, stamp)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def second(self, end: int) -> None:
        """Tell that a second ended."""
        for detector in self._on_second:
            try:
                detector.second(self._state.scene, end)
            except Exception as error:  # noqa: BLE001
                self._failed(detector, error)

    def fire(self, before: float) -> None:
        """Fire the detectors' timers that are due before an instant, each at its time."""
        scene = self._state.scene
        while scene.next_due < before:
            now, scene.next_due = scene.next_due, NEVER
            for detector in self._timed:
                if detector.due <= now:
                    self._fire(detector, now)
            scene.next_due = self._next_due()

    def _next_due(self) -> float:
        # By hand: `min` over a generator takes several times as long.
        earliest = NEVER
        for detector in self._timed:
            if detector.due < earliest:  # noqa: PLR1730 - see above
                earliest = detector.due
        return earliest

    def _fire(self, detector: Detector, now: float) -> None:
        detector.due = NEVER
        try:
            detector.timed(self._state.scene, now)
        except Exception as error:  # noqa: BLE001
            self._failed(detector, error)

    def _failed(self, detector: Detector, error: Exception) -> None:
        """Begin that detector anew, end its events, and let the quality name it."""
        state, events = self._state, self._state.scene.events
        name = next(n for n in NAMES if getattr(state.detectors, n) is detector)
        setattr(state.detectors, name, type(detector)())
        second = state.fold.end
        for event in [e for e in events.live.values() if e.type == detector.finds]:
            events.closing(event, float(second), "detector_failed")
        state.failed[detector.finds] = second
        self.failures[detector.finds] = error
        self.find()
