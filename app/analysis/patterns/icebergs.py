"""Size that comes back where it was just taken: reserve orders, and their quotes-only hint."""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from app.analysis.detector_context import Scene
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Event, Evidence, Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import Side
from app.analysis.touch import SIDE_NAMES, Visit, is_better, taken_side

NATIVE_MS: Final = 1.0
REFILL_MS: Final = 500.0
LOST_MS: Final = 500.0
SILENT_MS: Final = 60_000.0
REFILLS_NEEDED: Final = 3
SAME_SIZE: Final = 0.1
LEAST_NATIVE: Final = 0.2
LEAST_USUAL: Final = 0.7


@dataclass(slots=True)
class Taking:
    """A level whose whole displayed size was printed away: when, how much stood and printed."""

    at: float
    displayed: float
    printed: float
    is_given: bool
    start: float = 0.0

    def is_refilled_by(self, size: float, delay: float, usual: float | None) -> bool:
        """Tell whether a returned size is a refill and no other order.

        Within 1 ms half of what stood is enough, if it is no crumb: 0.2 of the side's median.
        Later, anyone may have joined: it must be what stood last or at the visit's start, within
        10 %, and no less than 0.7 of that median.
        """
        if usual is None:
            return False
        if delay <= NATIVE_MS:
            return size >= self.displayed / 2 and size >= LEAST_NATIVE * usual
        same = any(
            abs(size - before) <= SAME_SIZE * before for before in (self.displayed, self.start)
        )
        return same and size >= LEAST_USUAL * usual


@dataclass(slots=True)
class Refill:
    """One return of size; `through` where it came inside the taking's own stamp."""

    at: float
    delay: float
    through: bool


@dataclass(slots=True)
class Reserve:
    """A price at which size came back, until it is lost or silent."""

    price: int
    displayed: float
    executed: float
    refills: list[Refill] = field(default_factory=list)
    native: int = 0
    through: int = 0
    largest: float = 0.0
    peak: float = 0.0
    lost_at: float = 0.0
    is_given: bool = True
    opened_through: bool = False
    is_open: bool = False

    @property
    def silent_at(self) -> float:
        """Return when it is forgotten unless size comes back once more."""
        return self.refills[-1].at + SILENT_MS


@dataclass(slots=True)
class Through:
    """The takers' prints of one stamp at the price that was best before the first of them."""

    price: int
    displayed: float
    printed: float = 0.0
    is_given: bool = True


@dataclass(slots=True)
class Icebergs(Detector):
    """Finds refills at each best price and opens an event where they are no accident."""

    takings: list[dict[int, Taking]] = field(default_factory=lambda: [{}, {}])
    reserves: list[dict[int, Reserve]] = field(default_factory=lambda: [{}, {}])
    throughs: list[dict[int, Through]] = field(default_factory=lambda: [{}, {}])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "iceberg"

    def printed(self, scene: Scene, trade: Trade, side: Side) -> None:
        """Count what takers print at a reserve's price and within one stamp."""
        if side.taker == UNSIGNED:
            return
        taken = taken_side(side.taker)
        reserve = self.reserves[taken].get(trade.price)
        if reserve is not None:
            reserve.executed += trade.size
            reserve.is_given = reserve.is_given and side.is_given
            self._refresh(scene, taken, reserve, trade.stamp)
        through = self.throughs[taken].get(trade.price)
        if through is None:
            visit = scene.visits[taken]
            if visit is None or visit.price != trade.price:
                return
            through = self.throughs[taken][trade.price] = Through(trade.price, visit.size)
        through.printed += trade.size
        through.is_given = through.is_given and side.is_given

    def moment_ended(self, scene: Scene, stamp: float) -> None:
        """Find prices that gave more than they showed and are still best."""
        for side in (0, 1):
            for through in self.throughs[side].values():
                visit = scene.visits[side]
                if visit is None or visit.price != through.price:
                    continue
                if through.printed > through.displayed:
                    taking = Taking(stamp, through.displayed, through.printed, through.is_given)
                    refill = Refill(stamp, 0.0, through=True)
                    self._refill(scene, side, through.price, taking, refill, visit.size)
            self.throughs[side].clear()

    def left(self, scene: Scene, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """Note a level that prints took away, and a reserve that is no longer best."""
        if to is not None and is_better(side, to, visit.price):
            return
        if visit.printed_since_quote >= visit.size:
            printed, given = visit.printed_since_quote, visit.printed_given
            taking = Taking(stamp, visit.size, printed, given, visit.start_size)
            self.takings[side][visit.price] = taking
            self.wake(scene, stamp + REFILL_MS)
        for reserve in self.reserves[side].values():
            if not reserve.lost_at and (to is None or is_better(side, reserve.price, to)):
                reserve.lost_at = stamp
                self.wake(scene, stamp + LOST_MS)

    def entered(self, scene: Scene, side: int, visit: Visit) -> None:
        """See whether a level is back that was taken just before."""
        for reserve in self.reserves[side].values():
            if not is_better(side, reserve.price, visit.price):
                reserve.lost_at = 0.0
        self._returned(scene, side, visit, visit.since)

    def resized(self, scene: Scene, side: int, visit: Visit, stamp: float, before: float) -> None:
        """See whether a level that came back smaller is back in full."""
        if self.takings[side]:
            self._returned(scene, side, visit, stamp)

    def _returned(self, scene: Scene, side: int, visit: Visit, stamp: float) -> None:
        taking = self.takings[side].get(visit.price)
        if taking is None:
            return
        delay = stamp - taking.at
        usual = scene.past.median_size[side]
        if delay <= REFILL_MS and taking.is_refilled_by(visit.size, delay, usual):
            del self.takings[side][visit.price]
            refill = Refill(stamp, delay, through=False)
            self._refill(scene, side, visit.price, taking, refill, visit.size)

    def _refill(  # noqa: PLR0913, PLR0917 - what came back, where, and after what
        self, scene: Scene, side: int, price: int, taking: Taking, refill: Refill, shown: float
    ) -> None:
        reserve = self.reserves[side].get(price)
        if reserve is None:
            reserve = Reserve(price, taking.displayed, taking.printed)
            reserve.is_given = taking.is_given
            self.reserves[side][price] = reserve
        reserve.refills.append(refill)
        reserve.native += refill.delay <= NATIVE_MS and not refill.through
        reserve.through += refill.through
        reserve.largest = max(reserve.largest, shown)
        self.wake(scene, reserve.silent_at)
        first = _opening_refill(reserve.refills)
        if first is not None:
            self._open(scene, side, reserve, first, refill.at)
        self._refresh(scene, side, reserve, refill.at)

    def _open(self, scene: Scene, side: int, reserve: Reserve, first: Refill, at: float) -> None:
        if not reserve.is_open:
            reserve.opened_through = first.through
        reserve.is_open = True
        scene.events.opened(
            Opening(
                type="iceberg",
                side=SIDE_NAMES[side],
                opened_at=first.at,
                completed_at=at,
                statistic=reserve.executed / reserve.displayed,
                threshold=1.0,
                evidence_class="A" if reserve.is_given else "B",
                evidence=_evidence(reserve),
                price_low=reserve.price,
                price_high=reserve.price,
                key=_key(side, reserve.price),
            )
        )

    def _refresh(self, scene: Scene, side: int, reserve: Reserve, at: float) -> None:
        reserve.peak = max(reserve.peak, reserve.executed / reserve.displayed)
        if not reserve.is_open:
            return
        event = scene.events.find("iceberg", _key(side, reserve.price))
        if event is None:
            return
        scene.events.downgraded(event, at, "A" if reserve.is_given else "B")
        scene.events.updated(event, at, reserve.peak, _evidence(reserve))

    def timed(self, scene: Scene, at: float) -> None:
        """Forget takings that nothing refilled, and reserves that are lost or silent."""
        for side in (0, 1):
            takings = self.takings[side]
            for price in [p for p, taking in takings.items() if taking.at + REFILL_MS <= at]:
                del takings[price]
            for taking in takings.values():
                self.wake(scene, taking.at + REFILL_MS)
            for reserve in list(self.reserves[side].values()):
                self._end_if_due(scene, side, reserve, at)

    def _end_if_due(self, scene: Scene, side: int, reserve: Reserve, at: float) -> None:
        if reserve.lost_at and reserve.lost_at + LOST_MS <= at:
            self._end(scene, side, reserve, reserve.lost_at + LOST_MS, "level_lost")
        elif reserve.silent_at <= at:
            self._end(scene, side, reserve, reserve.silent_at, "silence")
        else:
            self.wake(scene, reserve.silent_at)
            if reserve.lost_at:
                self.wake(scene, reserve.lost_at + LOST_MS)

    def _end(self, scene: Scene, side: int, reserve: Reserve, at: float, reason: str) -> None:
        del self.reserves[side][reserve.price]
        scene.events.of_type("iceberg").ended(at, reserve.peak)
        event = scene.events.find("iceberg", _key(side, reserve.price))
        if event is not None:
            scene.events.closing(event, at, reason)


def _key(side: int, price: int) -> str:
    return f"{SIDE_NAMES[side]}:{price}"


def _opening_refill(refills: list[Refill]) -> Refill | None:
    """Return the first refill of an opening condition that the newest one completes."""
    newest = refills[-1]
    if newest.through:
        return newest
    after = [r for r in refills if not r.through and r.at >= newest.at - SILENT_MS]
    native = [r for r in after if r.delay <= NATIVE_MS]
    if newest.delay <= NATIVE_MS and len(native) >= REFILLS_NEEDED:
        return native[-REFILLS_NEEDED]
    return after[-REFILLS_NEEDED] if len(after) >= REFILLS_NEEDED else None


def _evidence(reserve: Reserve) -> Evidence:
    after = [r.delay for r in reserve.refills if not r.through]
    kind = "through" if reserve.opened_through else "synthetic"
    evidence: Evidence = {
        "kind": "native" if reserve.native >= REFILLS_NEEDED else kind,
        "refills": len(reserve.refills),
        "native_refills": reserve.native,
        "through_refills": reserve.through,
        "displayed_shares": reserve.displayed,
        "executed_shares": reserve.executed,
        "largest_refill_shares": reserve.largest,
    }
    if after:
        evidence["median_delay_ms"] = median(after)
    return evidence


@dataclass(slots=True)
class Dip:
    """A fall of size at an unchanged best price."""

    at: float
    size: float


@dataclass(slots=True)
class Dips:
    """One side's dips and recoveries in its current visit."""

    dip: Dip | None = None
    recoveries: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    largest: float = 0.0
    silent_at: float = 0.0
    is_open: bool = False


@dataclass(slots=True)
class SuspectedRefills(Detector):
    """Dips of displayed size that recover at once, where no trades come."""

    sides: list[Dips] = field(default_factory=lambda: [Dips(), Dips()])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "refill_suspected"

    @property
    def is_needed(self) -> bool:
        """Tell whether one is open still: none opens where trades come."""
        return any(dips.is_open for dips in self.sides)

    def resized(self, scene: Scene, side: int, visit: Visit, stamp: float, before: float) -> None:
        """Note a dip, or a recovery from one."""
        dips = self.sides[side]
        dip = dips.dip
        if dip is not None and stamp - dip.at > REFILL_MS:
            dip = dips.dip = None
        if dip is not None and visit.size >= dip.size:
            dips.dip = None
            self._recovered(scene, side, visit, stamp, dip)
        elif visit.size <= before / 2 and (dip is None or before > dip.size):
            dips.dip = Dip(stamp, before)

    def _recovered(self, scene: Scene, side: int, visit: Visit, stamp: float, dip: Dip) -> None:
        dips = self.sides[side]
        dips.recoveries.append(stamp)
        dips.delays.append(stamp - dip.at)
        dips.largest = max(dips.largest, dip.size)
        dips.silent_at = stamp + SILENT_MS
        self.wake(scene, dips.silent_at)
        evidence: Evidence = {
            "recoveries": len(dips.recoveries),
            "dip_shares": dips.largest,
            "median_delay_ms": median(dips.delays),
        }
        recent = [at for at in dips.recoveries if at >= stamp - SILENT_MS]
        if len(recent) >= REFILLS_NEEDED and not scene.trades_seen:
            dips.is_open = True
            self._open(scene, side, visit, recent[-REFILLS_NEEDED], stamp, evidence)
        event = scene.events.find("refill_suspected", visit.key(side)) if dips.is_open else None
        if event is not None:
            scene.events.updated(event, stamp, len(dips.recoveries), evidence)

    def _open(  # noqa: PLR0913, PLR0917 - all that makes the event
        self, scene: Scene, side: int, visit: Visit, first: float, at: float, evidence: Evidence
    ) -> Event:
        return scene.events.opened(
            Opening(
                type="refill_suspected",
                side=SIDE_NAMES[side],
                opened_at=first,
                completed_at=at,
                statistic=float(evidence["recoveries"]),
                threshold=float(REFILLS_NEEDED),
                evidence_class="C",
                evidence=evidence,
                price_low=visit.price,
                price_high=visit.price,
                key=visit.key(side),
            )
        )

    def left(self, scene: Scene, side: int, visit: Visit, stamp: float, to: int | None) -> None:
        """End with the visit."""
        dips = self.sides[side]
        if dips.recoveries:
            if not scene.trades_seen:
                scene.events.of_type("refill_suspected").ended(stamp, len(dips.recoveries))
            self._close(scene, side, visit, stamp, "level_lost")
        if dips.recoveries or dips.dip is not None:
            self.sides[side] = Dips()

    def timed(self, scene: Scene, at: float) -> None:
        """Close what has been silent for 60 s."""
        for side in (0, 1):
            dips, visit = self.sides[side], scene.visits[side]
            if not dips.is_open or visit is None:
                continue
            if dips.silent_at <= at:
                self._close(scene, side, visit, dips.silent_at, "silence")
            else:
                self.wake(scene, dips.silent_at)

    def _close(self, scene: Scene, side: int, visit: Visit, at: float, reason: str) -> None:
        event = scene.events.find("refill_suspected", visit.key(side))
        if event is not None:
            scene.events.closing(event, at, reason)
