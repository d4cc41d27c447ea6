"""Gaps: event time whose records were lost, and how the bars of seconds are cut by it.

A gap stands in the stream where it ends, before the records of that stamp. The second in which it
ends is built without the time inside; the seconds before have been closed by then, and are cut in
the table of bars and by whoever reads them (`RollingBars.cut`). Stored bars stay as they were.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.analysis.records import Span
from app.analysis.standing_quote import StandingQuote

MAX_GAPS: Final = 1_000
"""How many gaps of a ticker are remembered, the newest."""
# Less is rounding error, not time.
_NO_TIME_MS: Final = 1e-4


@dataclass(slots=True)
class Gap:
    """Event time from `start` to `end` (ms) whose records were lost, trimmed or never received.

    A declared one stands in the stream at `stands_at`; 0 for others, and for one declared late.
    Bars that ended up to `cut_to` were built as if there were none, 0: no bar was. `is_still`: no
    quote is stamped inside; the one that stood there had these sizes, `spread` as a price and
    `spread_bps`, 0 without a valid one.
    """

    start: float
    end: float
    stands_at: float = 0.0
    cut_to: int = 0
    is_still: bool = False
    bid_size: float = 0.0
    ask_size: float = 0.0
    spread: float = 0.0
    spread_bps: float = 0.0

    def note_standing(self, standing: StandingQuote, units_per_one: float) -> None:
        """Note the quote that stands at the end of the gap, if it stood all the time."""
        quote, valid = standing.quote, standing.last_valid
        if quote is None or quote.stamp > self.start:
            return
        self.is_still = True
        self.bid_size, self.ask_size = quote.bid_size, quote.ask_size
        if standing.spread and valid is not None:
            self.spread = standing.spread / units_per_one
            self.spread_bps = 2e4 * standing.spread / (valid.ask_price + valid.bid_price)


@dataclass(slots=True)
class SecondSums:
    """The sums of one bar that grow with time."""

    covered_ms: float
    bid_size_ms: float
    ask_size_ms: float
    imbalance_ms: float
    imbalance_time_ms: float
    spread_ms: float
    spread_bps_ms: float
    spread_time_ms: float

    def leave_out(self, gap: Gap, overlap_ms: float, units_per_one: float) -> None:
        """Take the time inside a gap out; spreads are in units of which so many make 1.

        What stood inside is known where no quote is stamped there. Otherwise all sums shrink in
        proportion.
        """
        left_ms = self.covered_ms - overlap_ms
        if left_ms < _NO_TIME_MS:
            self.clear()
            return
        if gap.is_still:
            self._subtract(gap, overlap_ms, units_per_one)
        else:
            self._scale(left_ms / self.covered_ms)
        self.covered_ms = left_ms

    def clear(self) -> None:
        """Set all sums to 0."""
        self.covered_ms = self.bid_size_ms = self.ask_size_ms = 0.0
        self.imbalance_ms = self.imbalance_time_ms = 0.0
        self.spread_ms = self.spread_bps_ms = self.spread_time_ms = 0.0

    def _subtract(self, gap: Gap, overlap_ms: float, units_per_one: float) -> None:
        self.bid_size_ms -= gap.bid_size * overlap_ms
        self.ask_size_ms -= gap.ask_size * overlap_ms
        depth = gap.bid_size + gap.ask_size
        if depth:
            self.imbalance_ms -= (gap.bid_size - gap.ask_size) / depth * overlap_ms
            self.imbalance_time_ms -= overlap_ms
            if self.imbalance_time_ms < _NO_TIME_MS:
                self.imbalance_ms = self.imbalance_time_ms = 0.0
        if gap.spread:
            self.spread_ms -= gap.spread * units_per_one * overlap_ms
            self.spread_bps_ms -= gap.spread_bps * overlap_ms
            self.spread_time_ms -= overlap_ms
            if self.spread_time_ms < _NO_TIME_MS:
                self.spread_ms = self.spread_bps_ms = self.spread_time_ms = 0.0

    def _scale(self, share: float) -> None:
        self.bid_size_ms *= share
        self.ask_size_ms *= share
        self.imbalance_ms *= share
        self.imbalance_time_ms *= share
        self.spread_ms *= share
        self.spread_bps_ms *= share
        self.spread_time_ms *= share


def overlap(gap: Gap, start: float, end: float) -> float:
    """Return how many ms of (start, end] lie inside a gap."""
    return max(0.0, min(end, gap.end) - max(start, gap.start))


def left_of(known: Iterable[Gap], start: float, end: float) -> list[Span]:
    """Return the parts of (start, end] that lie in none of the known gaps, in order of time.

    >>> left_of([Gap(2.0, 3.0), Gap(4.0, 9.0)], 1.0, 5.0)
    [(1.0, 2.0), (3.0, 4.0)]
    """
    parts = []
    for gap in sorted(known, key=_start_of):
        if start < gap.start < end:
            parts.append((start, gap.start))
        if gap.end > start and gap.start < end:
            start = max(start, gap.end)
    if start < end:
        parts.append((start, end))
    return parts


def _start_of(gap: Gap) -> float:
    return gap.start


def seconds_inside(gap: Gap, second_ms: int) -> Iterator[int]:
    """Yield the ends of the seconds of bars that a gap cuts."""
    first = (math.floor(gap.start / second_ms) + 1) * second_ms
    last = min(gap.cut_to, math.ceil(gap.end / second_ms) * second_ms)
    yield from range(first, last + 1, second_ms)


def stands_after(gaps: Iterable[Gap], instant: float) -> list[tuple[float, list[Span]]]:
    """Return where gaps stand after an instant, in order, with the parts of time inside."""
    parts: dict[float, list[Span]] = {}
    for gap in gaps:
        if gap.stands_at > instant:
            parts.setdefault(gap.stands_at, []).append((gap.start, gap.end))
    return sorted(parts.items())


def newest(gaps: Sequence[Gap], since: float) -> list[Gap]:
    """Return the gaps that end after `since`, at most `MAX_GAPS`."""
    return [gap for gap in gaps if gap.end > since][-MAX_GAPS:]
