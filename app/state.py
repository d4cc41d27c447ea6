"""All that is remembered of a ticker from one tick to the next."""

import msgspec

from app.bars import Bar, BarFold, Market
from app.levels import SideLevels
from app.patterns.absorption import Absorption, SuspectedAbsorption
from app.patterns.events import Event, Events
from app.patterns.hidden import HiddenPrints
from app.patterns.icebergs import Icebergs, SuspectedRefills
from app.patterns.momentum import MomentumShifts
from app.patterns.spreads import PriceGaps, QuoteBursts, SpreadRegimes
from app.patterns.sweeps import Sweeps
from app.patterns.walls import Pulling, Stacking, Walls
from app.records import Quote
from app.scene import Scene
from app.usual import Tick, Usual

ENGINE = "1"
"""Version of the definitions: a newer one builds a state anew."""


class Detectors(msgspec.Struct, array_like=True):
    """All detectors' memories, in the order in which they are told."""

    sweeps: Sweeps = msgspec.field(default_factory=Sweeps)
    icebergs: Icebergs = msgspec.field(default_factory=Icebergs)
    suspected_refills: SuspectedRefills = msgspec.field(default_factory=SuspectedRefills)
    hidden: HiddenPrints = msgspec.field(default_factory=HiddenPrints)
    walls: Walls = msgspec.field(default_factory=Walls)
    stacking: Stacking = msgspec.field(default_factory=Stacking)
    suspected_absorption: SuspectedAbsorption = msgspec.field(default_factory=SuspectedAbsorption)
    spreads: SpreadRegimes = msgspec.field(default_factory=SpreadRegimes)
    gaps: PriceGaps = msgspec.field(default_factory=PriceGaps)
    pulling: Pulling = msgspec.field(default_factory=Pulling)
    absorption: Absorption = msgspec.field(default_factory=Absorption)
    momentum: MomentumShifts = msgspec.field(default_factory=MomentumShifts)
    bursts: QuoteBursts = msgspec.field(default_factory=QuoteBursts)


class Gap(msgspec.Struct, array_like=True):
    """Event time whose records were lost or trimmed before they could be folded."""

    start: float
    end: float


class Snapshot(msgspec.Struct, array_like=True):
    """The bar fold as it was at a whole second, to fold late records into the seconds after it."""

    end: int
    fold: BarFold


class State(msgspec.Struct, array_like=True):
    """All that the fold remembers of a ticker, save the bars that no late record can change.

    `recent` are the bars of the last 2 s, `snapshots` the folds at their starts; `failed` tells
    when a detector last failed; `weak` which closed events go early, as (when, opened_at, id).
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
    recent: list[Bar] = []
    snapshots: list[Snapshot] = []
    failed: dict[str, int] = {}
    gaps: list[Gap] = []
    lost_to: float = 0.0
    rebuilt_at: int = 0
    last_sweep: Event | None = None
    first_quote: Quote | None = None
    weak: list[tuple[float, float, str]] = []


def new_state(ticker: str) -> State:
    """Return the state of a ticker of which nothing was seen."""
    market = Market()
    scene = Scene(ticker, market, Usual(), Events(ticker, {}, [], {}), Tick(seen=[]))
    fold = BarFold(Bar(0), Market())
    return State(
        ticker,
        scene,
        fold,
        Detectors(),
        [SideLevels(0, {}, touched=[]), SideLevels(1, {}, touched=[])],
    )
