"""Planted quotes: spread regimes, price gaps, bursts, drifts, depleted or dipping sizes."""

import math

from app.analysis.records import BID, Quote, Record
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting.planter import PlantingSite, TapeEdit, shift_prices
from app.evaluation.scorecard.planting.scripts import Script, change_quotes, is_calm, play_script
from app.evaluation.scorecard.planting.size_plantings import SIDE_NAMES, round_size
from app.evaluation.scorecard.planting.tape_section import BETTER, price_of, size_of, with_side

DRIFT_MS = 60_000.0
RECENT_MS = 300_000.0


def wide_spread(site: PlantingSite) -> TapeEdit | None:
    """Hold the spread at `strength` times its recent median."""
    section = site.section
    ticks = math.ceil(site.strength * _recent_spread(site) / section.tick)
    return _spread(site, ticks, "wide")


def tight_spread(site: PlantingSite) -> TapeEdit | None:
    """Hold the spread at its recent median divided by `strength`, where that is a tick or more."""
    ticks = math.floor(_recent_spread(site) / site.strength / site.section.tick)
    return _spread(site, ticks, "tight") if ticks else None


def _spread(site: PlantingSite, ticks: int, regime: str) -> TapeEdit | None:
    section, start = site.section, site.at_ms
    end = start + site.draw.uniform(3000.0, 8000.0)
    if not is_calm(section, start, end):
        return None
    width = ticks * section.tick

    def change(quote: Quote) -> Quote:
        size = quote.ask_size or quote.bid_size
        return Quote(
            quote.stamp, 0, quote.bid_price, quote.bid_size or size, quote.bid_price + width, size
        )

    before = section.standing_quote(start)
    first = with_side(before, start + 1, BID, before.bid_price, before.bid_size)
    records = change_quotes([first, *section.between(start + 1, end)], change, keep_trades=False)
    after = section.standing_quote(end)
    records.append(with_side(after, end, BID, after.bid_price, after.bid_size))
    return TapeEdit(start, end, records, [TrueEvent("spread_regime", regime, start + 1, end)])


def _recent_spread(site: PlantingSite) -> float:
    seconds = range(int(site.at_ms - RECENT_MS), int(site.at_ms), 1000)
    quotes = [site.section.standing_quote(float(second)) for second in seconds]
    spreads = sorted(quote.ask_price - quote.bid_price for quote in quotes)
    return float(spreads[len(spreads) // 2])


def price_gap(site: PlantingSite) -> TapeEdit | None:
    """Move both best prices at once; the move persists."""
    section, direction = site.section, site.draw.choice((-1, 1))
    before = section.standing_quote(site.at_ms)
    if not before.is_valid:
        return None
    floor = max(2 * section.tick, section.jump_q99)
    jump = direction * section.tick * math.ceil(site.strength * floor / section.tick)
    bid, ask = before.bid_price + jump, before.ask_price + jump
    quote = Quote(site.at_ms, 0, bid, before.bid_size, ask, before.ask_size)
    truths = [TrueEvent("price_gap", side, site.at_ms, site.at_ms) for side in SIDE_NAMES]
    return TapeEdit(site.at_ms - 0.01, site.at_ms + 1.0, [quote], truths, jump)


def quote_burst(site: PlantingSite) -> TapeEdit | None:
    """Alternate one side's price for 2 s, at `strength` times the q99 of quotes per second."""
    section, side = site.section, site.draw.randrange(2)
    start = site.at_ms + site.draw.uniform(0.0, 1000.0)
    end = start + 2000.0
    if not is_calm(section, start, end):
        return None
    before = section.standing_quote(start)
    price, worse = price_of(before, side), price_of(before, side) - BETTER[side] * section.tick
    script = Script(side)
    gap = 1000.0 / max(10.0, site.strength * section.quotes_per_second_q99)
    for number in range(int(2000.0 / gap)):
        at = price if number % 2 else worse
        script.show(start + 0.5 + number * gap, at, size_of(before, side))
    records = play_script(section, script, start, end)
    return TapeEdit(start, end, records, [TrueEvent("quote_burst", "", start, end)])


def drift(site: PlantingSite) -> TapeEdit | None:
    """Move both prices in steps for a minute: `strength` standard deviations of log-OFI."""
    section, direction = site.section, site.draw.choice((-1, 1))
    start, end = site.at_ms, site.at_ms + DRIFT_MS
    a_step = math.log1p(2.0)
    rate = site.strength * float(section.log_ofis.std()) / a_step
    records: list[Record] = []
    shift, at = 0, start
    while at < end:
        until = min(end, at + 1000.0 * site.draw.uniform(0.5, 1.5) / rate)
        records.extend(shift_prices(record, shift) for record in section.between(at, until))
        at = until
        if at < end:
            shift += direction * section.tick
            records.append(shift_prices(_stamped(section.standing_quote(at), at), shift))
    truth = TrueEvent("momentum_shift", "up" if direction > 0 else "down", start, end)
    return TapeEdit(start, end, records, [truth], shift)


def _stamped(quote: Quote, stamp: float) -> Quote:
    return with_side(quote, stamp, BID, quote.bid_price, quote.bid_size)


def depleted_level(site: PlantingSite) -> TapeEdit | None:
    """Remove and restore size at a new best price, in total `strength` times its first size."""
    section, side, draw = site.section, site.draw.randrange(2), site.draw
    start, end = site.at_ms, site.at_ms + 9000.0
    if not is_calm(section, start, end):
        return None
    price, size, script = _new_best(site, side, start)
    at, lost = start + 1, 0.0
    while lost < site.strength * size:
        at += draw.uniform(200.0, 500.0)
        script.show(at, price, size - round_size(section, size * 0.8))
        lost += 0.8 * size
        at += draw.uniform(5.0, 400.0)
        script.show(at, price, size)
    truth = TrueEvent(
        "absorption_suspected", SIDE_NAMES[side], start + 1, max(at, start + 2001), price
    )
    return TapeEdit(start, end, play_script(section, script, start, end), [truth])


def size_dips(site: PlantingSite) -> TapeEdit | None:
    """Reduce the size at a new best price below half and restore it, `strength` times."""
    section, side, draw = site.section, site.draw.randrange(2), site.draw
    start, end = site.at_ms, site.at_ms + 1500.0 * (site.strength + 1)
    if not is_calm(section, start, end):
        return None
    price, size, script = _new_best(site, side, start)
    at = start + 1
    for _ in range(round(site.strength)):
        at += draw.uniform(300.0, 900.0)
        script.show(at, price, size - round_size(section, size * 0.7))
        at += draw.uniform(5.0, 400.0)
        script.show(at, price, size)
    truth = TrueEvent("refill_suspected", SIDE_NAMES[side], start + 1, at, price)
    return TapeEdit(start, end, play_script(section, script, start, end), [truth])


def _new_best(site: PlantingSite, side: int, start: float) -> tuple[int, float, Script]:
    section = site.section
    price = price_of(section.standing_quote(start), side) - BETTER[side] * section.tick
    size = round_size(section, max(10 * section.lot, section.size_quantile(side, 0.5)))
    script = Script(side)
    script.show(start + 1, price, size)
    return price, size, script
