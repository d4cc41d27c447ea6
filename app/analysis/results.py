"""The result of one tick."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.analysis.bars import Bar
from app.analysis.behaviors import Behaviors
from app.analysis.levels import PublishedLevel
from app.analysis.metrics import Fields
from app.analysis.patterns.events import Event
from app.analysis.quality_table import ACCEPTED_NAMES, REJECTED_TOTAL
from app.analysis.ranks import WindowRanks

Quality = dict[str, int | list[str] | list[list[float]] | dict[str, int]]


@dataclass(slots=True, init=False)
class TickResult:
    """The result of one tick, as of `as_of`, which the tick writes to Redis.

    By window: `metrics`, `ranks`, `quality`, `last_sweep`. `changed_events` and `levels` (None:
    unchanged) are to be published, `expired_events` (opened_at, id) to be removed; `final_bars`
    can't change any more; `failed_detectors` holds the error of each detector that failed in this
    tick.
    """

    as_of: int
    metrics: dict[str, Fields]
    ranks: dict[str, WindowRanks]
    quality: dict[str, Quality]
    last_sweep: dict[str, Event | None]
    behaviors: Behaviors
    changed_events: list[Event]
    expired_events: list[tuple[float, str]]
    levels: list[list[PublishedLevel] | None]
    final_bars: list[Bar]
    failed_detectors: dict[str, Exception]

    def __init__(  # noqa: PLR0913 - written out, as in `records`
        self,
        as_of: int,
        *,
        metrics: dict[str, Fields],
        ranks: dict[str, WindowRanks],
        quality: dict[str, Quality],
        last_sweep: dict[str, Event | None],
        behaviors: Behaviors,
        changed_events: list[Event],
        expired_events: list[tuple[float, str]],
        levels: list[list[PublishedLevel] | None],
        final_bars: list[Bar],
        failed_detectors: dict[str, Exception],
    ) -> None:
        self.as_of = as_of
        self.metrics = metrics
        self.ranks = ranks
        self.quality = quality
        self.last_sweep = last_sweep
        self.behaviors = behaviors
        self.changed_events = changed_events
        self.expired_events = expired_events
        self.levels = levels
        self.final_bars = final_bars
        self.failed_detectors = failed_detectors


def add_counts(totals: dict[str, int], counts: Mapping[str, int]) -> None:
    """Add counts to totals, by name."""
    for name, number in counts.items():
        totals[name] = totals.get(name, 0) + number


def build_quality(counts: Mapping[str, int]) -> Quality:
    """Return the quality of a window: counts of oddities, with those of rejected records apart."""
    rejected = {name: n for name, n in counts.items() if name not in ACCEPTED_NAMES}
    quality: Quality = {name: n for name, n in counts.items() if name in ACCEPTED_NAMES}
    if rejected:
        quality[REJECTED_TOTAL] = rejected
    return quality
