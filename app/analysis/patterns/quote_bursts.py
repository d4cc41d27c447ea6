"""Detect quote bursts: far more quotes in a second than usual, with few trades."""

from dataclasses import dataclass

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening


@dataclass(slots=True)
class BurstRun:
    """Successive seconds with many quotes, with the thresholds as of the first."""

    peak_ratio: float
    quote_rate_q95: float
    quote_rate_q99: float


@dataclass(slots=True)
class QuoteBursts(Detector):
    """Finds seconds with far more quotes than usual, few trades, and flickering prices.

    Few are as many as in three quarters of the seconds: where prints are rare that is none.

    `run` is the candidate, `open_run` that of the open event.
    """

    run: BurstRun | None = None
    open_run: BurstRun | None = None

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "quote_burst"

    def on_second(self, context: DetectorContext, end: int) -> None:
        """Update the candidate, then close, update or open the event."""
        sample, thresholds = context.second_sample, context.thresholds
        if sample is None:
            return
        count = sample.quote_count
        has_closed = self._close_if_faded(context, end, count)
        q95, q99 = thresholds.quote_rate_q95, thresholds.quote_rate_q99
        self._follow_run(context, end, count, q95, q99)
        if has_closed or not q99 or not q95 or count < q99 or not self._is_flickering(context):
            return
        evidence: Evidence = {
            "quotes_per_second": count,
            "flicker_share": sample.flicker_share or 0.0,
            "trades_per_second": sample.trade_count,
        }
        event = context.events.find("quote_burst", "both")
        if event is None:
            self._open(context, end, count / q99, evidence)
            self.open_run = self.open_run or BurstRun(count / q99, q95, q99)
        elif self.open_run is not None and count / self.open_run.quote_rate_q99 > event.statistic:
            context.events.update(event, end, count / self.open_run.quote_rate_q99, evidence)

    def _is_flickering(self, context: DetectorContext) -> bool:
        """Return whether prices flicker unusually much, with no more trades than usual."""
        sample, thresholds = context.second_sample, context.thresholds
        if sample is None or sample.flicker_share is None or thresholds.flicker is None:
            return False
        if context.trades_seen and (
            thresholds.trade_rate_q75 is None or sample.trade_count > thresholds.trade_rate_q75
        ):
            return False
        return sample.flicker_share > 0 and sample.flicker_share >= thresholds.flicker

    def _close_if_faded(self, context: DetectorContext, end: int, count: int) -> bool:
        """Close the event where few enough quotes came; return whether it did."""
        event = context.events.find("quote_burst", "both")
        if event is None or self.open_run is None or count >= self.open_run.quote_rate_q95:
            return False
        context.events.schedule_close(event, end, "faded")
        self.open_run = None
        return True

    def _follow_run(
        self,
        context: DetectorContext,
        end: int,
        count: int,
        q95: float | None,
        q99: float | None,
    ) -> None:
        """End, update or begin the candidate."""
        run = self.run
        if run is not None and count < run.quote_rate_q95:
            context.events.candidates_of("quote_burst").add_candidate(end, run.peak_ratio)
            run = self.run = None
        if run is not None:
            run.peak_ratio = max(run.peak_ratio, count / run.quote_rate_q99)
        elif q95 and q99 and count >= q95:
            self.run = BurstRun(count / q99, q95, q99)

    def _open(
        self, context: DetectorContext, end: int, statistic: float, evidence: Evidence
    ) -> None:
        context.events.open_or_extend(
            Opening(
                type="quote_burst",
                side="both",
                opened_at=context.second_totals.first_quote_at,
                completed_at=end,
                statistic=statistic,
                threshold=1.0,
                evidence_class="C",
                evidence=evidence,
                is_of_peak=True,
            )
        )
