"""All that is remembered of a ticker from one tick to the next."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import Bar, BarFold
from app.analysis.baselines import Tick, Usual
from app.analysis.detector_context import Scene
from app.analysis.levels import SideLevels
from app.analysis.patterns.absorption import Absorption, SuspectedAbsorption
from app.analysis.patterns.events import Event, Events
from app.analysis.patterns.hidden_prints import HiddenPrints
from app.analysis.patterns.icebergs import Icebergs, SuspectedRefills
from app.analysis.patterns.momentum import MomentumShifts
from app.analysis.patterns.spreads import PriceGaps, QuoteBursts, SpreadRegimes
from app.analysis.patterns.sweeps import Sweeps
from app.analysis.patterns.walls import Pulling, Stacking, Walls
from app.analysis.records import Quote
from app.analysis.standing_quote import Market

ENGINE: Final = "1"
"""Version of the definitions: a newer one builds a state anew."""


@dataclass(slots=True)
class Detectors:
    """All detectors' memories, in the order in which they are told."""

    sweeps: Sweeps = field(default_factory=Sweeps)
    icebergs: Icebergs = field(default_factory=Icebergs)
    suspected_refills: SuspectedRefills = field(default_factory=SuspectedRefills)
    hidden: HiddenPrints = field(default_factory=HiddenPrints)
    walls: Walls = field(default_factory=Walls)
    stacking: Stacking = field(default_factory=Stacking)
    suspected_absorption: SuspectedAbsorption = field(default_factory=SuspectedAbsorption)
    spreads: SpreadRegimes = field(default_factory=SpreadRegimes)
    gaps: PriceGaps = field(default_factory=PriceGaps)
    pulling: Pulling = field(default_factory=Pulling)
    absorption: Absorption = field(default_factory=Absorption)
    momentum: MomentumShifts = field(default_factory=MomentumShifts)
    bursts: QuoteBursts = field(default_factory=QuoteBursts)


@dataclass(slots=True)
class Gap:
    """Event time whose records were lost or trimmed before they could be folded."""

    start: float
    end: float


@dataclass(slots=True)
class Weak:
    """A closed event under its ticker's median strength, and when it is published no longer."""

    goes_at: float
    opened_at: float
    id: str


@dataclass(slots=True, init=False)
class Snapshot:
    """The bar fold as it was at a whole second, to fold late records into the seconds after it."""

    end: int
    fold: BarFold

    def __init__(self, end: int, fold: BarFold) -> None:
        self.end = end
        self.fold = fold


@dataclass(slots=True)
class State:
    """All that the fold remembers of a ticker, save the bars that no late record can change.

    `recent` are the bars of the last 2 s, stored apart, `snapshots` the folds at their starts;
    `failed` tells when a detector last failed.
    """

    ticker: str
    scene: Scene
    fold: BarFold
    detectors: Detectors
    levels: list[SideLevels]
    as_of: int = 0
    newest_second: int = 0
    is_asleep: bool = False
    moment: float = 0.0
    recent: list[Bar] = field(default_factory=list, init=False)
    snapshots: list[Snapshot] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    lost_to: float = 0.0
    rebuilt_at: int = 0
    last_sweep: Event | None = None
    first_quote: Quote | None = None
    weak: list[Weak] = field(default_factory=list)


def new_state(ticker: str) -> State:
    """Return the state of a ticker of which nothing was seen."""
    market = Market()
    scene = Scene(ticker, market, Usual(), Events(ticker), Tick())
    fold = BarFold(0, Market())
    return State(
        ticker,
        scene,
        fold,
        Detectors(),
        [SideLevels(0), SideLevels(1)],
    )
