"""Spread regimes and price gaps: what is looked at with each quote."""

from dataclasses import dataclass

from tests.reference.lives import Evidence, Happening, Lives
from tests.reference.past import ASK, BID, Past, price_of, size_of
from tests.reference.scales import JUMP_MS, Scales

HELD_MS = 1000
ONE_TICK_SHARE = 0.8
TIGHT, WIDE = 0.5, 2.0


# --- spread regime -----------------------------------------------------------------------------


@dataclass
class Run:
    """Quotes whose spread is far from usual, from the first on."""

    tight: bool
    start: float
    usual: float
    ratios: list[tuple[float, float, int]]  # when, ratio, quote
    end: float | None = None


def _ratio_at(past: Past, index: int, usual: float) -> float | None:
    valid = past.valid[index]
    if valid is None:
        return None
    quote = past.quotes[valid]
    return (quote.ask_price - quote.bid_price) / usual


def _is_beyond(ratio: float, *, tight: bool) -> bool:
    return ratio <= TIGHT if tight else ratio >= WIDE


def _runs(past: Past, scales: Scales, indices: range) -> list[Run]:
    found: list[Run] = []
    for index in indices:
        at = past.quotes[index].stamp
        if found and found[-1].end is None:
            run = found[-1]
            ratio = _ratio_at(past, index, run.usual)
            if ratio is not None and _is_beyond(ratio, tight=run.tight):
                run.ratios.append((at, ratio, index))
                continue
            run.end = at
        usual = scales.named["recent_spread"].before(at, 0.5)
        ratio = None if usual is None else _ratio_at(past, index, usual)
        if ratio is not None and usual is not None and (ratio <= TIGHT or ratio >= WIDE):
            found.append(Run(ratio <= TIGHT, at, usual, [(at, ratio, index)]))
    return found


def _beyond(ratio: float, *, tight: bool) -> float:
    return 1 / ratio if tight else ratio


def spread_regimes(past: Past, scales: Scales) -> Lives:
    """Spreads much under or over their own recent median."""
    lives = Lives("spread_regime")
    for stretch in past.stretches:
        indices = past.quotes_of(stretch)
        runs = _runs(past, scales, indices)
        for run in runs:
            if run.end is not None:
                peak = max(_beyond(ratio, tight=run.tight) for _, ratio, _ in run.ratios)
                lives.candidate(run.end, peak)
        for tight in (True, False):
            of_kind = [run for run in runs if run.tight == tight]
            _live_regime(past, scales, lives, of_kind, indices)
        lives.sleep(stretch.sleep)
    return lives


def _live_regime(past: Past, scales: Scales, lives: Lives, runs: list[Run], indices: range) -> None:
    """Carry one regime's events through the stretch: its quotes, and runs that held for 1 s."""
    moments: list[tuple[float, int, int, Run | None]] = [
        (past.quotes[index].stamp, 0, index, None) for index in indices
    ]
    for run in runs:
        at = run.start + HELD_MS
        if run.end is None or run.end > at:
            moments.append((at, 1, 0, run))
    for at, _, index, held in sorted(moments, key=lambda moment: moment[:3]):
        if held is None:
            _regime_quote(past, lives, runs, index)
        elif not (held.tight and _mostly_one_tick(scales, at)):
            _open_regime(past, lives, held, at)


def _mostly_one_tick(scales: Scales, at: float) -> bool:
    seen = [one for when, one in scales.one_tick if when < at]
    return sum(seen) > ONE_TICK_SHARE * len(seen)


def _open_regime(past: Past, lives: Lives, run: Run, at: float) -> None:
    event = lives.living(run.tight, at)
    if event is None:
        event = lives.open(run.tight, "both", run.start, at, (None, None), 2.0, "C")
        event.notes = [run]
        for when, ratio, index in run.ratios:
            if when <= at:
                _show_regime(past, event, at, ratio, index)
    elif event.closing is not None:
        event.closing = None
        for when, _, index in run.ratios:
            ratio_then = _ratio_at(past, index, event.notes[0].usual)
            if when <= at and ratio_then is not None:
                _show_regime(past, event, at, ratio_then, index)


def _show_regime(past: Past, event: Happening, at: float, ratio: float, index: int) -> None:
    run: Run = event.notes[0]
    valid = past.valid[index]
    assert valid is not None
    quote, tick = past.quotes[valid], past.ticks[index]
    evidence: Evidence = {
        "regime": "tight" if run.tight else "wide",
        "ratio": ratio,
        "median_spread": run.usual / 100_000_000,
    }
    if tick is not None:
        evidence["spread_ticks"] = (quote.ask_price - quote.bid_price) / tick
    event.show_if_peak(at, _beyond(ratio, tight=run.tight), evidence)


def _regime_quote(past: Past, lives: Lives, runs: list[Run], index: int) -> None:
    at = past.quotes[index].stamp
    event = lives.living(runs[0].tight, at) if runs else None
    if event is None or event.closing is not None:
        return
    run: Run = event.notes[0]
    ratio = _ratio_at(past, index, run.usual)
    if ratio is None:
        event.close(at, "one_sided")
    elif (ratio >= 0.8) if run.tight else (ratio <= 1.25):
        event.close(at, "normal")
    else:
        _show_regime(past, event, at, ratio, index)


# --- price gap ---------------------------------------------------------------------------------


def price_gaps(past: Past, scales: Scales) -> Lives:
    """Jumps of a best price within 5 ms."""
    lives = Lives("price_gap")
    newest: dict[int, float] = {}
    for index, quote in enumerate(past.quotes):
        before = past.standing(quote.stamp - JUMP_MS)
        large = scales.named["jump"].before(quote.stamp, 0.99)
        tick = past.ticks[index]
        if before is None or large is None or tick is None:
            continue
        floor = max(2 * tick, large)
        for side in (BID, ASK):
            was, now = price_of(before, side), price_of(quote, side)
            if was is None or now is None or abs(now - was) < 2 * tick:
                continue
            jump = abs(now - was)
            lives.candidate(quote.stamp, jump / floor)
            recent = side in newest and newest[side] >= quote.stamp - JUMP_MS
            if jump < floor or recent:
                continue
            newest[side] = quote.stamp
            prices = (min(was, now), max(was, now))
            event = lives.open(None, side, quote.stamp, quote.stamp, prices, 1.0, "C")
            evidence: Evidence = {
                "ticks": jump / tick,
                "size_before_shares": size_of(before, side),
                "size_after_shares": size_of(quote, side),
            }
            event.show(quote.stamp, jump / floor, evidence)
            event.end(quote.stamp + 1000, "elapsed", shown_at=quote.stamp + 1000)
    return lives
