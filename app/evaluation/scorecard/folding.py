"""Fold records with the engine and collect the published events."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.records import Batch, Record
from app.analysis.results import TickResult
from app.analysis.rolling_bars import RollingBars
from app.storage.tick.codec import PackedState, decode_state, encode_state

LONGEST_WINDOW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Findings:
    """All events of a tape in their final form, and the tape's length."""

    events: list[Event]
    hours: float

    def of_type(self, kind: str) -> list[Event]:
        """Return the events of one pattern."""
        return [event for event in self.events if event.type == kind]

    def rates_an_hour(self) -> dict[str, float]:
        """Return the number of events per hour for each pattern."""
        counts = Counter(event.type for event in self.events)
        return {kind: n / self.hours for kind, n in sorted(counts.items())}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An engine's state at a whole second, from which folding can continue many times."""

    second: int
    state: PackedState

    @classmethod
    def of(cls, engine: Engine, second: int) -> "Checkpoint":
        """Save the engine's state."""
        return cls(second, encode_state(engine.state))

    def find_events(self, records: Sequence[Record], until_ms: float) -> Findings:
        """Fold `records` from this state and return the events noticed in them."""
        engine = Engine(decode_state(self.state), RollingBars(LONGEST_WINDOW_SECONDS))
        last = whole_second(until_ms)
        found = _newest_events(fold_ticks(engine, records, self.second + SECOND_MS, last))
        new = [event for event in found if event.noticed_at > self.second]
        return Findings(new, (last - self.second) / 3.6e6)


def fold_with_checkpoints(
    records: Sequence[Record], first: int, every_seconds: int
) -> tuple[list[Checkpoint], Findings]:
    """Fold all records; return checkpoints from the second `first` on, and the events."""
    engine = Engine.new("SCORE")
    start, last = whole_second(records[0].stamp), whole_second(records[-1].stamp)
    kept: list[Checkpoint] = []

    def folded() -> Iterator[TickResult]:
        for analysis in fold_ticks(engine, records, start, last):
            since = analysis.as_of - first
            if since >= 0 and since % (every_seconds * SECOND_MS) == 0:
                kept.append(Checkpoint.of(engine, analysis.as_of))
            yield analysis

    events = _newest_events(folded())
    return kept, Findings(events, (last - start) / 3.6e6)


def find_events(records: Sequence[Record]) -> Findings:
    """Fold records second by second, as the ticks do, and return the events."""
    first, last = whole_second(records[0].stamp), whole_second(records[-1].stamp)
    found = _newest_events(fold_ticks(Engine.new("SCORE"), records, first, last))
    return Findings(found, (last - first) / 3.6e6)


def find_events_with_impact_of(real: Sequence[Record], records: Sequence[Record]) -> Findings:
    """Fold records as `find_events` does, with the price impact of a real tape of the same time.

    So a null tape whose flow is not tied to the price keeps what real flow usually moves.
    """
    first, last = whole_second(records[0].stamp), whole_second(records[-1].stamp)
    source, engine = Engine.new("SCORE"), Engine.new("SCORE")

    def folded() -> Iterator[TickResult]:
        both = zip(
            fold_ticks(source, real, first, last),
            fold_ticks(engine, records, first, last),
            strict=True,
        )
        for _, analysis in both:
            thresholds = source.state.context.baselines.thresholds
            engine.state.context.baselines.thresholds.impact = thresholds.impact
            yield analysis

    return Findings(_newest_events(folded()), (last - first) / 3.6e6)


def fold_ticks(
    engine: Engine, records: Sequence[Record], first: int, last: int
) -> Iterator[TickResult]:
    """Fold records second by second, as the ticks do, and yield the results."""
    place = 0
    for end in range(first, last + 1, SECOND_MS):
        start = place
        while place < len(records) and records[place].stamp <= end:
            place += 1
        analysis = engine.advance(Batch(list(records[start:place]), []), end)
        for error in analysis.failed_detectors.values():
            raise error
        yield analysis


def _newest_events(analyses: Iterable[TickResult]) -> list[Event]:
    newest: dict[str, Event] = {}
    for analysis in analyses:
        newest |= {event.id: replace(event) for event in analysis.changed_events}
    return sorted(newest.values(), key=lambda event: (event.noticed_at, event.id))
