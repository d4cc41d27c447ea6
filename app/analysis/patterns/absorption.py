"""Strong one-sided flow that a price takes without giving way, and its quotes-only hint."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import Scene
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.quantiles import Numbers, Wholes, numbers, wholes
from app.analysis.records import BID, UNSIGNED, Trade
from app.analysis.standing_quote import Side
from app.analysis.touch import SIDE_NAMES, Visit, is_better

FLOW_SECONDS: Final = 30
STRONG: Final = 1.5
FADED: Final = 0.75
YIELDED: Final = 0.25
AT_LEVEL: Final = 0.7
TOUCHES: Final = 3.0
SUSPECTED_AGE_MS: Final = 2000.0
SUSPECTED_DECREASE: Final = 3.0
SUSPECTED_REGAIN: Final = 0.7
SUSPECTED_MS: Final = 60_000.0


@dataclass(slots=True)
class Flow:
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
    taken: Numbers = field(default_factory=numbers)
    prices: Wholes = field(default_factory=wholes)
    mids: Wholes = field(default_factory=wholes)
    current_given: bool = True
    given: Wholes = field(default_factory=wholes)
    run: Run | None = None
    watches: list[Watch | None] = field(default_factory=lambda: [None, None])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "absorption"

    def printed(self, scene: Scene, trade: Trade, side: Side) -> None:
        """Add the print to its taker's volume at its price; sellers' prices count negative."""
        if side.taker != UNSIGNED:
            at = trade.price * side.taker
            self.current[at] = self.current.get(at, 0.0) + trade.size
            self.current_given = self.current_given and side.is_given

    @property
    def _evidence_class(self) -> str:
        return "A" if all(self.given) else "B"

    def second(self, scene: Scene, end: int) -> None:
        """Follow the flow: its candidate, the open events, and whether one opens."""
        self._push(_mid2(scene))
        shares = scene.usual.flow_30s
        direction = (shares > 0) - (shares < 0)
        self._follow_run(scene, end, shares, direction)
        for side in (0, 1):
            if not self._follow_event(scene, side, end, shares, direction):
                continue
            if direction == (-1 if side == BID else 1):
                self._look(scene, side, end, shares, direction)

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

    def _follow_run(self, scene: Scene, end: int, shares: float, direction: int) -> None:
        run = self.run
        if run is not None and (direction != run.direction or abs(shares) < FADED * run.usual):
            scene.events.of_type("absorption").ended(end, run.peak)
            run = self.run = None
        usual = scene.past.flow
        if run is not None:
            run.peak = max(run.peak, abs(shares) / run.usual)
        elif usual and abs(shares) >= STRONG * usual:
            self.run = Run(direction, usual, abs(shares) / usual)

    def _follow_event(
        self, scene: Scene, side: int, end: int, shares: float, direction: int
    ) -> bool:
        """Close the side's event where it is over; False in the second that closes it."""
        watch = self.watches[side]
        event = scene.events.find("absorption", SIDE_NAMES[side])
        if watch is None or event is None:
            return True
        price = scene.price(side)
        reason = None
        if price is not None and is_better(side, watch.level, price):
            reason = "broke"
        elif direction == (1 if side == BID else -1):
            reason = "turned"
        elif abs(shares) < FADED * watch.usual:
            reason = "faded"
        if reason is not None:
            scene.events.closing(event, end, reason)
            return False
        if abs(shares) / watch.usual > event.statistic:
            flow = self._flow(scene, side, shares, direction, watch.usual)
            if flow is not None:
                scene.events.downgraded(event, end, self._evidence_class)
                statistic = abs(shares) / watch.usual
                scene.events.updated(event, end, statistic, flow.evidence(scene.tick.size))
        return True

    def _look(self, scene: Scene, side: int, end: int, shares: float, direction: int) -> None:
        usual = scene.past.flow
        if not usual or abs(shares) < STRONG * usual:
            return
        flow = self._flow(scene, side, shares, direction, usual)
        touch = scene.past.median_size[side]
        if flow is None or not touch or flow.level_shares < TOUCHES * touch or not flow.is_absorbed:
            return
        if scene.events.find("absorption", SIDE_NAMES[side]) is not None:
            return
        self.watches[side] = Watch(flow.level, usual)
        scene.events.opened(
            Opening(
                type="absorption",
                side=SIDE_NAMES[side],
                opened_at=max(float(end - FLOW_SECONDS * SECOND_MS), scene.first_stamp),
                completed_at=end,
                statistic=abs(shares) / usual,
                threshold=STRONG,
                evidence_class=self._evidence_class,
                evidence=flow.evidence(scene.tick.size),
                price_low=flow.level,
                price_high=flow.level,
                key=SIDE_NAMES[side],
            )
        )

    def _flow(
        self, scene: Scene, side: int, shares: float, direction: int, usual: float
    ) -> Flow | None:
        impact = scene.past.impact
        visit = scene.visits[side]
        unknown = len(self.mids) <= FLOW_SECONDS or not self.mids[0] or not self.mids[-1]
        if not impact or impact < 0 or not scene.tick.size or visit is None or unknown:
            return None
        at_level = all_taken = 0.0
        for at, size in zip(self.taken[::2], self.taken[1::2], strict=True):
            if at * direction > 0:
                all_taken += size
                at_level += size if at == visit.price * direction else 0.0
        return Flow(
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


def _mid2(scene: Scene) -> int:
    valid = scene.market.valid
    return 0 if valid is None else valid.bid_price + valid.ask_price


@dataclass(slots=True)
class SuspectedAbsorption(Detector):
    """A best price that loses and regains several times its size, where no trades come."""

    is_open: list[bool] = field(default_factory=lambda: [False, False])
    is_spent: list[bool] = field(default_factory=lambda: [False, False])
    closes_at: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "absorption_suspected"

    @property
    def is_needed(self) -> bool:
        """Tell whether one is open still: none opens where trades come."""
        return any(self.is_open)

    def entered(self, scene: Scene, side: int, visit: Visit) -> None:
        """Wait for the visit to be 2 s old."""
        self.is_open[side] = self.is_spent[side] = False
        self.wake(scene, visit.since + SUSPECTED_AGE_MS)

    def resized(self, scene: Scene, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Look again, once the visit is old enough."""
        if self.is_open[side] or visit.decreased >= SUSPECTED_DECREASE * visit.start_size:
            self._look(scene, side, visit, stamp)

    def timed(self, scene: Scene, at: float) -> None:
        """Look at a visit that is 2 s old; close an event after 60 s."""
        for side in (0, 1):
            visit = scene.visits[side]
            if visit is None:
                continue
            due = visit.since + SUSPECTED_AGE_MS
            if due > at:
                self.wake(scene, due)
            elif due == at:
                self._look(scene, side, visit, at)
            if self.is_open[side]:
                self._time_out(scene, side, visit, at)

    def _time_out(self, scene: Scene, side: int, visit: Visit, at: float) -> None:
        if self.closes_at[side] > at:
            self.wake(scene, self.closes_at[side])
            return
        self._close(scene, side, visit, self.closes_at[side], "elapsed")

    def _look(self, scene: Scene, side: int, visit: Visit, at: float) -> None:
        old_enough = at - visit.since >= SUSPECTED_AGE_MS
        if not old_enough or self.is_spent[side]:
            return
        touch = scene.past.median_size[side]
        enough = (
            touch is not None
            and visit.decreased >= SUSPECTED_DECREASE * max(visit.start_size, touch)
            and visit.increased >= SUSPECTED_REGAIN * visit.decreased
        )
        statistic = visit.decreased / visit.start_size
        evidence: Evidence = {
            "start_shares": visit.start_size,
            "decreased_shares": visit.decreased,
            "increased_shares": visit.increased,
            "age_seconds": (at - visit.since) / SECOND_MS,
        }
        if self.is_open[side]:
            event = scene.events.find("absorption_suspected", visit.key(side))
            if event is not None:
                scene.events.updated(event, at, statistic, evidence)
        elif enough and not scene.trades_seen:
            self.is_open[side] = True
            scene.events.opened(self._opening(side, visit, at, statistic, evidence))
            self.closes_at[side] = at + SUSPECTED_MS
            self.wake(scene, self.closes_at[side])

    def _opening(
        self, side: int, visit: Visit, at: float, statistic: float, evidence: Evidence
    ) -> Opening:
        return Opening(
            type="absorption_suspected",
            side=SIDE_NAMES[side],
            opened_at=visit.since,
            completed_at=at,
            statistic=statistic,
            threshold=SUSPECTED_DECREASE,
            evidence_class="C",
            evidence=evidence,
            price_low=visit.price,
            price_high=visit.price,
            key=visit.key(side),
        )

    def left(self, scene: Scene, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """End with the visit."""
        old_enough = stamp - visit.since >= SUSPECTED_AGE_MS
        if not scene.trades_seen and old_enough and visit.decreased >= visit.start_size:
            peak = visit.decreased / visit.start_size
            scene.events.of_type("absorption_suspected").ended(stamp, peak)
        if self.is_open[side]:
            self._close(scene, side, visit, stamp, "level_lost")

    def _close(self, scene: Scene, side: int, visit: Visit, at: float, reason: str) -> None:
        self.is_open[side], self.is_spent[side] = False, True
        event = scene.events.find("absorption_suspected", visit.key(side))
        if event is not None:
            scene.events.closing(event, at, reason)
