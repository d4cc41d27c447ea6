"""A session's numbers by their plain definitions, over all of its prints at once."""

import math
from collections import defaultdict

from tests.reference.past import UNITS, Past, Print, ceil_second, price_of

OPENING_MS = 1_800_000
MAX_ROWS = 200


def session(past: Past, opened: int, closes: int, as_of: int) -> dict[str, float]:
    """Return the numbers of the session that opened at `opened`, as of a whole second."""
    prints = [one for one in past.prints if opened <= one.stamp < closes and one.stamp <= as_of]
    found: dict[str, float] = {}
    first_quote = past.quotes[0].stamp if past.quotes else math.inf
    # Of the first quote's own second on, if that has ended.
    if ceil_second(first_quote) <= as_of if past.quotes else False:
        seen_from = max(float(opened), first_quote)
        until = min(as_of, closes)
        if until >= seen_from:
            found["covered_seconds"] = (until - seen_from) / 1000
            if seen_from > opened:
                found["since"] = seen_from
    if not prints:
        return found
    volume = math.fsum(one.size for one in prints)
    vwap = math.fsum(one.price * one.size for one in prints) / volume
    variance = math.fsum(one.size * (one.price - vwap) ** 2 for one in prints) / volume
    found |= {
        "open": prints[0].price / UNITS,
        "high": max(one.price for one in prints) / UNITS,
        "low": min(one.price for one in prints) / UNITS,
        "volume": volume,
        "cvd": math.fsum(one.taker * one.size for one in prints),
        "vwap": vwap / UNITS,
        "vwap_sd": math.sqrt(variance) / UNITS,
    }
    early = [one.price / UNITS for one in prints if one.stamp < opened + OPENING_MS]
    if early:
        found |= {"opening_range_low": min(early), "opening_range_high": max(early)}
    return found | profile(past, prints, as_of)


def profile(past: Past, prints: list[Print], as_of: int) -> dict[str, float]:
    """Return the point of control and the value area, from the first second with a tick on."""
    first = ceil_second(prints[0].stamp)
    tick = next((t for at in range(first, as_of + 1, 1000) if (t := past.tick_at(at))), None)
    if tick is None:
        return {}
    grid = next(p for q in past.quotes for side in (0, 1) if (p := price_of(q, side)) is not None)
    upward = prints[0].taker >= 0
    off = (prints[0].price - grid) % tick
    anchor = prints[0].price - off if upward or not off else prints[0].price + tick - off
    width = tick
    while True:
        rows: dict[int, float] = defaultdict(float)
        for one in prints:
            rows[row_of(one.price, anchor, width, upward=upward)] += one.size
        if max(rows) - min(rows) < MAX_ROWS:
            break
        width *= 2

    def lowest(row: int) -> int:
        return anchor + row * width + (0 if upward else tick)

    def highest(row: int) -> int:
        return lowest(row) + width - tick

    most = max(rows.values())
    equals = sorted(row for row in rows if rows[row] == most)
    # Equal ones: the nearest to where the rows begin, then the one on the first print's side.
    poc = min(equals, key=lambda row: (abs(row + 0.5), (row >= 0) != upward))
    low = high = poc
    held, total = rows[poc], math.fsum(rows.values())
    while held < 0.7 * total:
        below = rows.get(low - 1, 0.0) if low > min(rows) else -1.0
        above = rows.get(high + 1, 0.0) if high < max(rows) else -1.0
        if below >= above:
            low -= 1
            held += below
        if above >= below:
            high += 1
            held += above
    return {
        "poc": (lowest(poc) + highest(poc)) / 2 / UNITS,
        "value_area_low": lowest(low) / UNITS,
        "value_area_high": highest(high) / UNITS,
    }


def row_of(price: int, anchor: int, width: int, *, upward: bool) -> int:
    """Return a price's row: upward rows begin at the anchor, the others end at it."""
    distance = price - anchor
    return math.floor(distance / width) if upward else math.ceil(distance / width) - 1
