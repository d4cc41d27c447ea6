"""Prices that were the best of their side: how often, with what size, and how that ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from mypy_extensions import mypyc_attr

from app.analysis.bars import SECOND_MS
from app.analysis.records import PRICE_UNITS
from app.analysis.touch import SIDE_NAMES, is_better

MIN_STAY_MS: Final = 1000.0
LEVEL_LIFETIME_MS: Final = 15 * 60 * SECOND_MS
MAX_LEVELS: Final = 64
PUBLISHED_LEVELS: Final = 20
MIN_RESIZE: Final = 0.01
NEVER: Final = float("inf")


# Part of no cycle, as records: of these a ticker keeps 256.
@mypyc_attr(acyclic=True)
@dataclass(slots=True, init=False)
class PublishedLevel:
    """A level as the reader sees it (contract, section 5)."""

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
    """One price of one side; `went_better` tells where the best departed to, None to nowhere.

    What is published is as it was when it was last renewed: `shown_at` is `last_seen` then, 0
    before the first time, and `is_recounted` tells that a count changed since. `is_stored`: the
    state's key holds this price; `is_unsaved`: otherwise than it is now, or not at all.
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
        """Return the time-weighted mean size while best; 0 where no time passed."""
        return self.size_ms / self.time_ms if self.time_ms else 0.0

    @property
    def significance(self) -> float:
        """Return what levels are ranked by: size times appearances."""
        return self.size * self.appearances

    def end_stay(self) -> None:
        """Count how the stay that ended at `left_at` ended."""
        if self.left_at - self.stay_since >= MIN_STAY_MS and self.left_for_better is not None:
            if self.left_for_better:
                self.held += 1
            else:
                self.broke += 1
            self.has_new_counts = True
        self.left_at = 0.0


@dataclass(slots=True)
class SideLevels:
    """The levels of one side, and the one that is best now.

    `size_ms` and `time_ms` are what the best gathered since they were last given to its level;
    `least_shown` is the significance of the last level published; `touched` are the prices
    whose stay may end or whose form may be renewed at the next second; nothing was last seen
    before `oldest_seen`. `levels` are in order of price, in which one is found in six steps: half
    of what they would take by price in a dictionary. `ranked` are those that have a published form,
    by its significance, the greatest first; `gone` are the prices whose stored levels went since
    that was last asked.
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

    def _index_of(self, price: int) -> int:
        """Find where a price's level is, or would be; `bisect` would call a key for each step."""
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
        """Begin with levels that were stored."""
        self.levels = sorted(levels, key=_price_key)
        for level in self.levels:
            level.is_stored, level.is_unsaved = True, False
        self.ranked = []
        for level in self.levels:
            self._rank(level)

    def enter(self, price: int, size: float, stamp: float) -> None:
        """Let a price become the best."""
        level = self._find(price)
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
        if price not in self.active_prices:
            self.active_prices.append(price)

    def resize(self, size: float, stamp: float) -> None:
        """Let the best price show another size."""
        duration = stamp - self.size_since
        self.size_ms += self.size * duration
        self.time_ms += duration
        self.size, self.size_since = size, stamp

    def leave(self, stamp: float, new_best: int | None) -> None:
        """Let the best price depart."""
        self._add_best_to_level(stamp)
        level = self._find(self.best)
        if level is not None:
            level.left_at = stamp
            level.left_for_better = (
                None if new_best is None else is_better(self.side, new_best, self.best)
            )
        self.best = 0

    def _add_best_to_level(self, until: float) -> None:
        """Give the best's level what was gathered."""
        self.resize(self.size, until)
        level = self._find(self.best)
        if level is not None:
            level.size_ms += self.size_ms
            level.time_ms += self.time_ms
            level.last_seen = until
        self.size_ms = self.time_ms = 0.0

    def close_second(self, end: int) -> bool:
        """End stays, drop what is gone, renew forms; tells whether a published one changed."""
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
        """Drop the least significant; tells whether one of them was published."""
        candidates = [level for level in self.levels if level.price != self.best]
        candidates.sort(key=_significance_key)
        dropped = candidates[: len(self.levels) - MAX_LEVELS]
        dropped_prices = {level.price for level in dropped}
        self.levels = [level for level in self.levels if level.price not in dropped_prices]
        for level in dropped:
            self._drop(level)
        return any(self._is_published(level) for level in dropped)

    def _drop(self, level: PriceLevel) -> None:
        self._unrank(level)
        if level.is_stored:
            self.dropped_prices.add(level.price)

    def take_unsaved(self, *, whole: bool) -> tuple[list[PriceLevel], list[int]]:
        """Return what changed since this was last asked, or all, and the prices of what went."""
        unsaved = [level for level in self.levels if whole or level.is_unsaved]
        for level in unsaved:
            level.is_stored, level.is_unsaved = True, False
        dropped = [price for price in self.dropped_prices if self._find(price) is None]
        self.dropped_prices = set()
        return unsaved, dropped

    def top(self) -> list[PublishedLevel]:
        """Return the published forms of the most significant levels, greatest first.

        A form that did not change is the same object as last time.
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
                price=level.price / PRICE_UNITS,
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
        """Let what is published of a level be what it is now."""
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
        """Find where a level stands in the order, or would."""
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
        """Tell whether a level is among the published ones, or will be."""
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
