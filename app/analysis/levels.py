"""Prices that were the best of their side: how often, with what size, and how that ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from mypy_extensions import mypyc_attr

from app.analysis.bars import SECOND_MS
from app.analysis.records import PRICE_UNITS
from app.analysis.touch import SIDE_NAMES, is_better

STAY_MS: Final = 1000.0
GONE_MS: Final = 15 * 60 * SECOND_MS
MAX_LEVELS: Final = 64
PUBLISHED_LEVELS: Final = 20
RESIZED: Final = 0.01
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


_least_first = attrgetter("significance", "last_seen", "price")
_price = attrgetter("price")


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
    went_better: bool | None = None
    shown_at: float = 0.0
    shown_size: float = 0.0
    shown_significance: float = 0.0
    is_recounted: bool = True
    form: PublishedLevel | None = field(default=None, init=False)
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
        if self.left_at - self.stay_since >= STAY_MS and self.went_better is not None:
            if self.went_better:
                self.held += 1
            else:
                self.broke += 1
            self.is_recounted = True
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
    gone: set[int] = field(default_factory=set, init=False)
    ranked: list[PriceLevel] = field(default_factory=list, init=False)
    best: int = 0
    size: float = 0.0
    since: float = 0.0
    size_ms: float = 0.0
    time_ms: float = 0.0
    touched: list[int] = field(default_factory=list)
    oldest_seen: float = NEVER
    least_shown: float = 0.0

    def _place(self, price: int) -> int:
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
        place = self._place(price)
        if place < len(self.levels) and self.levels[place].price == price:
            return self.levels[place]
        return None

    def restore(self, levels: Iterable[PriceLevel]) -> None:
        """Begin with levels that were stored."""
        self.levels = sorted(levels, key=_price)
        for level in self.levels:
            level.is_stored, level.is_unsaved = True, False
        self.ranked = []
        for level in self.levels:
            self._rank(level)

    def enter(self, price: int, size: float, stamp: float) -> None:
        """Let a price become the best."""
        level = self._find(price)
        if level is None:
            self.levels.insert(self._place(price), PriceLevel(price, stamp, stamp, stamp))
        elif stamp - level.last_seen >= GONE_MS:
            self._drop(level)
            self.levels[self._place(price)] = PriceLevel(price, stamp, stamp, stamp)
        elif level.left_at and stamp - level.left_at < STAY_MS:
            level.left_at = 0.0
        else:
            if level.left_at:
                level.end_stay()
            level.appearances += 1
            level.is_recounted = True
            level.stay_since = stamp
        self.best, self.size, self.since = price, size, stamp
        self.oldest_seen = min(self.oldest_seen, stamp)
        if price not in self.touched:
            self.touched.append(price)

    def resize(self, size: float, stamp: float) -> None:
        """Let the best price show another size."""
        duration = stamp - self.since
        self.size_ms += self.size * duration
        self.time_ms += duration
        self.size, self.since = size, stamp

    def leave(self, stamp: float, to: int | None) -> None:
        """Let the best price depart."""
        self._weigh(stamp)
        level = self._find(self.best)
        if level is not None:
            level.left_at = stamp
            level.went_better = None if to is None else is_better(self.side, to, self.best)
        self.best = 0

    def _weigh(self, to: float) -> None:
        """Give the best's level what was gathered."""
        self.resize(self.size, to)
        level = self._find(self.best)
        if level is not None:
            level.size_ms += self.size_ms
            level.time_ms += self.time_ms
            level.last_seen = to
        self.size_ms = self.time_ms = 0.0

    def close_second(self, end: int) -> bool:
        """End stays, drop what is gone, renew forms; tells whether a published one changed."""
        if self.best:
            self._weigh(float(end))
        changed = False
        still_touched = []
        for price in self.touched:
            level = self._find(price)
            if level is None:
                continue
            level.is_unsaved = True
            if level.left_at and end - level.left_at >= STAY_MS:
                level.end_stay()
            if level.left_at or price == self.best:
                still_touched.append(price)
            if _is_to_be_renewed(level):
                changed |= self._is_shown(level)
                self._renew(level)
                changed |= self._is_shown(level)
        self.touched = still_touched
        if end - self.oldest_seen >= GONE_MS:
            changed |= self._drop_gone(end)
        if len(self.levels) > MAX_LEVELS:
            changed |= self._drop_least()
        return changed

    def _drop_gone(self, end: int) -> bool:
        kept = [level for level in self.levels if end - level.last_seen < GONE_MS]
        gone = [level for level in self.levels if end - level.last_seen >= GONE_MS]
        for level in gone:
            self._drop(level)
        self.levels = kept
        self.oldest_seen = min((level.last_seen for level in kept), default=NEVER)
        return bool(gone)

    def _drop_least(self) -> bool:
        """Drop the least significant; tells whether one of them was published."""
        others = [level for level in self.levels if level.price != self.best]
        others.sort(key=_least_first)
        dropped = others[: len(self.levels) - MAX_LEVELS]
        gone = {level.price for level in dropped}
        self.levels = [level for level in self.levels if level.price not in gone]
        for level in dropped:
            self._drop(level)
        return any(self._is_shown(level) for level in dropped)

    def _drop(self, level: PriceLevel) -> None:
        self._unrank(level)
        if level.is_stored:
            self.gone.add(level.price)

    def take_unsaved(self, *, whole: bool) -> tuple[list[PriceLevel], list[int]]:
        """Return what changed since this was last asked, or all, and the prices of what went."""
        found = [level for level in self.levels if whole or level.is_unsaved]
        for level in found:
            level.is_stored, level.is_unsaved = True, False
        gone = [price for price in self.gone if self._find(price) is None]
        self.gone = set()
        return found, gone

    def top(self) -> list[PublishedLevel]:
        """Return the published forms of the most significant levels, greatest first.

        A form that did not change is the same object as last time.
        """
        shown = self.ranked[:PUBLISHED_LEVELS]
        self.least_shown = shown[-1].shown_significance if len(shown) == PUBLISHED_LEVELS else 0.0
        for level in self.ranked[PUBLISHED_LEVELS:]:
            level.form = None
        return [self._formed(level) for level in shown]

    def _formed(self, level: PriceLevel) -> PublishedLevel:
        form = level.form
        if form is None:
            form = level.form = PublishedLevel(
                price=level.price / PRICE_UNITS,
                side=SIDE_NAMES[self.side],
                appearances=level.appearances,
                size=level.shown_size,
                first_seen=level.first_seen,
                last_seen=level.shown_at,
                held=level.held,
                broke=level.broke,
                significance=level.shown_significance,
            )
        return form

    def _renew(self, level: PriceLevel) -> None:
        """Let what is published of a level be what it is now."""
        self._unrank(level)
        level.shown_at, level.shown_size = level.last_seen, level.size
        level.shown_significance = level.significance
        level.is_recounted, level.form = False, None
        self._rank(level)

    def _rank(self, level: PriceLevel) -> None:
        if level.shown_at:
            self.ranked.insert(self._rank_of(level), level)

    def _unrank(self, level: PriceLevel) -> None:
        if level.shown_at:
            del self.ranked[self._rank_of(level)]

    def _rank_of(self, level: PriceLevel) -> int:
        """Find where a level stands in the order, or would."""
        low, high = 0, len(self.ranked)
        while low < high:
            middle = (low + high) // 2
            other = self.ranked[middle]
            if other.shown_significance > level.shown_significance or (
                other.shown_significance == level.shown_significance and other.price > level.price
            ):
                low = middle + 1
            else:
                high = middle
        return low

    def _is_shown(self, level: PriceLevel) -> bool:
        """Tell whether a level is among the published ones, or will be."""
        return level.shown_at > 0 and level.shown_significance >= self.least_shown


def _is_to_be_renewed(level: PriceLevel) -> bool:
    if not level.time_ms:
        return False
    return level.is_recounted or abs(level.size - level.shown_size) > RESIZED * level.shown_size
