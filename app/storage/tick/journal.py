"""Journal the records folded since a ticker's state was last stored whole.

A state changes little in a second, and storing it whole at each tick would cost a fifth of the
tick. In between, a tick stores only which records it folded. Folding the same records from the
stored state again gives the same state bit for bit, whatever records came late since.
"""

import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.quantiles import IntArray
from app.analysis.record_parser import ScoredMembers
from app.storage.tick.read import members_in_range, parse_records

MAX_AGE_MS: Final = 10 * SECOND_MS
MAX_MEMBERS: Final = 2000


@dataclass(slots=True, init=False)
class JournalEntry:
    """One tick: its `as_of`, and the checksums of the members that it folded."""

    as_of: int
    checksums: IntArray

    def __init__(self, as_of: int, checksums: "IntArray | None" = None) -> None:
        self.as_of = as_of
        self.checksums = array("I") if checksums is None else checksums


@dataclass(slots=True)
class Journal:
    """The ticks since the state was stored whole as of `since` (ms)."""

    since: int
    entries: list[JournalEntry] = field(default_factory=list)
    member_count: int = 0

    def is_full(self, as_of: int) -> bool:
        """Return whether the state should be stored whole at `as_of`."""
        return as_of - self.since >= MAX_AGE_MS or self.member_count >= MAX_MEMBERS

    def append(self, after: int, as_of: int, records: Iterable[ScoredMembers]) -> None:
        """Add a tick that folded those of `records` that are stamped in (after, as_of]."""
        entry = JournalEntry(as_of)
        for stored in records:
            entry.checksums.extend(
                [_checksum(member) for member, _ in members_in_range(stored, after, as_of)]
            )
        self.entries.append(entry)
        self.member_count += len(entry.checksums)

    def replay(self, engine: Engine, quotes: ScoredMembers, trades: ScoredMembers) -> bool:
        """Fold the journal's records, found among the stored ones, into an engine as of `since`.

        Returns False if some of them are gone; the engine is then as of the last tick before them.
        """
        for entry in self.entries:
            after, to = engine.state.as_of, entry.as_of
            checksums = set(entry.checksums)
            folded = [
                [
                    pair
                    for pair in members_in_range(stored, after, to)
                    if _checksum(pair[0]) in checksums
                ]
                for stored in (quotes, trades)
            ]
            if len(folded[0]) + len(folded[1]) < len(entry.checksums):
                return False
            batch, _ = parse_records(folded[0], folded[1], after, to, engine.state.digits)
            engine.advance(batch, to)
        return True


def _checksum(member: bytes) -> int:
    return zlib.crc32(member)
