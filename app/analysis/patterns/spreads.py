"""Spreads far from the usual, and best prices that jump."""

import math
from dataclasses import dataclass, field, replace
from typing import Final

from app.analysis.detector_context import Scene
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import PRICE_UNITS, Quote
from app.analysis.touch import SIDE_NAMES, Visit

TIGHT: Final = 0.5
WIDE: Final = 2.0
NORMAL_LOW: Final = 0.8
NORMAL_HIGH: Final = 1.25
HOLD_MS: Final = 1000.0
ONE_TICK_MARKET: Final = 0.8
NEWS_TICKS: Final = 2
GAP_TICKS: Final = 2
GAP_USUAL: Final = 1.5
JUMP_MS: Final = 5.0
POINT_MS: Final = 1000.0


@dataclass(slots=True)
class Regime:
    """A spread beyond the usual: which way, since when, over which median, and how far at most."""

    name: str
    since: float
    median: float
    peak: float
    spread: int
    is_open: bool = False

    def distance(self, spread: int) -> float:
        """Return how far a spread is beyond the median, as a factor ≥ 1 in the regime's sense."""
        return spread / self.median if self.name == "wide" else self.median / spread

    def widen(self, spread: int) -> None:
        """Keep the farthest spread."""
        if self.distance(spread) > self.peak:
            self.peak, self.spread = self.distance(spread), spread


@dataclass(slots=True, init=False)
class Bounds:
    """Spreads up to `narrow` and from `wide` on are regimes, as of a second and a tick."""

    tick: int
    median: float = 0.0
    narrow: float = -math.inf
    wide: float = math.inf

    def __init__(
        self,
        tick: int,
        median: float = 0.0,
        narrow: float = -math.inf,
        wide: float = math.inf,
    ) -> None:
        self.tick = tick
        self.median = median
        self.narrow = narrow
        self.wide = wide


def _bounds(scene: Scene) -> Bounds:
    tick, usual = scene.tick.size, scene.past.recent_spread
    if not tick or not usual:
        return Bounds(tick)
    median = float(max(1, round(usual / tick)) * tick)
    news = NEWS_TICKS * tick
    bounds = Bounds(tick, median, wide=max(WIDE * median, median + news))
    if scene.past.one_tick_share <= ONE_TICK_MARKET:
        bounds.narrow = min(TIGHT * median, median - news)
    return bounds


@dataclass(slots=True)
class SpreadRegimes(Detector):
    """Opens where the spread stays at half or twice its own recent median for 1 s."""

    regime: Regime | None = None
    standing: dict[str, Regime] = field(default_factory=dict)
    bounds: Bounds | None = None

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "spread_regime"

    def quoted(self, scene: Scene, quote: Quote) -> None:
        """Follow the valid spread."""
        spread = scene.market.spread
        for standing in list(self.standing.values()) if self.standing else ():
            self._follow(scene, standing, quote.stamp, spread)
        regime = self.regime
        if regime is not None and not _stays(regime, spread):
            scene.events.of_type("spread_regime").ended(quote.stamp, regime.peak)
            regime = self.regime = None
        if regime is not None:
            regime.widen(spread)
        elif spread:
            bounds = self.bounds
            if bounds is None or bounds.tick != scene.tick.size:
                bounds = self.bounds = _bounds(scene)
            if not bounds.narrow < spread < bounds.wide:
                self._begin(scene, quote.stamp, spread, bounds)

    def _begin(self, scene: Scene, stamp: float, spread: int, bounds: Bounds) -> None:
        name = "wide" if spread >= bounds.wide else "tight"
        self.regime = Regime(name, stamp, bounds.median, 0.0, spread)
        self.regime.widen(spread)
        self.wake(scene, stamp + HOLD_MS)

    def second(self, scene: Scene, end: int) -> None:
        """Let the next quote ask for the thresholds that come into force now."""
        self.bounds = None

    def timed(self, scene: Scene, at: float) -> None:
        """Open what has held for 1 s."""
        regime = self.regime
        if regime is None or regime.is_open:
            return
        due = regime.since + HOLD_MS
        if due > at:
            self.wake(scene, due)
            return
        regime.is_open = True
        if regime.name in self.standing:
            return
        self.standing[regime.name] = replace(regime)
        scene.events.opened(
            Opening(
                type="spread_regime",
                side="both",
                opened_at=regime.since,
                completed_at=due,
                statistic=regime.peak,
                threshold=WIDE,
                evidence_class="C",
                evidence=_evidence(scene, regime, regime.spread),
                key=regime.name,
            )
        )

    def _follow(self, scene: Scene, standing: Regime, stamp: float, spread: int) -> None:
        event = scene.events.find("spread_regime", standing.name)
        if event is None:
            del self.standing[standing.name]
            return
        ratio = spread / standing.median
        reason = None
        if not spread:
            reason = "one_sided"
        elif NORMAL_LOW <= ratio <= NORMAL_HIGH or (ratio > 1) == (standing.name == "tight"):
            reason = "normal"
        if reason is not None:
            scene.events.closing(event, stamp, reason)
            del self.standing[standing.name]
        elif standing.distance(spread) > event.statistic:
            evidence = _evidence(scene, standing, spread)
            scene.events.updated(event, stamp, standing.distance(spread), evidence)


def _stays(regime: Regime, spread: int) -> bool:
    if not spread:
        return False
    ratio = spread / regime.median
    return ratio >= WIDE if regime.name == "wide" else ratio <= TIGHT


def _evidence(scene: Scene, regime: Regime, spread: int) -> Evidence:
    evidence: Evidence = {
        "regime": regime.name,
        "ratio": spread / regime.median,
        "median_spread": regime.median / PRICE_UNITS,
    }
    if scene.tick.size:
        evidence["spread_ticks"] = spread / scene.tick.size
    return evidence


@dataclass(slots=True)
class PriceGaps(Detector):
    """Points at which a best price is far from where it stood 5 ms before."""

    last_opened: list[float] = field(default_factory=lambda: [-1e18, -1e18])

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "price_gap"

    def jumped(self, scene: Scene, side: int, visit: Visit, jump: int, before: Visit) -> None:
        """Judge a change of a best price by its distance from 5 ms ago."""
        tick = scene.tick.size
        usual = scene.past.jump
        if not tick or not usual or jump < GAP_TICKS * tick:
            return
        floor = max(GAP_TICKS * tick, GAP_USUAL * usual)
        if jump >= floor and visit.since - self.last_opened[side] > JUMP_MS:
            self._open(scene, side, visit, jump, before, floor)
        scene.events.of_type("price_gap").ended(visit.since, jump / floor)

    def _open(  # noqa: PLR0913, PLR0917 - a jump, where it was, and what it had to reach
        self, scene: Scene, side: int, visit: Visit, jump: int, before: Visit, floor: float
    ) -> None:
        self.last_opened[side] = visit.since
        event = scene.events.opened(
            Opening(
                type="price_gap",
                side=SIDE_NAMES[side],
                opened_at=visit.since,
                completed_at=visit.since,
                statistic=jump / floor,
                threshold=1.0,
                evidence_class="C",
                evidence={
                    "ticks": round(jump / scene.tick.size),
                    "size_before_shares": before.size,
                    "size_after_shares": visit.size,
                },
                price_low=min(visit.price, before.price),
                price_high=max(visit.price, before.price),
            )
        )
        scene.events.closing(event, visit.since + POINT_MS, "elapsed")


@dataclass(slots=True)
class BurstRun:
    """Seconds with many quotes; thresholds as an event froze them."""

    peak: float
    busy: float
    burst: float


@dataclass(slots=True)
class QuoteBursts(Detector):
    """Seconds with far more quotes than usual, few prints, and prices that flicker."""

    run: BurstRun | None = None
    open_run: BurstRun | None = None

    @property
    def finds(self) -> str:
        """Name the pattern that it opens."""
        return "quote_burst"

    def second(self, scene: Scene, end: int) -> None:
        """Judge the second."""
        facts, past = scene.facts, scene.past
        if facts is None:
            return
        count = facts.quote_count
        closed = self._follow(scene, end, count)
        busy, burst = past.busy_quotes, past.burst_quotes
        self._candidate(scene, end, count, busy, burst)
        if closed or not burst or not busy or count < burst or not self._flickers(scene):
            return
        evidence: Evidence = {
            "quotes_per_second": count,
            "flicker_share": facts.flicker_share or 0.0,
            "trades_per_second": facts.trade_count,
        }
        event = scene.events.find("quote_burst", "both")
        if event is None:
            self._open(scene, end, count / burst, evidence)
            self.open_run = self.open_run or BurstRun(count / burst, busy, burst)
        elif self.open_run is not None and count / self.open_run.burst > event.statistic:
            scene.events.updated(event, end, count / self.open_run.burst, evidence)

    def _flickers(self, scene: Scene) -> bool:
        facts, past = scene.facts, scene.past
        if facts is None or facts.flicker_share is None or past.flicker is None:
            return False
        if scene.trades_seen and (
            past.usual_trades is None or facts.trade_count >= past.usual_trades
        ):
            return False
        return facts.flicker_share > 0 and facts.flicker_share >= past.flicker

    def _follow(self, scene: Scene, end: int, count: int) -> bool:
        event = scene.events.find("quote_burst", "both")
        if event is None or self.open_run is None or count >= self.open_run.busy:
            return False
        scene.events.closing(event, end, "faded")
        self.open_run = None
        return True

    def _candidate(
        self, scene: Scene, end: int, count: int, busy: float | None, burst: float | None
    ) -> None:
        run = self.run
        if run is not None and count < run.busy:
            scene.events.of_type("quote_burst").ended(end, run.peak)
            run = self.run = None
        if run is not None:
            run.peak = max(run.peak, count / run.burst)
        elif busy and burst and count >= busy:
            self.run = BurstRun(count / burst, busy, burst)

    def _open(self, scene: Scene, end: int, statistic: float, evidence: Evidence) -> None:
        scene.events.opened(
            Opening(
                type="quote_burst",
                side="both",
                opened_at=scene.book.first_quote,
                completed_at=end,
                statistic=statistic,
                threshold=1.0,
                evidence_class="C",
                evidence=evidence,
                key="both",
            )
        )
