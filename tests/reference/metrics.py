"""The fields of contract section 3, each from the records of its window."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from app.analysis.records import Quote
from tests.reference.past import (
    ASK,
    BID,
    SIDE_NAMES,
    UNITS,
    Past,
    Print,
    mid_of,
    order_flow,
    price_of,
    size_of,
)
from tests.reference.scales import Sizes, log_flow

Fields = dict[str, float | int | str]


@dataclass
class Window:
    """(start, end], its quotes and trades, and the past they lie in."""

    past: Past
    scales: Sizes
    end: int
    seconds: int

    @property
    def start(self) -> int:
        """The instant before its first."""
        return self.end - self.seconds * 1000

    @property
    def quotes(self) -> range:
        """Indices of its quotes."""
        return self.past.quotes_in(self.start, self.end)

    @property
    def compared(self) -> range:
        """Indices of its quotes that have one before them."""
        return range(max(1, self.quotes.start), max(1, self.quotes.stop))

    @property
    def prints(self) -> list[Print]:
        """Its trades."""
        return self.past.prints_in(self.start, self.end)

    def first_index(self) -> int:
        """Index of the quote that stood at its start, else of its first; -1 without quotes."""
        standing = self.past.standing_index(self.start)
        return standing if standing >= 0 else (0 if self.quotes else -1)


@lru_cache(maxsize=8)
def spans(past: Past, start: float, end: float) -> list[tuple[int, float]]:
    """Quotes with the time (ms) that each stood inside (start, end]."""
    found: list[tuple[int, float]] = []
    stamps = past.quote_stamps
    for index in range(max(0, past.standing_index(start)), past.standing_index(end) + 1):
        until = stamps[index + 1] if index + 1 < len(stamps) else end
        stood = min(until, end) - max(stamps[index], start)
        if stood > 0:
            found.append((index, stood))
    return found


def time_weighted(
    past: Past, start: float, end: float, value_of: Callable[[int], float | None]
) -> float | None:
    """Mean of what the quotes show, weighed by time; absent values take no time."""
    total = time = 0.0
    for index, stood in spans(past, start, end):
        value = value_of(index)
        if value is not None:
            total += value * stood
            time += stood
    return total / time if time > 0 else None


def metrics(past: Past, scales: Sizes, as_of: int, seconds: int) -> Fields:
    """All fields that are known."""
    window = Window(past, scales, as_of, seconds)
    found: dict[str, float | int | str | None] = {"as_of": as_of}
    for part in (_counts, _standing, _changes, _sizes, _large, _spreads, _flows, _moves, _trades):
        found.update(part(window))
    return {name: value for name, value in found.items() if value is not None}


def quality_counts(past: Past, as_of: int, seconds: int) -> dict[str, int]:
    """Crossed, locked and one-sided quotes stamped in the window."""
    counts = {"crossed": 0, "locked": 0, "one_sided": 0}
    for index in past.quotes_in(as_of - seconds * 1000, as_of):
        quote = past.quotes[index]
        if quote.bid_size == 0 or quote.ask_size == 0:
            counts["one_sided"] += 1
        elif quote.bid_price > quote.ask_price:
            counts["crossed"] += 1
        elif quote.bid_price == quote.ask_price:
            counts["locked"] += 1
    return counts


Part = dict[str, float | int | str | None]


def _counts(window: Window) -> Part:
    return {
        "covered_seconds": covered_seconds(window),
        "quote_count": len(window.quotes),
        "quotes_per_second": _rate(len(window.quotes), window),
    }


def covered_seconds(window: Window) -> float:
    """Return the seconds of the window after the first quote of all."""
    past = window.past
    after_first = window.end - past.quote_stamps[0] if past.quotes else 0.0
    return min(window.seconds, max(0.0, after_first / 1000))


def _rate(number: float, window: Window) -> float | None:
    covered = covered_seconds(window)
    return number / covered if covered > 0 else None


def _standing(window: Window) -> Part:
    quote = window.past.standing(window.end)
    found: Part = {}
    if quote is None:
        return found
    for side in (BID, ASK):
        name = SIDE_NAMES[side]
        price = price_of(quote, side)
        found[f"{name}_price"] = None if price is None else price / UNITS
        found[f"{name}_size"] = size_of(quote, side)
    valid = window.past.valid_at(window.end)
    if valid is not None:
        sizes = valid.bid_size + valid.ask_size
        weighed = valid.bid_price * valid.ask_size + valid.ask_price * valid.bid_size
        found["weighted_mid"] = weighed / sizes / UNITS
        tick = window.past.tick_at(window.end)
        if tick is not None:
            found["spread_ticks"] = (valid.ask_price - valid.bid_price) / tick
    return found


def _changes(window: Window) -> Part:
    past = window.past
    first, last = window.first_index(), past.standing_index(window.end)
    found: Part = {}
    for side in (BID, ASK):
        name = SIDE_NAMES[side]
        if first >= 0 and last >= 0:
            was, now = price_of(past.quotes[first], side), price_of(past.quotes[last], side)
            if was is not None and now is not None:
                found[f"{name}_price_movement"] = (now - was) / UNITS
            change = size_of(past.quotes[last], side) - size_of(past.quotes[first], side)
            found[f"net_{name}_size_change"] = change
        lifts = drops = 0
        for index in window.compared:
            was = price_of(past.quotes[index - 1], side)
            now = price_of(past.quotes[index], side)
            if was is not None and now is not None:
                lifts += now > was
                drops += now < was
        found[f"{name}_lift_count"], found[f"{name}_drop_count"] = lifts, drops
    return found


def _sizes(window: Window) -> Part:
    past, end = window.past, window.end
    found: Part = {}
    for side in (BID, ASK):
        name = SIDE_NAMES[side]

        def size(index: int, side: int = side) -> float:
            return size_of(past.quotes[index], side)

        found[f"avg_{name}_size"] = time_weighted(past, window.start, end, size)
        cut = end - math.ceil(window.seconds / 2) * 1000
        late = time_weighted(past, cut, end, size)
        early = time_weighted(past, window.start, cut, size)
        words = ("INCREASING", "STABLE", "DECREASING")
        found[f"{name}_size_acceleration"] = _compared(late, early, words)
    found["queue_imbalance"] = time_weighted(past, window.start, end, lambda i: _imbalance(past, i))
    return found


def _imbalance(past: Past, index: int) -> float | None:
    quote = past.quotes[index]
    total = quote.bid_size + quote.ask_size
    return (quote.bid_size - quote.ask_size) / total if total > 0 else None


def _compared(late: float | None, early: float | None, words: tuple[str, str, str]) -> str | None:
    """Return a word, or both words where rounding decides between them."""
    if late is None or early is None:
        return None
    for factor, both in ((1.2, words[:2]), (0.8, words[1:])):
        if math.isclose(late, factor * early, rel_tol=1e-9):
            return " or ".join(both)
    if late > 1.2 * early:
        return words[0]
    return words[2] if late < 0.8 * early else words[1]


def _large(window: Window) -> Part:
    past, scales = window.past, window.scales
    found: Part = {}
    for side in (BID, ASK):
        name = SIDE_NAMES[side]
        scale = scales.named[f"{name}_size"]
        large_now = scale.through(window.end, 0.95)
        if large_now is None:
            continue
        appeared = 0
        for index in window.compared:
            large = scale.before(past.quote_stamps[index], 0.95)
            was, now = size_of(past.quotes[index - 1], side), size_of(past.quotes[index], side)
            appeared += large is not None and was < large <= now
        found[f"large_{name}_size"] = large_now
        if scale.through(window.start, 0.95) is not None:
            found[f"large_{name}s_appeared"] = appeared
    return found


def _spreads(window: Window) -> Part:
    past, start, end = window.past, window.start, window.end

    def spread(index: int) -> float | None:
        valid = past.valid[index]
        if valid is None:
            return None
        return (past.quotes[valid].ask_price - past.quotes[valid].bid_price) / UNITS

    def spread_bps(index: int) -> float | None:
        valid, value = past.valid[index], spread(index)
        if valid is None or value is None:
            return None
        return 1e4 * value * UNITS / mid_of(past.quotes[valid])

    stood = [spread(index) for index, _ in spans(past, start, end)]
    known = [value for value in stood if value is not None]
    cut = end - math.ceil(window.seconds / 5) * 1000
    late, early = time_weighted(past, cut, end, spread), time_weighted(past, start, cut, spread)
    return {
        "avg_spread": time_weighted(past, start, end, spread),
        "min_spread": min(known, default=None),
        "max_spread": max(known, default=None),
        "spread_bps": time_weighted(past, start, end, spread_bps),
        "spread_trend": _compared(late, early, ("WIDENING", "STABLE", "TIGHTENING")),
    }


def _flows(window: Window) -> Part:
    past, depths = window.past, window.scales.named["depth"]
    logs: list[float | None] = []
    turnover = 0.0
    for index in window.compared:
        depth = depths.before(past.quote_stamps[index], 0.5)
        logs.append(None if depth is None else log_flow(past, index, depth))
        for side in (BID, ASK):
            turnover += _size_change(past.quotes[index - 1], past.quotes[index], side)
    known = [value for value in logs if value is not None]
    all_known = len(known) == len(logs) and depths.through(window.end, 0.5) is not None
    return {
        "ofi": sum(order_flow(past, index) for index in window.compared),
        "log_ofi": sum(known) if all_known else None,
        "size_turnover": _rate(turnover, window),
    }


def _size_change(before: Quote, quote: Quote, side: int) -> float:
    was, now = price_of(before, side), price_of(quote, side)
    if was is None or was != now:
        return 0.0
    return abs(size_of(quote, side) - size_of(before, side))


def _moves(window: Window) -> Part:
    past = window.past
    mids = []
    for k in range(window.seconds, -1, -1):
        mid = past.last_mid_at(window.end - k * 1000)
        if mid is not None:
            mids.append(mid)
    found: Part = {}
    if len(mids) >= 2:
        returns = [math.log(now / was) for was, now in pairwise(mids)]
        found["realized_volatility_bps"] = 1e4 * math.sqrt(sum(r * r for r in returns))
    first = window.first_index()
    valid = past.valid[first] if first >= 0 else None
    mid_now = past.mid_at(window.end)
    if valid is not None and mid_now is not None:
        move = abs(mid_now - mid_of(past.quotes[valid])) / UNITS
        found["price_velocity"] = _rate(move, window)
    return found


def _trades(window: Window) -> Part:
    if not window.past.traded_by(window.end):
        return {}
    prints = window.prints
    bought = sum(one.size for one in prints if one.taker > 0)
    sold = sum(one.size for one in prints if one.taker < 0)
    volume = sum(one.size for one in prints)
    signed = [one for one in prints if one.taker != 0 and one.mid_before is not None]
    cost = sum(
        one.size * 2 * one.taker * (one.price - one.mid_before) / one.mid_before * 1e4
        for one in signed
        if one.mid_before is not None
    )
    weight = sum(one.size for one in signed)
    traded = sum(one.size * one.price for one in prints)
    return {
        "trade_count": len(prints),
        "buy_volume": bought,
        "sell_volume": sold,
        "unsigned_volume": sum(one.size for one in prints if one.taker == 0),
        "signed_volume": bought - sold,
        "trade_imbalance": (bought - sold) / (bought + sold) if bought + sold > 0 else None,
        "vwap": traded / volume / UNITS if volume > 0 else None,
        "effective_spread_bps": cost / weight if weight > 0 else None,
        "inside_volume": sum(one.size for one in prints if one.inside),
    }
