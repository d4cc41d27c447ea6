"""The engine's events against those of plain, slow definitions of the same patterns."""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import click

from app.analysis.bars import SECOND_MS
from app.analysis.patterns.events import whole_second
from app.analysis.records import Record
from app.evaluation.scorecard.folding import findings
from app.evaluation.scorecard.precision_recall import Share, Tally

SETTLE_SECONDS = 10


class Plain(Protocol):
    """Plain definitions over a tape."""

    def events(self, until_ms: int) -> Iterable[Mapping[str, Any]]:
        """Return all events noticed up to an instant, as published."""
        ...


Definitions = Callable[[list[Record]], Plain]


def definitions(place: str) -> Definitions:
    """Import plain definitions, named `module:callable`."""
    module, _, name = place.partition(":")
    try:
        found: Definitions = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(f"{place!r} can't be imported: {error}") from None
    return found


def agreement(records: Sequence[Record], plain: Definitions) -> list[tuple[str, Tally]]:
    """Score each pattern: the same type, side, opening and noticing in both."""
    found = findings(records)
    ours = {(e.type, e.side, e.opened_at, e.noticed_at) for e in found.events}
    until = whole_second(records[-1].stamp) + SETTLE_SECONDS * SECOND_MS
    theirs = {
        (e["type"], e["side"], e["opened_at"], e["noticed_at"])
        for e in plain(list(records)).events(until)
        if e["noticed_at"] <= whole_second(records[-1].stamp)
    }
    both = ours & theirs
    return [
        (kind, Tally(_share(both, ours, kind), _share(both, theirs, kind), hours=found.hours))
        for kind in sorted({key[0] for key in ours | theirs})
    ]


def _share(both: set[Any], all_of: set[Any], kind: str) -> Share:
    return Share(sum(k[0] == kind for k in both), sum(k[0] == kind for k in all_of))
