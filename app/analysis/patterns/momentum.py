"""Detect momentum shifts: changes in the drift of log-OFI, by a two-sided CUSUM (Page 1954)."""

import math
from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.detector_context import DetectorContext
from app.analysis.pattern_table import UP_AND_DOWN
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.quantiles import FloatArray, float_array, sum_in_order

ALLOWANCE: Final = 0.35
ALARM: Final = 8.5
MAX_ABS_Z: Final = 1.5
FADED_SUM: Final = ALARM / 4
MAX_DURATION_MS: Final = 120_000
BEFORE_SECONDS: Final = 60


@dataclass(slots=True, init=False)
class Excursion:
    """One direction's CUSUM since it was last 0.

    `sum` is in standard deviations; `zero_at` and `zero_mid2` are the time and twice the mid when
    it was 0. `mean_before` is the mean log-OFI of up to 60 s before, `log_ofi_total` the sum over
    the `seconds` since. `noticed_at` is the second that opened an event.
    """

    sum: float = 0.0
    peak: float = 0.0
    zero_at: int = 0
    zero_mid2: int = 0
    mean_before: float | None = None
    log_ofi_total: float = 0.0
    seconds: int = 0
    noticed_at: int = 0
    grew: bool = False

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        sum: float = 0.0,  # noqa: A002 - a field
        peak: float = 0.0,
        zero_at: int = 0,
        zero_mid2: int = 0,
        mean_before: float | None = None,
        log_ofi_total: float = 0.0,
        seconds: int = 0,
        noticed_at: int = 0,
        grew: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.sum = sum
        self.peak = peak
        self.zero_at = zero_at
        self.zero_mid2 = zero_mid2
        self.mean_before = mean_before
        self.log_ofi_total = log_ofi_total
        self.seconds = seconds
        self.noticed_at = noticed_at
        self.grew = grew


@dataclass(slots=True)
class MomentumShifts(Detector):
    """Updates both sums each second, and opens an event where one reaches 8.5."""

    sums: list[Excursion] = field(default_factory=lambda: [Excursion(), Excursion()])
    recent_log_ofi: FloatArray = field(default_factory=float_array)
    mid2: int = 0

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "momentum_shift"

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Add the second's log-OFI to both sums."""
        previous_mid2, last = self.mid2, context.standing_quote.last_valid
        self.mid2 = 0 if last is None else last.bid_price + last.ask_price
        sample, drift = context.second_sample, context.thresholds.drift
        if sample is None or sample.log_ofi is None:
            return
        if drift:
            self._close_if_elapsed(context, end)
            z = max(-MAX_ABS_Z, min(MAX_ABS_Z, sample.log_ofi / math.sqrt(drift)))
            for direction in (0, 1):
                excursion = self._current_excursion(direction, end, previous_mid2)
                _add_to_excursion(excursion, z if direction == 0 else -z, sample.log_ofi)
            for direction in (0, 1):
                self._open_or_close(context, direction, end)
        self.recent_log_ofi.append(sample.log_ofi)
        if len(self.recent_log_ofi) > BEFORE_SECONDS:
            del self.recent_log_ofi[0]

    def _current_excursion(self, direction: int, end: int, mid2: int) -> Excursion:
        """Return a direction's excursion, a new one where its sum is 0."""
        excursion = self.sums[direction]
        if excursion.sum:
            return excursion
        mean_before = (
            sum_in_order(self.recent_log_ofi) / len(self.recent_log_ofi)
            if self.recent_log_ofi
            else None
        )
        excursion = Excursion(zero_at=end - SECOND_MS, zero_mid2=mid2, mean_before=mean_before)
        self.sums[direction] = excursion
        return excursion

    def _close_if_elapsed(self, context: DetectorContext, end: int) -> None:
        for direction in (0, 1):
            event = context.events.find("momentum_shift", UP_AND_DOWN[direction])
            if event is not None and end >= self.sums[direction].noticed_at + MAX_DURATION_MS:
                context.events.schedule_close(event, end, "elapsed")
                self._end_excursion(context, 0, end)
                self._end_excursion(context, 1, end)

    def _open_or_close(self, context: DetectorContext, direction: int, end: int) -> None:
        """Open, update or close a direction's event by its sum."""
        excursion = self.sums[direction]
        event = context.events.find("momentum_shift", UP_AND_DOWN[direction])
        if event is None:
            if excursion.sum >= ALARM:
                self._open(context, direction, end, excursion)
            elif not excursion.sum:
                self._end_excursion(context, direction, end)
        elif excursion.sum < FADED_SUM:
            context.events.schedule_close(event, end, "faded")
            self._end_excursion(context, direction, end)
        else:
            evidence = self._evidence(excursion, context.units_per_one)
            context.events.update(event, end, excursion.peak, evidence)

    def _end_excursion(self, context: DetectorContext, direction: int, end: int) -> None:
        """Add an excursion as a candidate if its peak is large enough, and reset it."""
        if self.sums[direction].peak >= FADED_SUM:
            context.events.candidates_of("momentum_shift").add_candidate(
                end, self.sums[direction].peak
            )
        self.sums[direction] = Excursion()

    def _open(
        self, context: DetectorContext, direction: int, end: int, excursion: Excursion
    ) -> None:
        opposite = context.events.find("momentum_shift", UP_AND_DOWN[1 - direction])
        if opposite is not None:
            context.events.schedule_close(opposite, end, "opposite")
            self._end_excursion(context, 1 - direction, end)
        context.events.open_or_extend(
            Opening(
                type="momentum_shift",
                side=UP_AND_DOWN[direction],
                opened_at=float(excursion.zero_at),
                completed_at=end,
                statistic=excursion.sum,
                threshold=ALARM,
                evidence_class="C",
                evidence=self._evidence(excursion, context.units_per_one),
                key=UP_AND_DOWN[direction],
            )
        )
        excursion.noticed_at = end

    def _evidence(self, excursion: Excursion, units_per_one: float) -> Evidence:
        evidence: Evidence = {
            "mean_after": excursion.log_ofi_total / excursion.seconds,
            "seconds": excursion.seconds,
        }
        if excursion.mean_before is not None:
            evidence["mean_before"] = excursion.mean_before
        if excursion.zero_mid2 and self.mid2:
            evidence["mid_move"] = (self.mid2 - excursion.zero_mid2) / 2 / units_per_one
        return evidence

    @property
    def building(self) -> str | None:
        """Return the direction whose sum is over half the alarm and grew in the last second."""
        direction = max((0, 1), key=lambda direction: self.sums[direction].sum)
        excursion = self.sums[direction]
        return UP_AND_DOWN[direction] if excursion.sum > ALARM / 2 and excursion.grew else None


def _add_to_excursion(excursion: Excursion, z: float, log_ofi: float) -> None:
    """Add a second to a sum: its score z, and its log-OFI."""
    new_sum = max(0.0, excursion.sum + z - ALLOWANCE)
    excursion.grew = new_sum > excursion.sum
    excursion.sum = new_sum
    excursion.peak = max(excursion.peak, new_sum)
    excursion.log_ofi_total += log_ofi
    excursion.seconds += 1
