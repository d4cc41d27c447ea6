"""Score the detectors against planted patterns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from app.analysis.bars import SECOND_MS
from app.analysis.patterns.events import Event
from app.analysis.records import Record
from app.evaluation.scorecard.folding import Checkpoint, Findings, fold_with_checkpoints
from app.evaluation.scorecard.ground_truth import TrueEvent, match_events
from app.evaluation.scorecard.planting import PlantingKind, TapeSection, plant
from app.evaluation.scorecard.precision_recall import PrecisionRecall

TAIL_MS = 12_000.0
SAME_EVENT_MS = 6_000


@dataclass(frozen=True, slots=True)
class PlantingTape:
    """A tape to plant into: its checkpoints, and its events without any planting."""

    name: str
    section: TapeSection
    checkpoints: list[Checkpoint]
    unplanted: Findings
    is_real: bool = False

    @classmethod
    def of(
        cls, name: str, records: Sequence[Record], warm_seconds: int, every: int
    ) -> "PlantingTape":
        """Prepare a tape; plantings begin after `warm_seconds` of past."""
        first = int(records[0].stamp // SECOND_MS + warm_seconds) * SECOND_MS
        kept, bare = fold_with_checkpoints(records, first, every)
        return cls(name, TapeSection(records, first), kept, bare)

    def with_checkpoints(self, most: int) -> "PlantingTape":
        """Return this tape with at most `most` checkpoints."""
        return replace(self, checkpoints=self.checkpoints[:most])


def score_plantings(tape: PlantingTape, kind: PlantingKind, strength: float) -> PrecisionRecall:
    """Plant a pattern once after each checkpoint and score the detector."""
    draw = Random(f"{tape.name}/{kind.name}/{strength}")  # noqa: S311 - a market, no secret
    total = PrecisionRecall()
    for checkpoint in tape.checkpoints:
        tail_ms = max(TAIL_MS, kind.grace_ms)
        from_ms = float(checkpoint.second)
        planted = plant(tape.section, kind.planter, strength, draw, from_ms, tail_ms)
        if planted is None:
            continue
        found = checkpoint.find_events(planted.records, planted.end_ms)
        events = [event for event in found.of_type(kind.pattern) if _is_of_form(event, kind)]
        if kind.is_natural or tape.is_real:
            events = _only_planted(events, tape.unplanted, planted.truths, kind)
        total.add(match_events(events, planted.truths, found.hours, kind.grace_ms))
    return total


def _is_of_form(event: Event, kind: PlantingKind) -> bool:
    return kind.pattern != "spread_regime" or event.side == kind.form


def _only_planted(
    events: Iterable[Event], bare: Findings, truths: Sequence[TrueEvent], kind: PlantingKind
) -> list[Event]:
    """Leave out events that the unplanted tape has within seconds on the same side."""
    known = bare.of_type(kind.pattern)
    return [
        event
        for event in events
        if any(truth.explains(event, kind.grace_ms) for truth in truths)
        or not any(
            event.side == other.side and abs(event.noticed_at - other.noticed_at) <= SAME_EVENT_MS
            for other in known
        )
    ]
