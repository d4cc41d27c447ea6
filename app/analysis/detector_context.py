"""What every detector may look at while the stream is folded."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.baselines import InForce, SecondFacts, Tick, Usual
from app.analysis.patterns.events import Events
from app.analysis.standing_quote import Market
from app.analysis.touch import BookSecond, Moves, Visit

NEVER: Final = float("inf")


@dataclass(slots=True)
class Scene:
    """The ticker's book, its past, and its events; detectors read it and open events through it.

    `facts` are those of the second that is being closed, `mid2` twice the valid mid at the last
    whole second (0: none), `next_due` the earliest of the detectors' timers.
    """

    ticker: str
    market: Market
    usual: Usual
    events: Events
    tick: Tick
    visits: list[Visit | None] = field(default_factory=lambda: [None, None])
    moves: list[Moves] = field(default_factory=lambda: [Moves(), Moves()])
    book: BookSecond = field(default_factory=BookSecond, init=False)
    trades_seen: bool = False
    first_stamp: float = 0.0
    mid2: int = 0
    next_due: float = NEVER
    facts: SecondFacts | None = field(default=None, init=False)

    @property
    def past(self) -> InForce:
        """Return the thresholds in force."""
        return self.usual.in_force

    def price(self, side: int) -> int | None:
        """Return the best price of a side, None where it is empty."""
        visit = self.visits[side]
        return None if visit is None else visit.price
