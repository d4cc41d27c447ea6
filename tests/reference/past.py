"""The records themselves, and the common words: standing, valid, taker, inside, visit, tick."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from app.analysis.records import Quote, Trade

BID, ASK = 0, 1
SIDE_NAMES = ("bid", "ask")
UNITS = 100_000_000
SLEEP_MS = 300_000
PRICES_FOR_A_TICK = 20


def ceil_second(stamp: float) -> int:
    """Return the first whole second at or after an instant, in ms."""
    floor = int(stamp) // 1000 * 1000
    return floor if floor == stamp else floor + 1000


def price_of(quote: Quote | None, side: int) -> int | None:
    """Return a side's best price; None where it shows no size."""
    if quote is None or size_of(quote, side) == 0:
        return None
    return quote.bid_price if side == BID else quote.ask_price


def size_of(quote: Quote, side: int) -> float:
    """Return a side's displayed size."""
    return quote.bid_size if side == BID else quote.ask_size


def is_worse(side: int, price: int, other: int) -> bool:
    """Tell whether `price` is worse than `other`: lower for a bid, higher for an ask."""
    return price < other if side == BID else price > other


def is_valid(quote: Quote) -> bool:
    """Tell whether a quote is two-sided and uncrossed."""
    return quote.bid_size > 0 and quote.ask_size > 0 and quote.bid_price < quote.ask_price


def side_taken(taker: int) -> int:
    """Return the side that a print took: the ask where the taker bought."""
    return ASK if taker > 0 else BID


@dataclass
class Print:
    """A trade with what the stream before it says of it."""

    stamp: float
    price: int
    size: float
    position: int
    index: int  # of the quote before it, -1 where there is none
    before: Quote | None
    mid_before: float | None  # in units of 1e-8
    taker: int
    given: bool
    inside: bool

    def takes(self, side: int) -> bool:
        """Tell whether its taker took this side."""
        return self.taker != 0 and side_taken(self.taker) == side


@dataclass
class Visit:
    """The time for which one price is the best of a side."""

    side: int
    price: int
    first: int
    last: int
    start: float
    end: float | None = None
    end_index: int | None = None
    left: str | None = None  # better, worse, none; None while it stands or after a sleep
    start_size: float = 0.0
    over: int = 0  # position of the first record that can't belong to it


@dataclass
class Stretch:
    """Records between two sleeps or gaps: positions [first, end), seconds [first_second, sleep)."""

    first: int
    end: int
    first_second: int
    sleep: int
    gap_end: float | None = None  # where a gap ends it, before the records of that instant
    quotes: range | None = None

    def reaches(self, at: float) -> bool:
        """Tell whether an instant lies before the gap that ends it, if one does."""
        return self.gap_end is None or at < self.gap_end

    def seconds(self) -> range:
        """Its whole seconds; at `sleep` itself nothing is looked at any more."""
        return range(self.first_second, self.sleep, 1000)


class Past:
    """One ticker's records in stream order, and the gaps that its feed declared: (start, end)."""

    def __init__(
        self, records: list[Quote | Trade], gaps: Sequence[tuple[float, float]] = ()
    ) -> None:
        self.records = records
        self.gaps = sorted(gaps, key=itemgetter(1))
        self.gap_ends = [end for _, end in self.gaps]
        self.quotes: list[Quote] = []
        self.quote_positions: list[int] = []
        for position, record in enumerate(records):
            if isinstance(record, Quote):
                self.quotes.append(record)
                self.quote_positions.append(position)
        self.quote_stamps = [quote.stamp for quote in self.quotes]

    @cached_property
    def uncompared(self) -> set[int]:
        """Quotes that are compared with nothing: the first of all, and the first after each gap."""
        return {0, *(bisect_left(self.quote_stamps, end) for end in self.gap_ends)}

    def is_cut(self, before: float, at: float) -> bool:
        """Tell whether a gap ends after a record and at or before an instant."""
        return bisect_right(self.gap_ends, before) < bisect_right(self.gap_ends, at)

    def uncovered(self, start: float, end: float) -> list[tuple[float, float]]:
        """Return what of (start, end] lies in gaps that ended by its end, each moment once."""
        found: list[tuple[float, float]] = []
        for begun, ended in sorted(gap for gap in self.gaps if gap[1] <= end):
            begin = max(begun, start, found[-1][1] if found else start)
            if ended > begin:
                found.append((begin, ended))
        return found

    @cached_property
    def valid(self) -> list[int | None]:
        """By quote: the index of the valid quote while it stands."""
        found: list[int | None] = []
        last_valid = None
        for index, quote in enumerate(self.quotes):
            if index in self.uncompared:
                last_valid = None
            if is_valid(quote):
                last_valid = index
            one_sided = quote.bid_size == 0 or quote.ask_size == 0
            found.append(None if one_sided else last_valid)
        return found

    @cached_property
    def prints(self) -> list[Print]:
        """All trades, with their takers."""
        found: list[Print] = []
        for position, record in enumerate(self.records):
            if isinstance(record, Trade):
                found.append(self._print(record, position, found))
        return found

    @cached_property
    def print_stamps(self) -> list[float]:
        """Stamps of all trades."""
        return [one.stamp for one in self.prints]

    @cached_property
    def print_positions(self) -> list[int]:
        """Positions of all trades in the stream."""
        return [one.position for one in self.prints]

    def _print(self, trade: Trade, position: int, earlier: list[Print]) -> Print:
        index = bisect_left(self.quote_positions, position) - 1
        if index >= 0 and self.is_cut(self.quote_stamps[index], trade.stamp):
            index = -1
        before = self.quotes[index] if index >= 0 else None
        valid = self.valid[index] if index >= 0 else None
        mid = None if valid is None else mid_of(self.quotes[valid])
        taker = trade.aggressor or self._inferred(trade, mid, earlier)
        inside = (
            before is not None
            and before.bid_size > 0
            and before.ask_size > 0
            and before.bid_price < trade.price < before.ask_price
        )
        given = trade.aggressor != 0
        return Print(
            trade.stamp, trade.price, trade.size, position, index, before, mid, taker, given, inside
        )

    def _inferred(self, trade: Trade, mid: float | None, earlier: list[Print]) -> int:
        if mid is not None and trade.price != mid:
            return 1 if trade.price > mid else -1
        for other in reversed(earlier):
            if self.is_cut(other.stamp, trade.stamp):
                return 0  # nothing is compared across a gap
            if other.price != trade.price:
                return 1 if trade.price > other.price else -1
        return 0

    @cached_property
    def carried(self) -> tuple[list[int | None], list[int | None]]:
        """By side and quote: the price, a missing one as last known."""
        known: tuple[list[int | None], list[int | None]] = ([], [])
        for side in (BID, ASK):
            price = None
            for index, quote in enumerate(self.quotes):
                if index in self.uncompared:
                    price = None
                price = price_of(quote, side) or price
                known[side].append(price)
        return known

    def shown_index(self, at: float) -> int:
        """Index of the last quote stamped at or before an instant, -1 where there is none."""
        return bisect_right(self.quote_stamps, at) - 1

    def standing_index(self, at: float) -> int:
        """Return the same, but -1 also where a gap ended since."""
        index = self.shown_index(at)
        return index if index >= 0 and not self.is_cut(self.quote_stamps[index], at) else -1

    def standing(self, at: float) -> Quote | None:
        """Return the last quote stamped at or before an instant."""
        index = self.standing_index(at)
        return self.quotes[index] if index >= 0 else None

    def valid_at(self, at: float) -> Quote | None:
        """Return the valid quote at an instant."""
        index = self.standing_index(at)
        valid = self.valid[index] if index >= 0 else None
        return None if valid is None else self.quotes[valid]

    def mid_at(self, at: float) -> float | None:
        """Return the mid at an instant, in units of 1e-8."""
        quote = self.valid_at(at)
        return None if quote is None else mid_of(quote)

    def last_mid_at(self, at: float) -> float | None:
        """Return the mid last seen by an instant, since the last gap, in units of 1e-8."""
        for index in range(self.standing_index(at), -1, -1):
            if self.is_cut(self.quote_stamps[index], at):
                return None
            if is_valid(self.quotes[index]):
                return mid_of(self.quotes[index])
        return None

    def quotes_in(self, start: float, end: float) -> range:
        """Return indices of the quotes stamped in (start, end]."""
        return range(bisect_right(self.quote_stamps, start), bisect_right(self.quote_stamps, end))

    def prints_in(self, start: float, end: float) -> list[Print]:
        """Trades stamped in (start, end]."""
        first = bisect_right(self.print_stamps, start)
        return self.prints[first : bisect_right(self.print_stamps, end)]

    def prints_between(self, start: int, end: int) -> list[Print]:
        """Trades at positions strictly between two places in the stream."""
        first = bisect_right(self.print_positions, start)
        return self.prints[first : bisect_left(self.print_positions, end)]

    def position_after(self, at: float) -> int:
        """Position of the first record stamped after an instant."""
        return bisect_right(self.records, at, key=lambda record: record.stamp)

    def prints_from(self, start: float, end: float) -> list[Print]:
        """Trades stamped in [start, end]."""
        first = bisect_left(self.print_stamps, start)
        return self.prints[first : bisect_right(self.print_stamps, end)]

    def traded_by(self, at: float) -> bool:
        """Tell whether any trade was seen by an instant."""
        return bool(self.prints) and self.prints[0].stamp <= at

    @cached_property
    def ticks(self) -> list[int | None]:
        """By quote: the tick as known after it."""
        known: list[int | None] = []
        prices: set[int] = set()
        divisor = 0
        for quote in self.quotes:
            for side in (BID, ASK):
                price = price_of(quote, side)
                if price is not None and price not in prices:
                    divisor = math.gcd(divisor, price - next(iter(prices), price))
                    prices.add(price)
            known.append(divisor if len(prices) >= PRICES_FOR_A_TICK else None)
        return known

    def tick_at(self, at: float) -> int | None:
        """Return the tick as known after the records of an instant."""
        index = self.standing_index(at)
        return self.ticks[index] if index >= 0 else None

    def tick_at_position(self, position: int) -> int | None:
        """Return the tick as known before a place in the stream."""
        index = bisect_left(self.quote_positions, position) - 1
        return self.ticks[index] if index >= 0 else None

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The records cut where 300 s without one put the ticker to sleep, and at each gap's end.

        A gap keeps the ticker awake, or wakes it, as a record does.
        """
        found: list[Stretch] = []
        for stamp, is_record, position in self._marks():
            if found and not is_record and stamp <= found[-1].sleep:
                found[-1].sleep, found[-1].gap_end = ceil_second(stamp), stamp
            if not found or not is_record or stamp > found[-1].sleep:
                found.append(Stretch(position, position, ceil_second(stamp), 0))
            found[-1].end = position + is_record
            found[-1].sleep = ceil_second(stamp) + SLEEP_MS
        return found

    def _marks(self) -> list[tuple[float, bool, int]]:
        """Return stamp, whether it is a record, and position of all records and ends of gaps."""
        stamps = [record.stamp for record in self.records]
        marks = [(stamp, True, position) for position, stamp in enumerate(stamps)]
        ends = [(end, False, bisect_left(stamps, end)) for end in self.gap_ends]
        return sorted([*marks, *(mark for mark in ends if mark[2] > 0)])

    @cached_property
    def awake_seconds(self) -> list[int]:
        """All whole seconds at which something is looked at, of all stretches."""
        return [at for stretch in self.stretches for at in stretch.seconds()]

    def second_number(self, at: float) -> int:
        """Return the number of the awake second that an instant lies in."""
        return bisect_left(self.awake_seconds, at)

    def quotes_of(self, stretch: Stretch) -> range:
        """Return indices of a stretch's quotes."""
        if stretch.quotes is None:
            stretch.quotes = range(
                bisect_left(self.quote_positions, stretch.first),
                bisect_left(self.quote_positions, stretch.end),
            )
        return stretch.quotes

    def prints_of(self, stretch: Stretch) -> list[Print]:
        """Trades of a stretch."""
        return [one for one in self.prints if stretch.first <= one.position < stretch.end]

    def visits(self, side: int, stretch: Stretch) -> list[Visit]:
        """Return a side's visits in a stretch, in order."""
        found: list[Visit] = []
        current: Visit | None = None
        for index in self.quotes_of(stretch):
            quote = self.quotes[index]
            price = price_of(quote, side)
            if current is not None and price == current.price:
                current.last = index
                continue
            if current is not None:
                current.end, current.end_index = quote.stamp, index
                current.left = how_left(side, current.price, price)
                current.over = self.quote_positions[index]
            current = None
            if price is not None:
                current = Visit(side, price, index, index, quote.stamp)
                current.start_size = size_of(quote, side)
                current.over = stretch.end
                found.append(current)
        return found


def how_left(side: int, price: int, now: int | None) -> str:
    """For what a best price left: a better or a worse one, or none."""
    if now is None:
        return "none"
    return "worse" if is_worse(side, now, price) else "better"


def mid_of(quote: Quote) -> float:
    """Return a quote's mid, in units of 1e-8."""
    return (quote.bid_price + quote.ask_price) / 2


def order_flow(past: Past, index: int) -> float:
    """Return the quote's e of the order flow imbalance; a missing price is the last known."""
    quote, before = past.quotes[index], past.quotes[index - 1]
    bid, bid_before = past.carried[BID][index], past.carried[BID][index - 1]
    ask, ask_before = past.carried[ASK][index], past.carried[ASK][index - 1]
    if bid_before is None:
        bid_before = bid
    if ask_before is None:
        ask_before = ask
    flow = 0.0
    if bid is None or bid_before is None or bid >= bid_before:
        flow += quote.bid_size
    if bid is None or bid_before is None or bid <= bid_before:
        flow -= before.bid_size
    if ask is None or ask_before is None or ask <= ask_before:
        flow -= quote.ask_size
    if ask is None or ask_before is None or ask >= ask_before:
        flow += before.ask_size
    return flow
