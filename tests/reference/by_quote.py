"""Spread regimes and price gaps: what is looked at with each quote."""

from dataclasses import dataclass, field

from tests.reference.lives import RECORD, TIMER, Evidence, Happening, Lives
from tests.reference.past import ASK, BID, Past, price_of, size_of
from tests.reference.scales import Scales, jump_of

HELD_MS = 1000
ONE_TICK_SHARE = 0.8
TIGHT, WIDE = 0.5, 2.0
GAP_MS = 5


# --- spread regime -----------------------------------------------------------------------------


@dataclass
class Run:
    """Quotes whose spread is far from usual, from the first on."""

    tight: bool
    start: float
    usual: int
    spreads: list[tuple[float, int]] = field(default_factory=list)

    def distance(self, spread: int) -> float:
        """How far a spread is from usual, as a factor."""
        return self.usual / spread if self.tight else spread / self.usual

    def holds(self, spread: int | None) -> bool:
        """Tell whether it goes on with a spread."""
        if spread is None:
            return False
        return spread <= TIGHT * self.usual if self.tight else spread >= WIDE * self.usual

    def farthest(self, until: float) -> int:
        """Return the spread farthest from usual so far."""
        return max((one for at, one in self.spreads if at <= until), key=self.distance)


def spread_regimes(past: Past, scales: Scales) -> Lives:
    """Spreads much under or over their own recent median."""
    lives = Lives("spread_regime")
    for stretch in past.stretches:
        run: Run | None = None
        for index in past.quotes_of(stretch):
            at, spread = past.quotes[index].stamp, _spread(past, index)
            if run is not None and at > run.start + HELD_MS:
                _hold(past, lives, run)
            for tight in (True, False):
                _regime_quote(past, lives, tight=tight, index=index)
            if run is not None and not run.holds(spread):
                peak = run.distance(run.farthest(at))
                lives.candidate((at, RECORD, past.quote_positions[index]), peak)
                run = None
            if run is None:
                run = _begun(past, scales, index)
            if run is not None and spread is not None:
                run.spreads.append((at, spread))
        if run is not None and stretch.reaches(run.start + HELD_MS):
            _hold(past, lives, run)
        lives.end(stretch)
    return lives


def _spread(past: Past, index: int) -> int | None:
    valid = past.valid[index]
    if valid is None:
        return None
    return past.quotes[valid].ask_price - past.quotes[valid].bid_price


def _begun(past: Past, scales: Scales, index: int) -> Run | None:
    """Return the run that a quote begins."""
    at, tick, spread = past.quotes[index].stamp, past.ticks[index], _spread(past, index)
    median = scales.named["recent_spread"].before(at, 0.5)
    if tick is None or median is None or spread is None:
        return None
    usual = max(1, round(median / tick)) * tick
    if abs(spread - usual) < 2 * tick:
        return None
    if spread >= WIDE * usual:
        return Run(tight=False, start=at, usual=usual)
    if spread <= TIGHT * usual and scales.one_tick_share(at) <= ONE_TICK_SHARE:
        return Run(tight=True, start=at, usual=usual)
    return None


def _hold(past: Past, lives: Lives, run: Run) -> None:
    """Open a regime, or let it go on, once its run has held for 1 s."""
    at = run.start + HELD_MS
    event = lives.living(run.tight, at)
    if event is None:
        side = "tight" if run.tight else "wide"
        event = lives.open(run.tight, side, run.start, at, (None, None), 2.0, "C")
    elif event.is_open:
        return
    event.closing = None
    event.notes = [run]
    _show_regime(past, event, at, run.farthest(at), TIMER)


def _show_regime(past: Past, event: Happening, at: float, spread: int, kind: int) -> None:
    run: Run = event.notes[0]
    tick = past.tick_at(at)
    assert tick is not None
    evidence: Evidence = {
        "ratio": run.distance(spread),
        "median_spread": run.usual / 100_000_000,
        "spread_ticks": spread / tick,
    }
    event.show_if_peak((at, kind, 0), run.distance(spread), evidence)


def _regime_quote(past: Past, lives: Lives, *, tight: bool, index: int) -> None:
    at, spread = past.quotes[index].stamp, _spread(past, index)
    event = lives.living(tight, at)
    if event is None or not event.is_open:
        return
    run: Run = event.notes[0]
    if spread is None:
        event.close(at, "one_sided")
    elif (spread / run.usual >= 0.8) if tight else (spread / run.usual <= 1.25):
        event.close(at, "normal")
    elif run.distance(spread) > event.peak:
        _show_regime(past, event, at, spread, RECORD)


# --- price gap ---------------------------------------------------------------------------------


def price_gaps(past: Past, scales: Scales) -> Lives:
    """Jumps of a best price within 5 ms."""
    lives = Lives("price_gap")
    newest: dict[int, float] = {}
    for stretch in past.stretches:
        for index in past.quotes_of(stretch)[1:]:
            usual = scales.named["jump"].before(past.quotes[index].stamp, 0.95)
            for side in (BID, ASK):
                jump, tick = jump_of(past, stretch, side, index), past.ticks[index]
                if usual is None or tick is None or jump is None or abs(jump) < 2 * tick:
                    continue
                _price_gap(past, lives, newest, (side, index), jump, usual)
    return lives


def _price_gap(  # noqa: PLR0913, PLR0917 - a jump and where it happened
    past: Past,
    lives: Lives,
    newest: dict[int, float],
    place: tuple[int, int],
    jump: int,
    usual: float,
) -> None:
    side, index = place
    quote, before, tick = past.quotes[index], past.quotes[index - 1], past.ticks[index]
    was, now = price_of(before, side), price_of(quote, side)
    assert was is not None
    assert now is not None
    assert tick is not None
    at, moment = quote.stamp, (quote.stamp, RECORD, past.quote_positions[index] * 2 + side)
    floor = max(2 * tick, 1.5 * usual)
    if abs(jump) > 1.5 * usual and not (side in newest and at - newest[side] <= GAP_MS):
        newest[side] = at
        event = lives.open(None, side, at, at, (min(was, now), max(was, now)), 1.0, "C")
        evidence: Evidence = {
            "ticks": abs(jump) / tick,
            "direction": "up" if jump > 0 else "down",
            "size_before_shares": size_of(before, side),
            "size_after_shares": size_of(quote, side),
        }
        event.show(moment, abs(jump) / floor, evidence)
        event.end(at + 1000, "elapsed", shown_at=at + 1000)
    lives.candidate(moment, abs(jump) / floor)
