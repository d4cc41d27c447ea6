"""Agreement of the engine's events with a slow reference implementation."""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import click

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.records import Record
from app.evaluation.scorecard.folding import find_events
from app.evaluation.scorecard.precision_recall import PrecisionRecall, Proportion

SETTLE_SECONDS = 10


class ReferenceDefinitions(Protocol):
    """A reference implementation of all patterns over a tape."""

    def events(self, until_ms: int) -> Iterable[Mapping[str, Any]]:
        """Return all events noticed up to `until_ms`, as published."""
        ...


ReferenceFactory = Callable[[list[Record]], ReferenceDefinitions]


def import_reference(path: str) -> ReferenceFactory:
    """Import a reference implementation, named `module:callable`."""
    module, _, name = path.partition(":")
    try:
        found: ReferenceFactory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(f"{path!r} can't be imported: {error}") from None
    return found


def score_agreement(
    records: Sequence[Record], reference: ReferenceFactory
) -> list[tuple[str, PrecisionRecall]]:
    """Score each pattern: events agree in type, side, `opened_at` and `noticed_at`."""
    found = find_events(records)
    ours = {(e.type, e.side, e.opened_at, e.noticed_at) for e in found.events}
    until = whole_second(records[-1].stamp) + SETTLE_SECONDS * SECOND_MS
    theirs = {
        (e["type"], e["side"], e["opened_at"], e["noticed_at"])
        for e in reference(list(records)).events(until)
        if e["noticed_at"] <= whole_second(records[-1].stamp)
    }
    both = ours & theirs
    return [
        (
            kind,
            PrecisionRecall(
                _share(both, ours, kind), _share(both, theirs, kind), hours=found.hours
            ),
        )
        for kind in sorted({key[0] for key in ours | theirs})
    ]


def _share(both: set[Any], all_of: set[Any], kind: str) -> Proportion:
    return Proportion(sum(k[0] == kind for k in both), sum(k[0] == kind for k in all_of))
