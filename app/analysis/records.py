"""Define quotes, trades and batches of them, and their units.

Prices are integers of a unit of the ticker's own, 1e-8 or finer (`price_units.py`), so that equal
prices compare equal. Times are epoch milliseconds as floats, unchanged from the input (a double
holds them to 0.24 µs).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from mypy_extensions import mypyc_attr

from app.analysis.price_units import DEFAULT_DIGITS

PRICE_UNITS: Final = 100_000_000
"""How many units of 1e-8, the coarsest that a ticker may have, make a price of 1."""
NO_SEQ: Final = -1
BID: Final = 0
ASK: Final = 1
BUY: Final = 1
SELL: Final = -1
UNSIGNED: Final = 0


# `__init__` is written out in both: a dataclass's generated one stays interpreted after compiling.
# Neither can be part of a reference cycle: left out of garbage collection, each saves 16 bytes.
@mypyc_attr(acyclic=True)
@dataclass(slots=True, init=False)
class Quote:
    """Best bid and ask from `stamp` (epoch ms) on; a side of size 0 has no price."""

    stamp: float
    seq: int
    bid_price: int
    bid_size: float
    ask_price: int
    ask_size: float

    def __init__(  # noqa: PLR0913, PLR0917 - a quote is its six fields
        self,
        stamp: float,
        seq: int,
        bid_price: int,
        bid_size: float,
        ask_price: int,
        ask_size: float,
    ) -> None:
        self.stamp = stamp
        self.seq = seq
        self.bid_price = bid_price
        self.bid_size = bid_size
        self.ask_price = ask_price
        self.ask_size = ask_size

    @property
    def is_two_sided(self) -> bool:
        """Return whether both sides show size."""
        return self.bid_size > 0 and self.ask_size > 0

    @property
    def is_valid(self) -> bool:
        """Return whether spread and mid exist: two-sided, neither locked nor crossed."""
        return self.bid_size > 0 and self.ask_size > 0 and self.bid_price < self.ask_price


@mypyc_attr(acyclic=True)
@dataclass(slots=True, init=False)
class Trade:
    """One trade; `aggressor` is BUY, SELL, or UNSIGNED where the feed gives none."""

    stamp: float
    seq: int
    price: int
    size: float
    aggressor: int

    def __init__(self, stamp: float, seq: int, price: int, size: float, aggressor: int) -> None:
        self.stamp = stamp
        self.seq = seq
        self.price = price
        self.size = size
        self.aggressor = aggressor


Record = Quote | Trade

stream_order = attrgetter("stamp", "seq")


Span = tuple[float, float]
"""Start and end of some time in ms."""
Fault = tuple[float, str]
"""The stamp and the name of something odd about a record."""


@dataclass(slots=True)
class Batch:
    """Records in stream order, and the faults found while parsing.

    The faults include what was rejected, which stands apart by kind too: with its score as stamp.
    Prices are in units of 10^-digits. `gaps` are the starts and ends of declared gaps, in the order
    of their ends, at which they stand in the stream.
    """

    records: list[Record]
    faults: list[Fault]
    digits: int = DEFAULT_DIGITS
    rejected_quotes: Sequence[Fault] = ()
    rejected_trades: Sequence[Fault] = ()
    gaps: Sequence[Span] = ()

    def reject(self, refused: Sequence[Record], reason: str) -> None:
        """Move records to the rejected ones."""
        refused_ids = {id(record) for record in refused}
        self.records = [record for record in self.records if id(record) not in refused_ids]
        quotes = [(record.stamp, reason) for record in refused if isinstance(record, Quote)]
        trades = [(record.stamp, reason) for record in refused if isinstance(record, Trade)]
        self.faults += quotes + trades
        self.rejected_quotes = [*self.rejected_quotes, *quotes]
        self.rejected_trades = [*self.rejected_trades, *trades]


def count_faults(faults: Iterable[Fault]) -> Counter[str]:
    """Count faults by name."""
    return Counter(name for _, name in faults)
