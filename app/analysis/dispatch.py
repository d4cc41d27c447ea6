"""Call the hooks of one ticker's detectors."""

from app.analysis.detector_context import NEVER
from app.analysis.patterns.detector import Detector
from app.analysis.records import Quote, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.state import State
from app.analysis.touch import Visit


class DetectorDispatcher:
    """Calls each hook of the detectors that override it, in their order.

    A detector that fails is replaced by a new one, its events are closed, and `failures` keeps the
    error: one detector's fault must not stop a tick.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.failures: dict[str, Exception] = {}
        self.refresh()

    def refresh(self) -> None:
        """List the detectors of each hook; leave out quotes-only ones once trades arrive."""
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
        """Call `on_quote`. Each hook has its own loop: a shared function costs more."""
        for detector in self._quote_detectors:
            try:
                detector.on_quote(self._state.context, quote)
            except Exception as error:  # noqa: BLE001 - see the class, here and below
                self._restart_failed(detector, error)

    def on_resize(self, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Call `on_resize`: the size at an unchanged best price changed."""
        for detector in self._resize_detectors:
            try:
                detector.on_resize(self._state.context, side, visit, stamp, before)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_leave(self, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """Call `on_leave`: a side's best price changed to `to`."""
        for detector in self._leave_detectors:
            try:
                detector.on_leave(self._state.context, side, visit, stamp, to)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_enter(self, side: int, visit: Visit) -> None:
        """Call `on_enter`: a price became the best of its side."""
        for detector in self._enter_detectors:
            try:
                detector.on_enter(self._state.context, side, visit)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_jump(self, side: int, visit: Visit, jump: int, before: Visit) -> None:
        """Call `on_jump`: the best price is `jump` price units above that of 5 ms ago."""
        for detector in self._jump_detectors:
            try:
                detector.on_jump(self._state.context, side, visit, jump, before)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_trade(self, trade: Trade, sign: TradeSign) -> None:
        """Call `on_trade`."""
        for detector in self._trade_detectors:
            try:
                detector.on_trade(self._state.context, trade, sign)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_stamp_complete(self, stamp: float) -> None:
        """Call `on_stamp_complete`: all records of a stamp that had a print are folded."""
        for detector in self._stamp_detectors:
            try:
                detector.on_stamp_complete(self._state.context, stamp)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def on_second(self, end: int) -> None:
        """Call `on_second`: a second ended."""
        for detector in self._second_detectors:
            try:
                detector.on_second(self._state.context, end)
            except Exception as error:  # noqa: BLE001
                self._restart_failed(detector, error)

    def fire_timers(self, before: float) -> None:
        """Call `on_timer` for each timer that is due before an instant, in the order of time."""
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
        """Replace a failed detector, close its events, and note the failure for the quality."""
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
