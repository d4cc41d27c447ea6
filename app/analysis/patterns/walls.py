"""Size that stands at the best price: walls, stacking, and size that is pulled."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.baselines import InForce
from app.analysis.detector_context import NEVER, Scene
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import UNSIGNED, Quote, Trade
from app.analysis.standing_quote import Side
from app.analysis.touch import SIDE_NAMES, Visit, is_better, taken_side

HOLD_MS: Final = 2000.0
WALL_MEDIANS: Final = 3.0
WALL_OFF: Final = 0.5
CONSUMED: Final = 0.75
PULLED: Final = 0.25
STACKED: Final = 2.0
UNSTACKED: Final = 1.25
PULLED_SHARE: Final = 0.5
RESTORED: Final = 0.8
RESTORE_MS: Final = 500.0
PULLING_MS: Final = 5000.0


@dataclass(slots=True)
class Standing:
    """Great size in one visit: since when, over which threshold, and what came off it."""

    since: float
    floor: float
    median: float
    first_floor: float
    peak: float = 0.0
    traded: float = 0.0
    removed: float = 0.0
    is_waiting: bool = True
    is_open: bool = False


@dataclass(slots=True)
class Walls(Detector):
    """Opens where size stays over the side's own q95 and 3 medians for 2 s."""

    sides: list[Standing | None] = field(default_factory=lambda: [None, None])
    floors: list[float] = field(default_factory=list)

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "wall"

    def entered(self, scene: Scene, side: int, visit: Visit) -> None:
        """Look at a new best price."""
        self._grow(scene, side, visit, visit.since)

    def resized(self, scene: Scene, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Follow the size at an unchanged best price."""
        wall = self.sides[side]
        if wall is not None and visit.size < before:
            wall.removed += before - visit.size
            self._shrink(scene, side, visit, stamp, wall)
        else:
            self._grow(scene, side, visit, stamp)

    def _grow(self, scene: Scene, side: int, visit: Visit, stamp: float) -> None:
        wall = self.sides[side]
        if wall is not None:
            wall.peak = max(wall.peak, visit.size)
        if wall is None or not (wall.is_waiting or wall.is_open):
            floor = (self.floors or self._renewed_floors(scene))[side]
            if visit.size < floor:
                return
            median = scene.past.median_size[side] or 0.0
            first = floor if wall is None else wall.first_floor
            peak = visit.size if wall is None else wall.peak
            wall = self.sides[side] = Standing(stamp, floor, median, first, peak)
            self.wake(scene, stamp + HOLD_MS)
        if wall.is_open:
            self._update(scene, side, visit, stamp, wall)

    def _renewed_floors(self, scene: Scene) -> list[float]:
        self.floors = [_floor(scene.past, side) for side in range(2)]
        return self.floors

    def second(self, scene: Scene, end: int) -> None:
        """Let the next size ask for the thresholds that come into force now."""
        self.floors = []

    def _shrink(self, scene: Scene, side: int, visit: Visit, stamp: float, wall: Standing) -> None:
        if wall.is_open:
            self._update(scene, side, visit, stamp, wall)
            if visit.size < WALL_OFF * wall.floor:
                wall.is_open = False
                self._close(scene, side, visit, stamp, self._reason(scene, wall))
        elif not wall.is_waiting or visit.size < wall.floor:
            wall.is_waiting = False
            self._grow(scene, side, visit, stamp)

    def printed(self, scene: Scene, trade: Trade, side: Side) -> None:
        """Count what takers print at a wall's price."""
        if side.taker == UNSIGNED:
            return
        taken = taken_side(side.taker)
        wall, visit = self.sides[taken], scene.visits[taken]
        if wall is not None and visit is not None and trade.price == visit.price:
            wall.traded += trade.size
            if wall.is_open:
                self._update(scene, taken, visit, trade.stamp, wall)

    def timed(self, scene: Scene, at: float) -> None:
        """Open what has stood for 2 s."""
        for side in (0, 1):
            wall, visit = self.sides[side], scene.visits[side]
            if wall is None or visit is None or not wall.is_waiting:
                continue
            due = wall.since + HOLD_MS
            if due > at:
                self.wake(scene, due)
                continue
            wall.is_waiting, wall.is_open = False, True
            scene.events.opened(self._opening(side, visit, wall, due))

    def _opening(self, side: int, visit: Visit, wall: Standing, at: float) -> Opening:
        return Opening(
            type="wall",
            side=SIDE_NAMES[side],
            opened_at=wall.since,
            completed_at=at,
            statistic=wall.peak / wall.floor,
            threshold=1.0,
            evidence_class="C",
            evidence=_wall_evidence(wall),
            price_low=visit.price,
            price_high=visit.price,
            key=visit.key(side),
        )

    def _update(self, scene: Scene, side: int, visit: Visit, stamp: float, wall: Standing) -> None:
        event = scene.events.find("wall", visit.key(side))
        if event is not None:
            scene.events.updated(event, stamp, wall.peak / wall.floor, _wall_evidence(wall))

    def left(self, scene: Scene, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """End with the visit."""
        wall = self.sides[side]
        if wall is None:
            return
        self.sides[side] = None
        improved = to is not None and is_better(side, to, visit.price)
        if not improved:
            wall.removed += visit.size
        if wall.is_open:
            self._update(scene, side, visit, stamp, wall)
            self._close(
                scene, side, visit, stamp, "improved" if improved else self._reason(scene, wall)
            )
        scene.events.of_type("wall").ended(stamp, wall.peak / wall.first_floor)

    def _reason(self, scene: Scene, wall: Standing) -> str:
        if not scene.trades_seen:
            return "removed"
        share = wall.traded / wall.removed if wall.removed else 0.0
        return "consumed" if share >= CONSUMED else "pulled" if share < PULLED else "faded"

    def _close(self, scene: Scene, side: int, visit: Visit, stamp: float, reason: str) -> None:
        event = scene.events.find("wall", visit.key(side))
        if event is not None:
            scene.events.closing(event, stamp, reason)


def _floor(past: InForce, side: int) -> float:
    """Return the least size of a wall, NEVER while that is unknown."""
    large, median = past.large_size[side], past.median_size[side]
    return NEVER if large is None or median is None else max(large, WALL_MEDIANS * median)


def _wall_evidence(wall: Standing) -> Evidence:
    return {
        "size_shares": wall.peak,
        "threshold_shares": wall.floor,
        "median_shares": wall.median,
        "traded_shares": wall.traded,
        "removed_shares": wall.removed,
    }


@dataclass(slots=True)
class Stack:
    """A visit that grew: its size at the start and at most, against the side's median."""

    start: float
    median: float
    peak: float
    is_open: bool = False


@dataclass(slots=True)
class Stacking(Detector):
    """Opens where a best price has twice its start size, and twice the usual one, at age 2 s."""

    looks_at: list[float] = field(default_factory=lambda: [NEVER, NEVER])
    stacks: list[Stack | None] = field(default_factory=lambda: [None, None])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "stacking"

    def entered(self, scene: Scene, side: int, visit: Visit) -> None:
        """Wait for the visit to be 2 s old."""
        self.looks_at[side] = visit.since + HOLD_MS
        self.wake(scene, self.looks_at[side])

    def timed(self, scene: Scene, at: float) -> None:
        """Look at visits that are 2 s old."""
        for side in (0, 1):
            if self.looks_at[side] > at:
                if self.looks_at[side] < NEVER:
                    self.wake(scene, self.looks_at[side])
                continue
            self.looks_at[side] = NEVER
            visit, median = scene.visits[side], scene.past.median_size[side]
            if visit is None or not median or visit.size <= visit.start_size:
                continue
            stack = self.stacks[side] = Stack(visit.start_size, median, visit.size)
            if visit.size >= STACKED * visit.start_size and visit.size >= STACKED * median:
                stack.is_open = True
                self._open(scene, side, visit, stack, visit.since + HOLD_MS)

    def _open(self, scene: Scene, side: int, visit: Visit, stack: Stack, at: float) -> None:
        scene.events.opened(
            Opening(
                type="stacking",
                side=SIDE_NAMES[side],
                opened_at=visit.since,
                completed_at=at,
                statistic=stack.peak / stack.median,
                threshold=STACKED,
                evidence_class="C",
                evidence=_stack_evidence(stack),
                price_low=visit.price,
                price_high=visit.price,
                key=visit.key(side),
            )
        )

    def resized(self, scene: Scene, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Follow a stack's size."""
        stack = self.stacks[side]
        if stack is None:
            return
        if visit.size > stack.peak:
            stack.peak = visit.size
            event = scene.events.find("stacking", visit.key(side)) if stack.is_open else None
            if event is not None:
                statistic = stack.peak / stack.median
                scene.events.updated(event, stamp, statistic, _stack_evidence(stack))
        elif stack.is_open and visit.size < UNSTACKED * stack.start:
            self._close(scene, side, visit, stamp, "faded")

    def left(self, scene: Scene, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """End with the visit."""
        self.looks_at[side] = NEVER
        stack = self.stacks[side]
        if stack is None:
            return
        improved = to is not None and is_better(side, to, visit.price)
        if stack.is_open:
            self._close(scene, side, visit, stamp, "improved" if improved else "lost")
        scene.events.of_type("stacking").ended(stamp, stack.peak / stack.median)
        self.stacks[side] = None

    def _close(self, scene: Scene, side: int, visit: Visit, stamp: float, reason: str) -> None:
        event = scene.events.find("stacking", visit.key(side))
        if event is not None:
            scene.events.closing(event, stamp, reason)
        stack = self.stacks[side]
        if stack is not None:
            stack.is_open = False


def _stack_evidence(stack: Stack) -> Evidence:
    return {
        "start_shares": stack.start,
        "size_shares": stack.peak,
        "median_shares": stack.median,
        "added_shares": stack.peak - stack.start,
    }


@dataclass(slots=True)
class Pull:
    """A removal that may yet be undone: what stood before, and until when to look."""

    price: int
    displayed: float
    noticed: int


@dataclass(slots=True, init=False)
class Shown:
    """The best price of a side and its size, as a second ended."""

    price: int
    size: float

    def __init__(self, price: int, size: float) -> None:
        self.price = price
        self.size = size


@dataclass(slots=True)
class Pulling(Detector):
    """Opens in seconds in which a side lost much displayed size that nothing traded away."""

    before: list[Shown | None] = field(default_factory=lambda: [None, None])
    pulls: list[Pull | None] = field(default_factory=lambda: [None, None])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "pulling"

    def quoted(self, scene: Scene, quote: Quote) -> None:
        """See whether what was removed is back."""
        for side, pull in enumerate(self.pulls):
            if pull is not None and quote.stamp <= pull.noticed + RESTORE_MS:
                self._restored(scene, side, pull, quote.stamp)

    def _restored(self, scene: Scene, side: int, pull: Pull, stamp: float) -> None:
        visit = scene.visits[side]
        if visit is None or is_better(side, pull.price, visit.price):
            return
        if visit.size >= RESTORED * pull.displayed:
            self._close(scene, side, stamp, "flicker")

    def timed(self, scene: Scene, at: float) -> None:
        """Close what was not restored."""
        for side in (0, 1):
            pull = self.pulls[side]
            if pull is None:
                continue
            due = pull.noticed + PULLING_MS
            if due <= at:
                self._close(scene, side, due, "elapsed")
            else:
                self.wake(scene, due)

    def _close(self, scene: Scene, side: int, at: float, reason: str) -> None:
        self.pulls[side] = None
        event = scene.events.find("pulling", SIDE_NAMES[side])
        if event is not None:
            scene.events.closing(event, at, reason)

    def second(self, scene: Scene, end: int) -> None:
        """Weigh what the second removed."""
        for side in (0, 1):
            stood = self.before[side]
            if stood is not None:
                self._weigh(scene, side, end, stood.price, stood.size)
            visit = scene.visits[side]
            self.before[side] = None if visit is None else Shown(visit.price, visit.size)

    def _weigh(self, scene: Scene, side: int, end: int, price: int, displayed: float) -> None:
        usual, removed = scene.past.removal, scene.book.net_removal(side)
        if not usual or removed <= 0 or removed < PULLED_SHARE * displayed:
            return
        if removed >= usual:
            self._pulled(scene, side, end, price, displayed, removed / usual)
        scene.events.of_type("pulling").ended(end, removed / usual)

    def _pulled(  # noqa: PLR0913, PLR0917 - what went, where, and how unusual that is
        self, scene: Scene, side: int, end: int, price: int, displayed: float, statistic: float
    ) -> None:
        event = scene.events.find("pulling", SIDE_NAMES[side])
        if event is not None:
            if statistic > event.statistic:
                scene.events.downgraded(event, end, _pull_class(scene, side))
                evidence = _pull_evidence(scene, side, displayed)
                scene.events.updated(event, end, statistic, evidence)
            return
        opening = Opening(
            type="pulling",
            side=SIDE_NAMES[side],
            opened_at=scene.book.first_removal[side],
            completed_at=end,
            statistic=statistic,
            threshold=1.0,
            evidence_class=_pull_class(scene, side),
            evidence=_pull_evidence(scene, side, displayed),
            price_low=price,
            price_high=price,
            key=SIDE_NAMES[side],
        )
        scene.events.opened(opening)
        self.pulls[side] = Pull(price, displayed, end)
        self.wake(scene, end + PULLING_MS)


def _pull_class(scene: Scene, side: int) -> str:
    if not scene.trades_seen:
        return "C"
    return "A" if scene.book.traded_given[side] else "B"


def _pull_evidence(scene: Scene, side: int, displayed: float) -> Evidence:
    return {
        "removed_shares": scene.book.net_removal(side),
        "traded_shares": scene.book.traded[side],
        "displayed_shares": displayed,
        "cause": "cancelled" if scene.trades_seen else "unknown",
    }
