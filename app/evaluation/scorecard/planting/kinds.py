"""All kinds of plantings: the planter, the strengths, the pattern that must be detected."""

from dataclasses import dataclass

from app.evaluation.scorecard.planting import quote_plantings, size_plantings, trade_plantings
from app.evaluation.scorecard.planting.planter import Planter


@dataclass(frozen=True, slots=True)
class PlantingKind:
    """A kind of planting: pattern and form, and its small, medium and large strengths.

    An event may start up to `grace_ms` after the planting. `is_natural` tells that the pattern
    occurs in any book, so that an event of the unplanted tape is no false alarm.
    """

    pattern: str
    planter: Planter
    strengths: tuple[float, float, float]
    unit: str
    grace_ms: float = 0.0
    form: str = ""
    needs_trades: bool = True
    is_natural: bool = True

    @property
    def name(self) -> str:
        """Name of its row in the table."""
        return f"{self.pattern} ({self.form})" if self.form else self.pattern


KINDS = (
    PlantingKind("wall", size_plantings.wall, (1.15, 1.5, 3.0), "x threshold"),
    PlantingKind("stacking", size_plantings.stacking, (1.15, 1.5, 3.0), "x threshold"),
    PlantingKind("pulling", size_plantings.pulling, (1.15, 1.5, 3.0), "x q95", 1000.0),
    PlantingKind("sweep", trade_plantings.sweep, (2, 3, 5), "prices", is_natural=False),
    PlantingKind(
        "iceberg",
        trade_plantings.native_iceberg,
        (3, 4, 8),
        "x median touch refilled",
        60_000.0,
        "native",
        is_natural=False,
    ),
    PlantingKind(
        "iceberg",
        trade_plantings.synthetic_iceberg,
        (3, 4, 8),
        "x median touch refilled",
        60_000.0,
        "synthetic",
        is_natural=False,
    ),
    PlantingKind(
        "absorption", trade_plantings.absorption, (1.25, 2.0, 4.0), "x threshold flow", 30_000.0
    ),
    PlantingKind(
        "trade_burst", trade_plantings.trade_burst, (1.15, 1.5, 3.0), "x q99 of 10 s", 10_000.0
    ),
    PlantingKind(
        "hidden_print", trade_plantings.hidden_prints, (3, 5, 10), "prints", 0.0, is_natural=False
    ),
    PlantingKind(
        "momentum_shift", quote_plantings.drift, (0.75, 1.0, 1.5), "sd for 60 s", 10_000.0
    ),
    PlantingKind(
        "spread_regime", quote_plantings.wide_spread, (2.2, 3.0, 5.0), "x median", form="wide"
    ),
    PlantingKind(
        "spread_regime", quote_plantings.tight_spread, (2.2, 3.0, 5.0), "th of median", form="tight"
    ),
    PlantingKind("price_gap", quote_plantings.price_gap, (1.15, 1.5, 3.0), "x threshold"),
    PlantingKind("quote_burst", quote_plantings.quote_burst, (1.15, 1.5, 3.0), "x q99", 1000.0),
    PlantingKind(
        "absorption_suspected",
        quote_plantings.depleted_level,
        (3.3, 4.5, 9.0),
        "x start size",
        needs_trades=False,
    ),
    PlantingKind(
        "refill_suspected", quote_plantings.size_dips, (3, 5, 10), "dips", needs_trades=False
    ),
)
