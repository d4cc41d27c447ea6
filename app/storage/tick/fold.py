"""Fold the records that a tick read into the ticker's engine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.late_records import MAX_LATE_MS, replay_late_records
from app.analysis.results import TickResult, add_counts
from app.storage.tick.read import TickRead

FOLD_BUDGET_SECONDS: Final = 0.05


@dataclass(slots=True, init=False)
class TickReport:
    """The outcome of one tick: `written`, `overtaken` by another worker, or `idle`: no records yet.

    `outdated`: a worker of a newer version wrote the state. `waiting`: the ticker's settle time has
    grown, and what it folds up to now is folded already.
    `late_records` counts late records that are in no window; `oddities` are the rejected and odd
    records that the answers count, by name, all late ones among them. `opened_events` are the types
    of the events that this tick opened.
    """

    outcome: str
    failed_detectors: dict[str, Exception]
    folded_records: int
    late_records: int
    behind_seconds: float
    oddities: dict[str, int]
    opened_events: list[str]

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.failed_detectors = {}
        self.folded_records = self.late_records = 0
        self.behind_seconds = 0.0
        self.oddities = {}
        self.opened_events = []


def fold(
    engine: Engine,
    reading: TickRead,
    as_of: int,
    spent_seconds: Callable[[], float],
    interval_seconds: int = 1,
) -> TickReport:
    """Fold the records piece by piece, until all are folded or the tick's time is spent.

    A tick of a longer interval has as much more time, for as many more records.
    """
    state = engine.state
    started, budget_seconds = spent_seconds(), FOLD_BUDGET_SECONDS * interval_seconds
    report = TickReport("written")
    if reading.gap_end is not None:
        engine.skip_gap(reading.gap_end)
    _fold_late_records(engine, reading, report)
    late_gaps = _cut_by_late_gaps(engine, reading)
    if state.rebuilt_at < 0:
        state.rebuilt_at = as_of
    start = folded_to = state.as_of or reading.start
    for end in reading.piece_ends(start, as_of):
        batch, stored = reading.parse_piece(folded_to, end, state.digits)
        if folded_to == start:
            batch.faults.extend([(float(end), "late")] * report.late_records)
            batch.faults.extend([(float(end), "late_gap")] * late_gaps)
        if reading.gaps is not None:
            batch.gaps, gap_faults = reading.gaps.take(folded_to, end)
            batch.faults.extend(gap_faults)
        engine.fold(batch, end, stored)
        report.folded_records += len(batch.records)
        reading.folded_count += sum(stored.values())
        folded_to = end
        if spent_seconds() - started > budget_seconds:
            break
    if reading.gaps is not None:
        state.seen_gaps = reading.gaps.seen
    add_counts(report.oddities, engine.take_oddities())
    report.behind_seconds = (as_of - folded_to) / SECOND_MS
    return report


def _fold_late_records(engine: Engine, reading: TickRead, report: TickReport) -> None:
    """Fold late records of the last 2 s into their bars, and count those that are even later."""
    folded_late = 0
    if reading.late_quotes or reading.late_trades:
        as_of = engine.state.as_of
        batch, counts = reading.parse_late_records(as_of - MAX_LATE_MS, as_of, engine.state.digits)
        recent = engine.state.recent
        came_late = sum([counts.get(bar.end, 0) - bar.stored for bar in recent])
        grown = replay_late_records(engine.state, engine.table, batch, counts)
        if grown is not None:
            folded_late = came_late
            report.oddities = grown
    report.late_records = max(0, reading.late_records - max(0, folded_late))


def _cut_by_late_gaps(engine: Engine, reading: TickRead) -> int:
    """Cut the bars by the gaps that end where all is folded already; return how many did."""
    if reading.gaps is None:
        return 0
    spans = reading.gaps.take_late(engine.state.as_of)
    return sum([engine.add_late_gap(start, end) for start, end in spans])


def analyse(engine: Engine, reading: TickRead, report: TickReport, folded_to: int) -> TickResult:
    """Return the result as of the last folded second; report the events new since `folded_to`."""
    result = engine.result()
    report.opened_events = [e.type for e in result.changed_events if e.noticed_at > folded_to]
    report.failed_detectors = result.failed_detectors
    for quality in result.quality.values():
        # Faults of the keys as they are now, not of the window's records.
        if reading.ahead_count:
            quality["ahead"] = reading.ahead_count
        if reading.key_check.seconds_not_ms:
            quality["seconds_not_ms"] = reading.key_check.seconds_not_ms
        if reading.not_ms_count:
            quality["not_ms"] = reading.not_ms_count
        if reading.wrong_type_count:
            quality["wrong_type"] = reading.wrong_type_count
        if report.behind_seconds:
            quality["behind_seconds"] = int(report.behind_seconds)
        if reading.clock_corrected_at:
            quality["clock_corrected_at"] = reading.clock_corrected_at
    return result
