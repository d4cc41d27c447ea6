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
    def compared(self) -> list[int]:
        """Indices of its quotes that are compared with the one before them."""
        return [index for index in self.quotes if index not in self.past.uncompared]

    @property
    def prints(self) -> list[Print]:
        """Its trades."""
        return self.past.prints_in(self.start, self.end)

    def first_index(self) -> int:
        """Index of the quote that what stands at its end is compared with; -1 without quotes.

        It is the one that stood at its start, or the last one in it that is compared with nothing.
        """
        standing = self.past.shown_index(self.start)
        return max([standing, *(self.past.uncompared & {*self.quotes})])


@lru_cache(maxsize=8)
def spans(past: Past, start: float, end: float, as_of: float) -> list[tuple[int, float]]:
    """Quotes with the time (ms) that each stood inside (start, end], as known at `as_of`."""
    found: list[tuple[int, float]] = []
    stamps, gaps = past.quote_stamps, past.uncovered(start, as_of)
    for index in range(max(0, past.shown_index(start)), past.shown_index(end) + 1):
        until = stamps[index + 1] if index + 1 < len(stamps) else end
        first, last = max(stamps[index], start), min(until, end)
        stood = last - first - lost_ms(gaps, first, last)
        if stood > 1e-9:
            found.append((index, stood))
    return found


def lost_ms(gaps: list[tuple[float, float]], start: float, end: float) -> float:
    """Return how much of a time lies in gaps."""
    return sum(max(0.0, min(end, ended) - max(start, begun)) for begun, ended in gaps)


def time_weighted(
    window: "Window", start: float, end: float, value_of: Callable[[int], float | None]
) -> float | None:
    """Mean of what the quotes show, weighed by time; absent values take no time."""
    total = time = 0.0
    for index, stood in spans(window.past, start, end, window.end):
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
    if not past.quotes or past.quote_stamps[0] > window.end:
        return 0.0
    start = max(float(window.start), past.quote_stamps[0])
    lost = lost_ms(past.uncovered(start, window.end), start, window.end)
    return (window.end - start - lost) / 1000


def _rate(number: float, window: Window) -> float | None:
    covered = covered_seconds(window)
    return number / covered if covered > 0 else None


def _standing(window: Window) -> Part:
    shown = window.past.shown_index(window.end)
    quote = window.past.quotes[shown] if shown >= 0 else None
    found: Part = {}
    if quote is None:
        return found
    for side in (BID, ASK):
        name = SIDE_NAMES[side]
        price = price_of(quote, side)
        found[f"{name}_price"] = None if price is None else price / UNITS
        found[f"{name}_size"] = size_of(quote, side)
    index = window.past.valid[shown] if shown >= 0 else None
    if index is not None:
        valid = window.past.quotes[index]
        sizes = valid.bid_size + valid.ask_size
        weighed = valid.bid_price * valid.ask_size + valid.ask_price * valid.bid_size
        found["weighted_mid"] = weighed / sizes / UNITS
        tick = window.past.ticks[shown]
        if tick is not None:
            found["spread_ticks"] = (valid.ask_price - valid.bid_price) / tick
    return found


def _changes(window: Window) -> Part:
    past = window.past
    first, last = window.first_index(), past.shown_index(window.end)
    found: Part = {}
    if last < 0:
        return found
    for side in (BID, ASK):
        name = SIDE_NAMES[side]
        if first >= 0:
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

        found[f"avg_{name}_size"] = time_weighted(window, window.start, end, size)
        cut = end - math.ceil(window.seconds / 2) * 1000
        late = time_weighted(window, cut, end, size)
        early = time_weighted(window, window.start, cut, size)
        words = ("INCREASING", "STABLE", "DECREASING")
        found[f"{name}_size_acceleration"] = _compared(late, early, words)
    found["queue_imbalance"] = time_weighted(
        window, window.start, end, lambda i: _imbalance(past, i)
    )
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

    known = _stood(window, spread)
    cut = end - math.ceil(window.seconds / 5) * 1000
    late, early = time_weighted(window, cut, end, spread), time_weighted(window, start, cut, spread)
    return {
        "avg_spread": time_weighted(window, start, end, spread),
        "min_spread": min(known, default=None),
        "max_spread": max(known, default=None),
        "spread_bps": time_weighted(window, start, end, spread_bps),
        "spread_trend": _compared(late, early, ("WIDENING", "STABLE", "TIGHTENING")),
    }


def _stood(window: Window, spread: Callable[[int], float | None]) -> list[float]:
    """Return the spreads that stood for some time.

    In a second in which a gap begins that ends later, also the one that stood at its beginning.
    """
    found: list[float] = []
    for at in range(window.start, window.end, 1000):
        seen = [spread(index) for index, _ in spans(window.past, at, at + 1000, window.end)]
        if any(one is not None for one in seen):
            then = [spread(index) for index, _ in spans(window.past, at, at + 1000, at + 1000)]
            found += [one for one in then if one is not None]
    return found


def _flows(window: Window) -> Part:
    past, depths = window.past, window.scales.named["depth"]
    if past.shown_index(window.end) < 0:
        return {}
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
    seconds = range(window.start, window.end + 1, 1000)
    found: Part = {}
    returns = [
        math.log(now / was)
        for before, at in pairwise(seconds)
        if (was := past.last_mid_at(before)) is not None
        and (now := past.last_mid_at(at)) is not None
        and not past.is_cut(before, at)
        and lost_ms(past.uncovered(before, window.end), before, at) < at - before
    ]
    if returns:
        found["realized_volatility_bps"] = 1e4 * math.sqrt(sum(r * r for r in returns))
    first = window.first_index()
    valid = past.valid[first] if first >= 0 else None
    last = past.shown_index(window.end)
    standing = past.valid[last] if last >= 0 else None
    mid_now = None if standing is None else mid_of(past.quotes[standing])
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
