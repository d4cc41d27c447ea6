"""Detect spread regimes: a spread that stays far from its recent median."""

import math
from dataclasses import dataclass, field, replace
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import Quote

TIGHT_RATIO: Final = 0.5
WIDE_RATIO: Final = 2.0
NORMAL_LOW: Final = 0.8
NORMAL_HIGH: Final = 1.25
HOLD_MS: Final = 1000.0
MAX_ONE_TICK_SHARE: Final = 0.8
MIN_TICKS: Final = 2


@dataclass(slots=True)
class Regime:
    """A time of wide or tight spread, from `since` on.

    `median` is the recent median when it began; `farthest_spread` is the spread farthest from it,
    `peak_ratio` that one's distance.
    """

    name: str
    since: float
    median: float
    peak_ratio: float
    farthest_spread: int
    is_open: bool = False

    def distance(self, spread: int) -> float:
        """Return the factor between spread and median, ≥ 1 in the regime's direction."""
        return spread / self.median if self.name == "wide" else self.median / spread

    def widen(self, spread: int) -> None:
        """Update the farthest spread."""
        if self.distance(spread) > self.peak_ratio:
            self.peak_ratio, self.farthest_spread = self.distance(spread), spread


@dataclass(slots=True, init=False)
class Bounds:
    """Bounds of the current second: spreads ≤ `tight` are tight, spreads ≥ `wide` wide."""

    tick: int
    median: float = 0.0
    tight: float = -math.inf
    wide: float = math.inf

    def __init__(
        self,
        tick: int,
        median: float = 0.0,
        tight: float = -math.inf,
        wide: float = math.inf,
    ) -> None:
        self.tick = tick
        self.median = median
        self.tight = tight
        self.wide = wide


def _bounds(context: DetectorContext) -> Bounds:
    """Compute the spreads from which on a regime begins; no bounds while warming."""
    tick, recent_median = context.tick_size.size, context.thresholds.recent_spread
    if not tick or not recent_median:
        return Bounds(tick)
    median = float(max(1, round(recent_median / tick)) * tick)
    min_distance = MIN_TICKS * tick
    bounds = Bounds(tick, median, wide=max(WIDE_RATIO * median, median + min_distance))
    if context.thresholds.one_tick_share <= MAX_ONE_TICK_SHARE:
        bounds.tight = min(TIGHT_RATIO * median, median - min_distance)
    return bounds


@dataclass(slots=True)
class SpreadRegimes(Detector):
    """Opens an event where the spread stays at half or twice its recent median for 1 s.

    `regime` is the current one, `open_regimes` are those with an open event, by name; `bounds`
    are None until needed in a second.
    """

    regime: Regime | None = None
    open_regimes: dict[str, Regime] = field(default_factory=dict)
    bounds: Bounds | None = None

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "spread_regime"

    def on_quote(self, context: DetectorContext, quote: Quote) -> None:
        """Update the current regime and the open events."""
        spread = context.standing_quote.spread
        for open_regime in list(self.open_regimes.values()) if self.open_regimes else ():
            self._follow_open_regime(context, open_regime, quote.stamp, spread)
        regime = self.regime
        if regime is not None and not _is_in_regime(regime, spread):
            context.events.candidates_of("spread_regime").add_candidate(
                quote.stamp, regime.peak_ratio
            )
            regime = self.regime = None
        if regime is not None:
            regime.widen(spread)
        elif spread:
            bounds = self.bounds
            if bounds is None or bounds.tick != context.tick_size.size:
                bounds = self.bounds = _bounds(context)
            if not bounds.tight < spread < bounds.wide:
                self._begin_regime(context, quote.stamp, spread, bounds)

    def _begin_regime(
        self, context: DetectorContext, stamp: float, spread: int, bounds: Bounds
    ) -> None:
        """Begin a regime, and set the timer that opens its event."""
        name = "wide" if spread >= bounds.wide else "tight"
        self.regime = Regime(name, stamp, bounds.median, 0.0, spread)
        self.regime.widen(spread)
        self.request_timer(context, stamp + HOLD_MS)

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Discard the bounds: the thresholds change now."""
        self.bounds = None

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """Open an event for a regime that lasted 1 s."""
        regime = self.regime
        if regime is None or regime.is_open:
            return
        due = regime.since + HOLD_MS
        if due > at:
            self.request_timer(context, due)
            return
        regime.is_open = True
        if regime.name in self.open_regimes:
            return
        self.open_regimes[regime.name] = replace(regime)
        context.events.open_or_extend(
            Opening(
                type="spread_regime",
                side=regime.name,
                opened_at=regime.since,
                completed_at=due,
                statistic=regime.peak_ratio,
                threshold=WIDE_RATIO,
                evidence_class="C",
                evidence=_evidence(context, regime, regime.farthest_spread),
                is_of_peak=True,
            )
        )

    def _follow_open_regime(
        self, context: DetectorContext, regime: Regime, stamp: float, spread: int
    ) -> None:
        """Close or update the open event of a regime."""
        event = context.events.find("spread_regime", regime.name)
        if event is None:
            del self.open_regimes[regime.name]
            return
        ratio = spread / regime.median
        reason = None
        if not spread:
            reason = "one_sided"
        elif NORMAL_LOW <= ratio <= NORMAL_HIGH or (ratio > 1) == (regime.name == "tight"):
            reason = "normal"
        if reason is not None:
            context.events.schedule_close(event, stamp, reason)
            del self.open_regimes[regime.name]
        elif regime.distance(spread) > event.statistic:
            evidence = _evidence(context, regime, spread)
            context.events.update(event, stamp, regime.distance(spread), evidence)


def _is_in_regime(regime: Regime, spread: int) -> bool:
    """Return whether a spread continues a regime."""
    if not spread:
        return False
    ratio = spread / regime.median
    return ratio >= WIDE_RATIO if regime.name == "wide" else ratio <= TIGHT_RATIO


def _evidence(context: DetectorContext, regime: Regime, spread: int) -> Evidence:
    evidence: Evidence = {
        "ratio": regime.distance(spread),
        "median_spread": regime.median / context.units_per_one,
    }
    if context.tick_size.size:
        evidence["spread_ticks"] = spread / context.tick_size.size
    return evidence
