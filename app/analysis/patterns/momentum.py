"""Shifts in the drift of quote flow, by a two-sided CUSUM (Page 1954)."""

import math
from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import DetectorContext
from app.analysis.pattern_table import UP_AND_DOWN
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.quantiles import FloatArray, float_array, sum_in_order
from app.analysis.records import PRICE_UNITS

ALLOWANCE: Final = 0.35
ALARM: Final = 8.5
CLIP: Final = 1.5
FADED: Final = ALARM / 4
ELAPSED_MS: Final = 120_000
KEPT_SECONDS: Final = 600
BEFORE_SECONDS: Final = 60


@dataclass(slots=True, init=False)
class Excursion:
    """One direction's sum since it was last 0, and what it sums since then."""

    sum: float = 0.0
    peak: float = 0.0
    zero_at: int = 0
    zero_mid2: int = 0
    before: float | None = None
    total: float = 0.0
    seconds: int = 0
    noticed: int = 0
    grew: bool = False

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        sum: float = 0.0,  # noqa: A002 - a field
        peak: float = 0.0,
        zero_at: int = 0,
        zero_mid2: int = 0,
        before: float | None = None,
        total: float = 0.0,
        seconds: int = 0,
        noticed: int = 0,
        grew: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.sum = sum
        self.peak = peak
        self.zero_at = zero_at
        self.zero_mid2 = zero_mid2
        self.before = before
        self.total = total
        self.seconds = seconds
        self.noticed = noticed
        self.grew = grew


@dataclass(slots=True)
class MomentumShifts(Detector):
    """Follows both sums each second and opens where one reaches 8.5 standard deviations."""

    sums: list[Excursion] = field(default_factory=lambda: [Excursion(), Excursion()])
    recent: FloatArray = field(default_factory=float_array)
    mid2: int = 0

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "momentum_shift"

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Add the second's log-OFI to both sums."""
        before, last = self.mid2, context.standing_quote.last_valid
        self.mid2 = 0 if last is None else last.bid_price + last.ask_price
        facts, drift = context.second_sample, context.thresholds.drift
        if facts is None or facts.log_ofi is None:
            return
        if drift:
            self._time_out(context, end)
            z = max(-CLIP, min(CLIP, facts.log_ofi / math.sqrt(drift)))
            for direction in (0, 1):
                now = self._begun(direction, end, before)
                _add(now, z if direction == 0 else -z, facts.log_ofi)
            for direction in (0, 1):
                self._judge(context, direction, end)
        self.recent.append(facts.log_ofi)
        if len(self.recent) > BEFORE_SECONDS:
            del self.recent[0]

    def _begun(self, direction: int, end: int, mid2: int) -> Excursion:
        now = self.sums[direction]
        if now.sum:
            return now
        before = sum_in_order(self.recent) / len(self.recent) if self.recent else None
        now = Excursion(zero_at=end - SECOND_MS, zero_mid2=mid2, before=before)
        self.sums[direction] = now
        return now

    def _time_out(self, context: DetectorContext, end: int) -> None:
        for direction in (0, 1):
            event = context.events.find("momentum_shift", UP_AND_DOWN[direction])
            if event is not None and end >= self.sums[direction].noticed + ELAPSED_MS:
                context.events.schedule_close(event, end, "elapsed")
                self._restart(context, 0, end)
                self._restart(context, 1, end)

    def _judge(self, context: DetectorContext, direction: int, end: int) -> None:
        now = self.sums[direction]
        event = context.events.find("momentum_shift", UP_AND_DOWN[direction])
        if event is None:
            if now.sum >= ALARM:
                self._open(context, direction, end, now)
            elif not now.sum:
                self._restart(context, direction, end)
        elif now.sum < FADED:
            context.events.schedule_close(event, end, "faded")
            self._restart(context, direction, end)
        else:
            context.events.update(event, end, now.peak, self._evidence(now))

    def _restart(self, context: DetectorContext, direction: int, end: int) -> None:
        if self.sums[direction].peak >= FADED:
            context.events.of_type("momentum_shift").add_candidate(end, self.sums[direction].peak)
        self.sums[direction] = Excursion()

    def _open(self, context: DetectorContext, direction: int, end: int, now: Excursion) -> None:
        opposite = context.events.find("momentum_shift", UP_AND_DOWN[1 - direction])
        if opposite is not None:
            context.events.schedule_close(opposite, end, "opposite")
            self._restart(context, 1 - direction, end)
        context.events.open_or_extend(
            Opening(
                type="momentum_shift",
                side=UP_AND_DOWN[direction],
                opened_at=float(now.zero_at),
                completed_at=end,
                statistic=now.sum,
                threshold=ALARM,
                evidence_class="C",
                evidence=self._evidence(now),
                key=UP_AND_DOWN[direction],
            )
        )
        now.noticed = end

    def _evidence(self, now: Excursion) -> Evidence:
        evidence: Evidence = {"mean_after": now.total / now.seconds, "seconds": now.seconds}
        if now.before is not None:
            evidence["mean_before"] = now.before
        if now.zero_mid2 and self.mid2:
            evidence["mid_move"] = (self.mid2 - now.zero_mid2) / 2 / PRICE_UNITS
        return evidence

    @property
    def building(self) -> str | None:
        """Return the direction whose sum is over half the alarm and grew in the last second."""
        best = max((0, 1), key=lambda direction: self.sums[direction].sum)
        now = self.sums[best]
        return UP_AND_DOWN[best] if now.sum > ALARM / 2 and now.grew else None


def _add(now: Excursion, z: float, log_ofi: float) -> None:
    risen = max(0.0, now.sum + z - ALLOWANCE)
    now.grew = risen > now.sum
    now.sum = risen
    now.peak = max(now.peak, risen)
    now.total += log_ofi
    now.seconds += 1
