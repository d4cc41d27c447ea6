"""Who is told of what the stream does: the detectors of one ticker, by what they listen to."""

from app.analysis.detector_context import NEVER
from app.analysis.patterns.detector import Detector
from app.analysis.records import Quote, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.state import State
from app.analysis.touch import Visit


class DetectorDispatcher:
    """The detectors by hook, in their order.

    A detector that fails begins anew, its events end, and `failures` keeps the error: one
    detector's fault must not stop a tick.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.failures: dict[str, Exception] = {}
        self.refresh()

    def refresh(self) -> None:
        """List who is to be told; the quotes-only forms are left out where trades come."""
        self.no_trades_yet = not self._state.context.trades_seen
        self._quote_detectors = self._detectors_with("on_quote")
        self._enter_detectors = self._detectors_with("on_enter")
        self._resize_detectors = self._detectors_with("on_resize")
        self._leave_detectors = self._detectors_with("on_leave")
        self._trade_detectors = self._detectors_with("on_trade")
        self._jump_detectors = self._detectors_with("on_jump")
        self._stamp_detectors = self._detectors_with("on_stamp_complete")
        self._second_detectors = self._detectors_with("on_second")
        self._timer_detectors = self._detectors_with("on_timer")

    def _detectors_with(self, hook: str) -> list[Detector]:
        return [
            detector
            for detector in self._state.detectors
            if getattr(type(detector), hook) is not getattr(Detector, hook)
            and (self.no_trades_yet or detector.is_needed)
        ]

    def on_quote(self, quote: Quote) -> None:
        """Tell of a quote. Each hook has a loop of its own: through a function it costs more."""
        for detector in self._quote_detectors:
            try:
                detector.on_quote(self._state.context, quote)
            except Exception as error:  # noqa: BLE001 - see the class, here and below
                self._restart_failed(detector, error)

    def on_resize(self, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Tell that the size at an unchanged best price changed."""
        for detector in self._resize_detectors:
            try:
                detector.on_resize(self._state.context, side, visit, stamp, before)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_leave(self, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """Tell that a side's best price changed to `to`."""
        for detector in self._leave_detectors:
            try:
                detector.on_leave(self._state.context, side, visit, stamp, to)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_enter(self, side: int, visit: Visit) -> None:
        """Tell that a price became the best of its side."""
        for detector in self._enter_detectors:
            try:
                detector.on_enter(self._state.context, side, visit)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_jump(self, side: int, visit: Visit, jump: int, before: Visit) -> None:
        """Tell how far a best price is from that of 5 ms ago."""
        for detector in self._jump_detectors:
            try:
                detector.on_jump(self._state.context, side, visit, jump, before)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_trade(self, trade: Trade, sign: TradeSign) -> None:
        """Tell of a print."""
        for detector in self._trade_detectors:
            try:
                detector.on_trade(self._state.context, trade, sign)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_stamp_complete(self, stamp: float) -> None:
        """Tell that all records of a stamp that had a print are folded."""
        for detector in self._stamp_detectors:
            try:
                detector.on_stamp_complete(self._state.context, stamp)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_second(self, end: int) -> None:
        """Tell that a second ended."""
        for detector in self._second_detectors:
            try:
                detector.on_second(self._state.context, end)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def fire_timers(self, before: float) -> None:
        """Fire the detectors' timers that are due before an instant, each at its time."""
        context = self._state.context
        while context.next_timer < before:
            now, context.next_timer = context.next_timer, NEVER
            for detector in self._timer_detectors:
                if detector.timer_at <= now:
                    self._fire_timer(detector, now)
            context.next_timer = self._next_timer()

    def _next_timer(self) -> float:
        # By hand: `min` over a generator takes several times as long.
        earliest = NEVER
        for detector in self._timer_detectors:
            if detector.timer_at < earliest:  # noqa: PLR1730 - see above
                earliest = detector.timer_at
        return earliest

    def _fire_timer(self, detector: Detector, now: float) -> None:
        detector.timer_at = NEVER
        try:
            detector.on_timer(self._state.context, now)
        except Exception as error:  # noqa: BLE001
            self._restart_failed(detector, error)

    def _restart_failed(self, detector: Detector, error: Exception) -> None:
        """Begin that detector anew, end its events, and let the quality name it."""
        state, events = self._state, self._state.context.events
        for place, one in enumerate(state.detectors):
            if one is detector:
                state.detectors[place] = type(detector)()
        second = state.bar_builder.end
        for event in [e for e in events.live.values() if e.type == detector.pattern_type]:
            events.schedule_close(event, float(second), "detector_failed")
        state.failed[detector.pattern_type] = second
        self.failures[detector.pattern_type] = error
        self.refresh()
