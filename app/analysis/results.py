"""What one call of the fold found."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.analysis.bars import Bar
from app.analysis.behaviors import Behaviors
from app.analysis.levels import PublishedLevel
from app.analysis.metrics import Fields
from app.analysis.patterns.events import Event
from app.analysis.quality_table import ACCEPTED_NAMES, REJECTED_TOTAL

Quality = dict[str, int | list[str] | list[list[float]] | dict[str, int]]


@dataclass(slots=True, init=False)
class TickResult:
    """What one call of the fold found, as of `as_of`.

    By window: `metrics`, `quality`, `last_sweep`. `changed` events and `levels` (None: as before)
    are to be published, `forgotten` ones (opened_at, id) to be removed; `sealed` bars can't change
    any more; `failures` are the detectors that failed in this call.
    """

    as_of: int
    metrics: dict[str, Fields]
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
        quality: dict[str, Quality],
        last_sweep: dict[str, Event | None],
        behaviors: Behaviors,
        changed: list[Event],
        forgotten: list[tuple[float, str]],
        levels: list[list[PublishedLevel] | None],
        sealed: list[Bar],
        failures: dict[str, Exception],
    ) -> None:
        self.as_of = as_of
        self.metrics = metrics
        self.quality = quality
        self.last_sweep = last_sweep
        self.behaviors = behaviors
        self.changed_events = changed
        self.expired_events = forgotten
        self.levels = levels
        self.final_bars = sealed
        self.failed_detectors = failures


def build_quality(counts: Mapping[str, int]) -> Quality:
    """Sort counted oddities: what was rejected apart, by reason."""
    rejected = {name: n for name, n in counts.items() if name not in ACCEPTED_NAMES}
    quality: Quality = {name: n for name, n in counts.items() if name in ACCEPTED_NAMES}
    if rejected:
        quality[REJECTED_TOTAL] = rejected
    return quality
