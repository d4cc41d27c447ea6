"""Declare which fields of a ticker's memory are in price units, and multiply them all.

A class that keeps prices, or differences of prices, names the fields here: the walk below finds
all objects by itself, but can't know what their numbers are. `tests/analysis/test_price_units.py`
compares memories whose unit became finer with ones that had it from the start.
"""

from array import array
from dataclasses import fields, is_dataclass
from typing import Any, Final

from app.analysis.price_units import UNITS_PER_ONE
from app.analysis.records import Quote

PRICE_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "Absorption": ("second_volume",),
    "Bar": ("spread_ms", "min_spread", "max_spread", "bid_price", "ask_price", "mid2", "spread"),
    "BarBuilder": ("last_bid_price", "last_ask_price", "last_mid2"),
    "Baselines": ("spreads", "mids"),
    "BestPriceChanges": ("changed_from",),
    "Bounds": ("tick", "median", "tight", "wide"),
    "Cluster": ("price", "low", "high"),
    "DepartedPrice": ("price",),
    "DetectorContext": ("mid2",),
    "DisplayedSize": ("price",),
    "Excursion": ("zero_mid2",),
    "HiddenPrints": ("clusters",),
    "IcebergCandidate": ("price",),
    "Icebergs": ("depletions", "candidates", "through_prices"),
    "MomentumShifts": ("mid2",),
    "Order": ("prices",),
    "Outcomes": ("mids",),
    "PriceLevel": ("price",),
    "Pull": ("price",),
    "Regime": ("median", "farthest_spread"),
    "SecondTotals": ("max_jump",),
    "Session": ("first_price", "high", "low", "opening_high", "opening_low"),
    "SideLevels": ("best", "active_prices"),
    "StandingQuote": ("spread", "last_price"),
    "Sweeps": ("last_price",),
    "ThroughPrice": ("price",),
    "TickSize": ("first", "divisor", "seen", "size"),
    "Visit": ("price",),
    "VolumeProfile": ("anchor", "tick", "width", "by_price"),
    "Watch": ("level_price",),
}
"""Numbers, lists and arrays of them, and dictionaries by them, by class. A `Quote` is made anew."""
PRICE_PAIR_FIELDS: Final = {"Absorption": ("volume_by_price",)}
"""Arrays in which every other number is a price."""
PRICE_HISTOGRAMS: Final = {"Baselines": ("spread", "recent_spread", "jump", "move_30s")}
PRICE_RATIOS: Final = {"Baselines": ("impact",)}
"""Ratios of a price to something else."""
NOT_WALKED: Final = ("Event", "PublishedLevel")
"""What holds prices as published, which no unit changes; `Events` writes its keys anew."""
ANY_AGE: Final = {"State": ("first_quote",), "DetectorContext": ("tick_size",)}
"""What may be of a price that the ticker left long ago: it does not keep a unit from being used."""


_names_of_class: dict[type, list[str]] = {}


def _field_names(kind: Any) -> list[str]:  # noqa: ANN401 - a dataclass
    names = _names_of_class.get(kind)
    if names is None:
        names = _names_of_class[kind] = [field.name for field in fields(kind)]
    return names


class PriceWalk:
    """Multiplies all prices in an object and what it refers to by a power of ten, each once.

    `greatest` is the greatest whole number of price units that it met, before it was multiplied.
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._digits_more = UNITS_PER_ONE.index(factor)
        self._seen: set[int] = set()
        # The quotes that were replaced are kept: an id is unique only while its object lives.
        self._quotes: dict[int, tuple[Quote, Quote]] = {}
        self.greatest = 0

    def visit(self, value: Any) -> Any:  # noqa: ANN401 - whatever a memory holds
        """Multiply the prices in a value, in place, and return it; a quote is replaced."""
        if isinstance(value, Quote):
            return self._visit_quote(value)
        if isinstance(value, list):
            for place, one in enumerate(value):
                value[place] = self.visit(one)
        elif isinstance(value, dict):
            for key, one in value.items():
                value[key] = self.visit(one)
        elif is_dataclass(value) and id(value) not in self._seen:
            self._seen.add(id(value))
            self._visit_fields(value)
        return value

    def _visit_quote(self, quote: Quote) -> Quote:
        known = self._quotes.get(id(quote))
        if known is None:
            self.greatest = max(self.greatest, quote.bid_price, quote.ask_price)
            other = Quote(
                quote.stamp,
                quote.seq,
                quote.bid_price * self._factor,
                quote.bid_size,
                quote.ask_price * self._factor,
                quote.ask_size,
            )
            known = self._quotes[id(quote)] = quote, other
        return known[1]

    def _visit_fields(self, value: Any) -> None:  # noqa: ANN401
        kind = type(value).__name__
        if kind in NOT_WALKED:
            return
        prices = PRICE_FIELDS.get(kind, ())
        pairs = PRICE_PAIR_FIELDS.get(kind, ())
        any_age = ANY_AGE.get(kind, ())
        for name in _field_names(type(value)):
            now = getattr(value, name)
            greatest = self.greatest
            if name in prices:
                setattr(value, name, self._multiplied(now))
            elif name in pairs:
                now[::2] = self._multiplied(now[::2])
            elif isinstance(now, (Quote, list, dict)) or is_dataclass(now):
                setattr(value, name, self.visit(now))
            if name in any_age:
                self.greatest = greatest
        for name in PRICE_HISTOGRAMS.get(kind, ()):
            getattr(value, name).multiply_samples(float(self._factor))
        for name in PRICE_RATIOS.get(kind, ()):
            getattr(value, name).upper *= self._factor
        if kind == "Bar":
            value.digits += self._digits_more

    def _multiplied(self, prices: Any) -> Any:  # noqa: ANN401
        if isinstance(prices, int):
            self.greatest = max(self.greatest, abs(prices))
            return prices * self._factor
        if isinstance(prices, float):
            return prices * self._factor
        if isinstance(prices, list):
            return [self._multiplied(one) for one in prices]
        if isinstance(prices, array):
            return array(prices.typecode, [self._multiplied(one) for one in prices])
        if isinstance(prices, dict):
            return {self._multiplied(key): self.visit(one) for key, one in prices.items()}
        return prices
