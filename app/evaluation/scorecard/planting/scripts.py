"""Replace one side of the book for a while; the other side stays as in the tape."""

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
"""The aggressor of trades against each side."""


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """The best price and size of a side from `stamp` on, or a trade against it."""

    stamp: float
    price: int
    size: float
    is_print: bool


@dataclass(slots=True)
class Script:
    """The quotes of one side and the trades against it, in order of time."""

    side: int
    steps: list[ScriptStep] = field(default_factory=list)

    def show(self, stamp: float, price: int, size: float) -> None:
        """Set the side's best price and size from `stamp` on."""
        self.steps.append(ScriptStep(stamp, price, size, is_print=False))

    def execute(self, stamp: float, price: int, size: float) -> None:
        """Add a trade against the side; call `show` next for the quote after it."""
        self.steps.append(ScriptStep(stamp, price, size, is_print=True))


def is_calm(section: TapeSection, start_ms: float, end_ms: float) -> bool:
    """Tell whether the mid at both ends differs by less than some median spreads."""
    before, after = section.standing_quote(start_ms), section.standing_quote(end_ms)
    if not (before.is_valid and after.is_valid):
        return False
    moved = abs(before.bid_price + before.ask_price - after.bid_price - after.ask_price) / 2
    return moved <= CALM_SPREADS * section.median_spread


def play_script(
    section: TapeSection, script: Script, start_ms: float, end_ms: float
) -> list[Record]:
    """Return the quotes and trades of (start, end] with one side replaced by the script.

    The other side is as in the section, but kept at least a tick away from the script's prices.
    """
    side = script.side
    others = [record for record in section.between(start_ms, end_ms) if isinstance(record, Quote)]
    now = section.standing_quote(start_ms)
    price, size = price_of(now, side), size_of(now, side)
    records: list[Record] = []
    course: list[ScriptStep | Quote] = [*script.steps, *others]
    # The sort is stable: at equal stamps the script comes first.
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
    """Move the other side away where it would lock or cross, and give it a size."""
    nearest = price_of(quote, side) + BETTER[side] * tick
    other = BID if side == ASK else ASK
    price, size = price_of(quote, other), size_of(quote, other)
    if size > 0 and (price - nearest) * BETTER[side] >= 0:
        return quote
    return with_side(quote, quote.stamp, other, nearest, size or size_of(quote, side))


def change_quotes(
    records: Sequence[Record], change: Callable[[Quote], Quote], *, keep_trades: bool = True
) -> list[Record]:
    """Return records with `change` applied to each quote."""
    return [
        change(record) if isinstance(record, Quote) else record
        for record in records
        if keep_trades or isinstance(record, Quote)
    ]


def merge_by_stamp(*streams: Sequence[Record]) -> list[Record]:
    """Merge records by stamp; at equal stamps the first stream comes first."""
    return list(merge(*streams, key=lambda record: record.stamp))
