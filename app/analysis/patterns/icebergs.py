"""Detect icebergs: displayed size that is refilled after trades took it."""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import UNSIGNED, Quote, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, Visit, is_better, resting_side

NATIVE_REFILL_MS: Final = 1.0
REFILL_MS: Final = 500.0
LEVEL_LOST_MS: Final = 500.0
SILENCE_MS: Final = 60_000.0
MIN_REFILLS: Final = 3
SAME_SIZE_TOLERANCE: Final = 0.1
MIN_NATIVE_MEDIANS: Final = 0.2
MIN_LATER_MEDIANS: Final = 0.7
MIN_EXECUTED_MEDIANS: Final = 0.5


@dataclass(slots=True)
class Depletion:
    """A best price whose whole displayed size was traded away."""

    at: float
    displayed: float
    printed: float
    is_given: bool
    visit_start_size: float = 0.0

    def is_refilled_by(self, size: float, delay: float, median_size: float) -> bool:
        """Return whether a size that came back is a refill and not another order.

        Within 1 ms, half of the displayed size is enough, if it is at least 0.2 of the side's
        median size. Later, others may have joined: it must be within 10 % of the size displayed
        last or at the visit's start, and at least 0.7 of that median.
        """
        if delay <= NATIVE_REFILL_MS:
            return size >= self.displayed / 2 and size >= MIN_NATIVE_MEDIANS * median_size
        is_same_size = any(
            abs(size - earlier_size) <= SAME_SIZE_TOLERANCE * earlier_size
            for earlier_size in (self.displayed, self.visit_start_size)
        )
        return is_same_size and size >= MIN_LATER_MEDIANS * median_size


@dataclass(slots=True)
class Refill:
    """One refill; `is_through` if one trade took more than was displayed before it."""

    at: float
    delay: float
    is_through: bool


@dataclass(slots=True)
class IcebergCandidate:
    """A price with refills, until the level is lost or silent; sizes in shares.

    `displayed` is the size before the first refill, `median` the side's median size then. `peak` is
    the greatest ratio of executed size to it. `lost_at` is when a worse price became best, 0 while
    none is.
    """

    price: int
    median: float
    displayed: float
    executed: float
    refills: list[Refill] = field(default_factory=list)
    native_refills: int = 0
    through_refills: int = 0
    largest_refill: float = 0.0
    peak: float = 0.0
    lost_at: float = 0.0
    is_given: bool = True
    is_open: bool = False

    @property
    def statistic(self) -> float:
        """Return the executed size in median sizes."""
        return self.executed / self.median

    @property
    def silent_at(self) -> float:
        """Return when the candidate ends unless another refill comes."""
        return self.refills[-1].at + SILENCE_MS


@dataclass(slots=True)
class ThroughPrice:
    """Trades of one stamp at the price that was best before the first of them.

    `exceeded` is the displayed size that the first trade larger than it met, 0 while there is none.
    """

    price: int
    exceeded: float = 0.0
    printed: float = 0.0
    is_given: bool = True


@dataclass(slots=True)
class Icebergs(Detector):
    """Finds refills at best prices, and opens an event after enough of them.

    All lists are by side, their dictionaries by price; `through_prices` are those of the current
    stamp.
    """

    depletions: list[dict[int, Depletion]] = field(default_factory=lambda: [{}, {}])
    candidates: list[dict[int, IcebergCandidate]] = field(default_factory=lambda: [{}, {}])
    through_prices: list[dict[int, ThroughPrice]] = field(default_factory=lambda: [{}, {}])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "iceberg"

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Add a trade to the candidate at its price, and to the volume of its stamp."""
        if sign.aggressor == UNSIGNED:
            return
        side = resting_side(sign.aggressor)
        candidate = self.candidates[side].get(trade.price)
        if candidate is not None:
            candidate.executed += trade.size
            candidate.is_given = candidate.is_given and sign.is_given
            self._update_event(context, side, candidate, trade.stamp)
        visit = context.visits[side]
        is_best = visit is not None and visit.price == trade.price
        prints = self.through_prices[side].get(trade.price)
        if prints is None:
            if not is_best:
                return
            prints = self.through_prices[side][trade.price] = ThroughPrice(trade.price)
        if visit is not None and is_best and not prints.exceeded and trade.size > visit.size:
            prints.exceeded = visit.size
        prints.printed += trade.size
        prints.is_given = prints.is_given and sign.is_given

    def on_stamp_complete(self, context: DetectorContext, stamp: float) -> None:
        """Find prices at which one trade took more than was displayed, and that are still best."""
        for side in (0, 1):
            for prints in self.through_prices[side].values():
                visit = context.visits[side]
                if visit is None or visit.price != prints.price:
                    continue
                if prints.exceeded:
                    depletion = Depletion(stamp, prints.exceeded, prints.printed, prints.is_given)
                    refill = Refill(stamp, 0.0, is_through=True)
                    self._add_refill(context, side, prints.price, depletion, refill, visit.size)
            self.through_prices[side].clear()

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Store a depletion by trades, and mark candidates whose price is no longer best."""
        if to is not None and is_better(side, to, visit.price):
            return
        if visit.printed_since_quote >= visit.size:
            printed, is_given = visit.printed_since_quote, visit.printed_given
            depletion = Depletion(stamp, visit.size, printed, is_given, visit.start_size)
            self.depletions[side][visit.price] = depletion
            self.request_timer(context, stamp + REFILL_MS)
        for candidate in self.candidates[side].values():
            if not candidate.lost_at and (to is None or is_better(side, candidate.price, to)):
                candidate.lost_at = stamp
                self.request_timer(context, stamp + LEVEL_LOST_MS)

    def on_enter(self, context: DetectorContext, side: int, visit: Visit) -> None:
        """Check for a refill at a price that came back, and unmark candidates at or behind it."""
        for candidate in self.candidates[side].values():
            if not is_better(side, candidate.price, visit.price):
                candidate.lost_at = 0.0
        self._check_return(context, side, visit, visit.since)

    def on_quote(self, context: DetectorContext, quote: Quote) -> None:
        """End reserves that the other side's best price reached: they would have traded."""
        for side in (0, 1):
            if self.candidates[side] or self.depletions[side]:
                other = context.visits[1 - side]
                if other is not None:
                    self._end_reached(context, side, other.price, quote.stamp)

    def _end_reached(
        self, context: DetectorContext, side: int, other_price: int, stamp: float
    ) -> None:
        """End what waits or lives at prices of a side that the other side's price reached."""
        for price in list(self.depletions[side]):
            if not is_better(side, other_price, price):
                del self.depletions[side][price]
        for candidate in list(self.candidates[side].values()):
            if not is_better(side, other_price, candidate.price):
                self._end(context, side, candidate, stamp, "crossed")

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Check for a refill of a price that came back smaller before."""
        if self.depletions[side]:
            self._check_return(context, side, visit, stamp)

    def _check_return(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float
    ) -> None:
        """Add a refill if the size at a depleted price is one."""
        depletion = self.depletions[side].get(visit.price)
        if depletion is None:
            return
        delay = stamp - depletion.at
        median_size = context.thresholds.median_size[side]
        if (
            delay <= REFILL_MS
            and median_size
            and depletion.is_refilled_by(visit.size, delay, median_size)
        ):
            del self.depletions[side][visit.price]
            refill = Refill(stamp, delay, is_through=False)
            self._add_refill(context, side, visit.price, depletion, refill, visit.size)

    def _add_refill(  # noqa: PLR0913, PLR0917 - a refill, its place and its cause
        self,
        context: DetectorContext,
        side: int,
        price: int,
        depletion: Depletion,
        refill: Refill,
        size: float,
    ) -> None:
        """Add a refill to the price's candidate, and open or update its event."""
        candidate = self.candidates[side].get(price)
        median_size = context.thresholds.median_size[side]
        if candidate is None:
            if not median_size:
                return
            displayed, printed = depletion.displayed, depletion.printed
            candidate = IcebergCandidate(price, median_size, displayed, printed)
            candidate.is_given = depletion.is_given
            self.candidates[side][price] = candidate
        candidate.refills.append(refill)
        candidate.native_refills += refill.delay <= NATIVE_REFILL_MS and not refill.is_through
        candidate.through_refills += refill.is_through
        candidate.largest_refill = max(candidate.largest_refill, size)
        self.request_timer(context, candidate.silent_at)
        first = _opening_refill(candidate.refills)
        if first is not None and candidate.statistic >= MIN_EXECUTED_MEDIANS:
            self._open(context, side, candidate, first, refill.at)
        self._update_event(context, side, candidate, refill.at)

    def _open(
        self,
        context: DetectorContext,
        side: int,
        candidate: IcebergCandidate,
        first: Refill,
        at: float,
    ) -> None:
        candidate.is_open = True
        context.events.open_or_extend(
            Opening(
                type="iceberg",
                side=SIDE_NAMES[side],
                opened_at=first.at,
                completed_at=at,
                statistic=candidate.statistic,
                threshold=MIN_EXECUTED_MEDIANS,
                evidence_class="A" if candidate.is_given else "B",
                evidence=_evidence(candidate),
                price_low=candidate.price,
                price_high=candidate.price,
                key=_key(side, candidate.price),
            )
        )

    def _update_event(
        self, context: DetectorContext, side: int, candidate: IcebergCandidate, at: float
    ) -> None:
        """Update the candidate's peak and its event."""
        candidate.peak = max(candidate.peak, candidate.statistic)
        if not candidate.is_open:
            return
        event = context.events.find("iceberg", _key(side, candidate.price))
        if event is None:
            return
        context.events.lower_evidence_class(event, at, "A" if candidate.is_given else "B")
        context.events.update(event, at, candidate.peak, _evidence(candidate))

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Drop depletions without a refill, and end candidates that are lost or silent."""
        for side in (0, 1):
            depletions = self.depletions[side]
            for price in [
                p for p, depletion in depletions.items() if depletion.at + REFILL_MS <= at
            ]:
                del depletions[price]
            for depletion in depletions.values():
                self.request_timer(context, depletion.at + REFILL_MS)
            for candidate in list(self.candidates[side].values()):
                self._end_if_due(context, side, candidate, at)

    def _end_if_due(
        self, context: DetectorContext, side: int, candidate: IcebergCandidate, at: float
    ) -> None:
        """End a candidate that is lost or silent, or set its timers again."""
        if candidate.lost_at and candidate.lost_at + LEVEL_LOST_MS <= at:
            self._end(context, side, candidate, candidate.lost_at + LEVEL_LOST_MS, "level_lost")
        elif candidate.silent_at <= at:
            self._end(context, side, candidate, candidate.silent_at, "silence")
        else:
            self.request_timer(context, candidate.silent_at)
            if candidate.lost_at:
                self.request_timer(context, candidate.lost_at + LEVEL_LOST_MS)

    def _end(
        self,
        context: DetectorContext,
        side: int,
        candidate: IcebergCandidate,
        at: float,
        reason: str,
    ) -> None:
        """Remove a candidate, and close its event."""
        del self.candidates[side][candidate.price]
        context.events.candidates_of("iceberg").add_candidate(at, candidate.peak)
        event = context.events.find("iceberg", _key(side, candidate.price))
        if event is not None:
            context.events.schedule_close(event, at, reason)


def _key(side: int, price: int) -> str:
    return f"{SIDE_NAMES[side]}:{price}"


def _opening_refill(refills: list[Refill]) -> Refill | None:
    """Return the first refill of the opening condition that the newest one completes, if any."""
    newest = refills[-1]
    if newest.is_through:
        return newest
    recent_refills = [
        refill
        for refill in refills
        if not refill.is_through and refill.at >= newest.at - SILENCE_MS
    ]
    native_refills = [refill for refill in recent_refills if refill.delay <= NATIVE_REFILL_MS]
    if newest.delay <= NATIVE_REFILL_MS and len(native_refills) >= MIN_REFILLS:
        return native_refills[-MIN_REFILLS]
    return recent_refills[-MIN_REFILLS] if len(recent_refills) >= MIN_REFILLS else None


def _evidence(candidate: IcebergCandidate) -> Evidence:
    delays = [refill.delay for refill in candidate.refills if not refill.is_through]
    is_native = candidate.through_refills > 0 or candidate.native_refills >= MIN_REFILLS
    evidence: Evidence = {
        "kind": "native" if is_native else "synthetic",
        "refills": len(candidate.refills),
        "native_refills": candidate.native_refills,
        "through_refills": candidate.through_refills,
        "displayed_shares": candidate.displayed,
        "median_shares": candidate.median,
        "executed_shares": candidate.executed,
        "largest_refill_shares": candidate.largest_refill,
    }
    if delays:
        evidence["median_delay_ms"] = median(delays)
    return evidence
