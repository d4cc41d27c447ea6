"""Quote bursts: far more quotes in a second than usual, with few trades."""

from dataclasses import dataclass

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening


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
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "quote_burst"

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Judge the second."""
        facts, past = context.second_sample, context.thresholds
        if facts is None:
            return
        count = facts.quote_count
        closed = self._follow(context, end, count)
        busy, burst = past.busy_quotes, past.burst_quotes
        self._candidate(context, end, count, busy, burst)
        if closed or not burst or not busy or count < burst or not self._flickers(context):
            return
        evidence: Evidence = {
            "quotes_per_second": count,
            "flicker_share": facts.flicker_share or 0.0,
            "trades_per_second": facts.trade_count,
        }
        event = context.events.find("quote_burst", "both")
        if event is None:
            self._open(context, end, count / burst, evidence)
            self.open_run = self.open_run or BurstRun(count / burst, busy, burst)
        elif self.open_run is not None and count / self.open_run.burst > event.statistic:
            context.events.update(event, end, count / self.open_run.burst, evidence)

    def _flickers(self, context: DetectorContext) -> bool:
        facts, past = context.second_sample, context.thresholds
        if facts is None or facts.flicker_share is None or past.flicker is None:
            return False
        if context.trades_seen and (
            past.usual_trades is None or facts.trade_count >= past.usual_trades
        ):
            return False
        return facts.flicker_share > 0 and facts.flicker_share >= past.flicker

    def _follow(self, context: DetectorContext, end: int, count: int) -> bool:
        event = context.events.find("quote_burst", "both")
        if event is None or self.open_run is None or count >= self.open_run.busy:
            return False
        context.events.schedule_close(event, end, "faded")
        self.open_run = None
        return True

    def _candidate(
        self,
        context: DetectorContext,
        end: int,
        count: int,
        busy: float | None,
        burst: float | None,
    ) -> None:
        run = self.run
        if run is not None and count < run.busy:
            context.events.of_type("quote_burst").add_candidate(end, run.peak)
            run = self.run = None
        if run is not None:
            run.peak = max(run.peak, count / run.burst)
        elif busy and burst and count >= busy:
            self.run = BurstRun(count / burst, busy, burst)

    def _open(
        self, context: DetectorContext, end: int, statistic: float, evidence: Evidence
    ) -> None:
        context.events.open_or_extend(
            Opening(
                type="quote_burst",
                side="both",
                opened_at=context.second_totals.first_quote,
                completed_at=end,
                statistic=statistic,
                threshold=1.0,
                evidence_class="C",
                evidence=evidence,
                key="both",
            )
        )
