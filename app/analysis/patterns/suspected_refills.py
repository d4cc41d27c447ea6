"""Detect suspected refills: dips of size that recover at once, on feeds without trades."""

from dataclasses import dataclass, field
from statistics import median

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Event, Evidence, Opening
from app.analysis.patterns.icebergs import MIN_REFILLS, REFILL_MS, SILENCE_MS
from app.analysis.touch import SIDE_NAMES, Visit


@dataclass(slots=True)
class Dip:
    """A fall of the size at an unchanged best price; `size` is that before it."""

    at: float
    size: float


@dataclass(slots=True)
class Dips:
    """Dips and recoveries of one side in its current visit."""

    dip: Dip | None = None
    recoveries: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    largest: float = 0.0
    silent_at: float = 0.0
    is_open: bool = False


@dataclass(slots=True)
class SuspectedRefills(Detector):
    """Finds dips of displayed size that recover at once; only without trades."""

    sides: list[Dips] = field(default_factory=lambda: [Dips(), Dips()])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "refill_suspected"

    @property
    def is_needed(self) -> bool:
        """Return whether an event is open; none opens once trades come."""
        return any(dips.is_open for dips in self.sides)

    def on_resize(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, before: float
    ) -> None:
        """Store a dip, or add the recovery from one."""
        dips = self.sides[side]
        dip = dips.dip
        if dip is not None and stamp - dip.at > REFILL_MS:
            dip = dips.dip = None
        if dip is not None and visit.size >= dip.size:
            dips.dip = None
            self._recovered(context, side, visit, stamp, dip)
        elif visit.size <= before / 2 and (dip is None or before > dip.size):
            dips.dip = Dip(stamp, before)

    def _recovered(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, dip: Dip
    ) -> None:
        """Add a recovery, and open or update the event."""
        dips = self.sides[side]
        dips.recoveries.append(stamp)
        dips.delays.append(stamp - dip.at)
        dips.largest = max(dips.largest, dip.size)
        dips.silent_at = stamp + SILENCE_MS
        self.request_timer(context, dips.silent_at)
        evidence: Evidence = {
            "recoveries": len(dips.recoveries),
            "dip_shares": dips.largest,
            "median_delay_ms": median(dips.delays),
        }
        recent = [at for at in dips.recoveries if at >= stamp - SILENCE_MS]
        if len(recent) >= MIN_REFILLS and not context.trades_seen:
            dips.is_open = True
            self._open(context, side, visit, recent[-MIN_REFILLS], stamp, evidence)
        event = context.events.find("refill_suspected", visit.key(side)) if dips.is_open else None
        if event is not None:
            context.events.update(event, stamp, len(dips.recoveries), evidence)

    def _open(  # noqa: PLR0913, PLR0917 - the parts of an opening
        self,
        context: DetectorContext,
        side: int,
        visit: Visit,
        first: float,
        at: float,
        evidence: Evidence,
    ) -> Event:
        return context.events.open_or_extend(
            Opening(
                type="refill_suspected",
                side=SIDE_NAMES[side],
                opened_at=first,
                completed_at=at,
                statistic=float(evidence["recoveries"]),
                threshold=float(MIN_REFILLS),
                evidence_class="C",
                evidence=evidence,
                price_low=visit.price,
                price_high=visit.price,
                key=visit.key(side),
            )
        )

    def on_leave(
        self, context: DetectorContext, side: int, visit: Visit, stamp: float, to: int | None
    ) -> None:
        """Add the visit as a candidate, and close its event."""
        dips = self.sides[side]
        if dips.recoveries:
            if not context.trades_seen:
                context.events.candidates_of("refill_suspected").add_candidate(
                    stamp, len(dips.recoveries)
                )
            self._close(context, side, visit, stamp, "level_lost")
        if dips.recoveries or dips.dip is not None:
            self.sides[side] = Dips()

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Close events without a recovery for 60 s."""
        for side in (0, 1):
            dips, visit = self.sides[side], context.visits[side]
            if not dips.is_open or visit is None:
                continue
            if dips.silent_at <= at:
                self._close(context, side, visit, dips.silent_at, "silence")
            else:
                self.request_timer(context, dips.silent_at)

    def _close(
        self, context: DetectorContext, side: int, visit: Visit, at: float, reason: str
    ) -> None:
        event = context.events.find("refill_suspected", visit.key(side))
        if event is not None:
            context.events.schedule_close(event, at, reason)
