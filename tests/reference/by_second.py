"""Pullings, momentum shifts and quote bursts: what is looked at once a second."""

import math
from dataclasses import dataclass, replace

from tests.reference.lives import SECOND, Evidence, Happening, Lives, letter_of
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
from tests.reference.scales import Scales, Second, net_removal, taken_at_best, taker_flow

FLICKER_MS = 500
PULLED_FOR_MS = 5000
SLACK = 0.35
CLIP = 1.5
SHIFTED = 8.5
NOTABLE = 2.125
SHIFT_MS = 120_000
BEFORE_SECONDS = 60


def by_stretch(scales: Scales, past: Past) -> list[tuple[Stretch, list[Second]]]:
    """Seconds by the stretch that they lie in."""
    return [
        (stretch, [one for one in scales.seconds if one.stretch is stretch])
        for stretch in past.stretches
    ]


# --- pulling -----------------------------------------------------------------------------------


def pullings(past: Past, scales: Scales) -> Lives:
    """Seconds in which most of what was displayed went without being traded."""
    lives = Lives("pulling")
    for stretch, seconds in by_stretch(scales, past):
        for second in seconds[1:]:
            for side in (BID, ASK):
                _pulling_second(past, scales, lives, second, side)
        lives.end(stretch)
    return lives


def _pulling_second(past: Past, scales: Scales, lives: Lives, second: Second, side: int) -> None:
    at = second.at
    net, traded, first = net_removal(past, second.stretch, side, at)
    index = past.standing_index(at - 1000)
    usual = scales.named["removal"].before(at, 0.95)
    if index < past.quotes_of(second.stretch).start or not usual or net <= 0:
        return
    before = past.quotes[index]
    price, displayed = price_of(before, side), size_of(before, side)
    if price is None or net < 0.5 * displayed:
        return
    moment = (at, SECOND, side)
    lives.candidate(moment, net / usual)
    if net < usual or first is None:
        return
    given = all(one.given for one in taken_at_best(past, second.stretch, side, at))
    evidence: Evidence = {
        "removed_shares": net,
        "traded_shares": traded,
        "displayed_shares": displayed,
        "cause": "cancelled" if second.traded else "unknown",
    }
    event = lives.living(side, at)
    if event is not None and (event.closing is None or at < event.closing[0]):
        event.show_if_peak(moment, net / usual, evidence, given=given)
        return
    if event is None:
        letter = letter_of(given=given) if second.traded else "C"
        event = lives.open(side, side, first, at, (price, price), 1.0, letter)
    event.show(moment, net / usual, evidence, given=given)
    event.closing = None
    event.close(*_pulling_over(past, side, at, price, displayed))


def _pulling_over(
    past: Past, side: int, at: int, price: int, displayed: float
) -> tuple[float, str]:
    for index in past.quotes_in(at, at + FLICKER_MS):
        quote = past.quotes[index]
        best = price_of(quote, side)
        if best is None or is_worse(side, best, price):
            continue
        if size_of(quote, side) >= 0.8 * displayed:
            return quote.stamp, "flicker"
    return at + PULLED_FOR_MS, "elapsed"


# --- momentum shift ----------------------------------------------------------------------------


@dataclass
class Climb:
    """One of the two CUSUMs."""

    name: str
    sign: int
    zero_at: int
    value: float = 0.0
    peak: float = 0.0
    grew: bool = False

    def restart(self, at: int, lives: Lives) -> None:
        """Begin again at 0; an excursion that was notable ends as a candidate."""
        if self.peak >= NOTABLE:
            lives.candidate((at, SECOND, 0), self.peak)
        self.value, self.peak, self.grew = 0.0, 0.0, False

    def step(self, at: int, z: float) -> None:
        """Add one second."""
        if self.value == 0:
            self.zero_at = at - 1000
        was, self.value = self.value, max(0.0, self.value + self.sign * z - SLACK)
        self.grew = self.value > was
        self.peak = max(self.peak, self.value)


Sums = dict[int, tuple[Climb, Climb]]


def cusums(past: Past, scales: Scales, lives: Lives) -> Sums:
    """Both sums after each second; fills `lives` with the shifts."""
    sums: Sums = {}
    for stretch, seconds in by_stretch(scales, past):
        pair = (Climb("up", 1, 0), Climb("down", -1, 0))
        for second in seconds:
            _momentum_second(past, scales, lives, second, pair)
            sums[second.at] = (replace(pair[0]), replace(pair[1]))
        lives.end(stretch)
    return sums


def momentum_shifts(past: Past, scales: Scales) -> Lives:
    """Lasting changes of the order flow's mean."""
    lives = Lives("momentum_shift")
    cusums(past, scales, lives)
    return lives


def z_of(scales: Scales, second: Second) -> float | None:
    """Return the second's log-OFI in units of its usual size, held to ±3; None while warming."""
    drift = scales.drift_before(second.at)
    if second.log_flow is None or not drift:
        return None
    return max(-CLIP, min(CLIP, second.log_flow / math.sqrt(drift)))


def _momentum_second(
    past: Past, scales: Scales, lives: Lives, second: Second, pair: tuple[Climb, Climb]
) -> None:
    at, z = second.at, z_of(scales, second)
    if z is None:
        return
    _elapse(lives, at, pair)
    for climb in pair:
        climb.step(at, z)
    for climb, other in zip(pair, pair[::-1], strict=True):
        event = lives.living(climb.name, at)
        if event is None or not event.is_open:
            if climb.value >= SHIFTED:
                _begin_shift(past, scales, lives, second, (climb, other))
            elif climb.value == 0:
                climb.restart(at, lives)
        elif climb.value < NOTABLE:
            event.close(at, "faded")
            climb.restart(at, lives)
        else:
            _show_shift(past, scales, event, climb, second)


def _elapse(lives: Lives, at: int, pair: tuple[Climb, Climb]) -> None:
    """Close what has been open for 120 s; both sums start at 0 again."""
    for climb in pair:
        event = lives.living(climb.name, at)
        if event is not None and event.is_open and at >= event.notes[0] + SHIFT_MS:
            event.close(at, "elapsed")
            for one in pair:
                one.restart(at, lives)


def _begin_shift(
    past: Past, scales: Scales, lives: Lives, second: Second, pair: tuple[Climb, Climb]
) -> None:
    climb, other = pair
    against = lives.living(other.name, second.at)
    if against is not None and against.is_open:
        against.close(second.at, "opposite")
        other.restart(second.at, lives)
    event = lives.living(climb.name, second.at)
    if event is None:
        prices = (None, None)
        event = lives.open(climb.name, climb.name, climb.zero_at, second.at, prices, SHIFTED, "C")
    event.closing = None
    event.notes = [second.at]
    _show_shift(past, scales, event, climb, second)


def _show_shift(past: Past, scales: Scales, event: Happening, climb: Climb, second: Second) -> None:
    at, start, first = second.at, climb.zero_at, second.stretch.first_second
    before = _flows(scales, first, start)[-BEFORE_SECONDS:]
    after = _flows(scales, start + 1000, at)
    evidence: Evidence = {"seconds": (at - start) / 1000, "mean_after": sum(after) / len(after)}
    if before:
        evidence["mean_before"] = sum(before) / len(before)
    mid, mid_before = past.last_mid_at(at), past.last_mid_at(start)
    if mid is not None and mid_before is not None and start >= first:
        evidence["mid_move"] = (mid - mid_before) / 100_000_000
    event.show((at, SECOND, 1), climb.peak, evidence)


def _flows(scales: Scales, first: int, last: int) -> list[float]:
    """Log-OFI of the seconds from first to last in which it was known."""
    seconds = (scales.by_time.get(at) for at in range(first, last + 1, 1000))
    return [o.log_flow for o in seconds if o is not None and o.log_flow is not None]


# --- trade burst -------------------------------------------------------------------------------


@dataclass
class Taken:
    """What takers did in the 10 seconds before a second, seen from the greater side."""

    at: int
    side: int
    net: float
    prints: list[Print]  # of the greater side's takers
    both: list[Print]
    share_of_window: float
    move: float | None

    def evidence(self, floor: float) -> Evidence:
        """Return what is shown of it."""
        shown: Evidence = {
            "volume_shares": sum(one.size for one in self.prints),
            "floor_shares": floor,
            "prints": len(self.prints),
            "one_sided_share": self.net / sum(one.size for one in self.both),
            "window_share": self.share_of_window,
        }
        return shown if self.move is None else shown | {"mid_move": self.move / 100_000_000}


def trade_bursts(past: Past, scales: Scales) -> Lives:
    """Very much taker volume within 10 s, nearly all to one side."""
    lives = Lives("trade_burst")
    flows = scales.named["taker_flow"]
    for stretch, seconds in by_stretch(scales, past):
        run: list[float] = []
        run_floor = 0.0
        for second in seconds:
            if not second.traded:
                continue
            floor, flow = flows.before(second.at, 0.99), taker_flow(past, second.at, 10)
            if run and (flow * run[0] <= 0 or abs(flow) < run_floor / 2):
                lives.candidate((second.at, SECOND, 0), max(map(abs, run)) / run_floor)
                run = []
            if not run and floor and abs(flow) >= floor / 2:
                run_floor = floor
                run = [flow]
            elif run:
                run.append(flow)
            _trade_burst_second(past, lives, stretch, second.at, flow, floor)
        lives.end(stretch)
    return lives


def _trade_burst_second(  # noqa: PLR0913, PLR0917 - a second's flow, and what is usual
    past: Past, lives: Lives, stretch: Stretch, at: int, flow: float, floor: float | None
) -> None:
    ending = set()
    for side, sign in ((BID, -1), (ASK, 1)):
        event = lives.living(side, at)
        if event is not None and event.is_open and sign * flow < event.notes[0] / 2:
            event.close(at, "turned" if sign * flow < 0 else "faded")
            ending.add(side)
    if not flow or side_taken(1 if flow > 0 else -1) in ending:
        return
    taken = _taken(past, stretch, at, flow)
    event = lives.living(taken.side, at)
    moment, given = (at, SECOND, 1), all(one.given for one in taken.both)
    if event is not None and event.is_open:
        usual = event.notes[0]
        event.show_if_peak(moment, taken.net / usual, taken.evidence(usual), given=given)
        return
    everything = sum(one.size for one in taken.both)
    if not floor or taken.net < floor or taken.net < 0.8 * everything or len(taken.prints) < 3:
        return
    if event is None:
        first = taken.prints[0].stamp
        event = lives.open(taken.side, taken.side, first, at, (None, None), 1.0, "A")
    event.closing = None
    event.notes = [floor]
    event.show_if_peak(moment, taken.net / floor, taken.evidence(floor), given=given)


def _taken(past: Past, stretch: Stretch, at: int, flow: float) -> Taken:
    side = side_taken(1 if flow > 0 else -1)
    both = [one for one in past.prints_in(at - 10_000, at) if one.taker != 0]
    mine = [one for one in both if one.takes(side)]
    window = sum(one.size for one in past.prints_in(at - 300_000, at) if one.takes(side))
    mid, mid_before = past.mid_at(at), past.mid_at(at - 10_000)
    known = mid is not None and mid_before is not None and at - 10_000 >= stretch.first_second
    move = mid - mid_before if known and mid is not None and mid_before is not None else None
    share = sum(one.size for one in mine) / window
    return Taken(at, side, abs(flow), mine, both, share, move)


# --- quote burst -------------------------------------------------------------------------------


def quote_bursts(past: Past, scales: Scales) -> Lives:
    """Seconds with very many quotes, few prints and much flicker."""
    lives = Lives("quote_burst")
    for stretch, seconds in by_stretch(scales, past):
        _burst_candidates(scales, lives, seconds)
        for second in seconds:
            _burst_second(past, scales, lives, second)
        lives.end(stretch)
    return lives


def _burst_candidates(scales: Scales, lives: Lives, seconds: list[Second]) -> None:
    rates = scales.named["quote_rate"]
    run: tuple[float, float] | None = None  # q95 and q99 at its first second
    most = 0
    for second in seconds:
        count = len(second.quotes)
        if run is not None and count < run[0]:
            lives.candidate((second.at, SECOND, 0), most / run[1])
            run = None
        if run is None:
            often, most_often = rates.before(second.at, 0.95), rates.before(second.at, 0.99)
            if often and most_often and count >= often:
                run, most = (often, most_often), 0
        most = max(most, count)


def _burst_second(past: Past, scales: Scales, lives: Lives, second: Second) -> None:
    at, count = second.at, len(second.quotes)
    event = lives.living("burst", at)
    if event is not None and event.is_open and count < event.notes[0]:
        event.close(at, "faded")
        return
    often = scales.named["quote_rate"].before(at, 0.95)
    most = scales.named["quote_rate"].before(at, 0.99)
    if not often or not most or not _bursts(scales, second, most):
        return
    evidence: Evidence = {
        "quotes_per_second": count,
        "trades_per_second": second.prints,
        "flicker_share": second.flicker_share,
    }
    moment = (at, SECOND, 1)
    if event is not None and event.is_open:
        event.show_if_peak(moment, count / event.notes[1], evidence)
        return
    if event is None:
        opened_at = past.quotes[second.quotes[0]].stamp
        event = lives.open("burst", "both", opened_at, at, (None, None), 1.0, "C")
    event.closing = None
    event.notes = [often, most]
    event.show_if_peak(moment, count / most, evidence)


def _bursts(scales: Scales, second: Second, most: float) -> bool:
    flickers = scales.named["flicker"].before(second.at, 0.95)
    busy = scales.named["trade_rate"].before(second.at, 0.75)
    if len(second.quotes) < most or flickers is None:
        return False
    if not second.flicker_share or second.flicker_share < flickers:
        return False
    return not second.traded or (busy is not None and second.prints <= busy)
