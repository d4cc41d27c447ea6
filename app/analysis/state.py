"""All that is remembered of a ticker from one tick to the next."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import Bar, BarBuilder
from app.analysis.baselines import Baselines, TickSize
from app.analysis.detector_context import DetectorContext
from app.analysis.detectors import new_detectors
from app.analysis.levels import SideLevels
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Event, Events
from app.analysis.records import Quote
from app.analysis.standing_quote import StandingQuote

ENGINE: Final = "1"
"""Version of the definitions: a newer one builds a state anew."""


@dataclass(slots=True)
class Gap:
    """Event time whose records were lost or trimmed before they could be folded."""

    start: float
    end: float


@dataclass(slots=True)
class ExpiringEvent:
    """A closed event under its ticker's median strength, and when it is published no longer."""

    expires_at: float
    opened_at: float
    id: str


@dataclass(slots=True, init=False)
class BuilderCheckpoint:
    """The bar fold as it was at a whole second, to fold late records into the seconds after it."""

    end: int
    builder: BarBuilder

    def __init__(self, end: int, fold: BarBuilder) -> None:
        self.end = end
        self.builder = fold


@dataclass(slots=True)
class State:
    """All that the fold remembers of a ticker, save the bars that no late record can change.

    `detectors` stand in the order in which they are called. `recent` are the bars of the last 2 s,
    stored apart, `checkpoints` the folds at their starts; `failed` tells when a detector last
    failed.
    """

    ticker: str
    context: DetectorContext
    bar_builder: BarBuilder
    detectors: list[Detector]
    levels: list[SideLevels]
    as_of: int = 0
    newest_second: int = 0
    is_asleep: bool = False
    open_stamp: float = 0.0
    recent: list[Bar] = field(default_factory=list, init=False)
    checkpoints: list[BuilderCheckpoint] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    gap_end: float = 0.0
    rebuilt_at: int = 0
    last_sweep: Event | None = None
    first_quote: Quote | None = None
    expiring_events: list[ExpiringEvent] = field(default_factory=list)


def new_state(ticker: str) -> State:
    """Return the state of a ticker of which nothing was seen."""
    market = StandingQuote()
    context = DetectorContext(ticker, market, Baselines(), Events(ticker), TickSize())
    fold = BarBuilder(0, StandingQuote())
    return State(
        ticker,
        context,
        fold,
        new_detectors(),
        [SideLevels(0), SideLevels(1)],
    )
