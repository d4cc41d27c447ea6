"""The state of a ticker between ticks."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import Bar, BarBuilder
from app.analysis.baselines import Baselines, TickSize
from app.analysis.detector_context import DetectorContext
from app.analysis.detectors import new_detectors
from app.analysis.gaps import Gap
from app.analysis.levels import SideLevels
from app.analysis.outcomes import Outcomes
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.events import Event, Events
from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.ranks import Ranks
from app.analysis.records import Quote
from app.analysis.rejections import Rejections
from app.analysis.session import Session
from app.analysis.standing_quote import StandingQuote

ENGINE: Final = "2"
"""Version of the definitions: a newer one builds a state anew."""


@dataclass(slots=True)
class ExpiringEvent:
    """A closed event below its ticker's median strength, and when it is to be removed."""

    expires_at: float
    opened_at: float
    id: str


@dataclass(slots=True, init=False)
class BuilderCheckpoint:
    """A copy of the bar builder at a whole second, from which late records are folded."""

    end: int
    builder: BarBuilder

    def __init__(self, end: int, builder: BarBuilder) -> None:
        self.end = end
        self.builder = builder


@dataclass(slots=True)
class State:
    """What the engine keeps of a ticker between ticks, except bars that are final.

    `detectors` are in the order in which they are called. `recent` holds the bars of the last 2 s,
    which are stored apart as `ranks` are, `checkpoints` the bar builders at their starts, `failed`
    by pattern the second in which its detector last failed. Before the first usable record there
    are no bars but those that count rejected records. Prices are in units of 10^-`digits`;
    `refused_in_a_row` counts the newest records that this unit could not hold. `gap_end` is where
    the newest gap of trimmed records ends; `seen_gaps` are checksums of declared ones.
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
    seen_gaps: list[int] = field(default_factory=list)
    rebuilt_at: int = 0
    last_sweep: Event | None = None
    first_quote: Quote | None = None
    expiring_events: list[ExpiringEvent] = field(default_factory=list)
    rejected_quotes: Rejections = field(default_factory=Rejections)
    rejected_trades: Rejections = field(default_factory=Rejections)
    digits: int = DEFAULT_DIGITS
    refused_in_a_row: int = 0
    session: Session = field(default_factory=Session)
    outcomes: Outcomes = field(default_factory=Outcomes)
    ranks: Ranks = field(default_factory=Ranks, init=False)

    @property
    def has_records(self) -> bool:
        """Return whether any usable record was ever folded."""
        return self.bar_builder.end > 0

    @property
    def has_rejections(self) -> bool:
        """Return whether the newest records of a kind were rejected."""
        return self.rejected_quotes.count > 0 or self.rejected_trades.count > 0

    @property
    def quote_at(self) -> float:
        """Return the stamp of the quote that stands in the bars, 0 before the first."""
        quote = self.bar_builder.standing_quote.quote
        return 0.0 if quote is None else quote.stamp


def new_state(ticker: str) -> State:
    """Return the state of a ticker before its first record."""
    context = DetectorContext(ticker, StandingQuote(), Baselines(), Events(ticker), TickSize())
    builder = BarBuilder(0, StandingQuote())
    return State(
        ticker,
        context,
        builder,
        new_detectors(),
        [SideLevels(0), SideLevels(1)],
    )
