"""Sweeps, icebergs, absorptions and hidden prints: what is seen in prints."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from statistics import median

from tests.reference.lives import (
    LAST,
    RECORD,
    SECOND,
    TIMER,
    Evidence,
    Happening,
    Lives,
    Moment,
    letter_of,
)
from tests.reference.past import (
    ASK,
    BID,
    SIDE_NAMES,
    Past,
    Print,
    Stretch,
    ceil_second,
    is_worse,
    price_of,
    side_taken,
    size_of,
)
from tests.reference.scales import Scales, taker_flow

JOIN_GAP_MS = 1
PAIR_GAP_MS = 5
PAIRS_TO_JUDGE = 20
PAIRS_TO_HALVE = 2000
LOST_MS = 500
NATIVE_MS = 1
REFILL_MS = 500
SILENT_MS = 60_000
HIDDEN_GAP_MS = 10_000
FLOW_SECONDS = 30


# --- sweep -------------------------------------------------------------------------------------


@dataclass
class Order:
    """Prints taken to be one market order."""

    prints: list[Print]
    by_stamp: bool
    ended_by: Print | None = None  # the other taker's first print

    @property
    def complete_at(self) -> float:
        """The instant at which nothing more can belong to it."""
        last = self.prints[-1].stamp
        if self.by_stamp:
            return last
        if self.ended_by is not None and self.ended_by.stamp <= last + JOIN_GAP_MS:
            return self.ended_by.stamp
        return last + JOIN_GAP_MS

    @property
    def moment(self) -> Moment:
        """When it is complete, in order of orders."""
        return self.complete_at, RECORD, self.prints[0].position

    @property
    def ends_before(self) -> float:
        """Position of the other taker's print that ended it."""
        return float("inf") if self.ended_by is None else self.ended_by.position


@dataclass
class Joining:
    """Which prints belong together, by what pairs of one taker that walked the book say."""

    pairs: int = 0
    equal: int = 0
    level: int = 0  # pairs at one price
    level_equal: int = 0
    by_stamp: bool = True

    def look_at(self, before: Print, one: Print) -> None:
        """Take two successive prints; only those of one taker at the next price count."""
        further = one.price > before.price if one.taker > 0 else one.price < before.price
        soon = one.stamp - before.stamp <= PAIR_GAP_MS
        if one.taker != before.taker or not soon:
            return
        if one.price == before.price:
            self._look_at_level(equal=one.stamp == before.stamp)
        if not further:
            return
        self.pairs += 1
        self.equal += one.stamp == before.stamp
        if self.pairs >= PAIRS_TO_JUDGE:
            share = self.equal / self.pairs
            self.by_stamp = self.by_stamp if 0.02 <= share <= 0.1 else share > 0.1
            if self.level >= PAIRS_TO_JUDGE and self.level_equal / self.level >= 0.5:
                self.by_stamp = True
        if self.pairs == PAIRS_TO_HALVE:
            self.pairs, self.equal = self.pairs // 2, self.equal // 2

    def _look_at_level(self, *, equal: bool) -> None:
        self.level += 1
        self.level_equal += equal
        if self.level == PAIRS_TO_HALVE:
            self.level, self.level_equal = self.level // 2, self.level_equal // 2


def market_orders(past: Past) -> list[Order]:
    """All market orders in order."""
    orders: list[Order] = []
    joining = Joining()
    visible = [one for one in past.prints if one.taker != 0 and not one.inside]
    for stretch in past.stretches:
        before: Print | None = None
        for one in [o for o in visible if stretch.first <= o.position < stretch.end]:
            same = before is not None and before.taker == one.taker
            if before is not None:
                joining.look_at(before, one)
            joins = same and _belongs(orders[-1], one)
            if joins:
                orders[-1].prints.append(one)
            else:
                if before is not None and not same:
                    orders[-1].ended_by = one
                orders.append(Order([one], by_stamp=joining.by_stamp))
            before = one
    return orders


def _belongs(order: Order, one: Print) -> bool:
    last = order.prints[-1].stamp
    return one.stamp == last if order.by_stamp else one.stamp <= last + JOIN_GAP_MS


def sweeps(past: Past, scales: Scales) -> Lives:
    """Market orders at two prices or more, of at least the usual great size."""
    lives = Lives("sweep")
    sizes = scales.named["order_size"]
    for number, order in enumerate(market_orders(past)):
        size = sum(one.size for one in order.prints)
        floor = sizes.of_first(number, 0.75)
        sizes.sample(order.complete_at, size, past.second_number(order.complete_at))
        if floor is None or len({one.price for one in order.prints}) < 2:
            continue
        if size >= floor:
            _open_sweep(past, lives, order, size, floor)
        lives.candidate(order.moment, size / floor)
    return lives


def _open_sweep(past: Past, lives: Lives, order: Order, size: float, floor: float) -> None:
    first, last = order.prints[0], order.prints[-1]
    prices = [one.price for one in order.prints]
    given = all(one.given for one in order.prints)
    event = lives.open(
        None,
        side_taken(first.taker),
        first.stamp,
        order.complete_at,
        (min(prices), max(prices)),
        1.0,
        letter_of(given=given),
    )
    evidence: Evidence = {
        "size_shares": size,
        "floor_shares": floor,
        "prices": len(set(prices)),
        "prints": len(prices),
        "inside_shares": sum(
            one.size
            for one in past.prints_from(first.stamp, last.stamp)
            if one.inside and one.taker == first.taker and one.position < order.ends_before
        ),
    }
    tick = past.tick_at(order.complete_at)
    if tick is not None:
        evidence["ticks"] = (max(prices) - min(prices)) / tick
    event.show(order.moment, size / floor, evidence, given=given)
    over = max(last.stamp + 1000, order.complete_at)
    event.end(last.stamp + 1000, "elapsed", shown_at=over)


# --- iceberg -----------------------------------------------------------------------------------


@dataclass
class Refill:
    """A price that was filled and stood again."""

    side: int
    price: int
    at: float
    standing: int  # index of the quote that shows it again
    over: int  # position of the first record after it
    through: bool
    displayed: float
    shown: float
    taking: list[Print]
    median: float
    delay: float = 0.0

    @property
    def moment(self) -> float:
        """Its place in the stream: with its quote, or after all records of its stamp."""
        return self.over - 0.5 if self.through else self.over - 1

    @property
    def native(self) -> bool:
        """Tell whether the exchange itself must have refilled it."""
        return not self.through and self.delay <= NATIVE_MS


def refills_through(past: Past, scales: Scales, side: int, stretch: Stretch) -> list[Refill]:
    """R1: a print took more than was displayed, and the price is best after its stamp."""
    found = []
    usual = scales.named[SIDE_NAMES[side] + "_size"]
    first_quote = past.quotes_of(stretch).start
    for stamp, group in groupby(past.prints_of(stretch), key=attrgetter("stamp")):
        taking = [one for one in group if one.takes(side)]
        for price in dict.fromkeys(one.price for one in taking):
            here = [one for one in taking if one.price == price]
            while here and (here[0].index < first_quote or price_of(here[0].before, side) != price):
                del here[0]
            after, median_size = past.standing_index(stamp), usual.before(stamp, 0.5)
            met = [_displayed(one, side, price) for one in here]
            larger = [size for one, size in zip(here, met, strict=True) if 0 < size < one.size]
            if larger and median_size and price_of(past.quotes[after], side) == price:
                shown = size_of(past.quotes[after], side)
                end = past.position_after(stamp)
                facts = (larger[0], shown, here, median_size)
                found.append(Refill(side, price, stamp, after, end, True, *facts))
    return found


def _displayed(one: Print, side: int, price: int) -> float:
    """Return the size that the quote before a print displays at a price, 0 unless it is best."""
    if one.before is None or price_of(one.before, side) != price:
        return 0.0
    return size_of(one.before, side)


def _reaches(past: Past, index: int, side: int, price: int) -> bool:
    """Tell whether a quote's other side is at a price of a side, or beyond."""
    other = price_of(past.quotes[index], ASK if side == BID else BID)
    if other is None:
        return False
    return other <= price if side == BID else other >= price


def refills_after(past: Past, scales: Scales, side: int, stretch: Stretch) -> list[Refill]:
    """R2: all that was displayed was taken, and it is back within 500 ms."""
    found = []
    prints = [one for one in past.prints_of(stretch) if one.takes(side)]
    positions = [one.position for one in prints]
    usual = scales.named[SIDE_NAMES[side] + "_size"]
    waiting: dict[int, Taking] = {}
    start_size = 0.0
    for index in past.quotes_of(stretch):
        quote, before = past.quotes[index], past.quotes[index - 1] if index else None
        price, size, at = price_of(quote, side), size_of(quote, side), quote.stamp
        was = price_of(before, side) if index > past.quotes_of(stretch).start else None
        changed = price != was
        if before is not None and was is not None and changed:
            first = bisect_right(positions, past.quote_positions[index - 1])
            last = bisect_right(positions, past.quote_positions[index])
            prints_here = [one for one in prints[first:last] if one.price == was]
            displayed, gone = size_of(before, side), sum(one.size for one in prints_here)
            if gone >= displayed and (price is None or is_worse(side, price, was)):
                waiting[was] = Taking(at, displayed, start_size, prints_here)
        if price is not None:
            start_size = size if changed else start_size
        looked_at = changed or (before is not None and size != size_of(before, side))
        taking = waiting.get(price) if price is not None and looked_at else None
        median_size = usual.before(at, 0.5)
        is_refill = taking is not None and taking.is_refilled_by(size, at, median_size)
        if price is not None and taking is not None and median_size and is_refill:
            del waiting[price]
            end, delay = past.quote_positions[index] + 1, at - taking.at
            facts = (taking.displayed, size, taking.prints, median_size, delay)
            found.append(Refill(side, price, at, index, end, False, *facts))
        waiting = {p: one for p, one in waiting.items() if not _reaches(past, index, side, p)}
    return found


@dataclass
class Taking:
    """What was displayed at a price was all taken."""

    at: float
    displayed: float
    start_size: float
    prints: list[Print]

    def is_refilled_by(self, size: float, at: float, usual: float | None) -> bool:
        """Tell whether a size that comes back refills it."""
        delay = at - self.at
        if delay > REFILL_MS or usual is None:
            return False
        if delay <= NATIVE_MS:
            return size >= self.displayed / 2 and size >= 0.2 * usual
        if size < 0.7 * usual:
            return False
        return any(abs(size - old) <= 0.1 * old for old in (self.displayed, self.start_size))


def icebergs(past: Past, scales: Scales) -> Lives:
    """Prices that are refilled again and again, or beyond what they showed."""
    lives = Lives("iceberg")
    for stretch in past.stretches:
        refills = [
            refill
            for side in (BID, ASK)
            for refill in refills_after(past, scales, side, stretch)
            + refills_through(past, scales, side, stretch)
        ]
        refills.sort(key=lambda refill: (refill.at, refill.through))
        for key in sorted({(refill.side, refill.price) for refill in refills}):
            here = [refill for refill in refills if (refill.side, refill.price) == key]
            _icebergs_at(past, lives, here, stretch)
        lives.end(stretch)
    return lives


@dataclass
class End:
    """How and when a candidate ends; `position` is that of the first record after it."""

    at: float
    reason: str
    position: int
    moment: Moment


def _icebergs_at(past: Past, lives: Lives, refills: list[Refill], stretch: Stretch) -> None:
    while refills:
        first = refills[0]
        lost = _lost_at(past, first, stretch)
        crossed = _crossed_at(past, first, stretch, lost)
        count = 1
        while (
            count < len(refills)
            and refills[count].at <= refills[count - 1].at + SILENT_MS
            and (lost is None or refills[count].at <= lost)
            and (crossed is None or refills[count].moment <= past.quote_positions[crossed])
        ):
            count += 1
        end = _end_of(past, first, refills[count - 1].at + SILENT_MS, lost, crossed)
        executed = sum(one.size for one in _executed(past, first, end.position))
        lives.candidate(end.moment, executed / first.median)
        _live_iceberg(past, lives, refills[:count], end)
        refills = refills[count:]


def _end_of(
    past: Past, first: Refill, silent: float, lost: float | None, crossed: int | None
) -> End:
    """Return the first end of a candidate; at one instant: crossed, lost, silent."""
    timed = silent if lost is None else min(lost, silent)
    if crossed is not None and past.quotes[crossed].stamp <= timed:
        at, position = past.quotes[crossed].stamp, past.quote_positions[crossed]
        return End(at, "crossed", position, (at, RECORD, position))
    place = first.side * LAST + first.over
    reason = "level_lost" if timed == lost else "silence"
    return End(timed, reason, past.position_after(timed), (timed, TIMER, place))


def _crossed_at(past: Past, refill: Refill, stretch: Stretch, lost: float | None) -> int | None:
    """Return the first quote from a refill on whose other side is at its price or beyond."""
    for index in range(max(0, refill.standing), past.quotes_of(stretch).stop):
        if lost is not None and past.quotes[index].stamp > lost:
            return None
        is_later = past.quote_positions[index] >= refill.moment
        if is_later and _reaches(past, index, refill.side, refill.price):
            return index
    return None


def _lost_at(past: Past, refill: Refill, stretch: Stretch) -> float | None:
    """When the side's best had been worse than the price, or none, for 500 ms."""
    since = None
    for index in range(refill.standing, past.quotes_of(stretch).stop):
        quote = past.quotes[index]
        if since is not None and quote.stamp > since + LOST_MS:
            break
        best = price_of(quote, refill.side)
        if best is not None and not is_worse(refill.side, best, refill.price):
            since = None
        elif since is None:
            since = quote.stamp
    return None if since is None else since + LOST_MS


def _executed(past: Past, first: Refill, until: int) -> list[Print]:
    """Return the prints that the first refill made good, and the takers' at the price after it.

    Those at or after position `until` are left out.
    """
    later = past.prints_between(first.over - 1, until)
    return first.taking + [o for o in later if o.takes(first.side) and o.price == first.price]


def _opens(refills: list[Refill]) -> Refill | None:
    """Return the first of the refills that open an iceberg with the newest, if they do."""
    newest = refills[-1]
    if newest.through:
        return newest
    after = [one for one in refills if not one.through and newest.at - one.at <= SILENT_MS]
    native = [one for one in after if one.native]
    for kind in (native if newest.native else [], after):
        if len(kind) >= 3:
            return kind[-3]
    return None


def _live_iceberg(past: Past, lives: Lives, refills: list[Refill], end: End) -> None:
    """Carry the price's event through the life of one candidate."""
    side, price = key = (refills[0].side, refills[0].price)
    event: Happening | None = None
    for number, refill in enumerate(refills):
        opening = _opens(refills[: number + 1])
        executed = sum(one.size for one in _executed(past, refills[0], refill.over))
        is_enough = executed / refills[0].median >= 0.5
        if event is None and opening is not None and is_enough:
            event = lives.living(key, refill.at)
            if event is None:
                prices = (price, price)
                event = lives.open(key, side, opening.at, refill.at, prices, 0.5, "A")
            event.closing = None
        if event is not None:
            until = end.position
            if number + 1 < len(refills):
                until = past.position_after(refills[number + 1].at)
            _show_iceberg(past, event, refills[: number + 1], until)
    if event is not None:
        event.close(end.at, end.reason)


def _show_iceberg(past: Past, event: Happening, refills: list[Refill], until: int) -> None:
    """Show it as of its newest refill and of each print until the next one."""
    first, newest = refills[0], refills[-1]
    prints = _executed(past, first, until)
    executed = sum(one.size for one in prints if one.position < newest.over)
    given = all(one.given for one in prints if one.position < newest.over)
    evidence = _iceberg_evidence(refills)
    moment = (newest.at, RECORD, newest.over)
    shown = evidence | {"executed_shares": executed}
    event.show(moment, executed / first.median, shown, given=given)
    for one in prints:
        if one.position >= newest.over:
            executed += one.size
            shown = evidence | {"executed_shares": executed}
            moment = (one.stamp, RECORD, one.position)
            event.show(moment, executed / first.median, shown, given=one.given)


def _iceberg_evidence(refills: list[Refill]) -> Evidence:
    native = sum(refill.native for refill in refills)
    through = sum(refill.through for refill in refills)
    delays = [refill.delay for refill in refills if not refill.through]
    evidence: Evidence = {
        "kind": "native" if native >= 3 or through else "synthetic",
        "refills": len(refills),
        "native_refills": native,
        "through_refills": through,
        "displayed_shares": refills[0].displayed,
        "median_shares": refills[0].median,
        "largest_refill_shares": max(refill.shown for refill in refills),
    }
    if delays:
        evidence["median_delay_ms"] = median(delays)
    return evidence


# --- absorption --------------------------------------------------------------------------------


@dataclass
class Flow:
    """Taker flow of the 30 seconds before a second, and what it met."""

    at: int
    signed: float
    prints: list[Print]
    side: int
    price: int | None
    displayed: float
    total: float
    at_price: float
    move: float | None  # of the mid along the flow, 1e-8
    usual: float | None
    expected: float | None  # λ·abs(F), 1e-8
    tick: int | None
    median: float | None  # the side's usual size
    usual_move: float | None  # of the mid in 30 s, 1e-8

    @property
    def is_known(self) -> bool:
        """Tell whether all of what is shown is known."""
        known = self.tick is not None and self.move is not None and self.price is not None
        known = known and self.usual_move is not None
        return known and self.expected is not None and self.expected > 0

    @property
    def absorbs(self) -> bool:
        """Tell whether the opening condition holds."""
        if not self.usual or not self.median or not self.is_known:
            return False
        assert self.expected is not None
        assert self.move is not None
        assert self.usual_move is not None
        return (
            abs(self.signed) >= 1.5 * self.usual
            and self.expected >= 0.5 * self.usual_move
            and self.move <= 0.25 * self.expected
            and self.at_price >= 0.7 * self.total
            and self.at_price >= 3 * self.median
        )

    @property
    def evidence(self) -> Evidence:
        """Evidence of an event whose peak lies at this second; its `usual` is the event's."""
        assert self.expected is not None
        assert self.move is not None
        assert self.tick is not None
        assert self.usual_move is not None
        return {
            "flow_shares": self.signed,
            "expected_ticks": self.expected / self.tick,
            "moved_ticks": self.move / self.tick,
            "usual_move_ticks": self.usual_move / self.tick,
            "level_shares": self.at_price,
            "level_share": self.at_price / self.total,
            "displayed_shares": self.displayed,
        }


def _flow_at(past: Past, scales: Scales, stretch: Stretch, at: int) -> Flow:
    signed = taker_flow(past, at, FLOW_SECONDS)
    direction = (signed > 0) - (signed < 0)
    side = side_taken(direction)
    index = past.standing_index(at)
    standing = past.quotes[index] if index >= past.quotes_of(stretch).start else None
    price = price_of(standing, side)
    prints = [o for o in past.prints_in(at - FLOW_SECONDS * 1000, at) if o.taker != 0]
    along = [one for one in prints if one.taker == direction]
    begin = at - FLOW_SECONDS * 1000
    mid, mid_before = past.mid_at(at), past.mid_at(begin)
    if begin < stretch.first_second:
        mid_before = None
    impact = scales.impact_before(at) if direction else None
    return Flow(
        at,
        signed,
        prints,
        side,
        price,
        0.0 if standing is None or price is None else size_of(standing, side),
        sum(one.size for one in along),
        sum(one.size for one in along if one.price == price),
        None if mid is None or mid_before is None else (mid - mid_before) * direction,
        scales.named["flow"].before(at, 0.5),
        None if impact is None else impact * abs(signed),
        past.tick_at(at),
        scales.named[SIDE_NAMES[side] + "_size"].before(at, 0.5),
        scales.named["move_30s"].before(at, 0.5),
    )


def absorptions(past: Past, scales: Scales) -> Lives:
    """One-sided taker flow that does not move the price."""
    lives = Lives("absorption")
    for stretch in past.stretches:
        flows = [
            _flow_at(past, scales, stretch, at) for at in stretch.seconds() if past.traded_by(at)
        ]
        _absorption_candidates(lives, flows)
        for flow in flows:
            for side in (BID, ASK):
                _absorption_second(past, lives, flow, side)
        lives.end(stretch)
    return lives


def _absorption_candidates(lives: Lives, flows: list[Flow]) -> None:
    run: list[Flow] = []
    for flow in flows:
        if run:
            usual = run[0].usual or 0.0
            turned = flow.signed * run[0].signed < 0
            if turned or abs(flow.signed) < 0.75 * usual:
                lives.candidate((flow.at, SECOND, 0), max(abs(one.signed) for one in run) / usual)
                run = []
            else:
                run.append(flow)
                continue
        if flow.usual and abs(flow.signed) >= 1.5 * flow.usual:
            run = [flow]


def _absorption_second(past: Past, lives: Lives, flow: Flow, side: int) -> None:
    event = lives.living(side, flow.at)
    if event is not None and event.is_open:
        reason = _absorption_over(past, event, flow, side)
        if reason:
            event.close(flow.at, reason)
        elif flow.is_known:
            _show_absorption(event, flow)
    elif flow.absorbs and flow.side == side:
        _open_absorption(past, lives, flow, event)


def _absorption_over(past: Past, event: Happening, flow: Flow, side: int) -> str | None:
    usual, price = event.notes
    best = price_of(past.standing(flow.at), side)
    direction = 1 if side == ASK else -1
    if best is not None and is_worse(side, best, price):
        return "broke"
    if flow.signed * direction < 0:
        return "turned"
    return "faded" if abs(flow.signed) < 0.75 * usual else None


def _open_absorption(past: Past, lives: Lives, flow: Flow, event: Happening | None) -> None:
    """Open one, or let it go on with what is usual, and the price, as they are now."""
    if event is None:
        opened_at = max(flow.at - FLOW_SECONDS * 1000, past.records[0].stamp)
        prices = (flow.price, flow.price)
        event = lives.open(flow.side, flow.side, opened_at, flow.at, prices, 1.5, "A")
    event.closing = None
    event.notes = [flow.usual, flow.price]
    _show_absorption(event, flow)


def _show_absorption(event: Happening, flow: Flow) -> None:
    usual: float = event.notes[0]
    evidence = flow.evidence | {"usual_flow_shares": usual}
    given = all(one.given for one in flow.prints)
    event.show_if_peak((flow.at, SECOND, 1), abs(flow.signed) / usual, evidence, given=given)


# --- hidden prints -----------------------------------------------------------------------------


@dataclass
class Cluster:
    """Inside prints of one side with no long gap between them, at one price or at neighbours."""

    price: int
    began: int  # position of the print that began it
    floor: float
    prints: list[Print]

    @property
    def silent_at(self) -> float:
        """When it is over if nothing follows."""
        return max(one.stamp for one in self.prints) + HIDDEN_GAP_MS

    @property
    def size(self) -> float:
        """Volume of its prints."""
        return sum(one.size for one in self.prints)

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest price."""
        prices = [one.price for one in self.prints]
        return min(prices), max(prices)

    def reaches(self, price: int, distance: int = 0) -> bool:
        """Tell whether it is a true cluster, and a price within some distance from it."""
        low, high = self.range
        return len(self.prints) >= 3 and low - distance <= price <= high + distance


def hidden_prints(past: Past, scales: Scales) -> Lives:
    """Return clusters of prints strictly inside the quote before them, of a volume that counts."""
    lives = Lives("hidden_print")
    for stretch in past.stretches:
        for side in (BID, ASK):
            living: list[Cluster] = []
            for one in past.prints_of(stretch):
                if one.inside and one.takes(side):
                    living = _silenced(lives, side, living, one.stamp)
                    _add_hidden(past, scales, lives, side, living, one)
            _silenced(lives, side, living, float("inf"))
        lives.end(stretch)
    return lives


def _silenced(lives: Lives, side: int, living: list[Cluster], at: float) -> list[Cluster]:
    """End the clusters that are silent before an instant, and return the others."""
    for cluster in living:
        if cluster.silent_at < at:
            place = side * LAST + cluster.began
            moment = (cluster.silent_at, TIMER, place)
            lives.candidate(moment, cluster.size / cluster.floor)
            event = lives.living((side, cluster.price), cluster.silent_at)
            if event is not None:
                event.close(cluster.silent_at, "silence")
    return [cluster for cluster in living if cluster.silent_at >= at]


def _add_hidden(  # noqa: PLR0913, PLR0917 - a print, and all that it may change
    past: Past, scales: Scales, lives: Lives, side: int, living: list[Cluster], one: Print
) -> None:
    mine = [c for c in living if c.reaches(one.price)]
    mine += [c for c in living if c.price == one.price]
    if mine:
        cluster = mine[0]
        cluster.prints.append(one)
    else:
        second_before = ceil_second(one.stamp) - 1000
        floor = scales.named["order_size"].through(second_before, 0.75)
        if floor is None:
            return
        cluster = Cluster(one.price, one.position, floor, [one])
        living.append(cluster)
    tick = past.tick_at_position(one.position)
    if len(cluster.prints) == 3 and tick is not None:
        others = [c for c in living if c is not cluster and c.reaches(one.price, tick)]
        if others:
            for joined in (cluster, *others[1:]):
                living.remove(joined)
                others[0].prints.extend(joined.prints)
                event = lives.living((side, joined.price), one.stamp)
                if event is not None:
                    event.close(one.stamp, "merged")
            others[0].prints.sort(key=attrgetter("position"))
            cluster = others[0]
    if len(cluster.prints) >= 3 and cluster.size >= cluster.floor:
        _show_hidden(past, lives, side, cluster)


def _show_hidden(past: Past, lives: Lives, side: int, cluster: Cluster) -> None:
    first, last = cluster.prints[0], cluster.prints[-1]
    event = lives.living((side, cluster.price), last.stamp)
    if event is None:
        key = (side, cluster.price)
        event = lives.open(key, side, first.stamp, last.stamp, cluster.range, 1.0, "A")
    event.closing = None
    everything = past.prints_between(first.position - 1, last.position + 1)
    evidence: Evidence = {
        "prints": len(cluster.prints),
        "volume_shares": cluster.size,
        "floor_shares": cluster.floor,
        "volume_share": cluster.size / sum(one.size for one in everything),
    }
    moment = (last.stamp, RECORD, last.position)
    given = all(one.given for one in cluster.prints)
    event.show_if_peak(moment, cluster.size / cluster.floor, evidence, given=given)
    event.widen(moment, *cluster.range)
