"""Ways to change what a section shows for a while, its other side going on as it did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import merge

from app.analysis.records import ASK, BID, BUY, SELL, Quote, Record, Trade
from app.evaluation.scorecard.planting.tape_section import (
    BETTER,
    TapeSection,
    price_of,
    size_of,
    with_side,
)

CALM_SPREADS = 1.5
TAKER = (SELL, BUY)
"""The aggressor that takes from a side."""


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """From `stamp` on the side shows `size` at `price`, or a print takes it there."""

    stamp: float
    price: int
    size: float
    is_print: bool


@dataclass(slots=True)
class Script:
    """What one side shows and gives over a while, in order of time."""

    side: int
    steps: list[ScriptStep] = field(default_factory=list)

    def show(self, stamp: float, price: int, size: float) -> None:
        """Let the side show a best price and size from `stamp` on."""
        self.steps.append(ScriptStep(stamp, price, size, is_print=False))

    def execute(self, stamp: float, price: int, size: float) -> None:
        """Let a taker print against the side; what shows next must follow."""
        self.steps.append(ScriptStep(stamp, price, size, is_print=True))


def is_calm(section: TapeSection, start_ms: float, end_ms: float) -> bool:
    """Tell whether the mid is nearly the same at both ends, both times with a usual spread."""
    before, after = section.standing_quote(start_ms), section.standing_quote(end_ms)
    if not (before.is_valid and after.is_valid):
        return False
    moved = abs(before.bid_price + before.ask_price - after.bid_price - after.ask_price) / 2
    return moved <= CALM_SPREADS * section.median_spread


def play_script(
    section: TapeSection, script: Script, start_ms: float, end_ms: float
) -> list[Record]:
    """Return quotes and prints of (start, end] with one side as the script has it.

    The other side moves as in the section but never up to the script's prices.
    """
    side = script.side
    others = [record for record in section.between(start_ms, end_ms) if isinstance(record, Quote)]
    now = section.standing_quote(start_ms)
    price, size = price_of(now, side), size_of(now, side)
    records: list[Record] = []
    course: list[ScriptStep | Quote] = [*script.steps, *others]
    # Sorting is stable: at equal stamps the script comes first.
    for what in sorted(course, key=lambda entry: entry.stamp):
        if isinstance(what, Quote):
            now = what
        elif what.is_print:
            records.append(Trade(what.stamp, 0, what.price, what.size, TAKER[side]))
            continue
        else:
            price, size = what.price, what.size
        quote = with_side(now, what.stamp, side, price, size)
        records.append(_uncross(quote, side, section.tick))
    return records


def _uncross(quote: Quote, side: int, tick: int) -> Quote:
    """Move the other side where it would meet the script's price, and let it show size."""
    nearest = price_of(quote, side) + BETTER[side] * tick
    other = BID if side == ASK else ASK
    price, size = price_of(quote, other), size_of(quote, other)
    if size > 0 and (price - nearest) * BETTER[side] >= 0:
        return quote
    return with_side(quote, quote.stamp, other, nearest, size or size_of(quote, side))


def change_quotes(
    records: Sequence[Record], change: Callable[[Quote], Quote], *, keep_trades: bool = True
) -> list[Record]:
    """Return records with each quote changed."""
    return [
        change(record) if isinstance(record, Quote) else record
        for record in records
        if keep_trades or isinstance(record, Quote)
    ]


def merge_by_stamp(*streams: Sequence[Record]) -> list[Record]:
    """Merge records by their stamps; at equal stamps the first lane comes first."""
    return list(merge(*streams, key=lambda record: record.stamp))
