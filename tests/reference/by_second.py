"""Pullings, momentum shifts and quote bursts: what is looked at once a second."""

import math
from dataclasses import dataclass

from tests.reference.lives import Evidence, Happening, Lives, letter_of
from tests.reference.past import ASK, BID, Past, is_worse, price_of, size_of
from tests.reference.scales import Scales, Second, net_removal, taken_at_best

FLICKER_MS = 500
PULLED_FOR_MS = 5000
SLACK = 0.3
CLIP = 3.0
SHIFTED = 12.0
NOTABLE = 3.0
SHIFT_MS = 120_000
BEFORE_MS = 60_000


def by_sleep(scales: Scales, past: Past) -> list[tuple[int, list[Second]]]:
    """Seconds by the sleep that follows them."""
    return [
        (stretch.sleep, [one for one in scales.seconds if one.stretch is stretch])
        for stretch in past.stretches
    ]


# --- pulling -----------------------------------------------------------------------------------


def pullings(past: Past, scales: Scales) -> Lives:
    """Seconds in which most of what was displayed went without being traded."""
    lives = Lives("pulling")
    for sleep, seconds in by_sleep(scales, past):
        for second in seconds:
            for side in (BID, ASK):
                _pulling_second(past, scales, lives, second, side)
        lives.sleep(sleep)
    return lives


def _pulling_second(past: Past, scales: Scales, lives: Lives, second: Second, side: int) -> None:
    at = second.at
    net, traded, first = net_removal(past, side, at)
    before = past.standing(at - 1000)
    price = price_of(before, side)
    usual = scales.named["removal"].before(at, 0.95)
    if usual is None or before is None or price is None or net <= 0:
        return
    displayed = size_of(before, side)
    if net < 0.5 * displayed:
        return
    lives.candidate(at, net / usual)
    if net < usual or first is None:
        return
    event = lives.living(side, at, by_second=True)
    given = all(one.given for one in taken_at_best(past, side, at))
    if event is None:
        letter = letter_of(given=given) if second.traded else "C"
        event = lives.open(side, side, first, at, (price, price), 1.0, letter)
        event.notes = [usual]
    frozen: float = event.notes[0]
    evidence: Evidence = {
        "removed_shares": net,
        "traded_shares": traded,
        "displayed_shares": displayed,
        "cause": "cancelled" if event.letter != "C" else "unknown",
    }
    already = event.closing is not None and at < event.closing[0]
    event.show_if_peak(at, net / frozen, evidence, given=given or event.letter == "C")
    if not already:
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
    value: float = 0.0
    zero_at: int = 0
    peak: float = 0.0

    def restart(self, at: float, lives: Lives) -> None:
        """Begin again at 0; an excursion that was notable ends as a candidate."""
        if self.peak >= NOTABLE:
            lives.candidate(at, self.peak)
        self.value = self.peak = 0.0

    def step(self, at: int, z: float, lives: Lives) -> bool:
        """Add one second; tell whether it has just come to where a shift opens."""
        was = self.value
        self.value = max(0.0, was + self.sign * z - SLACK)
        self.peak = max(self.peak, self.value)
        if self.value == 0:
            self.restart(at, lives)
            self.zero_at = at
        return was < SHIFTED <= self.value


def cusums(past: Past, scales: Scales, lives: Lives) -> dict[int, tuple[float, float]]:
    """S⁺ and S⁻ after each second; fills `lives` with the shifts."""
    sums: dict[int, tuple[float, float]] = {}
    for sleep, seconds in by_sleep(scales, past):
        up, down = Climb("up", 1), Climb("down", -1)
        if seconds:
            up.zero_at = down.zero_at = seconds[0].at - 1000
        for second in seconds:
            _momentum_second(past, scales, lives, second, (up, down))
            sums[second.at] = (up.value, down.value)
        lives.sleep(sleep)
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
    at = second.at
    _elapse(lives, at, pair)
    z = z_of(scales, second)
    if z is None:
        for climb in pair:
            climb.zero_at = at if climb.value == 0 else climb.zero_at
        return
    came = [climb.step(at, z, lives) for climb in pair]
    for climb, other, opens in zip(pair, pair[::-1], came, strict=True):
        _shift_or_fade(lives, at, climb, other, opens=opens)
    for climb in pair:
        event = lives.living(climb.name, at, by_second=True)
        if event is not None and event.closing is None:
            _show_shift(past, scales, event, climb, at)


def _elapse(lives: Lives, at: int, pair: tuple[Climb, Climb]) -> None:
    """Close what has been open for 120 s; both sums start at 0 again."""
    for climb in pair:
        event = lives.living(climb.name, at, by_second=True)
        if event is not None and event.closing is None and at >= event.notes[0] + SHIFT_MS:
            over = event.notes[0] + SHIFT_MS
            event.close(over, "elapsed")
            for one in pair:
                one.restart(over, lives)
                one.zero_at = over


def _shift_or_fade(lives: Lives, at: int, climb: Climb, other: Climb, *, opens: bool) -> None:
    event = lives.living(climb.name, at, by_second=True)
    if opens and (event is None or event.closing is not None):
        _begin_shift(lives, climb, event, at)
        against = lives.living(other.name, at, by_second=True)
        if against is not None:
            against.close(at, "opposite")
    elif event is not None and event.closing is None and climb.value < NOTABLE:
        event.close(at, "faded")


def _begin_shift(lives: Lives, climb: Climb, event: Happening | None, at: int) -> None:
    if event is None:
        event = lives.open(climb.name, climb.name, climb.zero_at, at, (None, None), SHIFTED, "C")
    event.closing = None
    event.notes = [at]


def _show_shift(past: Past, scales: Scales, event: Happening, climb: Climb, at: int) -> None:
    opened_at = int(event.opened_at)
    evidence: Evidence = {"seconds": (at - opened_at) / 1000}
    before = _flows(scales, opened_at - BEFORE_MS, opened_at)
    after = _flows(scales, opened_at, at)
    if before:
        evidence["mean_before"] = sum(before) / len(before)
    if after:
        evidence["mean_after"] = sum(after) / len(after)
    mid, mid_before = past.mid_at(at), past.mid_at(opened_at)
    if mid is not None and mid_before is not None:
        evidence["mid_move"] = (mid - mid_before) / 100_000_000
    event.show(at, climb.value, evidence)


def _flows(scales: Scales, start: int, end: int) -> list[float]:
    """Log-OFI of the seconds in (start, end] in which it was known."""
    seconds = (scales.by_time.get(at) for at in range(start + 1000, end + 1, 1000))
    return [one.log_flow for one in seconds if one is not None and one.log_flow is not None]


# --- quote burst -------------------------------------------------------------------------------


def quote_bursts(past: Past, scales: Scales) -> Lives:
    """Seconds with very many quotes, few prints and much flicker."""
    lives = Lives("quote_burst")
    for sleep, seconds in by_sleep(scales, past):
        _burst_candidates(scales, lives, seconds)
        for second in seconds:
            _burst_second(past, scales, lives, second)
        lives.sleep(sleep)
    return lives


def _burst_candidates(scales: Scales, lives: Lives, seconds: list[Second]) -> None:
    rates = scales.named["quote_rate"]
    run: tuple[float, float] | None = None  # q95 and q99 at its first second
    most = 0
    for second in seconds:
        count = len(second.quotes)
        if run is not None and count < run[0]:
            lives.candidate(second.at, most / run[1])
            run = None
        if run is None:
            often, most_often = rates.before(second.at, 0.95), rates.before(second.at, 0.99)
            if often is not None and most_often and count >= often:
                run, most = (often, most_often), 0
        most = max(most, count)


def _burst_second(past: Past, scales: Scales, lives: Lives, second: Second) -> None:
    at, count = second.at, len(second.quotes)
    event = lives.living("burst", at, by_second=True)
    if event is not None and event.closing is None and count < event.notes[0]:
        event.close(at, "faded")
        return
    often = scales.named["quote_rate"].before(at, 0.95)
    most = scales.named["quote_rate"].before(at, 0.99)
    bursts = often is not None and _bursts(scales, second, most)
    if event is None and bursts and most:
        opened_at = past.quotes[second.quotes[0]].stamp
        event = lives.open("burst", "both", opened_at, at, (None, None), 1.0, "C")
        event.notes = [often, most]
    if event is None or (event.closing is not None and not bursts):
        return
    event.closing = None
    evidence: Evidence = {"quotes_per_second": count, "trades_per_second": second.prints}
    if second.flicker_share is not None:
        evidence["flicker_share"] = second.flicker_share
    event.show_if_peak(at, count / event.notes[1], evidence)


def _bursts(scales: Scales, second: Second, most: float | None) -> bool:
    flickers = scales.named["flicker"].before(second.at, 0.95)
    busy = scales.named["trade_rate"].before(second.at, 0.75)
    if not most or len(second.quotes) < most or flickers is None:
        return False
    if second.flicker_share is None or second.flicker_share < flickers:
        return False
    return not second.traded or (busy is not None and second.prints < busy)
