"""Calibrate ranks and return periods: does what is called rare happen as rarely as it says."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.engine import Engine
from app.analysis.metric_table import RANKED
from app.analysis.ranks import WindowRanks
from app.analysis.records import Record
from app.analysis.return_periods import MIN_OBSERVED_MINUTES
from app.analysis.windows import WINDOWS
from app.evaluation.scorecard.folding import fold_ticks

FIRST_RANKED_SECOND = 3600
HALF_HOUR_SECONDS = 1800
RANK_BINS = 100
HIGH, LOW, HIGHEST = 0.95, 0.05, 0.99
RETURN_MINUTES = (10, 30)
MIN_RETURN_HOURS = 3.0
"""A shorter tape is too short for events that come every 30 minutes."""
MIN_RATE = 2.0
"""Of a type, events in the time for which it is to be calibrated."""


@dataclass(slots=True)
class RankCounts:
    """How often ranks of a window had which value: by half hour, metric, and hundredth.

    The last two hundredths' ends are inclusive: a rank of 1 is in the last.
    """

    counts: NDArray[np.int64]

    def share(self, counts: NDArray[np.int64], low: float, high: float) -> float:
        """Return the share of ranks in [low, high), the mean over the metrics that have some."""
        by_metric = counts.sum(axis=0)
        total = by_metric.sum(axis=1)
        among = by_metric[:, round(low * RANK_BINS) : round(high * RANK_BINS)].sum(axis=1)
        known = total > 0
        return float((among[known] / total[known]).mean()) if known.any() else float("nan")

    @property
    def high(self) -> float:
        """Return the share of ranks from .95 on."""
        return self.share(self.counts, HIGH, 1)

    @property
    def low(self) -> float:
        """Return the share of ranks below .05."""
        return self.share(self.counts, 0, LOW)

    @property
    def highest(self) -> float:
        """Return the share of ranks from .99 on."""
        return self.share(self.counts, HIGHEST, 1)

    def worst_metric(self) -> tuple[str, float]:
        """Return the metric whose share of one tail is farthest from 5 %, and that share."""
        found = [
            (RANKED[place], share)
            for place in range(len(RANKED))
            for share in self._tails(self.counts[:, place : place + 1])
        ]
        return max(found, key=lambda it: _distance(it[1]))

    def worst_half_hour(self) -> float:
        """Return the share of one tail, over a half hour, that is farthest from 5 %."""
        found = [share for half_hour in self.counts for share in self._tails(half_hour[None])]
        return max(found, key=_distance)

    def _tails(self, counts: NDArray[np.int64]) -> tuple[float, float]:
        return self.share(counts, HIGH, 1), self.share(counts, 0, LOW)


def _distance(share: float) -> float:
    return -1.0 if np.isnan(share) else abs(share - (1 - HIGH))


@dataclass(frozen=True, slots=True)
class ReturnRatio:
    """Events of a type with at least a return period, beside what it promises (1 is right)."""

    type: str
    minutes: int
    events: int
    rare: int
    expected: float

    @property
    def ratio(self) -> float:
        """Return how many there were for one that was to be expected."""
        return self.rare / self.expected


@dataclass(slots=True)
class Calibration:
    """What a tape says of ranks, by window, and of return periods.

    `periods` are the known return periods by type; they come from `minutes` of the tape.
    """

    tape: str
    ranks: dict[str, RankCounts] = field(default_factory=dict)
    periods: dict[str, list[float]] = field(default_factory=dict)
    minutes: float = 0.0

    def return_ratios(self, minutes: int) -> list[ReturnRatio]:
        """Return the ratios of the types whose own rate is at least 2 in so many minutes."""
        if self.minutes < MIN_RETURN_HOURS * 60 - MIN_OBSERVED_MINUTES:
            return []
        expected = self.minutes / minutes
        return [
            ReturnRatio(kind, minutes, len(known), sum(it >= minutes for it in known), expected)
            for kind, known in sorted(self.periods.items())
            if len(known) >= MIN_RATE * expected
        ]

    def pooled(self, minutes: int) -> float:
        """Return the ratio over all these types together, NaN without any."""
        rows = self.return_ratios(minutes)
        if not rows:
            return float("nan")
        return sum(row.rare for row in rows) / sum(row.expected for row in rows)

    def rates_an_hour(self, minutes: int) -> dict[str, float]:
        """Return by type how many events an hour have at least a return period."""
        rare = Counter({k: sum(it >= minutes for it in v) for k, v in self.periods.items()})
        return {kind: count / self.minutes * 60 for kind, count in sorted(rare.items())}


def calibrate(tape: str, records: Sequence[Record]) -> Calibration:
    """Fold a tape second by second and count its ranks and return periods."""
    first, last = whole_second(records[0].stamp), whole_second(records[-1].stamp)
    half_hours = (last - first) // SECOND_MS // HALF_HOUR_SECONDS + 1
    shape = half_hours, len(RANKED), RANK_BINS
    found = Calibration(tape, {name: RankCounts(np.zeros(shape, np.int64)) for name in WINDOWS})
    periods: dict[str, tuple[str, float]] = {}
    for result in fold_ticks(Engine.new("SCORE"), records, first, last):
        second = (result.as_of - first) // SECOND_MS
        if second >= FIRST_RANKED_SECOND:
            for name, ranks in result.ranks.items():
                _count(found.ranks[name].counts[second // HALF_HOUR_SECONDS], ranks)
        for event in result.changed_events:
            if event.return_minutes is not None:
                periods[event.id] = event.type, event.return_minutes
    for kind, minutes in periods.values():
        found.periods.setdefault(kind, []).append(minutes)
    found.minutes = max(0.0, (last - first) / 60_000 - MIN_OBSERVED_MINUTES)
    return found


def _count(counts: NDArray[np.int64], ranks: WindowRanks) -> None:
    for place, name in enumerate(RANKED):
        share = ranks.shares.get(name)
        if share is not None:
            # Ranks have four digits: none is off by rounding.
            counts[place, min(int(share * RANK_BINS + 1e-9), RANK_BINS - 1)] += 1
