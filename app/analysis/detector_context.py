"""Hold the data of a ticker that its detectors share."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.baselines import Baselines, SecondSample, Thresholds, TickSize
from app.analysis.patterns.events import Events
from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE
from app.analysis.standing_quote import StandingQuote
from app.analysis.touch import BestPriceChanges, SecondTotals, Visit

NEVER: Final = float("inf")


@dataclass(slots=True)
class DetectorContext:
    """A ticker's touch, baselines and events; detectors read it, and open events through it.

    `second_sample` is that of the second being closed, `mid2` twice the valid mid at the last whole
    second (0: none), `next_timer` the earliest of the detectors' timers. Lists are by side, prices
    in units of 10^-`digits`.
    """

    ticker: str
    standing_quote: StandingQuote
    baselines: Baselines
    events: Events
    tick_size: TickSize
    visits: list[Visit | None] = field(default_factory=lambda: [None, None])
    price_changes: list[BestPriceChanges] = field(
        default_factory=lambda: [BestPriceChanges(), BestPriceChanges()]
    )
    second_totals: SecondTotals = field(default_factory=SecondTotals, init=False)
    trades_seen: bool = False
    first_stamp: float = 0.0
    mid2: int = 0
    next_timer: float = NEVER
    second_sample: SecondSample | None = field(default=None, init=False)
    digits: int = field(default=DEFAULT_DIGITS, init=False)

    @property
    def thresholds(self) -> Thresholds:
        """Return the thresholds in force."""
        return self.baselines.thresholds

    @property
    def units_per_one(self) -> float:
        """Return how many price units make a price of 1."""
        return FLOAT_UNITS_PER_ONE[self.digits]

    def best_price(self, side: int) -> int | None:
        """Return the best price of a side, None where it is empty."""
        visit = self.visits[side]
        return None if visit is None else visit.price
