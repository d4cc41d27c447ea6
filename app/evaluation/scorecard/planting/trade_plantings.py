"""Planted trades: sweeps, reserve orders, absorbed flow, hidden trades."""

from app.analysis.records import ASK, BID, BUY, SELL, Quote, Record, Trade
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting.planter import PlantingSite, TapeEdit
from app.evaluation.scorecard.planting.scripts import (
    TAKER,
    Script,
    is_calm,
    merge_by_stamp,
    play_script,
)
from app.evaluation.scorecard.planting.size_plantings import SIDE_NAMES, round_size
from app.evaluation.scorecard.planting.tape_section import BETTER, price_of, size_of, with_side

SWEEP_OVER_Q75 = 1.5
FLOW_MEDIANS = 1.5
TOUCH_MEDIANS = 2.0
MIN_RESTING_MEDIANS = 2.0
BURST_PRINTS = 8


def sweep(site: PlantingSite) -> TapeEdit | None:
    """Send one market order through `strength` prices; the price move persists."""
    section, side = site.section, site.draw.randrange(2)
    before, prices = section.standing_quote(site.at_ms), round(site.strength)
    if not before.is_valid:
        return None
    each = round_size(section, SWEEP_OVER_Q75 * section.order_q75 / prices)
    away = -BETTER[side] * section.tick
    price, size = price_of(before, side), size_of(before, side)
    records: list[Record] = []
    for number in range(prices):
        records.append(Trade(site.at_ms, 0, price + number * away, max(size, each), TAKER[side]))
        size = each
        last = number == prices - 1
        at = price + (number + (0 if last else 1)) * away
        records.append(with_side(before, site.at_ms, side, at, each))
    truth = TrueEvent("sweep", SIDE_NAMES[side], site.at_ms, site.at_ms)
    return TapeEdit(site.at_ms - 0.01, site.at_ms + 1.0, records, [truth], (prices - 1) * away)


def native_iceberg(site: PlantingSite) -> TapeEdit | None:
    """Refill a reserve order within a millisecond, `strength` times."""
    return _iceberg(site, "native", (0.1, 0.4))


def synthetic_iceberg(site: PlantingSite) -> TapeEdit | None:
    """Refill a reserve order within half a second, `strength` times."""
    return _iceberg(site, "synthetic", (5.0, 400.0))


def _iceberg(site: PlantingSite, form: str, delays_ms: tuple[float, float]) -> TapeEdit | None:
    section, side, draw = site.section, site.draw.randrange(2), site.draw
    start, refills = site.at_ms, round(site.strength)
    end = start + 2000.0 * (refills + 1)
    before = section.standing_quote(start)
    if not is_calm(section, start, end):
        return None
    price = price_of(before, side)
    size = round_size(section, section.size_quantile(side, 0.5))
    worse = price - BETTER[side] * section.tick
    script = Script(side)
    script.show(start + 1, price, size)
    at = start + 1
    first = 0.0
    for _ in range(refills):
        at += draw.uniform(300.0, 1500.0)
        script.execute(at, price, size)
        script.show(at, worse, round_size(section, 1.5 * size))
        at += draw.uniform(*delays_ms)
        first = first or at
        script.show(at, price, size)
    truth = TrueEvent("iceberg", SIDE_NAMES[side], first, at, price, form)
    return TapeEdit(start, end, play_script(section, script, start, end), [truth])


def absorption(site: PlantingSite) -> TapeEdit | None:
    """Send one-sided market orders for 45 s into an unchanged best price.

    Their volume in 30 s is `strength` times the larger of FLOW_MEDIANS median flows and
    TOUCH_MEDIANS median touch sizes.
    """
    section, side, draw = site.section, site.draw.randrange(2), site.draw
    start, end = site.at_ms, site.at_ms + 46_000.0
    before = section.standing_quote(start)
    if not is_calm(section, start, end):
        return None
    price = price_of(before, side)
    strong = FLOW_MEDIANS * section.median_flow_30s
    touches = TOUCH_MEDIANS * section.size_quantile(side, 0.5)
    rate = site.strength * max(strong, touches) / 30_000.0
    each = round_size(section, max(rate * 600.0, section.order_q75 / 2))
    size = round_size(
        section, max(MIN_RESTING_MEDIANS * section.size_quantile(side, 0.5), 2 * each)
    )
    script = Script(side)
    script.show(start + 1, price, size)
    at = start + 1
    while at < end - 2000.0:
        at += max(1.0, draw.expovariate(rate / each))
        script.execute(at, price, each)
        script.show(at, price, size - each)
        at += draw.uniform(5.0, 60.0)
        script.show(at, price, size)
    truth = TrueEvent("absorption", SIDE_NAMES[side], start + 1, min(at, end), price)
    return TapeEdit(start, end, play_script(section, script, start, end), [truth])


def trade_burst(site: PlantingSite) -> TapeEdit | None:
    """Trade at one side's best prices only, `strength` times the q99 of 10 s, within 6 s.

    Its 10 s have no other trades; the quotes stay as they are.
    """
    section, draw, side = site.section, site.draw, site.draw.randrange(2)
    start, end = site.at_ms, site.at_ms + 12_000.0
    quotes = [one for one in section.between(start, end) if isinstance(one, Quote)]
    if not all(quote.is_valid for quote in [section.standing_quote(start), *quotes]):
        return None
    size = round_size(section, site.strength * section.flow_10s_q99 / BURST_PRINTS)
    stamps = sorted(draw.uniform(start + 4000.0, end - 2000.0) for _ in range(BURST_PRINTS))
    prints: list[Record] = [
        Trade(at, 0, price_of(section.standing_quote(at), side), size, TAKER[side]) for at in stamps
    ]
    truth = TrueEvent("trade_burst", SIDE_NAMES[side], stamps[0], stamps[-1])
    return TapeEdit(start, end, merge_by_stamp(prints, quotes), [truth])


def hidden_prints(site: PlantingSite) -> TapeEdit | None:
    """Trade `strength` times at one price inside the spread."""
    section, draw, taker = site.section, site.draw, site.draw.choice((BUY, SELL))
    stamps = [site.at_ms]
    for _ in range(round(site.strength) - 1):
        stamps.append(stamps[-1] + draw.uniform(100.0, 1200.0))
    end = stamps[-1] + 1.0
    inside = section.between(site.at_ms - 1.0, end)
    quotes = [section.standing_quote(site.at_ms - 1.0)] + [
        q for q in inside if isinstance(q, Quote)
    ]
    bid, ask = max(q.bid_price for q in quotes), min(q.ask_price for q in quotes)
    if ask - bid < 2 * section.tick or not all(q.is_valid for q in quotes):
        return None
    price = bid + section.tick * draw.randint(1, (ask - bid) // section.tick - 1)
    size = round_size(section, section.order_q75 / 2)
    prints: list[Record] = [Trade(stamp, 0, price, size, taker) for stamp in stamps]
    side = SIDE_NAMES[ASK if taker == BUY else BID]
    truth = TrueEvent("hidden_print", side, stamps[0], stamps[-1], price)
    return TapeEdit(site.at_ms - 1.0, end, merge_by_stamp(prints, inside), [truth])
