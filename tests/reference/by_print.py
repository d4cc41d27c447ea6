"""Sweeps, icebergs, absorptions and hidden prints: what is seen in prints."""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from statistics import median

from tests.reference.lives import Evidence, Happening, Lives, letter_of
from tests.reference.past import (
    ASK,
    BID,
    Past,
    Print,
    Stretch,
    is_worse,
    price_of,
    side_taken,
    size_of,
)
from tests.reference.scales import Scales, taker_flow

BURST_GAP_MS = 5
PAIRS_TO_JUDGE = 50
EQUAL_STAMP_SHARE = 0.05
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
        if self.ended_by is not None and self.ended_by.stamp <= last + BURST_GAP_MS:
            return self.ended_by.stamp
        return last + BURST_GAP_MS


def market_orders(past: Past) -> list[Order]:
    """All market orders in order."""
    orders: list[Order] = []
    pairs = equal = 0
    visible = [one for one in past.prints if one.taker != 0 and not one.inside]
    for number, one in enumerate(visible):
        before = visible[number - 1] if number else None
        same = before is not None and before.taker == one.taker
        if before is not None and same:
            pairs += 1
            equal += before.stamp == one.stamp
        if orders and same and _belongs(orders[-1], one):
            orders[-1].prints.append(one)
            continue
        if orders and not same:
            orders[-1].ended_by = one
        rare = pairs >= PAIRS_TO_JUDGE and equal < EQUAL_STAMP_SHARE * pairs
        orders.append(Order([one], by_stamp=not rare))
    return orders


def _belongs(order: Order, one: Print) -> bool:
    last = order.prints[-1].stamp
    return one.stamp == last if order.by_stamp else one.stamp <= last + BURST_GAP_MS


def sweeps(past: Past, scales: Scales) -> Lives:
    """Market orders at two prices or more, of at least the usual great size."""
    lives = Lives("sweep")
    sizes = scales.named["order_size"]
    for number, order in enumerate(market_orders(past)):
        size = sum(one.size for one in order.prints)
        floor = sizes.of_first(number, 0.75)
        sizes.sample(order.complete_at, size)
        if floor is None or len({one.price for one in order.prints}) < 2:
            continue
        lives.candidate(order.complete_at, size / floor)
        if size >= floor:
            _open_sweep(past, lives, order, size, floor)
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
            if one.inside and one.taker == first.taker
        ),
    }
    tick = past.tick_at(order.complete_at)
    if tick is not None:
        evidence["ticks"] = (max(prices) - min(prices)) / tick
    event.show(order.complete_at, size / floor, evidence, given=given)
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
    through: bool
    displayed: float
    shown: float
    taking: list[Print]
    delay: float = 0.0

    @property
    def native(self) -> bool:
        """Tell whether the exchange itself must have refilled it."""
        return not self.through and self.delay <= NATIVE_MS


def refills_through(past: Past, side: int, stretch: Stretch) -> list[Refill]:
    """R1: more was filled within a stamp than was displayed, and the price is best after it."""
    found = []
    for stamp, group in groupby(past.prints_of(stretch), key=attrgetter("stamp")):
        taking = [one for one in group if one.takes(side)]
        for price in sorted({one.price for one in taking}):
            here = [one for one in taking if one.price == price]
            before = here[0].before
            after = past.standing_index(stamp)
            if before is None or price_of(before, side) != price:
                continue
            filled = sum(one.size for one in here) > size_of(before, side)
            if filled and price_of(past.quotes[after], side) == price:
                shown = size_of(past.quotes[after], side)
                displayed = size_of(before, side)
                found.append(Refill(side, price, stamp, after, True, displayed, shown, here))
    return found


def refills_after(past: Past, side: int, stretch: Stretch) -> list[Refill]:
    """R2: all that was displayed was taken, and at least half of it is back within 500 ms."""
    found = []
    prints = [one for one in past.prints_of(stretch) if one.takes(side)]
    positions = [one.position for one in prints]
    indices = past.quotes_of(stretch)
    for index in indices[:-1]:
        quote, following = past.quotes[index], past.quotes[index + 1]
        price, left = price_of(quote, side), price_of(following, side)
        if price is None or (left is not None and not is_worse(side, left, price)):
            continue
        first = bisect_right(positions, past.quote_positions[index])
        last = bisect_right(positions, past.quote_positions[index + 1])
        taking = [one for one in prints[first:last] if one.price == price]
        displayed = size_of(quote, side)
        if not taking or sum(one.size for one in taking) < displayed:
            continue
        back = _back(past, side, price, displayed, range(index + 1, indices.stop))
        if back is not None:
            again = past.quotes[back]
            delay = again.stamp - following.stamp
            shown = size_of(again, side)
            found.append(
                Refill(side, price, again.stamp, back, False, displayed, shown, taking, delay)
            )
    return found


def _back(past: Past, side: int, price: int, displayed: float, indices: range) -> int | None:
    taken_at = past.quotes[indices.start].stamp
    for index in indices:
        quote = past.quotes[index]
        if quote.stamp > taken_at + REFILL_MS:
            return None
        if price_of(quote, side) == price and size_of(quote, side) >= displayed / 2:
            return index
    return None


def icebergs(past: Past, _: Scales) -> Lives:
    """Prices that are refilled again and again, or beyond what they showed."""
    lives = Lives("iceberg")
    for stretch in past.stretches:
        refills = [
            refill
            for side in (BID, ASK)
            for refill in refills_after(past, side, stretch) + refills_through(past, side, stretch)
        ]
        refills.sort(key=lambda refill: (refill.at, refill.through))
        for key in sorted({(refill.side, refill.price) for refill in refills}):
            _icebergs_at(past, lives, [r for r in refills if (r.side, r.price) == key])
        lives.sleep(stretch.sleep)
    return lives


def _icebergs_at(past: Past, lives: Lives, refills: list[Refill]) -> None:
    while refills:
        first = refills[0]
        lost = _lost_at(past, first)
        count = 1
        while (
            count < len(refills)
            and refills[count].at <= refills[count - 1].at + SILENT_MS
            and (lost is None or refills[count].at <= lost)
        ):
            count += 1
        silent = refills[count - 1].at + SILENT_MS
        end = silent if lost is None else min(lost, silent)
        reason = "level_lost" if end == lost else "silence"
        executed = sum(one.size for one in _executed(past, first, end))
        lives.candidate(end, executed / first.displayed)
        _live_iceberg(past, lives, refills[:count], end, reason)
        refills = refills[count:]


def _lost_at(past: Past, refill: Refill) -> float | None:
    """When the side's best had been worse than the price, or none, for 500 ms."""
    since = None
    for quote in past.quotes[refill.standing :]:
        if since is not None and quote.stamp > since + LOST_MS:
            break
        best = price_of(quote, refill.side)
        if best is not None and not is_worse(refill.side, best, refill.price):
            since = None
        elif since is None:
            since = quote.stamp
    return None if since is None else since + LOST_MS


def _executed(past: Past, first: Refill, until: float) -> list[Print]:
    """Return the takers' prints at the price from the first refill on."""
    return [
        one
        for one in past.prints_between(
            first.taking[0].position - 1,
            past.position_after(until),
        )
        if one.takes(first.side) and one.price == first.price
    ]


def _opens(refills: list[Refill], number: int) -> int | None:
    """Return number of the first of the refills that open an iceberg with this one, if they do."""
    if refills[number].through:
        return number
    for native in (True, False):
        after = [
            earlier
            for earlier in range(number + 1)
            if not refills[earlier].through and (refills[earlier].native or not native)
        ]
        if number in after and len(after) >= 3:
            third = after[-3]
            if refills[number].at - refills[third].at <= SILENT_MS:
                return third
    return None


def _live_iceberg(past: Past, lives: Lives, refills: list[Refill], end: float, reason: str) -> None:
    """Carry the price's event through the life of one candidate."""
    key = (refills[0].side, refills[0].price)
    event: Happening | None = None
    for number, refill in enumerate(refills):
        opening = _opens(refills, number)
        if event is None and opening is not None:
            event = lives.living(key, refill.at)
            if event is None:
                event = _open_iceberg(lives, key, refills[opening], refill)
                event.notes = refills[opening:number]
            else:
                event.notes += refills[:number]
                event.closing = None
        if event is None:
            continue
        event.notes.append(refill)
        following = refills[number + 1].at if number + 1 < len(refills) else end
        _show_iceberg(past, event, refill.at, following)
    if event is not None:
        event.close(end, reason)


def _open_iceberg(lives: Lives, key: tuple[int, int], first: Refill, refill: Refill) -> Happening:
    side, price = key
    return lives.open(key, side, first.at, refill.at, (price, price), 1.0, "A")


def _show_iceberg(past: Past, event: Happening, start: float, end: float) -> None:
    """Show it as of a refill and of each print until the next one."""
    refills: list[Refill] = event.notes
    first = refills[0]
    prints = _executed(past, first, end)
    for at in sorted({start, *(one.stamp for one in prints if one.stamp > start)}):
        so_far = [one for one in prints if one.stamp <= at]
        executed = sum(one.size for one in so_far)
        evidence = _iceberg_evidence(refills) | {"executed_shares": executed}
        given = all(one.given for one in so_far)
        event.show(at, executed / first.displayed, evidence, given=given)


def _iceberg_evidence(refills: list[Refill]) -> Evidence:
    native = sum(refill.native for refill in refills)
    through = sum(refill.through for refill in refills)
    delays = [refill.delay for refill in refills if not refill.through]
    kind = "native" if native >= 3 else "through" if refills[0].through else "synthetic"
    evidence: Evidence = {
        "kind": kind,
        "refills": len(refills),
        "native_refills": native,
        "through_refills": through,
        "displayed_shares": refills[0].displayed,
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

    @property
    def absorbs(self) -> bool:
        """Tell whether the opening condition holds."""
        if not self.usual or self.expected is None or self.expected <= 0:
            return False
        if self.tick is None or self.move is None or self.price is None:
            return False
        return (
            abs(self.signed) >= 1.5 * self.usual
            and self.expected >= self.tick
            and self.move <= 0.25 * self.expected
            and self.at_price >= 0.5 * self.total
        )

    @property
    def evidence(self) -> Evidence:
        """Evidence of an event whose peak lies at this second; its `usual` is the event's."""
        evidence: Evidence = {"flow_shares": self.signed}
        if self.expected is not None and self.tick is not None:
            evidence["expected_ticks"] = self.expected / self.tick
        if self.move is not None and self.tick is not None:
            evidence["moved_ticks"] = self.move / self.tick
        if self.price is not None:
            evidence["level_shares"] = self.at_price
            evidence["level_share"] = self.at_price / self.total
            evidence["displayed_shares"] = self.displayed
        return evidence


def _flow_at(past: Past, scales: Scales, at: int) -> Flow:
    signed = taker_flow(past, at, FLOW_SECONDS)
    direction = (signed > 0) - (signed < 0)
    side = side_taken(direction)
    standing = past.standing(at)
    price = price_of(standing, side)
    prints = [o for o in past.prints_in(at - FLOW_SECONDS * 1000, at) if o.taker != 0]
    along = [one for one in prints if one.taker == direction]
    mid, mid_before = past.mid_at(at), past.mid_at(at - FLOW_SECONDS * 1000)
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
    )


def absorptions(past: Past, scales: Scales) -> Lives:
    """One-sided taker flow that does not move the price."""
    lives = Lives("absorption")
    for stretch in past.stretches:
        flows = [_flow_at(past, scales, at) for at in stretch.seconds() if past.traded_by(at)]
        _absorption_candidates(lives, flows)
        for flow in flows:
            for side in (BID, ASK):
                _absorption_second(past, lives, flow, side)
        lives.sleep(stretch.sleep)
    return lives


def _absorption_candidates(lives: Lives, flows: list[Flow]) -> None:
    run: list[Flow] = []
    for flow in flows:
        if run:
            usual = run[0].usual or 0.0
            turned = flow.signed * run[0].signed < 0
            if turned or abs(flow.signed) < 0.75 * usual:
                lives.candidate(flow.at, max(abs(one.signed) for one in run) / usual)
                run = []
            else:
                run.append(flow)
                continue
        if flow.usual and abs(flow.signed) >= 1.5 * flow.usual:
            run = [flow]


def _absorption_second(past: Past, lives: Lives, flow: Flow, side: int) -> None:
    event = lives.living(side, flow.at, by_second=True)
    opens = flow.absorbs and flow.side == side
    if event is None:
        if opens:
            _open_absorption(past, lives, flow)
        return
    usual: float = event.notes[0]
    if event.closing is None:
        reason = _absorption_over(past, event, flow, side, usual)
        if reason:
            event.close(flow.at, reason)
            return
    elif opens:
        event.closing = None
    if event.closing is None and flow.side == side:
        _show_absorption(event, flow, usual)


def _absorption_over(
    past: Past, event: Happening, flow: Flow, side: int, usual: float
) -> str | None:
    best = price_of(past.standing(flow.at), side)
    direction = 1 if side == ASK else -1
    if best is not None and event.price_low is not None and is_worse(side, best, event.price_low):
        return "broke"
    if flow.signed * direction < 0:
        return "turned"
    return "faded" if abs(flow.signed) < 0.75 * usual else None


def _open_absorption(past: Past, lives: Lives, flow: Flow) -> None:
    assert flow.price is not None
    assert flow.usual is not None
    opened_at = max(flow.at - FLOW_SECONDS * 1000, past.records[0].stamp)
    prices = (flow.price, flow.price)
    event = lives.open(flow.side, flow.side, opened_at, flow.at, prices, 1.5, "A")
    event.notes = [flow.usual]
    _show_absorption(event, flow, flow.usual)


def _show_absorption(event: Happening, flow: Flow, usual: float) -> None:
    evidence = flow.evidence | {"usual_flow_shares": usual}
    given = all(one.given for one in flow.prints)
    event.show_if_peak(flow.at, abs(flow.signed) / usual, evidence, given=given)


# --- hidden prints -----------------------------------------------------------------------------


@dataclass
class Run:
    """Inside prints at one price and side with no long gap between them."""

    prints: list[Print] = field(default_factory=list)

    @property
    def silent_at(self) -> float:
        """When it is over if nothing follows."""
        return self.prints[-1].stamp + HIDDEN_GAP_MS


def hidden_prints(past: Past, _: Scales) -> Lives:
    """Return runs of prints strictly inside the quote before them."""
    lives = Lives("hidden_print")
    for stretch in past.stretches:
        signed = [one for one in past.prints_of(stretch) if one.inside and one.taker != 0]
        for key in sorted({(side_taken(one.taker), one.price) for one in signed}):
            for run in _runs([o for o in signed if (side_taken(o.taker), o.price) == key]):
                lives.candidate(run.silent_at, len(run.prints))
                _live_hidden(past, lives, key, run)
        lives.sleep(stretch.sleep)
    return lives


def _runs(prints: list[Print]) -> list[Run]:
    runs: list[Run] = []
    for one in prints:
        if not runs or one.stamp > runs[-1].silent_at:
            runs.append(Run())
        runs[-1].prints.append(one)
    return runs


def _live_hidden(past: Past, lives: Lives, key: tuple[int, int], run: Run) -> None:
    if len(run.prints) < 3:
        return
    side, price = key
    third = run.prints[2]
    event = lives.living(key, third.stamp)
    if event is None:
        opened_at = run.prints[0].stamp
        event = lives.open(key, side, opened_at, third.stamp, (price, price), 3.0, "A")
    event.closing = None
    event.notes += run.prints[:2]
    for one in run.prints[2:]:
        event.notes.append(one)
        _show_hidden(past, event, one.stamp)
    event.close(run.silent_at, "silence")


def _show_hidden(past: Past, event: Happening, at: float) -> None:
    prints: list[Print] = event.notes
    volume = sum(one.size for one in prints)
    first, last = prints[0].position, prints[-1].position
    everything = sum(one.size for one in past.prints_between(first - 1, last + 1))
    evidence: Evidence = {
        "prints": len(prints),
        "volume_shares": volume,
        "volume_share": volume / everything,
    }
    event.show(at, len(prints), evidence, given=all(one.given for one in prints))
