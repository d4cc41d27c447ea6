"""The best price of each side as the stream moves it: visits, and what a second did to them."""

from dataclasses import dataclass, field
from typing import Final

from app.analysis.records import BID, BUY

SIDE_NAMES = ("bid", "ask")
FLICKER_MS: Final = 100.0
JUMP_MS: Final = 5.0
ROUNDING: Final = 1e-9


def is_better(side: int, price: int, than: int) -> bool:
    """Tell whether `price` is higher for a bid, lower for an ask."""
    return price > than if side == BID else price < than


def resting_side(aggressor: int) -> int:
    """Return the side of the book that a taker's print took."""
    return 1 if aggressor == BUY else 0


@dataclass(slots=True, init=False)
class Visit:
    """One price's time as the best of its side.

    `printed_since_quote` is the takers' volume at the price since the last quote that showed it,
    `printed_given` whether all their aggressors were given.
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
        """Name this visit among all of its ticker."""
        return f"{SIDE_NAMES[side]}:{self.price}:{self.since}"


@dataclass(slots=True, init=False)
class DepartedPrice:
    """A best price that was left, and when."""

    at: float
    price: int

    def __init__(self, at: float, price: int) -> None:
        self.at = at
        self.price = price


@dataclass(slots=True)
class BestPriceChanges:
    """Best-price changes of one side, as far back as flickers and jumps look."""

    changed_at: float = 0.0
    changed_from: int = 0
    recent: list[DepartedPrice] = field(default_factory=list)

    def add_change(self, stamp: float, before: int, price: int) -> bool:
        """Note a change; tells whether it undoes the one before within 100 ms."""
        is_reversal = price == self.changed_from and stamp - self.changed_at <= FLICKER_MS
        self.changed_at, self.changed_from = stamp, before
        return is_reversal

    def jump(self, stamp: float, before: int, price: int) -> int:
        """Return the distance from the price that stood 5 ms ago."""
        recent = self.recent
        while recent and recent[0].at <= stamp - JUMP_MS:
            del recent[0]
        base = recent[0].price if recent else before
        recent.append(DepartedPrice(stamp, before))
        return abs(price - base)


@dataclass(slots=True)
class SecondTotals:
    """What the current second did to the best prices, by side where there are two numbers.

    `first_quote` is the stamp of its first, 0 before it.
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
        """Begin the next second."""
        self.first_quote_at = 0.0
        self.changes = self.reversals = self.max_jump = 0
        self.removed, self.gross_removed, self.first_removal_at = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
        self.traded, self.traded_given = [0.0, 0.0], [True, True]

    def add_removal(self, side: int, stamp: float, size: float) -> None:
        """Note that displayed size went."""
        if not self.first_removal_at[side]:
            self.first_removal_at[side] = stamp
        self.removed[side] += size
        self.gross_removed[side] += size

    def net_removal(self, side: int) -> float:
        """Return displayed size that went, came back and was traded, netted.

        What is left of fractional sizes by rounding counts as nothing.
        """
        net = self.removed[side] - self.traded[side]
        return net if abs(net) > ROUNDING * self.gross_removed[side] else 0.0
