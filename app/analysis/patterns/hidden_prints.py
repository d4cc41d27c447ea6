"""Detect hidden prints: trades inside the spread, against size that was not displayed."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Evidence, Opening
from app.analysis.records import UNSIGNED, Trade
from app.analysis.standing_quote import TradeSign
from app.analysis.touch import SIDE_NAMES, resting_side

SILENCE_MS: Final = 10_000.0
MIN_PRINTS: Final = 3


@dataclass(slots=True)
class Cluster:
    """Inside trades at one price and side; `total_volume_before` is all volume before the first."""

    first: float
    last: float
    total_volume_before: float
    prints: int = 0
    volume: float = 0.0
    is_given: bool = True


@dataclass(slots=True)
class HiddenPrints(Detector):
    """Clusters inside trades by price and side, and opens an event for each large cluster."""

    total_volume: float = 0.0
    clusters: list[dict[int, Cluster]] = field(default_factory=lambda: [{}, {}])

    @property
    def pattern_type(self) -> str:
        """Return the type of the events that this detector opens."""
        return "hidden_print"

    def on_trade(self, context: DetectorContext, trade: Trade, sign: TradeSign) -> None:
        """Add an inside trade to its cluster."""
        volume_before = self.total_volume
        self.total_volume += trade.size
        if sign.aggressor == UNSIGNED or not sign.is_inside:
            return
        side = resting_side(sign.aggressor)
        cluster = self.clusters[side].get(trade.price)
        if cluster is None:
            cluster = self.clusters[side][trade.price] = Cluster(
                trade.stamp, trade.stamp, volume_before
            )
        cluster.last = trade.stamp
        cluster.prints += 1
        cluster.volume += trade.size
        cluster.is_given = cluster.is_given and sign.is_given
        self.request_timer(context, trade.stamp + SILENCE_MS)
        if cluster.prints >= MIN_PRINTS:
            self._open_or_update(context, side, trade, cluster)

    def _open_or_update(
        self, context: DetectorContext, side: int, trade: Trade, cluster: Cluster
    ) -> None:
        """Open the event of a cluster, or update it."""
        evidence: Evidence = {
            "prints": cluster.prints,
            "volume_shares": cluster.volume,
            "volume_share": cluster.volume / (self.total_volume - cluster.total_volume_before),
        }
        event = context.events.open_or_extend(
            Opening(
                type="hidden_print",
                side=SIDE_NAMES[side],
                opened_at=cluster.first,
                completed_at=trade.stamp,
                statistic=cluster.prints,
                threshold=MIN_PRINTS,
                evidence_class="A" if cluster.is_given else "B",
                evidence=evidence,
                price_low=trade.price,
                price_high=trade.price,
                key=f"{SIDE_NAMES[side]}:{trade.price}",
            )
        )
        if cluster.prints > MIN_PRINTS:
            context.events.lower_evidence_class(
                event, trade.stamp, "A" if cluster.is_given else "B"
            )
            context.events.update(event, trade.stamp, cluster.prints, evidence)

    def on_timer(self, context: DetectorContext, at: float) -> None:
        """End clusters without a trade for 10 s."""
        for side in (0, 1):
            clusters = self.clusters[side]
            for price, cluster in list(clusters.items()):
                due = cluster.last + SILENCE_MS
                if due > at:
                    self.request_timer(context, due)
                    continue
                del clusters[price]
                context.events.candidates_of("hidden_print").add_candidate(due, cluster.prints)
                event = context.events.find("hidden_print", f"{SIDE_NAMES[side]}:{price}")
                if event is not None:
                    context.events.schedule_close(event, due, "silence")
