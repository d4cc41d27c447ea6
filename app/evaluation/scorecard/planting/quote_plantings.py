"""Quotes that are planted: odd spreads, gaps, bursts, drifts, and size that dips or is used up."""

import math

from app.analysis.records import BID, Quote, Record
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting.planter import PlantingSite, TapeEdit, shift_prices
from app.evaluation.scorecard.planting.scripts import Script, change_quotes, is_calm, play_script
from app.evaluation.scorecard.planting.size_plantings import SIDE_NAMES, round_size
from app.evaluation.scorecard.planting.tape_section import BETTER, price_of, size_of, with_side

DRIFT_MS = 60_000.0
RECENT_MS = 300_000.0


def wide_spread(spot: PlantingSite) -> TapeEdit | None:
    """Hold the spread at `strength` times its recent median."""
    stretch = spot.section
    ticks = math.ceil(spot.strength * _recent_spread(spot) / stretch.tick)
    return _spread(spot, ticks, "wide")


def tight_spread(spot: PlantingSite) -> TapeEdit | None:
    """Hold the spread at a `strength`-th of its recent median, where that is a tick or more."""
    ticks = math.floor(_recent_spread(spot) / spot.strength / spot.section.tick)
    return _spread(spot, ticks, "tight") if ticks else None


def _spread(spot: PlantingSite, ticks: int, regime: str) -> TapeEdit | None:
    stretch, start = spot.section, spot.at_ms
    end = start + spot.draw.uniform(3000.0, 8000.0)
    if not is_calm(stretch, start, end):
        return None
    width = ticks * stretch.tick

    def change(quote: Quote) -> Quote:
        size = quote.ask_size or quote.bid_size
        return Quote(
            quote.stamp, 0, quote.bid_price, quote.bid_size or size, quote.bid_price + width, size
        )

    before = stretch.standing_quote(start)
    first = with_side(before, start + 1, BID, before.bid_price, before.bid_size)
    records = change_quotes([first, *stretch.between(start + 1, end)], change, keep_trades=False)
    after = stretch.standing_quote(end)
    records.append(with_side(after, end, BID, after.bid_price, after.bid_size))
    return TapeEdit(
        start, end, records, [TrueEvent("spread_regime", "", start + 1, end, form=regime)]
    )


def _recent_spread(spot: PlantingSite) -> float:
    seconds = range(int(spot.at_ms - RECENT_MS), int(spot.at_ms), 1000)
    quotes = [spot.section.standing_quote(float(second)) for second in seconds]
    spreads = sorted(quote.ask_price - quote.bid_price for quote in quotes)
    return float(spreads[len(spreads) // 2])


def price_gap(spot: PlantingSite) -> TapeEdit | None:
    """Let both best prices jump at once and stay there."""
    stretch, direction = spot.section, spot.draw.choice((-1, 1))
    before = stretch.standing_quote(spot.at_ms)
    if not before.is_valid:
        return None
    floor = max(2 * stretch.tick, stretch.jump_q99)
    jump = direction * stretch.tick * math.ceil(spot.strength * floor / stretch.tick)
    bid, ask = before.bid_price + jump, before.ask_price + jump
    quote = Quote(spot.at_ms, 0, bid, before.bid_size, ask, before.ask_size)
    truths = [TrueEvent("price_gap", side, spot.at_ms, spot.at_ms) for side in SIDE_NAMES]
    return TapeEdit(spot.at_ms - 0.01, spot.at_ms + 1.0, [quote], truths, jump)


def quote_burst(spot: PlantingSite) -> TapeEdit | None:
    """Let one side flicker for two seconds, `strength` times as fast as the q99 of quotes."""
    stretch, side = spot.section, spot.draw.randrange(2)
    start = spot.at_ms + spot.draw.uniform(0.0, 1000.0)
    end = start + 2000.0
    if not is_calm(stretch, start, end):
        return None
    before = stretch.standing_quote(start)
    price, worse = price_of(before, side), price_of(before, side) - BETTER[side] * stretch.tick
    script = Script(side)
    gap = 1000.0 / max(10.0, spot.strength * stretch.quotes_per_second_q99)
    for number in range(int(2000.0 / gap)):
        at = price if number % 2 else worse
        script.show(start + 0.5 + number * gap, at, size_of(before, side))
    records = play_script(stretch, script, start, end)
    return TapeEdit(start, end, records, [TrueEvent("quote_burst", "", start, end)])


def drift(spot: PlantingSite) -> TapeEdit | None:
    """Add even steps of both prices one way for a minute: `strength` sd of a second's log-OFI."""
    stretch, direction = spot.section, spot.draw.choice((-1, 1))
    start, end = spot.at_ms, spot.at_ms + DRIFT_MS
    a_step = math.log1p(2.0)
    rate = spot.strength * float(stretch.log_ofis.std()) / a_step
    records: list[Record] = []
    shift, at = 0, start
    while at < end:
        until = min(end, at + 1000.0 * spot.draw.uniform(0.5, 1.5) / rate)
        records.extend(shift_prices(record, shift) for record in stretch.between(at, until))
        at = until
        if at < end:
            shift += direction * stretch.tick
            records.append(shift_prices(_stamped(stretch.standing_quote(at), at), shift))
    truth = TrueEvent("momentum_shift", "up" if direction > 0 else "down", start, end)
    return TapeEdit(start, end, records, [truth], shift)


def _stamped(quote: Quote, stamp: float) -> Quote:
    return with_side(quote, stamp, BID, quote.bid_price, quote.bid_size)


def depleted_level(spot: PlantingSite) -> TapeEdit | None:
    """Let a new best price lose and regain `strength` times its start size."""
    stretch, side, draw = spot.section, spot.draw.randrange(2), spot.draw
    start, end = spot.at_ms, spot.at_ms + 9000.0
    if not is_calm(stretch, start, end):
        return None
    price, size, script = _new_best(spot, side, start)
    at, lost = start + 1, 0.0
    while lost < spot.strength * size:
        at += draw.uniform(200.0, 500.0)
        script.show(at, price, size - round_size(stretch, size * 0.8))
        lost += 0.8 * size
        at += draw.uniform(5.0, 400.0)
        script.show(at, price, size)
    truth = TrueEvent(
        "absorption_suspected", SIDE_NAMES[side], start + 1, max(at, start + 2001), price
    )
    return TapeEdit(start, end, play_script(stretch, script, start, end), [truth])


def size_dips(spot: PlantingSite) -> TapeEdit | None:
    """Let a new best price fall to under half its size and recover, `strength` times."""
    stretch, side, draw = spot.section, spot.draw.randrange(2), spot.draw
    start, end = spot.at_ms, spot.at_ms + 1500.0 * (spot.strength + 1)
    if not is_calm(stretch, start, end):
        return None
    price, size, script = _new_best(spot, side, start)
    at = start + 1
    for _ in range(round(spot.strength)):
        at += draw.uniform(300.0, 900.0)
        script.show(at, price, size - round_size(stretch, size * 0.7))
        at += draw.uniform(5.0, 400.0)
        script.show(at, price, size)
    truth = TrueEvent("refill_suspected", SIDE_NAMES[side], start + 1, at, price)
    return TapeEdit(start, end, play_script(stretch, script, start, end), [truth])


def _new_best(spot: PlantingSite, side: int, start: float) -> tuple[int, float, Script]:
    stretch = spot.section
    price = price_of(stretch.standing_quote(start), side) - BETTER[side] * stretch.tick
    size = round_size(stretch, max(10 * stretch.lot, stretch.size_quantile(side, 0.5)))
    script = Script(side)
    script.show(start + 1, price, size)
    return price, size, script
