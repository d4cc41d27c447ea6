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


def _volumes() -> list[FloatArray]:
    return [float_array(), float_array()]


def _counts() -> list[IntArray]:
    return [int_array(), int_array()]


@dataclass(slots=True)
class FlowRun:
    """A candidate: seconds with much flow to one side; `floor` is the q99 when it began."""

    direction: int
    floor: float
    peak: float


@dataclass(slots=True)
class TradeBursts(Detector):
    """Compares the signed taker volume of 10 s with its own q99, each second.

    All lists are by the side that was taken: volumes of the last 5 min, and numbers of prints and
    stamps of the first (0: none) of the last 10 s, one value a second. `second_...` are those of
    the current second; `given_by_second` tells whether the feed gave all aggressors. `floors` are
    the q99 of the open events.
    """

    volumes: list[FloatArray] = field(default_factory=_volumes)
    prints: list[IntArray] = field(default_factory=_counts)
    first_stamps: list[FloatArray] = field(default_factory=_volumes)
    given_by_second: IntArray = field(default_factory=int_array)
    second_volumes: list[float] = field(default_factory=lambda: [0.0, 0.0])
    second_prints: list[int] = field(default_factory=lambda: [0, 0])
    second_stamps: list[float] = field(default_factory=lambda: [0.0, 0.0])
    second_is_given: bool = True
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
        side = resting_side(sign.aggressor)
        self.second_volumes[side] += trade.size
        if not self.second_prints[side]:
            self.second_stamps[side] = trade.stamp
        self.second_prints[side] += 1
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
        """Move the current second's prints into the last 10 s and 5 min."""
        for side in (0, 1):
            volumes, prints, stamps = self.volumes[side], self.prints[side], self.first_stamps[side]
            volumes.append(self.second_volumes[side])
            prints.append(self.second_prints[side])
            stamps.append(self.second_stamps[side])
            if len(volumes) > WINDOW_SECONDS:
                del volumes[0]
            if len(prints) > FLOW_SECONDS:
                del prints[0], stamps[0]
        self.given_by_second.append(self.second_is_given)
        if len(self.given_by_second) > FLOW_SECONDS:
            del self.given_by_second[0]
        self.second_volumes, self.second_prints = [0.0, 0.0], [0, 0]
        self.second_stamps, self.second_is_given = [0.0, 0.0], True

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
                opened_at=self._first_stamp(side),
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
        is_enough = sum(self.prints[side]) >= MIN_PRINTS
        return is_enough and along >= MIN_ONE_SIDED_SHARE * self._volume_of_both()

    def _volume_of_both(self) -> float:
        return sum_in_order(self.volumes[0][-FLOW_SECONDS:]) + sum_in_order(
            self.volumes[1][-FLOW_SECONDS:]
        )

    def _first_stamp(self, side: int) -> float:
        """Return the stamp of the first print of the last 10 s that took a side."""
        for stamp in self.first_stamps[side]:
            if stamp:
                return stamp
        return 0.0

    @property
    def _evidence_class(self) -> str:
        return "A" if all(self.given_by_second) else "B"

    def _evidence(self, context: DetectorContext, side: int, along: float) -> Evidence:
        volume = sum_in_order(self.volumes[side][-FLOW_SECONDS:])
        evidence: Evidence = {
            "volume_shares": volume,
            "floor_shares": self.floors[side],
            "prints": sum(self.prints[side]),
            "one_sided_share": along / self._volume_of_both(),
            "window_share": volume / sum_in_order(self.volumes[side]),
        }
        move = context.baselines.mid_move(FLOW_SECONDS)
        if move is not None:
            evidence["mid_move"] = move / context.units_per_one
        return evidence
