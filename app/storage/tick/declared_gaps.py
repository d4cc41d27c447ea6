"""Read the gaps that a feed declares: `orderflow:gaps:{ticker}`, contract section 8."""

import math
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from app.analysis.record_parser import ScoredMembers
from app.analysis.records import Fault, Span
from app.core.errors import RecordRejected
from app.storage.tick.score_bounds import AHEAD_MS

MAX_GAP_MS: Final = 86_400_000
_decode = msgspec.json.Decoder().decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(slots=True)
class DeclaredGap:
    """A gap that a tick has not seen before: its time and the checksum of its member.

    One that can't be used has a `fault` instead of a time.
    """

    stands_at: float
    checksum: int
    span: Span = (0.0, 0.0)
    fault: str = ""


@dataclass(slots=True)
class DeclaredGaps:
    """The gaps of a key that a tick has not seen, in order; `seen` are checksums of the others."""

    unseen: list[DeclaredGap]
    seen: list[int]

    def take_late(self, folded_to: int) -> list[Span]:
        """Remove and return those that end where all is folded already."""
        late = [gap for gap in self.unseen if not gap.fault and gap.stands_at <= folded_to]
        self._see(late)
        return [gap.span for gap in late]

    def take(self, after: int, until: int) -> tuple[list[Span], list[Fault]]:
        """Remove and return those that end up to an instant, and the faults of unusable ones."""
        taken = [gap for gap in self.unseen if gap.fault or gap.stands_at <= until]
        self._see(taken)
        faults = [
            (gap.stands_at if after < gap.stands_at <= until else float(until), gap.fault)
            for gap in taken
            if gap.fault
        ]
        return [gap.span for gap in taken if not gap.fault], faults

    def _see(self, taken: list[DeclaredGap]) -> None:
        self.seen += [gap.checksum for gap in taken]
        known = set(self.seen)
        self.unseen = [gap for gap in self.unseen if gap.checksum not in known]


def find_unseen(members: ScoredMembers, seen: Collection[int], now_ms: float) -> DeclaredGaps:
    """Divide the gaps of a key into those seen, by their checksums, and the others."""
    known = set(seen)
    unseen: list[DeclaredGap] = []
    still_there: list[int] = []
    for member, score in members:
        checksum = zlib.crc32(member)
        if checksum in known:
            still_there.append(checksum)
        else:
            unseen.append(_declared(member, score, now_ms, checksum))
    return DeclaredGaps(unseen, still_there)


def _declared(member: bytes, score: float, now_ms: float, checksum: int) -> DeclaredGap:
    try:
        return DeclaredGap(score, checksum, parse_gap(member, score, now_ms))
    except RecordRejected as error:
        return DeclaredGap(score, checksum, fault=error.reason)


def parse_gap(member: bytes, score: float, now_ms: float) -> Span:
    """Return the time of a declared gap, which ends at its score.

    Raises `RecordRejected` with the reason.
    """
    try:
        fields: Any = _decode(member)
    except _UNREADABLE:
        raise RecordRejected("malformed_gap") from None
    start = fields.get("from") if isinstance(fields, dict) else None
    if not isinstance(start, (int, float)) or isinstance(start, bool) or not math.isfinite(start):
        raise RecordRejected("malformed_gap")
    if start >= score:
        raise RecordRejected("empty_gap")
    if score - start > MAX_GAP_MS:
        raise RecordRejected("long_gap")
    if score > now_ms + AHEAD_MS:
        raise RecordRejected("future_gap")
    return float(start), score
