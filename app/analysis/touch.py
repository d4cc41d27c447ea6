"""Track the touch (the best price of each side): visits to prices, and sums over a second."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.records import BID, BUY

SIDE_NAMES = ("bid", "ask")
FLICKER_MS: Final = 100.0
JUMP_MS: Final = 5.0
ROUNDING: Final = 1e-9


def is_better(side: int, price: int, than: int) -> bool:
    """Return whether `price` is the better one: higher for a bid, lower for an ask."""
    return price > than if side == BID else price < than


def resting_side(aggressor: int) -> int:
    """Return the side of the book that a trade of this aggressor hits: the resting orders' side."""
    return 1 if aggressor == BUY else 0


@dataclass(slots=True, init=False)
class Visit:
    """One uninterrupted time of a price as the best of its side.

    `start_size` is the size at its beginning; `decreased` and `increased` sum the changes since.
    `printed_since_quote` is the traded volume at the price since its last quote, `printed_given`
    whether the feed gave the aggressors of all of it.
    """

    price: int
    since: float
    start_size: float
    size: float
    decreased: float
    increased: float
    printed_since_quote: float
    printed_given: bool

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        price: int,
        since: float,
        start_size: float,
        size: float,
        decreased: float = 0.0,
        increased: float = 0.0,
        printed_since_quote: float = 0.0,
        printed_given: bool = True,  # noqa: FBT001, FBT002 - a field
    ) -> None:
        self.price = price
        self.since = since
        self.start_size = start_size
        self.size = size
        self.decreased = decreased
        self.increased = increased
        self.printed_since_quote = printed_since_quote
        self.printed_given = printed_given

    def key(self, side: int) -> str:
        """Return a key that is unique among the ticker's visits."""
        return f"{SIDE_NAMES[side]}:{self.price}:{self.since}"


@dataclass(slots=True, init=False)
class DepartedPrice:
    """A price that ceased to be best, and when."""

    at: float
    price: int

    def __init__(self, at: float, price: int) -> None:
        self.at = at
        self.price = price


@dataclass(slots=True)
class BestPriceChanges:
    """Recent best-price changes of one side, for flickers and jumps."""

    changed_at: float = 0.0
    changed_from: int = 0
    recent: list[DepartedPrice] = field(default_factory=list)

    def add_change(self, stamp: float, before: int, price: int) -> bool:
        """Add a change; return whether it reverses the previous one within 100 ms."""
        is_reversal = price == self.changed_from and stamp - self.changed_at <= FLICKER_MS
        self.changed_at, self.changed_from = stamp, before
        return is_reversal

    def jump(self, stamp: float, before: int, price: int) -> int:
        """Return how far a price is above the one that stood 5 ms ago."""
        recent = self.recent
        while recent and recent[0].at <= stamp - JUMP_MS:
            del recent[0]
        base = recent[0].price if recent else before
        recent.append(DepartedPrice(stamp, before))
        return price - base


@dataclass(slots=True)
class SecondTotals:
    """Sums over the current second's changes of best prices; lists are by side.

    `first_quote_at` is the stamp of its first quote, 0 before it; `first_removal_at` that of the
    first removal. `removed` is net of added size, `gross_removed` is not.
    """

    first_quote_at: float = 0.0
    changes: int = 0
    reversals: int = 0
    max_jump: int = 0
    removed: list[float] = field(default_factory=lambda: [0.0, 0.0])
    gross_removed: list[float] = field(default_factory=lambda: [0.0, 0.0])
    first_removal_at: list[float] = field(default_factory=lambda: [0.0, 0.0])
    traded: list[float] = field(default_factory=lambda: [0.0, 0.0])
    traded_given: list[bool] = field(default_factory=lambda: [True, True])

    def reset(self) -> None:
        """Reset all sums for the next second."""
        self.first_quote_at = 0.0
        self.changes = self.reversals = self.max_jump = 0
        self.removed, self.gross_removed, self.first_removal_at = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
        self.traded, self.traded_given = [0.0, 0.0], [True, True]

    def add_removal(self, side: int, stamp: float, size: float) -> None:
        """Add displayed size that was removed."""
        if not self.first_removal_at[side]:
            self.first_removal_at[side] = stamp
        self.removed[side] += size
        self.gross_removed[side] += size

    def net_removal(self, side: int) -> float:
        """Return the displayed size removed, less what was added and traded.

        A remainder within rounding errors of fractional sizes counts as 0.
        """
        net = self.removed[side] - self.traded[side]
        return net if abs(net) > ROUNDING * self.gross_removed[side] else 0.0
