"""Detect trade bursts: far more volume in 10 s than usual, nearly all of it to one side."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.quantiles import FloatArray, IntArray, float_array, int_array, sum_in_order
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, resting_side

FLOW_SECONDS: Final = 10
WINDOW_SECONDS: Final = 300
MIN_ONE_SIDED_SHARE: Final = 0.8
MIN_PRINTS: Final = 3
FADED_RATIO: Final = 0.5


@dataclass(slots=True)
class SideFlow:
    """Prints that took one side, one value a second.

    `volumes` are of the last 5 min; `prints` are numbers, and `first_stamps` stamps of the first
    (0: none), of the last 10 s. `second_...` are those of the current second.
    """

    volumes: FloatArray = field(default_factory=float_array)
    prints: IntArray = field(default_factory=int_array)
    first_stamps: FloatArray = field(default_factory=float_array)
    second_volume: float = 0.0
    second_prints: int = 0
    second_stamp: float = 0.0

    def add_print(self, trade: Trade) -> None:
        """Add a trade to the current second."""
        self.second_volume += trade.size
        if not self.second_prints:
            self.second_stamp = trade.stamp
        self.second_prints += 1

    def end_second(self) -> None:
        """Move the current second into the last 10 s and 5 min."""
        self.volumes.append(self.second_volume)
        self.prints.append(self.second_prints)
        self.first_stamps.append(self.second_stamp)
        if len(self.volumes) > WINDOW_SECONDS:
            del self.volumes[0]
        if len(self.prints) > FLOW_SECONDS:
            del self.prints[0], self.first_stamps[0]
        self.second_volume, self.second_prints, self.second_stamp = 0.0, 0, 0.0

    @property
    def volume(self) -> float:
        """Return the volume of the last 10 s."""
        return sum_in_order(self.volumes[-FLOW_SECONDS:])

    @property
    def first_stamp(self) -> float:
        """Return the stamp of the first print of the last 10 s, 0 without one."""
        for stamp in self.first_stamps:
            if stamp:
                return stamp
        return 0.0


def _side_flows() -> list[SideFlow]:
    return [SideFlow(), SideFlow()]


@dataclass(slots=True)
class FlowRun:
    """A candidate: seconds with much flow to one side; `floor` is the q99 when it began."""

    direction: int
    floor: float
    peak: float


@dataclass(slots=True)
class TradeBursts(Detector):
    """Compares the signed taker volume of 10 s with its own q99, each second.

    `sides` and `floors`, the q99 of the open events, are by the side that was taken.
    `given_by_second` tells for the last 10 s whether the feed gave all aggressors.
    """

    sides: list[SideFlow] = field(default_factory=_side_flows)
    second_is_given: bool = True
    given_by_second: IntArray = field(default_factory=int_array)
    run: FlowRun | None = None
    floors: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "trade_burst"

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Add a trade to the current second of the side that it took."""
        if sign.aggressor == UNSIGNED:
            return
        self.sides[resting_side(sign.aggressor)].add_print(trade)
        self.second_is_given = self.second_is_given and sign.is_given

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Update the candidate, then close, update or open the events."""
        if not context.trades_seen:
            return
        self._shift_second()
        flow = context.baselines.flow_10s
        self._follow_run(context, end, flow)
        for side in (0, 1):
            along = flow if side else -flow
            if not self._close_if_over(context, side, end, along) and along > 0:
                self._open_or_update(context, side, end, along)

    def _shift_second(self) -> None:
        """Move the current second's prints into the last 10 s."""
        for side_flow in self.sides:
            side_flow.end_second()
        self.given_by_second.append(self.second_is_given)
        if len(self.given_by_second) > FLOW_SECONDS:
            del self.given_by_second[0]
        self.second_is_given = True

    def _follow_run(self, context: DetectorContext, end: int, flow: float) -> None:
        """End, update or begin the candidate."""
        direction = (flow > 0) - (flow < 0)
        run, floor = self.run, context.thresholds.taker_flow_q99
        if run is not None and (direction != run.direction or abs(flow) < FADED_RATIO * run.floor):
            context.events.candidates_of("trade_burst").add_candidate(end, run.peak)
            run = self.run = None
        if run is not None:
            run.peak = max(run.peak, abs(flow) / run.floor)
        elif floor and abs(flow) >= FADED_RATIO * floor:
            self.run = FlowRun(direction, floor, abs(flow) / floor)

    def _close_if_over(self, context: DetectorContext, side: int, end: int, along: float) -> bool:
        """Close the side's event where its flow turned or faded; return whether it did."""
        event = context.events.find("trade_burst", SIDE_NAMES[side])
        if event is None or along >= FADED_RATIO * self.floors[side]:
            return False
        context.events.schedule_close(event, end, "turned" if along < 0 else "faded")
        return True

    def _open_or_update(self, context: DetectorContext, side: int, end: int, along: float) -> None:
        """Update the side's event at a new peak, or open one."""
        event = context.events.find("trade_burst", SIDE_NAMES[side])
        if event is not None:
            statistic = along / self.floors[side]
            if statistic > event.statistic:
                context.events.lower_evidence_class(event, end, self._evidence_class)
                evidence = self._evidence(context, side, along)
                context.events.update(event, end, statistic, evidence)
            return
        floor = context.thresholds.taker_flow_q99
        if not floor or along < floor or not self._is_one_sided(side, along):
            return
        self.floors[side] = floor
        context.events.open_or_extend(
            Opening(
                type="trade_burst",
                side=SIDE_NAMES[side],
                opened_at=self.sides[side].first_stamp,
                completed_at=end,
                statistic=along / floor,
                threshold=1.0,
                evidence_class=self._evidence_class,
                evidence=self._evidence(context, side, along),
                is_of_peak=True,
            )
        )

    def _is_one_sided(self, side: int, along: float) -> bool:
        """Return whether nearly all volume took one side, in several prints."""
        is_enough = sum(self.sides[side].prints) >= MIN_PRINTS
        return is_enough and along >= MIN_ONE_SIDED_SHARE * self._volume_of_both()

    def _volume_of_both(self) -> float:
        return self.sides[0].volume + self.sides[1].volume

    @property
    def _evidence_class(self) -> str:
        return "A" if all(self.given_by_second) else "B"

    def _evidence(self, context: DetectorContext, side: int, along: float) -> Evidence:
        taken = self.sides[side]
        evidence: Evidence = {
            "volume_shares": taken.volume,
            "floor_shares": self.floors[side],
            "prints": sum(taken.prints),
            "one_sided_share": along / self._volume_of_both(),
            "window_share": taken.volume / sum_in_order(taken.volumes),
        }
        move = context.baselines.mid_move(FLOW_SECONDS)
        if move is not None:
            evidence["mid_move"] = move / context.units_per_one
        return evidence
