"""Every kind of happening that is planted: how, at which sizes, and what must find it."""

from dataclasses import dataclass

from app.evaluation.scorecard.planting import quotings, sizes, takings
from app.evaluation.scorecard.planting.planter import Planter


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of planting: pattern and form, strengths small, medium, large.

    `grace_ms` is how long after the happening an event may still begin; `is_natural` says that
    the same thing happens in any book: an event that is there without planting is no false alarm.
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
        """Name of the row that it makes in the table."""
        return f"{self.pattern} ({self.form})" if self.form else self.pattern


KINDS = (
    Kind("wall", sizes.wall, (1.15, 1.5, 3.0), "x threshold"),
    Kind("stacking", sizes.stacking, (1.15, 1.5, 3.0), "x threshold"),
    Kind("pulling", sizes.pulling, (1.15, 1.5, 3.0), "x q95", 1000.0),
    Kind("sweep", takings.sweep, (2, 3, 5), "prices", is_natural=False),
    Kind(
        "iceberg",
        takings.native_iceberg,
        (3, 4, 8),
        "x median touch refilled",
        60_000.0,
        "native",
        is_natural=False,
    ),
    Kind(
        "iceberg",
        takings.synthetic_iceberg,
        (3, 4, 8),
        "x median touch refilled",
        60_000.0,
        "synthetic",
        is_natural=False,
    ),
    Kind("absorption", takings.absorption, (1.25, 2.0, 4.0), "x threshold flow", 30_000.0),
    Kind("hidden_print", takings.hidden_prints, (3, 5, 10), "prints", 0.0, is_natural=False),
    Kind("momentum_shift", quotings.drift, (0.75, 1.0, 1.5), "sd for 60 s", 10_000.0),
    Kind("spread_regime", quotings.wide_spread, (2.2, 3.0, 5.0), "x median", form="wide"),
    Kind("spread_regime", quotings.tight_spread, (2.2, 3.0, 5.0), "th of median", form="tight"),
    Kind("price_gap", quotings.price_gap, (1.15, 1.5, 3.0), "x threshold"),
    Kind("quote_burst", quotings.quote_burst, (1.15, 1.5, 3.0), "x q99", 1000.0),
    Kind(
        "absorption_suspected",
        quotings.used_level,
        (3.3, 4.5, 9.0),
        "x start size",
        needs_trades=False,
    ),
    Kind("refill_suspected", quotings.dips, (3, 5, 10), "dips", needs_trades=False),
)
