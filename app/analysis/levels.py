"""Track price levels: prices that were best of their side, their sizes, and how each stay ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from mypy_extensions import mypyc_attr

from app.analysis.bars import SECOND_MS
from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE, published_price
from app.analysis.touch import SIDE_NAMES, is_better

MIN_STAY_MS: Final = 1000.0
LEVEL_LIFETIME_MS: Final = 15 * 60 * SECOND_MS
MAX_LEVELS: Final = 64
PUBLISHED_LEVELS: Final = 20
MIN_RESIZE: Final = 0.01
NEVER: Final = float("inf")


# Never in a reference cycle, like records; a ticker holds up to 256 of these.
@mypyc_attr(acyclic=True)
@dataclass(slots=True, init=False)
class PublishedLevel:
    """A level as published (contract, section 5)."""

    price: float
    side: str
    appearances: int
    size: float
    first_seen: float
    last_seen: float
    held: int
    broke: int
    significance: float

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        price: float,
        side: str,
        appearances: int,
        size: float,
        first_seen: float,
        last_seen: float,
        held: int,
        broke: int,
        significance: float,
    ) -> None:
        self.price = price
        self.side = side
        self.appearances = appearances
        self.size = size
        self.first_seen = first_seen
        self.last_seen = last_seen
        self.held = held
        self.broke = broke
        self.significance = significance


_significance_key = attrgetter("significance", "last_seen", "price")
_price_key = attrgetter("price")


@mypyc_attr(acyclic=True)
@dataclass(slots=True)
class PriceLevel:
    """One price of one side, with its stays as best price.

    A stay goes on through absences shorter than `MIN_STAY_MS`. `left_at` is when the price was
    last left, 0 while it is best; `left_for_better` whether the next best price was better, None
    if the side became empty. The `published_*` fields keep the values of the last publication,
    `published_last_seen` 0 before the first; `has_new_counts`: a count changed since.
    `is_stored`: the stored state has this level; `is_unsaved`: what it has is outdated or missing.
    """

    price: int
    first_seen: float
    last_seen: float
    stay_since: float
    appearances: int = 1
    held: int = 0
    broke: int = 0
    size_ms: float = 0.0
    time_ms: float = 0.0
    left_at: float = 0.0
    left_for_better: bool | None = None
    published_last_seen: float = 0.0
    published_size: float = 0.0
    published_significance: float = 0.0
    has_new_counts: bool = True
    published: PublishedLevel | None = field(default=None, init=False)
    is_stored: bool = field(default=False, init=False)
    is_unsaved: bool = field(default=True, init=False)

    @property
    def size(self) -> float:
        """Return the time-weighted mean size while best, 0 before any time passed."""
        return self.size_ms / self.time_ms if self.time_ms else 0.0

    @property
    def significance(self) -> float:
        """Return the rank value of a level: size times appearances."""
        return self.size * self.appearances

    def end_stay(self) -> None:
        """Count the stay that ended at `left_at` as held or broken, if it was long enough."""
        if self.left_at - self.stay_since >= MIN_STAY_MS and self.left_for_better is not None:
            if self.left_for_better:
                self.held += 1
            else:
                self.broke += 1
            self.has_new_counts = True
        self.left_at = 0.0


@dataclass(slots=True)
class SideLevels:
    """The levels of one side; `best` is the price that is best now, 0 if the side is empty.

    `levels` are sorted by price: binary search takes six steps, and the list half the memory of a
    dictionary. `size_ms` and `time_ms` are sums of the best price not yet added to its level.
    `active_prices` are those whose stay may end, or which may be republished, at the next second.
    No level was last seen before `oldest_seen`. `ranked` are the levels that were published once,
    by published significance, greatest first; `min_published_significance` is that of the last
    one in the published top. `dropped_prices` are stored levels that were dropped since the last
    `take_unsaved`. Prices are in units of 10^-`digits`.
    """

    side: int
    levels: list[PriceLevel] = field(default_factory=list, init=False)
    dropped_prices: set[int] = field(default_factory=set, init=False)
    ranked: list[PriceLevel] = field(default_factory=list, init=False)
    best: int = 0
    size: float = 0.0
    size_since: float = 0.0
    size_ms: float = 0.0
    time_ms: float = 0.0
    active_prices: list[int] = field(default_factory=list)
    oldest_seen: float = NEVER
    min_published_significance: float = 0.0
    digits: int = field(default=DEFAULT_DIGITS, init=False)

    def _index_of(self, price: int) -> int:
        """Return the index of a price's level, or where to insert it.

        By hand, since `bisect` would call a key function at each step.
        """
        low, high = 0, len(self.levels)
        while low < high:
            middle = (low + high) // 2
            if self.levels[middle].price < price:
                low = middle + 1
            else:
                high = middle
        return low

    def _find(self, price: int) -> PriceLevel | None:
        index = self._index_of(price)
        if index < len(self.levels) and self.levels[index].price == price:
            return self.levels[index]
        return None

    def restore(self, levels: Iterable[PriceLevel]) -> None:
        """Load stored levels."""
        self.levels = sorted(levels, key=_price_key)
        for level in self.levels:
            level.is_stored, level.is_unsaved = True, False
        self.ranked = []
        for level in self.levels:
            self._rank(level)

    def enter(self, price: int, size: float, stamp: float) -> None:
        """Make a price the best of its side."""
        level = self._find(price)
        # A price that was left is active until its stay ends: the list, which may be long, has it.
        is_active = level is not None and level.left_at > 0
        if level is None:
            self.levels.insert(self._index_of(price), PriceLevel(price, stamp, stamp, stamp))
        elif stamp - level.last_seen >= LEVEL_LIFETIME_MS:
            self._drop(level)
            self.levels[self._index_of(price)] = PriceLevel(price, stamp, stamp, stamp)
        elif level.left_at and stamp - level.left_at < MIN_STAY_MS:
            level.left_at = 0.0
        else:
            if level.left_at:
                level.end_stay()
            level.appearances += 1
            level.has_new_counts = True
            level.stay_since = stamp
        self.best, self.size, self.size_since = price, size, stamp
        self.oldest_seen = min(self.oldest_seen, stamp)
        if not is_active:
            self.active_prices.append(price)

    def resize(self, size: float, stamp: float) -> None:
        """Change the size at the best price."""
        duration = stamp - self.size_since
        self.size_ms += self.size * duration
        self.time_ms += duration
        self.size, self.size_since = size, stamp

    def leave(self, stamp: float, new_best: int | None) -> None:
        """End the best price's time as best; `to` is the next one, None if the side is empty."""
        self._add_best_to_level(stamp)
        level = self._find(self.best)
        if level is not None:
            level.left_at = stamp
            level.left_for_better = (
                None if new_best is None else is_better(self.side, new_best, self.best)
            )
        self.best = 0

    def _add_best_to_level(self, until: float) -> None:
        """Add the sums of the best price to its level."""
        self.resize(self.size, until)
        level = self._find(self.best)
        if level is not None:
            level.size_ms += self.size_ms
            level.time_ms += self.time_ms
            level.last_seen = until
        self.size_ms = self.time_ms = 0.0

    def close_second(self, end: int) -> bool:
        """End stays, drop expired levels, republish; return whether a published level changed."""
        if self.best:
            self._add_best_to_level(float(end))
        changed = False
        still_active = []
        for price in self.active_prices:
            level = self._find(price)
            if level is None:
                continue
            level.is_unsaved = True
            if level.left_at and end - level.left_at >= MIN_STAY_MS:
                level.end_stay()
            if level.left_at or price == self.best:
                still_active.append(price)
            if _needs_republishing(level):
                changed |= self._is_published(level)
                self._republish(level)
                changed |= self._is_published(level)
        self.active_prices = still_active
        if end - self.oldest_seen >= LEVEL_LIFETIME_MS:
            changed |= self._drop_expired(end)
        if len(self.levels) > MAX_LEVELS:
            changed |= self._drop_excess()
        return changed

    def _drop_expired(self, end: int) -> bool:
        kept = [level for level in self.levels if end - level.last_seen < LEVEL_LIFETIME_MS]
        expired = [level for level in self.levels if end - level.last_seen >= LEVEL_LIFETIME_MS]
        for level in expired:
            self._drop(level)
        self.levels = kept
        self.oldest_seen = min((level.last_seen for level in kept), default=NEVER)
        return bool(expired)

    def _drop_excess(self) -> bool:
        """Drop the least significant levels; return whether one of them was published."""
        candidates = [level for level in self.levels if level.price != self.best]
        candidates.sort(key=_significance_key)
        dropped = candidates[: len(self.levels) - MAX_LEVELS]
        dropped_prices = {level.price for level in dropped}
        self.levels = [level for level in self.levels if level.price not in dropped_prices]
        self.active_prices = [price for price in self.active_prices if price not in dropped_prices]
        for level in dropped:
            self._drop(level)
        return any(self._is_published(level) for level in dropped)

    def _drop(self, level: PriceLevel) -> None:
        self._unrank(level)
        if level.is_stored:
            self.dropped_prices.add(level.price)

    def stored_prices(self) -> set[int]:
        """Return the prices by which levels are stored, dropped ones too."""
        return self.dropped_prices.union([one.price for one in self.levels if one.is_stored])

    def note_new_unit(self, former_prices: Iterable[int]) -> None:
        """Have all levels stored by their new prices, and dropped by their former ones."""
        self.dropped_prices.update(former_prices)
        for level in self.levels:
            level.is_stored, level.is_unsaved = False, True

    def take_unsaved(self, *, whole: bool) -> tuple[list[PriceLevel], list[int]]:
        """Return levels changed since the last call, or all, and the prices of dropped ones."""
        unsaved = [level for level in self.levels if whole or level.is_unsaved]
        for level in unsaved:
            level.is_stored, level.is_unsaved = True, False
        dropped = [price for price in self.dropped_prices if self._find(price) is None]
        self.dropped_prices = set()
        return unsaved, dropped

    def top(self) -> list[PublishedLevel]:
        """Return the most significant levels as published, greatest first.

        A level that did not change is the same object as in the last call.
        """
        top = self.ranked[:PUBLISHED_LEVELS]
        self.min_published_significance = (
            top[-1].published_significance if len(top) == PUBLISHED_LEVELS else 0.0
        )
        for level in self.ranked[PUBLISHED_LEVELS:]:
            level.published = None
        return [self._published_form(level) for level in top]

    def _published_form(self, level: PriceLevel) -> PublishedLevel:
        published = level.published
        if published is None:
            published = level.published = PublishedLevel(
                price=published_price(level.price, FLOAT_UNITS_PER_ONE[self.digits]),
                side=SIDE_NAMES[self.side],
                appearances=level.appearances,
                size=level.published_size,
                first_seen=level.first_seen,
                last_seen=level.published_last_seen,
                held=level.held,
                broke=level.broke,
                significance=level.published_significance,
            )
        return published

    def _republish(self, level: PriceLevel) -> None:
        """Set a level's published values to its current ones, and its rank with them."""
        self._unrank(level)
        level.published_last_seen, level.published_size = level.last_seen, level.size
        level.published_significance = level.significance
        level.has_new_counts, level.published = False, None
        self._rank(level)

    def _rank(self, level: PriceLevel) -> None:
        if level.published_last_seen:
            self.ranked.insert(self._rank_index(level), level)

    def _unrank(self, level: PriceLevel) -> None:
        if level.published_last_seen:
            del self.ranked[self._rank_index(level)]

    def _rank_index(self, level: PriceLevel) -> int:
        """Return a level's index in `ranked`, or where to insert it."""
        low, high = 0, len(self.ranked)
        while low < high:
            middle = (low + high) // 2
            other = self.ranked[middle]
            if other.published_significance > level.published_significance or (
                other.published_significance == level.published_significance
                and other.price > level.price
            ):
                low = middle + 1
            else:
                high = middle
        return low

    def _is_published(self, level: PriceLevel) -> bool:
        """Return whether a level is, or is about to be, among the published ones."""
        return (
            level.published_last_seen > 0
            and level.published_significance >= self.min_published_significance
        )


def _needs_republishing(level: PriceLevel) -> bool:
    if not level.time_ms:
        return False
    return (
        level.has_new_counts
        or abs(level.size - level.published_size) > MIN_RESIZE * level.published_size
    )
