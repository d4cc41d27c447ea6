"""Detect walls: unusually large size that stays at a best price."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.baselines import Thresholds
from app.analysis.detector_context import NEVER, DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, Visit, is_better, resting_side

HOLD_MS: Final = 2000.0
MIN_MEDIANS: Final = 3.0
MIN_REMAINING_RATIO: Final = 0.5
MIN_CONSUMED_SHARE: Final = 0.75
MAX_PULLED_SHARE: Final = 0.25


@dataclass(slots=True)
class Standing:
    """Large size in one visit, from `since` on; sizes in shares.

    `threshold` and `median` are as of `since`, `first_threshold` as of the visit's first large
    size. `peak` is the largest size, `traded` and `removed` what left it since.
    """

    since: float
    threshold: float
    median: float
    first_threshold: float
    peak: float = 0.0
    traded: float = 0.0
    removed: float = 0.0
    is_waiting: bool = True
    is_open: bool = False


@dataclass(slots=True)
class Walls(Detector):
    """Opens an event where size stays over the side's q95 and 3 medians for 2 s.

    `thresholds` are the sides' least wall sizes in the current second, empty until needed.
    """

    sides: list[Standing | None] = field(default_factory=lambda: [None, None])
    thresholds: list[float] = field(default_factory=list)

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "wall"

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Check the size of a new best price."""
        self._start_or_update(context, side, visit, visit.since)

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Check the changed size at an unchanged best price."""
        wall = self.sides[side]
        if wall is not None and visit.size < before:
            wall.removed += before - visit.size
            self._check_threshold(context, side, visit, stamp, wall)
        else:
            self._start_or_update(context, side, visit, stamp)

    def _start_or_update(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float
    ) -> None:
        """Begin large size where the threshold is reached, or update its peak and event."""
        wall = self.sides[side]
        if wall is not None:
            wall.peak = max(wall.peak, visit.size)
        if wall is None or not (wall.is_waiting or wall.is_open):
            threshold = (self.thresholds or self._current_thresholds(context))[side]
            if visit.size < threshold:
                return
            median = context.thresholds.median_size[side] or 0.0
            first_threshold = threshold if wall is None else wall.first_threshold
            peak = visit.size if wall is None else wall.peak
            wall = self.sides[side] = Standing(stamp, threshold, median, first_threshold, peak)
            self.request_timer(context, stamp + HOLD_MS)
        if wall.is_open:
            self._update(context, side, visit, stamp, wall)

    def _current_thresholds(self, context: DetectorContext) -> list[float]:
        """Compute the current second's wall thresholds of both sides."""
        self.thresholds = [_wall_threshold(context.thresholds, side) for side in range(2)]
        return self.thresholds

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Discard the thresholds: they change now, and are computed when next needed."""
        self.thresholds = []

    def _check_threshold(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, wall: Standing
    ) -> None:
        """Close the event, or restart the waiting, where the size fell below a threshold."""
        if wall.is_open:
            self._update(context, side, visit, stamp, wall)
            if visit.size < MIN_REMAINING_RATIO * wall.threshold:
                wall.is_open = False
                self._close(context, side, visit, stamp, self._close_reason(context, wall))
        elif not wall.is_waiting or visit.size < wall.threshold:
            wall.is_waiting = False
            self._start_or_update(context, side, visit, stamp)

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Add a trade at a wall's price to its traded size."""
        if sign.aggressor == UNSIGNED:
            return
        side = resting_side(sign.aggressor)
        wall, visit = self.sides[side], context.visits[side]
        if wall is not None and visit is not None and trade.price == visit.price:
            wall.traded += trade.size
            if wall.is_open:
                self._update(context, side, visit, trade.stamp, wall)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Open an event for large size that stayed for 2 s."""
        for side in (0, 1):
            wall, visit = self.sides[side], context.visits[side]
            if wall is None or visit is None or not wall.is_waiting:
                continue
            due = wall.since + HOLD_MS
            if due > at:
                self.request_timer(context, due)
                continue
            wall.is_waiting, wall.is_open = False, True
            context.events.open_or_extend(self._opening(side, visit, wall, due))

    def _opening(self, side: int, visit: Visit, wall: Standing, at: float) -> Opening:
        return Opening(
            type="wall",
            side=SIDE_NAMES[side],
            opened_at=wall.since,
            completed_at=at,
            statistic=wall.peak / wall.threshold,
            threshold=1.0,
            evidence_class="C",
            evidence=_wall_evidence(wall),
            price_low=visit.price,
            price_high=visit.price,
            key=visit.key(side),
        )

    def _update(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, wall: Standing
    ) -> None:
        event = context.events.find("wall", visit.key(side))
        if event is not None:
            context.events.update(event, stamp, wall.peak / wall.threshold, _wall_evidence(wall))

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Close the visit's event, and add it as a candidate."""
        wall = self.sides[side]
        if wall is None:
            return
        self.sides[side] = None
        is_improved = to is not None and is_better(side, to, visit.price)
        if not is_improved:
            wall.removed += visit.size
        if wall.is_open:
            self._update(context, side, visit, stamp, wall)
            reason = "improved" if is_improved else self._close_reason(context, wall)
            self._close(context, side, visit, stamp, reason)
        context.events.candidates_of("wall").add_candidate(stamp, wall.peak / wall.first_threshold)

    def _close_reason(self, context: DetectorContext, wall: Standing) -> str:
        """Return why a wall ended, by the share of the removed size that was traded."""
        if not context.trades_seen:
            return "removed"
        share = wall.traded / wall.removed if wall.removed else 0.0
        if share >= MIN_CONSUMED_SHARE:
            return "consumed"
        return "pulled" if share < MAX_PULLED_SHARE else "faded"

    def _close(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, reason: str
    ) -> None:
        event = context.events.find("wall", visit.key(side))
        if event is not None:
            context.events.schedule_close(event, stamp, reason)


def _wall_threshold(thresholds: Thresholds, side: int) -> float:
    """Return the least size of a wall, infinite while unknown."""
    large, median = thresholds.large_size[side], thresholds.median_size[side]
    return NEVER if large is None or median is None else max(large, MIN_MEDIANS * median)


def _wall_evidence(wall: Standing) -> Evidence:
    return {
        "size_shares": wall.peak,
        "threshold_shares": wall.threshold,
        "median_shares": wall.median,
        "traded_shares": wall.traded,
        "removed_shares": wall.removed,
    }
