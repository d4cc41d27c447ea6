"""Prints between bid and ask: size that was there and not shown."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, taken_side

SILENT_MS: Final = 10_000.0
PRINTS_NEEDED: Final = 3


@dataclass(slots=True)
class Cluster:
    """Inside prints at one price and side; `printed_before` is all volume before its first."""

    first: float
    last: float
    printed_before: float
    prints: int = 0
    volume: float = 0.0
    is_given: bool = True


@dataclass(slots=True)
class HiddenPrints(Detector):
    """Clusters of inside prints at one price and side."""

    printed_total: float = 0.0
    clusters: list[dict[int, Cluster]] = field(default_factory=lambda: [{}, {}])

    @property
    def pattern_type(self) -> str:
        """Name the pattern that it opens."""
        return "hidden_print"

    def on_trade(self, context: DetectorContext, trade: Trade, side: TradeSign) -> None:
        """Add an inside print to its cluster."""
        before = self.printed_total
        self.printed_total += trade.size
        if side.aggressor == UNSIGNED or not side.is_inside:
            return
        resting = taken_side(side.aggressor)
        cluster = self.clusters[resting].get(trade.price)
        if cluster is None:
            cluster = self.clusters[resting][trade.price] = Cluster(
                trade.stamp, trade.stamp, before
            )
        cluster.last = trade.stamp
        cluster.prints += 1
        cluster.volume += trade.size
        cluster.is_given = cluster.is_given and side.is_given
        self.request_timer(context, trade.stamp + SILENT_MS)
        if cluster.prints >= PRINTS_NEEDED:
            self._tell(context, resting, trade, cluster)

    def _tell(self, context: DetectorContext, side: int, trade: Trade, cluster: Cluster) -> None:
        evidence: Evidence = {
            "prints": cluster.prints,
            "volume_shares": cluster.volume,
            "volume_share": cluster.volume / (self.printed_total - cluster.printed_before),
        }
        event = context.events.open_or_extend(
            Opening(
                type="hidden_print",
                side=SIDE_NAMES[side],
                opened_at=cluster.first,
                completed_at=trade.stamp,
                statistic=cluster.prints,
                threshold=PRINTS_NEEDED,
                evidence_class="A" if cluster.is_given else "B",
                evidence=evidence,
                price_low=trade.price,
                price_high=trade.price,
                key=f"{SIDE_NAMES[side]}:{trade.price}",
            )
        )
        if cluster.prints > PRINTS_NEEDED:
            context.events.lower_class(event, trade.stamp, "A" if cluster.is_given else "B")
            context.events.update(event, trade.stamp, cluster.prints, evidence)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """End clusters that are 10 s silent."""
        for side in (0, 1):
            clusters = self.clusters[side]
            for price, cluster in list(clusters.items()):
                due = cluster.last + SILENT_MS
                if due > at:
                    self.request_timer(context, due)
                    continue
                del clusters[price]
                context.events.of_type("hidden_print").add_candidate(due, cluster.prints)
                event = context.events.find("hidden_print", f"{SIDE_NAMES[side]}:{price}")
                if event is not None:
                    context.events.schedule_close(event, due, "silence")
