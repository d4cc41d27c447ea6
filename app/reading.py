"""What one tick reads, and the pieces that it is folded in."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final, Self

from app.bars import SECOND_MS
from app.members import Stored, batch_of
from app.patterns.events import whole_second
from app.records import Batch

PIECE_RECORDS: Final = 250
MARGIN_MS: Final = 1.0

_score = itemgetter(1)
_stamp = attrgetter("stamp")


@dataclass(slots=True)
class Reading:
    """The reply of read.lua."""

    version: str
    fields: dict[str, bytes]
    residue: bool
    quotes: list[tuple[bytes, float]]
    trades: list[tuple[bytes, float]]
    unknown: int
    late_quotes: list[tuple[bytes, float]]
    late_trades: list[tuple[bytes, float]]
    ahead: int
    seconds_not_ms: int
    newest_quote_ms: float | None
    behind: int
    lost_to: float | None
    wrong_type: int
    crowded: int
    lengths: list[int]
    shown: list[int]
    start: int
    is_cut_at: float | None = None

    @classmethod
    def of(cls, reply: Sequence[Any], start: int, most: int) -> Self:
        """Read a reply to the question for `most` records a key, from `start` on without state."""
        reading = cls(
            version=reply[0].decode(),
            fields=dict(zip((f.decode() for f in reply[1][::2]), reply[1][1::2], strict=True)),
            residue=bool(reply[2]),
            quotes=_pairs(reply[3]),
            trades=_pairs(reply[4]),
            unknown=reply[5],
            late_quotes=_pairs(reply[6]),
            late_trades=_pairs(reply[7]),
            ahead=reply[8],
            seconds_not_ms=reply[9],
            newest_quote_ms=float(reply[10]) if reply[10] else None,
            behind=reply[11],
            lost_to=float(reply[12]) if reply[12] else None,
            wrong_type=reply[13],
            crowded=reply[14],
            lengths=reply[15],
            shown=[_whole(as_of) for as_of in reply[16]],
            start=start,
        )
        full = [r[-1][1] for r in (reading.quotes, reading.trades) if len(r) >= most]
        reading.is_cut_at = min(full) if full else None
        return reading

    def oldest(self) -> float:
        """Return the oldest score that was read."""
        return min(records[0][1] for records in (self.quotes, self.trades) if records)

    def before_all(self) -> int:
        """Return the last whole second before all that was read."""
        return whole_second(self.oldest()) - SECOND_MS

    def piece(self, after: int, to: int) -> tuple[Batch, Counter[int]]:
        """Parse the records stamped in (after, to], and count all members by score and second."""
        return parsed(
            scored_in(self.quotes, after, to), scored_in(self.trades, after, to), after, to
        )

    def late_piece(self, after: int, to: int) -> tuple[Batch, Counter[int]]:
        """Do the same with the records of seconds that were folded before."""
        return parsed(self.late_quotes, self.late_trades, after, to)

    def piece_ends(self, after: int, as_of: int) -> Iterator[int]:
        """Cut what was read at whole seconds into pieces of some hundred records."""
        last = as_of
        if self.is_cut_at is not None:
            last = min(as_of, math.floor((self.is_cut_at - MARGIN_MS) / SECOND_MS) * SECOND_MS)
        end = after
        if last - after > SECOND_MS:
            scores = sorted(
                score for r in (self.quotes, self.trades) for _, score in r if after < score <= last
            )
            for score in scores[PIECE_RECORDS::PIECE_RECORDS]:
                if whole_second(score) > end and whole_second(score) < last:
                    end = whole_second(score)
                    yield end
        if last > end:
            yield last


def _whole(text: bytes) -> int:
    """Read what a published key says to be its `as_of`; 0 where it says none."""
    return int(text) if text.isdigit() else 0


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, float]]:
    return list(zip(flat[::2], map(float, flat[1::2]), strict=True))


def scored_in(stored: Stored, after: int, to: int) -> Stored:
    """Return the members whose stamps may lie in (after, to]: a score may be 1 ms off its stamp."""
    start = bisect_right(stored, after - MARGIN_MS, key=_score)
    return stored[start : bisect_right(stored, to + MARGIN_MS, key=_score)]


def parsed(quotes: Stored, trades: Stored, after: int, to: int) -> tuple[Batch, Counter[int]]:
    """Parse records stamped in (after, to], and count all members by score and second."""
    batch = batch_of(quotes, trades)
    start = bisect_right(batch.records, after, key=_stamp)
    inside = Batch(
        batch.records[start : bisect_right(batch.records, to, key=_stamp)],
        [fault for fault in batch.faults if after < fault[0] <= to],
    )
    return inside, _stored_by_second((quotes, trades), after, to)


def _stored_by_second(both: Iterable[Stored], after: int, to: int) -> Counter[int]:
    """Count members by the end of the second that their score lies in."""
    counts: Counter[int] = Counter()
    for stored in both:
        place, stop = (bisect_right(stored, bound, key=_score) for bound in (after, to))
        while place < stop:
            end = whole_second(_score(stored[place]))
            beyond = bisect_right(stored, end, place, stop, key=_score)
            counts[end] += beyond - place
            place = beyond
    return counts
