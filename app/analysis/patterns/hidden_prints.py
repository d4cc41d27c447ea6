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
    """Inside trades of one side at `price`; after the third also at adjacent prices, low to high.

    `floor` is the volume that it has to reach, `total_volume_before` all volume before its first
    trade.
    """

    price: int
    low: int
    high: int
    floor: float
    first: float
    last: float
    total_volume_before: float
    prints: int = 0
    volume: float = 0.0
    is_given: bool = True

    @property
    def statistic(self) -> float:
        """Return the volume in units of the volume that it has to reach."""
        return self.volume / self.floor

    def add_print(self, trade: Trade, sign: TradeSign) -> None:
        """Add a trade."""
        self.last = trade.stamp
        self.prints += 1
        self.volume += trade.size
        self.is_given = self.is_given and sign.is_given

    def includes(self, price: int) -> bool:
        """Return whether a trade at a price belongs to it."""
        return self.prints >= MIN_PRINTS and self.low <= price <= self.high

    def is_adjacent(self, price: int, tick: int) -> bool:
        """Return whether a price is at most a tick away from its prices."""
        return self.prints >= MIN_PRINTS and self.low - tick <= price <= self.high + tick

    def absorb(self, other: "Cluster") -> None:
        """Add the trades of a cluster at an adjacent price."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.prints += other.prints
        self.volume += other.volume
        self.last = max(self.last, other.last)
        self.is_given = self.is_given and other.is_given
        if other.total_volume_before < self.total_volume_before:  # it began earlier
            self.first, self.total_volume_before = other.first, other.total_volume_before


@dataclass(slots=True)
class HiddenPrints(Detector):
    """Clusters inside trades by price and side, and opens an event for each large cluster.

    `clusters` are by side and by the price at which they began, the oldest first.
    """

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
        cluster = self._find(side, trade.price)
        if cluster is None:
            floor = context.thresholds.order_size
            if not floor:
                return
            cluster = self.clusters[side][trade.price] = Cluster(
                trade.price,
                trade.price,
                trade.price,
                floor,
                trade.stamp,
                trade.stamp,
                volume_before,
            )
        cluster.add_print(trade, sign)
        self.request_timer(context, trade.stamp + SILENCE_MS)
        if cluster.prints == MIN_PRINTS:
            cluster = self._merged(context, side, cluster, trade.stamp)
        if cluster.prints >= MIN_PRINTS and cluster.volume >= cluster.floor:
            self._open_or_update(context, side, trade, cluster)

    def _find(self, side: int, price: int) -> Cluster | None:
        """Return the cluster that a trade at a price belongs to."""
        clusters = self.clusters[side]
        for cluster in clusters.values():
            if cluster.includes(price):
                return cluster
        return clusters.get(price)

    def _merged(
        self, context: DetectorContext, side: int, cluster: Cluster, stamp: float
    ) -> Cluster:
        """Make one of a cluster that has its third trade and of those at adjacent prices.

        The oldest of these takes all trades; events of the others close. With fewer trades, inside
        trades of different orders would become one cluster.
        """
        tick = context.tick_size.size
        if not tick:
            return cluster
        clusters = self.clusters[side]
        others = [
            other
            for other in clusters.values()
            if other is not cluster and other.is_adjacent(cluster.price, tick)
        ]
        if not others:
            return cluster
        oldest = others[0]
        for other in [cluster, *others[1:]]:
            del clusters[other.price]
            oldest.absorb(other)
            event = context.events.find("hidden_print", f"{SIDE_NAMES[side]}:{other.price}")
            if event is not None:
                context.events.schedule_close(event, stamp, "merged")
        return oldest

    def _open_or_update(
        self, context: DetectorContext, side: int, trade: Trade, cluster: Cluster
    ) -> None:
        """Open the event of a cluster, or update it."""
        evidence: Evidence = {
            "prints": cluster.prints,
            "volume_shares": cluster.volume,
            "floor_shares": cluster.floor,
            "volume_share": cluster.volume / (self.total_volume - cluster.total_volume_before),
        }
        evidence_class = "A" if cluster.is_given else "B"
        event = context.events.open_or_extend(
            Opening(
                type="hidden_print",
                side=SIDE_NAMES[side],
                opened_at=cluster.first,
                completed_at=trade.stamp,
                statistic=cluster.statistic,
                threshold=1.0,
                evidence_class=evidence_class,
                evidence=evidence,
                price_low=cluster.low,
                price_high=cluster.high,
                key=f"{SIDE_NAMES[side]}:{cluster.price}",
                is_of_peak=True,
            )
        )
        if cluster.statistic > event.statistic:
            context.events.lower_evidence_class(event, trade.stamp, evidence_class)
            context.events.update(event, trade.stamp, cluster.statistic, evidence)
        context.events.widen(event, trade.stamp, cluster.low, cluster.high)

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
                context.events.candidates_of("hidden_print").add_candidate(due, cluster.statistic)
                event = context.events.find("hidden_print", f"{SIDE_NAMES[side]}:{price}")
                if event is not None:
                    context.events.schedule_close(event, due, "silence")
