"""Detect absorption: taker volume that usually moves the price, and did not."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.quantiles import (
    FloatArray,
    IntArray,
    float_array,
    int_array,
)
from app.analysis.records import BID, UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, is_better

FLOW_SECONDS: Final = 30
MIN_FLOW_RATIO: Final = 1.5
FADED_FLOW_RATIO: Final = 0.75
MAX_MOVE_RATIO: Final = 0.25
MIN_USUAL_MOVE_RATIO: Final = 0.5
MIN_LEVEL_SHARE: Final = 0.7
MIN_LEVEL_MEDIANS: Final = 3.0


@dataclass(slots=True)
class TakerFlow:
    """Signed taker volume of the last 30 s, its usual size, and its expected and actual move.

    `usual_move` is the median move of 30 s, whatever was traded.
    """

    shares: float
    usual_shares: float
    direction: int
    expected_move: float
    actual_move: float
    usual_move: float
    level_price: int
    level_shares: float
    taken_shares: float
    displayed_shares: float

    @property
    def is_absorbed(self) -> bool:
        """Return whether a move was due and did not come, and most volume traded at one price."""
        return (
            self.expected_move >= MIN_USUAL_MOVE_RATIO * self.usual_move
            and self.actual_move <= MAX_MOVE_RATIO * self.expected_move
            and self.level_shares >= MIN_LEVEL_SHARE * self.taken_shares
        )

    def evidence(self, tick: int) -> Evidence:
        """Return the event's evidence."""
        return {
            "flow_shares": self.shares,
            "usual_flow_shares": self.usual_shares,
            "expected_ticks": self.expected_move / tick,
            "moved_ticks": self.actual_move / tick,
            "usual_move_ticks": self.usual_move / tick,
            "level_shares": self.level_shares,
            "level_share": self.level_shares / self.taken_shares,
            "displayed_shares": self.displayed_shares,
        }


@dataclass(slots=True)
class Run:
    """A candidate: strong flow in one direction, with the usual flow when it began."""

    direction: int
    usual_shares: float
    peak: float


@dataclass(slots=True)
class Watch:
    """Values fixed when an event opened or continued."""

    level_price: int
    usual_shares: float


@dataclass(slots=True)
class Absorption(Detector):
    """Compares each second the taker flow with the price move and the price at which it traded.

    `second_volume` is the current second's taker volume by signed price: negative for sell
    aggressors. `volume_by_price` is that of the last 30 s, as alternating signed prices and shares;
    `prices_per_second` is how many pairs each second has, `given_by_second` whether the feed gave
    all its aggressors.
    """

    second_volume: dict[int, float] = field(default_factory=dict)
    volume_by_price: FloatArray = field(default_factory=float_array)
    prices_per_second: IntArray = field(default_factory=int_array)
    second_is_given: bool = True
    given_by_second: IntArray = field(default_factory=int_array)
    run: Run | None = None
    watches: list[Watch | None] = field(default_factory=lambda: [None, None])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "absorption"

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Add a trade to the volume at its signed price."""
        if sign.aggressor != UNSIGNED:
            signed_price = trade.price * sign.aggressor
            self.second_volume[signed_price] = (
                self.second_volume.get(signed_price, 0.0) + trade.size
            )
            self.second_is_given = self.second_is_given and sign.is_given

    @property
    def _evidence_class(self) -> str:
        return "A" if all(self.given_by_second) else "B"

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Update the candidate, then close, update or open events."""
        self._shift_second()
        shares = context.baselines.flow_30s
        direction = (shares > 0) - (shares < 0)
        self._follow_run(context, end, shares, direction)
        for side in (0, 1):
            if not self._follow_event(context, side, end, shares, direction):
                continue
            if direction == (-1 if side == BID else 1):
                self._open_if_absorbed(context, side, end, shares, direction)

    def _shift_second(self) -> None:
        """Move the current second's volume into the last 30 s."""
        for signed_price, size in self.second_volume.items():
            self.volume_by_price.extend((signed_price, size))
        self.prices_per_second.append(len(self.second_volume))
        self.given_by_second.append(self.second_is_given)
        self.second_volume, self.second_is_given = {}, True
        if len(self.prices_per_second) > FLOW_SECONDS:
            del self.volume_by_price[: 2 * self.prices_per_second[0]]
            del self.prices_per_second[0], self.given_by_second[0]

    def _follow_run(
        self, context: DetectorContext, end: int, shares: float, direction: int
    ) -> None:
        """End, update or begin the candidate."""
        run = self.run
        if run is not None and (
            direction != run.direction or abs(shares) < FADED_FLOW_RATIO * run.usual_shares
        ):
            context.events.candidates_of("absorption").add_candidate(end, run.peak)
            run = self.run = None
        usual_shares = context.thresholds.flow
        if run is not None:
            run.peak = max(run.peak, abs(shares) / run.usual_shares)
        elif usual_shares and abs(shares) >= MIN_FLOW_RATIO * usual_shares:
            self.run = Run(direction, usual_shares, abs(shares) / usual_shares)

    def _follow_event(
        self, context: DetectorContext, side: int, end: int, shares: float, direction: int
    ) -> bool:
        """Close or update the side's event; return False in the second that closes it."""
        watch = self.watches[side]
        event = context.events.find("absorption", SIDE_NAMES[side])
        if watch is None or event is None:
            return True
        price = context.best_price(side)
        reason = None
        if price is not None and is_better(side, watch.level_price, price):
            reason = "broke"
        elif direction == (1 if side == BID else -1):
            reason = "turned"
        elif abs(shares) < FADED_FLOW_RATIO * watch.usual_shares:
            reason = "faded"
        if reason is not None:
            context.events.schedule_close(event, end, reason)
            return False
        if abs(shares) / watch.usual_shares > event.statistic:
            flow = self._taker_flow(context, side, shares, direction, watch.usual_shares)
            if flow is not None:
                context.events.lower_evidence_class(event, end, self._evidence_class)
                statistic = abs(shares) / watch.usual_shares
                context.events.update(event, end, statistic, flow.evidence(context.tick_size.size))
        return True

    def _open_if_absorbed(
        self, context: DetectorContext, side: int, end: int, shares: float, direction: int
    ) -> None:
        """Open an event where strong flow met one price and did not move it."""
        usual_shares = context.thresholds.flow
        if not usual_shares or abs(shares) < MIN_FLOW_RATIO * usual_shares:
            return
        flow = self._taker_flow(context, side, shares, direction, usual_shares)
        median_size = context.thresholds.median_size[side]
        if (
            flow is None
            or not median_size
            or flow.level_shares < MIN_LEVEL_MEDIANS * median_size
            or not flow.is_absorbed
        ):
            return
        if context.events.find("absorption", SIDE_NAMES[side]) is not None:
            return
        self.watches[side] = Watch(flow.level_price, usual_shares)
        context.events.open_or_extend(
            Opening(
                type="absorption",
                side=SIDE_NAMES[side],
                opened_at=max(float(end - FLOW_SECONDS * SECOND_MS), context.first_stamp),
                completed_at=end,
                statistic=abs(shares) / usual_shares,
                threshold=MIN_FLOW_RATIO,
                evidence_class=self._evidence_class,
                evidence=flow.evidence(context.tick_size.size),
                price_low=flow.level_price,
                price_high=flow.level_price,
                is_of_peak=True,
            )
        )

    def _taker_flow(
        self,
        context: DetectorContext,
        side: int,
        shares: float,
        direction: int,
        usual_shares: float,
    ) -> TakerFlow | None:
        """Return the flow at a side's best price, None while a part of it is unknown."""
        impact = context.thresholds.impact
        visit = context.visits[side]
        move, usual_move = context.baselines.mid_move(FLOW_SECONDS), context.thresholds.move_30s
        if (
            not impact
            or impact < 0
            or not context.tick_size.size
            or visit is None
            or move is None
            or usual_move is None
        ):
            return None
        level_shares = all_shares = 0.0
        # As a float, like those that it is compared with: large prices may be rounded in both.
        level_price = float(visit.price * direction)
        for signed_price, size in zip(
            self.volume_by_price[::2], self.volume_by_price[1::2], strict=True
        ):
            if signed_price * direction > 0:
                all_shares += size
                level_shares += size if signed_price == level_price else 0.0
        return TakerFlow(
            shares=shares,
            usual_shares=usual_shares,
            direction=direction,
            expected_move=impact * abs(shares),
            actual_move=move * direction,
            usual_move=usual_move,
            level_price=visit.price,
            level_shares=level_shares,
            taken_shares=all_shares,
            displayed_shares=visit.size,
        )
