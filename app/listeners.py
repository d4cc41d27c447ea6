"""Who is told of what the stream does: the detectors of one ticker, by what they listen to."""

from collections.abc import Callable, Iterable

from app.bars import Side
from app.patterns.detector import Detector
from app.records import Quote, Trade
from app.scene import NEVER
from app.state import State
from app.touch import Visit

Method = Callable[..., None]


class Listeners:
    """The detectors' methods by hook, in the detectors' order.

    A detector that fails begins anew, its events end, and `failures` keeps the error: one
    detector's fault must not stop a tick.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.failures: dict[str, Exception] = {}
        self.find()

    def find(self) -> None:
        """List the methods to call; the quotes-only forms are left out where trades come."""
        self.awaits_trades = not self._state.scene.trades_seen
        self._on_quoted = self._methods("quoted")
        self._on_entered = self._methods("entered")
        self._on_resized = self._methods("resized")
        self._on_left = self._methods("left")
        self._on_printed = self._methods("printed")
        self._on_jumped = self._methods("jumped")
        self._on_moment_ended = self._methods("moment_ended")
        self._on_second = self._methods("second")
        self._timed = [method.__self__ for method in self._methods("timed")]  # type: ignore[attr-defined]

    def _methods(self, hook: str) -> list[Method]:
        detectors = self._state.detectors
        members = [getattr(detectors, name) for name in detectors.__struct_fields__]
        return [
            getattr(detector, hook)
            for detector in members
            if getattr(type(detector), hook) is not getattr(Detector, hook)
            and (self.awaits_trades or detector.is_needed)
        ]

    def quoted(self, quote: Quote) -> None:
        """Tell of a quote. This and the next three are spelt out, not told by `_tell`.

        They come with nearly every quote: together 4.4 instead of 5.1 ms a tick at 500 a second.
        """
        scene = self._state.scene
        for method in self._on_quoted:
            try:
                method(scene, quote)
            except Exception as error:  # noqa: BLE001 - see the class
                self._failed(method, error)

    def resized(self, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Tell that the size at an unchanged best price changed."""
        scene = self._state.scene
        for method in self._on_resized:
            try:
                method(scene, side, visit, stamp, before)
            except Exception as error:  # noqa: BLE001 - see the class
                self._failed(method, error)

    def left(self, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """Tell that a side's best price changed to `to`."""
        scene = self._state.scene
        for method in self._on_left:
            try:
                method(scene, side, visit, stamp, to)
            except Exception as error:  # noqa: BLE001 - see the class
                self._failed(method, error)

    def entered(self, side: int, visit: Visit) -> None:
        """Tell that a price became the best of its side."""
        scene = self._state.scene
        for method in self._on_entered:
            try:
                method(scene, side, visit)
            except Exception as error:  # noqa: BLE001 - see the class
                self._failed(method, error)

    def jumped(self, side: int, visit: Visit, jump: int, before: Visit) -> None:
        """Tell how far a best price is from that of 5 ms ago."""
        self._tell(self._on_jumped, side, visit, jump, before)

    def printed(self, trade: Trade, side: Side) -> None:
        """Tell of a print."""
        self._tell(self._on_printed, trade, side)

    def moment_ended(self, stamp: float) -> None:
        """Tell that all records of a stamp that had a print are folded."""
        self._tell(self._on_moment_ended, stamp)

    def second(self, end: int) -> None:
        """Tell that a second ended."""
        self._tell(self._on_second, end)

    def _tell(self, methods: Iterable[Method], *facts: object) -> None:
        scene = self._state.scene
        for method in methods:
            try:
                method(scene, *facts)
            except Exception as error:  # noqa: BLE001 - see the class
                self._failed(method, error)

    def fire(self, before: float) -> None:
        """Fire the detectors' timers that are due before an instant, each at its time."""
        scene = self._state.scene
        while scene.next_due < before:
            now, scene.next_due = scene.next_due, NEVER
            for detector in self._timed:
                if detector.due <= now:
                    detector.due = NEVER
                    self._tell((detector.timed,), now)
            scene.next_due = min((d.due for d in self._timed), default=NEVER)

    def _failed(self, method: Method, error: Exception) -> None:
        """Begin that detector anew, end its events, and let the quality name it."""
        detector = method.__self__  # type: ignore[attr-defined]
        state, events = self._state, self._state.scene.events
        name = next(
            n for n in state.detectors.__struct_fields__ if getattr(state.detectors, n) is detector
        )
        setattr(state.detectors, name, type(detector)())
        second = state.fold.bar.end
        for event in [e for e in events.live.values() if e.type == detector.finds]:
            events.closing(event, float(second), "detector_failed")
        state.failed[detector.finds] = second
        self.failures[detector.finds] = error
        self.find()
