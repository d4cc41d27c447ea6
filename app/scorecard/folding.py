"""The engine over records, reduced to the events that it published."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from app.bars import SECOND_MS
from app.engine import Engine
from app.patterns.events import Event, whole_second
from app.records import Batch, Record

SETTLED_AFTER_MS = 10 * SECOND_MS


@dataclass(frozen=True, slots=True)
class Findings:
    """All events of a tape in their newest form, and how long the tape is."""

    events: list[Event]
    hours: float

    def of_type(self, kind: str) -> list[Event]:
        """Return the events of one pattern."""
        return [event for event in self.events if event.type == kind]


def findings(records: Sequence[Record], ticker: str = "SCORE") -> Findings:
    """Fold records second by second, as the ticks do."""
    engine = Engine.new(ticker)
    newest: dict[str, Event] = {}
    first, last = whole_second(records[0].stamp), whole_second(records[-1].stamp)
    place = 0
    for end in range(first, last + SETTLED_AFTER_MS + 1, SECOND_MS):
        start = place
        while place < len(records) and records[place].stamp <= end:
            place += 1
        analysis = engine.advance(Batch(list(records[start:place]), []), end)
        for error in analysis.failures.values():
            raise error
        newest |= {event.id: msgspec.structs.replace(event) for event in analysis.changed}
    events = sorted(newest.values(), key=lambda event: (event.noticed_at, event.id))
    return Findings(events, (last - first) / 3.6e6)
