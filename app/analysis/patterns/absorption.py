"""Absorption: taker volume that usually moves the price, and did not."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.quantiles import FloatArray, IntArray, float_array, int_array
from app.analysis.records import BID, UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, is_better

FLOW_SECONDS: Final = 30
STRONG: Final = 1.5
FADED: Final = 0.75
YIELDED: Final = 0.25
AT_LEVEL: Final = 0.7
TOUCHES: Final = 3.0


@dataclass(slots=True)
class TakerFlow:
    """The last 30 s of taking, against what is usual and what met it."""

    shares: float
    usual: float
    direction: int
    expected: float
    moved: float
    level: int
    level_shares: float
    taken_shares: float
    displayed: float

    @property
    def is_absorbed(self) -> bool:
        """Tell whether the price yielded little, and most of the flow met one price."""
        return (
            self.moved <= YIELDED * self.expected
            and self.level_shares >= AT_LEVEL * self.taken_shares
        )

    def evidence(self, tick: int) -> Evidence:
        """Return what is shown of it."""
        return {
            "flow_shares": self.shares,
            "usual_flow_shares": self.usual,
            "expected_ticks": self.expected / tick,
            "moved_ticks": self.moved / tick,
            "level_shares": self.level_shares,
            "level_share": self.level_shares / self.taken_shares,
            "displayed_shares": self.displayed,
        }


@dataclass(slots=True)
class Run:
    """A candidate: strong flow one way, with the usual flow as it was when it began."""

    direction: int
    usual: float
    peak: float


@dataclass(slots=True)
class Watch:
    """What an event froze when it opened or went on."""

    level: int
    usual: float


@dataclass(slots=True)
class Absorption(Detector):
    """Compares, each second, flow with the move that it should have made and where it was met.

    `current` is the running second's taking by price, sellers' prices negative; `taken` that of the
    30 s before, price and shares in turn; `prices` tells at how many prices each of them was.
    """

    current: dict[int, float] = field(default_factory=dict)
    taken: FloatArray = field(default_factory=float_array)
    prices: IntArray = field(default_factory=int_array)
    mids: IntArray = field(default_factory=int_array)
    current_given: bool = True
    given: IntArray = field(default_factory=int_array)
    run: Run | None = None
    watches: list[Watch | None] = field(default_factory=lambda: [None, None])

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "absorption"

    def on_trade(self, context: DetectorContext, trade: Trade, side: TradeSign) -> None:
        """Add the print to its taker's volume at its price; sellers' prices count negative."""
        if side.aggressor != UNSIGNED:
            at = trade.price * side.aggressor
            self.current[at] = self.current.get(at, 0.0) + trade.size
            self.current_given = self.current_given and side.is_given

    @property
    def _evidence_class(self) -> str:
        return "A" if all(self.given) else "B"

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Follow the flow: its candidate, the open events, and whether one opens."""
        self._push(_mid2(context))
        shares = context.baselines.flow_30s
        direction = (shares > 0) - (shares < 0)
        self._follow_run(context, end, shares, direction)
        for side in (0, 1):
            if not self._follow_event(context, side, end, shares, direction):
                continue
            if direction == (-1 if side == BID else 1):
                self._look(context, side, end, shares, direction)

    def _push(self, mid2: int) -> None:
        for at, size in self.current.items():
            self.taken.extend((at, size))
        self.prices.append(len(self.current))
        self.given.append(self.current_given)
        self.current, self.current_given = {}, True
        self.mids.append(mid2)
        if len(self.prices) > FLOW_SECONDS:
            del self.taken[: 2 * self.prices[0]]
            del self.prices[0], self.given[0]
        if len(self.mids) > FLOW_SECONDS + 1:
            del self.mids[0]

    def _follow_run(
        self, context: DetectorContext, end: int, shares: float, direction: int
    ) -> None:
        run = self.run
        if run is not None and (direction != run.direction or abs(shares) < FADED * run.usual):
            context.events.of_type("absorption").add_candidate(end, run.peak)
            run = self.run = None
        usual = context.thresholds.flow
        if run is not None:
            run.peak = max(run.peak, abs(shares) / run.usual)
        elif usual and abs(shares) >= STRONG * usual:
            self.run = Run(direction, usual, abs(shares) / usual)

    def _follow_event(
        self, context: DetectorContext, side: int, end: int, shares: float, direction: int
    ) -> bool:
        """Close the side's event where it is over; False in the second that closes it."""
        watch = self.watches[side]
        event = context.events.find("absorption", SIDE_NAMES[side])
        if watch is None or event is None:
            return True
        price = context.best_price(side)
        reason = None
        if price is not None and is_better(side, watch.level, price):
            reason = "broke"
        elif direction == (1 if side == BID else -1):
            reason = "turned"
        elif abs(shares) < FADED * watch.usual:
            reason = "faded"
        if reason is not None:
            context.events.schedule_close(event, end, reason)
            return False
        if abs(shares) / watch.usual > event.statistic:
            flow = self._flow(context, side, shares, direction, watch.usual)
            if flow is not None:
                context.events.lower_class(event, end, self._evidence_class)
                statistic = abs(shares) / watch.usual
                context.events.update(event, end, statistic, flow.evidence(context.tick_size.size))
        return True

    def _look(
        self, context: DetectorContext, side: int, end: int, shares: float, direction: int
    ) -> None:
        usual = context.thresholds.flow
        if not usual or abs(shares) < STRONG * usual:
            return
        flow = self._flow(context, side, shares, direction, usual)
        touch = context.thresholds.median_size[side]
        if flow is None or not touch or flow.level_shares < TOUCHES * touch or not flow.is_absorbed:
            return
        if context.events.find("absorption", SIDE_NAMES[side]) is not None:
            return
        self.watches[side] = Watch(flow.level, usual)
        context.events.open_or_extend(
            Opening(
                type="absorption",
                side=SIDE_NAMES[side],
                opened_at=max(float(end - FLOW_SECONDS * SECOND_MS), context.first_stamp),
                completed_at=end,
                statistic=abs(shares) / usual,
                threshold=STRONG,
                evidence_class=self._evidence_class,
                evidence=flow.evidence(context.tick_size.size),
                price_low=flow.level,
                price_high=flow.level,
                key=SIDE_NAMES[side],
            )
        )

    def _flow(
        self, context: DetectorContext, side: int, shares: float, direction: int, usual: float
    ) -> TakerFlow | None:
        impact = context.thresholds.impact
        visit = context.visits[side]
        unknown = len(self.mids) <= FLOW_SECONDS or not self.mids[0] or not self.mids[-1]
        if not impact or impact < 0 or not context.tick_size.size or visit is None or unknown:
            return None
        at_level = all_taken = 0.0
        for at, size in zip(self.taken[::2], self.taken[1::2], strict=True):
            if at * direction > 0:
                all_taken += size
                at_level += size if at == visit.price * direction else 0.0
        return TakerFlow(
            shares=shares,
            usual=usual,
            direction=direction,
            expected=impact * abs(shares),
            moved=(self.mids[-1] - self.mids[0]) / 2 * direction,
            level=visit.price,
            level_shares=at_level,
            taken_shares=all_taken,
            displayed=visit.size,
        )


def _mid2(context: DetectorContext) -> int:
    valid = context.standing_quote.valid
    return 0 if valid is None else valid.bid_price + valid.ask_price
