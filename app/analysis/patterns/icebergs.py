"""Icebergs: displayed size that is refilled after trades took it."""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
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
class Depletion:
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
class IcebergCandidate:
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
class ThroughPrice:
    """The takers' prints of one stamp at the price that was best before the first of them."""

    price: int
    displayed: float
    printed: float = 0.0
    is_given: bool = True


@dataclass(slots=True)
class Icebergs(Detector):
    """Finds refills at each best price and opens an event where they are no accident."""

    takings: list[dict[int, Depletion]] = field(default_factory=lambda: [{}, {}])
    reserves: list[dict[int, IcebergCandidate]] = field(default_factory=lambda: [{}, {}])
    throughs: list[dict[int, ThroughPrice]] = field(default_factory=lambda: [{}, {}])

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "iceberg"

    def on_trade(self, context: DetectorContext, trade: Trade, side: TradeSign) -> None:
        """Count what takers print at a reserve's price and within one stamp."""
        if side.aggressor == UNSIGNED:
            return
        taken = taken_side(side.aggressor)
        reserve = self.reserves[taken].get(trade.price)
        if reserve is not None:
            reserve.executed += trade.size
            reserve.is_given = reserve.is_given and side.is_given
            self._refresh(context, taken, reserve, trade.stamp)
        through = self.throughs[taken].get(trade.price)
        if through is None:
            visit = context.visits[taken]
            if visit is None or visit.price != trade.price:
                return
            through = self.throughs[taken][trade.price] = ThroughPrice(trade.price, visit.size)
        through.printed += trade.size
        through.is_given = through.is_given and side.is_given

    def on_stamp_complete(self, context: DetectorContext, stamp: float) -> None:
        """Find prices that gave more than they showed and are still best."""
        for side in (0, 1):
            for through in self.throughs[side].values():
                visit = context.visits[side]
                if visit is None or visit.price != through.price:
                    continue
                if through.printed > through.displayed:
                    taking = Depletion(stamp, through.displayed, through.printed, through.is_given)
                    refill = Refill(stamp, 0.0, through=True)
                    self._refill(context, side, through.price, taking, refill, visit.size)
            self.throughs[side].clear()

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Note a level that prints took away, and a reserve that is no longer best."""
        if to is not None and is_better(side, to, visit.price):
            return
        if visit.printed_since_quote >= visit.size:
            printed, given = visit.printed_since_quote, visit.printed_given
            taking = Depletion(stamp, visit.size, printed, given, visit.start_size)
            self.takings[side][visit.price] = taking
            self.request_timer(context, stamp + REFILL_MS)
        for reserve in self.reserves[side].values():
            if not reserve.lost_at and (to is None or is_better(side, reserve.price, to)):
                reserve.lost_at = stamp
                self.request_timer(context, stamp + LOST_MS)

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """See whether a level is back that was taken just before."""
        for reserve in self.reserves[side].values():
            if not is_better(side, reserve.price, visit.price):
                reserve.lost_at = 0.0
        self._returned(context, side, visit, visit.since)

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """See whether a level that came back smaller is back in full."""
        if self.takings[side]:
            self._returned(context, side, visit, stamp)

    def _returned(self, context: DetectorContext, side: int, visit: Visit, stamp: float) -> None:
        taking = self.takings[side].get(visit.price)
        if taking is None:
            return
        delay = stamp - taking.at
        usual = context.thresholds.median_size[side]
        if delay <= REFILL_MS and taking.is_refilled_by(visit.size, delay, usual):
            del self.takings[side][visit.price]
            refill = Refill(stamp, delay, through=False)
            self._refill(context, side, visit.price, taking, refill, visit.size)

    def _refill(  # noqa: PLR0913, PLR0917 - what came back, where, and after what
        self,
        context: DetectorContext,
        side: int,
        price: int,
        taking: Depletion,
        refill: Refill,
        shown: float,
    ) -> None:
        reserve = self.reserves[side].get(price)
        if reserve is None:
            reserve = IcebergCandidate(price, taking.displayed, taking.printed)
            reserve.is_given = taking.is_given
            self.reserves[side][price] = reserve
        reserve.refills.append(refill)
        reserve.native += refill.delay <= NATIVE_MS and not refill.through
        reserve.through += refill.through
        reserve.largest = max(reserve.largest, shown)
        self.request_timer(context, reserve.silent_at)
        first = _opening_refill(reserve.refills)
        if first is not None:
            self._open(context, side, reserve, first, refill.at)
        self._refresh(context, side, reserve, refill.at)

    def _open(
        self,
        context: DetectorContext,
        side: int,
        reserve: IcebergCandidate,
        first: Refill,
        at: float,
    ) -> None:
        if not reserve.is_open:
            reserve.opened_through = first.through
        reserve.is_open = True
        context.events.open_or_extend(
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

    def _refresh(
        self, context: DetectorContext, side: int, reserve: IcebergCandidate, at: float
    ) -> None:
        reserve.peak = max(reserve.peak, reserve.executed / reserve.displayed)
        if not reserve.is_open:
            return
        event = context.events.find("iceberg", _key(side, reserve.price))
        if event is None:
            return
        context.events.lower_class(event, at, "A" if reserve.is_given else "B")
        context.events.update(event, at, reserve.peak, _evidence(reserve))

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Forget takings that nothing refilled, and reserves that are lost or silent."""
        for side in (0, 1):
            takings = self.takings[side]
            for price in [p for p, taking in takings.items() if taking.at + REFILL_MS <= at]:
                del takings[price]
            for taking in takings.values():
                self.request_timer(context, taking.at + REFILL_MS)
            for reserve in list(self.reserves[side].values()):
                self._end_if_due(context, side, reserve, at)

    def _end_if_due(
        self, context: DetectorContext, side: int, reserve: IcebergCandidate, at: float
    ) -> None:
        if reserve.lost_at and reserve.lost_at + LOST_MS <= at:
            self._end(context, side, reserve, reserve.lost_at + LOST_MS, "level_lost")
        elif reserve.silent_at <= at:
            self._end(context, side, reserve, reserve.silent_at, "silence")
        else:
            self.request_timer(context, reserve.silent_at)
            if reserve.lost_at:
                self.request_timer(context, reserve.lost_at + LOST_MS)

    def _end(
        self, context: DetectorContext, side: int, reserve: IcebergCandidate, at: float, reason: str
    ) -> None:
        del self.reserves[side][reserve.price]
        context.events.of_type("iceberg").add_candidate(at, reserve.peak)
        event = context.events.find("iceberg", _key(side, reserve.price))
        if event is not None:
            context.events.schedule_close(event, at, reason)


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


def _evidence(reserve: IcebergCandidate) -> Evidence:
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
