"""Taking that is planted: sweeps, reserve orders, absorbed flow, prints inside the spread."""

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


def sweep(spot: PlantingSite) -> TapeEdit | None:
    """Send one market order through `strength` prices; the market goes on from there."""
    stretch, side = spot.section, spot.draw.randrange(2)
    before, prices = stretch.standing_quote(spot.at_ms), round(spot.strength)
    if not before.is_valid:
        return None
    each = round_size(stretch, SWEEP_OVER_Q75 * stretch.order_q75 / prices)
    away = -BETTER[side] * stretch.tick
    price, size = price_of(before, side), size_of(before, side)
    records: list[Record] = []
    for number in range(prices):
        records.append(Trade(spot.at_ms, 0, price + number * away, max(size, each), TAKER[side]))
        size = each
        last = number == prices - 1
        at = price + (number + (0 if last else 1)) * away
        records.append(with_side(before, spot.at_ms, side, at, each))
    truth = TrueEvent("sweep", SIDE_NAMES[side], spot.at_ms, spot.at_ms)
    return TapeEdit(spot.at_ms - 0.01, spot.at_ms + 1.0, records, [truth], (prices - 1) * away)


def native_iceberg(spot: PlantingSite) -> TapeEdit | None:
    """Let a reserve order come back within a millisecond, `strength` times."""
    return _iceberg(spot, "native", (0.1, 0.4))


def synthetic_iceberg(spot: PlantingSite) -> TapeEdit | None:
    """Let a program place the next slice within half a second, `strength` times."""
    return _iceberg(spot, "synthetic", (5.0, 400.0))


def _iceberg(spot: PlantingSite, form: str, delays_ms: tuple[float, float]) -> TapeEdit | None:
    stretch, side, draw = spot.section, spot.draw.randrange(2), spot.draw
    start, refills = spot.at_ms, round(spot.strength)
    end = start + 2000.0 * (refills + 1)
    before = stretch.standing_quote(start)
    if not is_calm(stretch, start, end):
        return None
    price = price_of(before, side)
    size = round_size(stretch, stretch.size_quantile(side, 0.5))
    worse = price - BETTER[side] * stretch.tick
    script = Script(side)
    script.show(start + 1, price, size)
    at = start + 1
    first = 0.0
    for _ in range(refills):
        at += draw.uniform(300.0, 1500.0)
        script.execute(at, price, size)
        script.show(at, worse, round_size(stretch, 1.5 * size))
        at += draw.uniform(*delays_ms)
        first = first or at
        script.show(at, price, size)
    truth = TrueEvent("iceberg", SIDE_NAMES[side], first, at, price, form)
    return TapeEdit(start, end, play_script(stretch, script, start, end), [truth])


def absorption(spot: PlantingSite) -> TapeEdit | None:
    """Send one-sided flow for 45 s into a price that stands.

    In 30 s `strength` times the flow that is called strong, and twice as many median touches.
    """
    stretch, side, draw = spot.section, spot.draw.randrange(2), spot.draw
    start, end = spot.at_ms, spot.at_ms + 46_000.0
    before = stretch.standing_quote(start)
    if not is_calm(stretch, start, end):
        return None
    price = price_of(before, side)
    strong = FLOW_MEDIANS * stretch.median_flow_30s
    touches = TOUCH_MEDIANS * stretch.size_quantile(side, 0.5)
    rate = spot.strength * max(strong, touches) / 30_000.0
    each = round_size(stretch, max(rate * 600.0, stretch.order_q75 / 2))
    size = round_size(
        stretch, max(MIN_RESTING_MEDIANS * stretch.size_quantile(side, 0.5), 2 * each)
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
    return TapeEdit(start, end, play_script(stretch, script, start, end), [truth])


def hidden_prints(spot: PlantingSite) -> TapeEdit | None:
    """Print `strength` times at one price inside the spread."""
    stretch, draw, taker = spot.section, spot.draw, spot.draw.choice((BUY, SELL))
    stamps = [spot.at_ms]
    for _ in range(round(spot.strength) - 1):
        stamps.append(stamps[-1] + draw.uniform(100.0, 1200.0))
    end = stamps[-1] + 1.0
    inside = stretch.between(spot.at_ms - 1.0, end)
    quotes = [stretch.standing_quote(spot.at_ms - 1.0)] + [
        q for q in inside if isinstance(q, Quote)
    ]
    bid, ask = max(q.bid_price for q in quotes), min(q.ask_price for q in quotes)
    if ask - bid < 2 * stretch.tick or not all(q.is_valid for q in quotes):
        return None
    price = bid + stretch.tick * draw.randint(1, (ask - bid) // stretch.tick - 1)
    size = round_size(stretch, stretch.order_q75 / 2)
    prints: list[Record] = [Trade(stamp, 0, price, size, taker) for stamp in stamps]
    side = SIDE_NAMES[ASK if taker == BUY else BID]
    truth = TrueEvent("hidden_print", side, stamps[0], stamps[-1], price)
    return TapeEdit(spot.at_ms - 1.0, end, merge_by_stamp(prints, inside), [truth])
