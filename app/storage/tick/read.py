"""Read a tick's records and state, and divide the records into pieces to fold."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.record_parser import ScoredMembers, parse_batch
from app.analysis.records import Batch, Fault
from app.analysis.windows import WINDOWS
from app.storage.scripts import READ_RECORDS_SHA
from app.storage.tick.declared_gaps import DeclaredGaps
from app.storage.tick.resp import bulk_string
from app.storage.tick.score_bounds import AHEAD_MS, OLDEST_MS

MAX_RECORDS_READ: Final = 5_000
BYTES_A_READ: Final = 4_000_000
"""Bytes after which a key is read no further at once: many times those of `MAX_RECORDS_READ`."""
CUT_MORE: Final = 2
WRONG_TYPE: Final = -1
"""States of a read, as `read.lua` explains them."""
LONGEST_RECORD: Final = 4096
"""Bytes of a record, over which it is rejected, and cut where it is stored."""
MAX_PLAIN_RECORDS: Final = BYTES_A_READ // LONGEST_RECORD
SCRIPTED_MS: Final = 600_000
_SPARE_RECORDS: Final = 16
PIECE_RECORDS: Final = 250
MARGIN_MS: Final = 1.0

GAPS_PLACE: Final = -len(WINDOWS) - 1
"""Where `Keys.of_tick` names the key of gaps."""

_score_of = itemgetter(1)
_stamp_of = attrgetter("stamp")

_WATCH: Final = f"*1\r\n{bulk_string('UNWATCH')}*2\r\n{bulk_string('WATCH')}"
_STATE: Final = f"*6\r\n{bulk_string('HMGET')}"
_STATE_FIELDS: Final = "".join(
    [bulk_string(it) for it in ("version", "behind", "recent_count", "lost_to")]
)
_GREATEST: Final = bulk_string("+inf")
_PLAIN_BOUNDS: Final = "".join([bulk_string(it) for it in ("WITHSCORES", "LIMIT", "0")])
_RECORDS: Final = "".join(["*10\r\n", *map(bulk_string, ("EVALSHA", READ_RECORDS_SHA, "2"))])
_PLAIN_RECORDS: Final = f"*8\r\n{bulk_string('ZRANGEBYSCORE')}"
_COUNT: Final = f"*4\r\n{bulk_string('ZCOUNT')}"
_LENGTH: Final = f"*2\r\n{bulk_string('HLEN')}"
_GAP_COUNT: Final = f"*2\r\n{bulk_string('ZCARD')}"
READ_COMMAND_COUNT: Final = 9 + len(WINDOWS)
"""How many commands `read_commands` packs."""
PLAIN_READ_COMMAND_COUNT: Final = READ_COMMAND_COUNT + 1
"""How many commands `plain_read_commands` packs."""


class ReadRange(NamedTuple):
    """What a tick reads: records in (`folded_to`, `as_of`], and how many are ahead of its clock."""

    folded_to: int
    as_of: int
    clock_as_of: int


def read_commands(names: Sequence[str], wanted: ReadRange, limit: int) -> bytes:
    """Pack the commands that a tick reads by, and WATCH the state; keys as in `Keys.of_tick`.

    A script reads the records, at most `limit` of a kind, and bounds their bytes. For rare
    conditions only a cheap first check is made, such as the number of records that are ahead. A
    stamp may differ from its score by 1 ms: records at the margins are read twice, and filtered by
    stamp.
    """
    quotes, trades = bulk_string(names[1]), bulk_string(names[2])
    bounds = f"{bulk_string('0')}{bulk_string(str(limit))}{bulk_string(str(BYTES_A_READ))}"
    return _packed(names, wanted, f"{_RECORDS}{quotes}{trades}{_scores(wanted)}{bounds}")


def plain_read_commands(names: Sequence[str], wanted: ReadRange, limit: int) -> bytes:
    """Pack the same, with plain commands for the records: nothing bounds their bytes."""
    rest = f"{_scores(wanted)}{_PLAIN_BOUNDS}{bulk_string(str(limit))}"
    quotes, trades = bulk_string(names[1]), bulk_string(names[2])
    return _packed(names, wanted, f"{_PLAIN_RECORDS}{quotes}{rest}{_PLAIN_RECORDS}{trades}{rest}")


def _scores(wanted: ReadRange) -> str:
    return f"{bulk_string(f'({wanted.folded_to - 1}')}{bulk_string(str(wanted.as_of + 1))}"


def _packed(names: Sequence[str], wanted: ReadRange, records: str) -> bytes:
    state, quotes, trades = bulk_string(names[0]), bulk_string(names[1]), bulk_string(names[2])
    folded = f"{bulk_string(str(OLDEST_MS))}{bulk_string(str(wanted.folded_to))}"
    ahead = f"{bulk_string(f'({wanted.clock_as_of + AHEAD_MS}')}{_GREATEST}"
    lengths = "".join([f"{_LENGTH}{bulk_string(name)}" for name in names[-len(WINDOWS) :]])
    return (
        f"{_WATCH}{state}{_STATE}{state}{_STATE_FIELDS}{records}"
        f"{_COUNT}{quotes}{folded}{_COUNT}{trades}{folded}"
        f"{_COUNT}{quotes}{ahead}{_COUNT}{trades}{ahead}{lengths}"
        f"{_GAP_COUNT}{bulk_string(names[GAPS_PLACE])}"
    ).encode()


@dataclass(slots=True)
class PlainReads:
    """How many records of a kind a ticker's next tick may read by plain commands.

    They cost Redis a third of what the script does, but nothing bounds the bytes of what they
    return. So they ask for little more records than there usually are. Whoever finds that many, or
    one that is too long, reads again by the script, which cuts those that are too long; from one
    of these on, only the script reads for some minutes.
    """

    usual: int = 0
    not_before: int = 0

    def limit(self, as_of: int) -> int:
        """Return the greatest number of records; 0 where the script is to read.

        >>> PlainReads(10).limit(0), PlainReads().limit(0), PlainReads(5000).limit(0)
        (36, 0, 0)
        """
        if not 0 < self.usual < MAX_PLAIN_RECORDS or as_of < self.not_before:
            return 0
        return min(2 * self.usual + _SPARE_RECORDS, MAX_PLAIN_RECORDS)

    def note(self, reading: "TickRead", as_of: int) -> None:
        """Remember how many records were read, and whether one was too long."""
        found = max(len(reading.quotes), len(reading.trades), 1)
        self.usual = max(found, self.usual - (self.usual + 7) // 8)
        if reading.has_too_long:
            self.not_before = as_of + SCRIPTED_MS


@dataclass(slots=True, init=False)
class KeyCheck:
    """Rare faults of the broker's keys, checked at a takeover and at each housekeeping.

    `seconds_not_ms` counts scores that look like seconds; `oversized_keys` the keys with more than
    twice the permitted number of records.
    """

    seconds_not_ms: int
    oversized_keys: int

    def __init__(self, seconds_not_ms: int = 0, oversized_keys: int = 0) -> None:
        self.seconds_not_ms = seconds_not_ms
        self.oversized_keys = oversized_keys


@dataclass(slots=True, init=False)
class TickRead:
    """The replies to `read_commands`; the records start at `start` if the ticker has no state.

    `folded_count` is the number of stored records up to the state's `as_of`; `late_records` of them
    came after they should have been folded. `recent_count` is the number of records in the state's
    bars of the last 2 s; `late_quotes` and `late_trades` are all records of these 2 s, if some of
    them are late. `ahead_count` counts records stamped over 5 s ahead, `not_ms_count` those with
    scores too great for milliseconds, which are first among those ahead; `gap_end` is the oldest
    record left after unread ones were trimmed. `wrong_type_count` counts the broker's keys of the
    wrong type, `metrics_lengths` are the numbers of fields of the metrics keys. `is_malformed`: one
    of our keys has the wrong type, or the state lacks fields. `truncated_at` is the last score read
    if the read reached its bounds. `is_cut_short`: so many too long records were cut that the read
    has to be repeated. `has_too_long`: some records are too long. `gap_count` is the number of
    declared gaps; `gaps` are those that no tick has seen, if any. `clock_corrected_at` is when
    ticks ahead of the clock were taken back, 0 if not lately.
    """

    version: str
    start: int
    quotes: list[tuple[bytes, float]]
    trades: list[tuple[bytes, float]]
    folded_count: int
    late_records: int
    recent_count: int
    late_quotes: list[tuple[bytes, float]]
    late_trades: list[tuple[bytes, float]]
    ahead_count: int
    not_ms_count: int
    gap_end: float | None
    wrong_type_count: int
    metrics_lengths: list[int]
    is_malformed: bool
    key_check: KeyCheck
    truncated_at: float | None
    is_cut_short: bool
    has_too_long: bool
    clock_corrected_at: int
    gap_count: int
    gaps: DeclaredGaps | None

    def __init__(self, version: str, start: int, *, is_malformed: bool = False) -> None:
        self.version = version
        self.start = start
        self.quotes, self.trades, self.late_quotes, self.late_trades = [], [], [], []
        self.folded_count = self.late_records = self.recent_count = 0
        self.ahead_count = self.not_ms_count = self.wrong_type_count = 0
        self.gap_end = None
        self.metrics_lengths = []
        self.is_malformed = is_malformed
        self.key_check = KeyCheck()
        self.truncated_at = None
        self.is_cut_short = self.has_too_long = False
        self.clock_corrected_at = self.gap_count = 0
        self.gaps = None

    @classmethod
    def from_replies(cls, replies: Sequence[Any], start: int) -> "TickRead":
        """Parse the replies to `read_commands`.

        A broker's key of the wrong type counts as empty.
        """
        if isinstance(replies[0], Exception):
            return cls("", start, is_malformed=True)
        quotes, quote_status, trades, trade_status = replies[1]
        tick_read = cls._of_parts(replies[0], quotes, trades, replies[2:], start)
        tick_read.wrong_type_count += (quote_status, trade_status).count(WRONG_TYPE)
        tick_read.is_cut_short = CUT_MORE in {quote_status, trade_status}
        found = ((tick_read.quotes, quote_status), (tick_read.trades, trade_status))
        last_scores = [pairs[-1][1] for pairs, status in found if pairs and status > 0]
        tick_read.truncated_at = min(last_scores) if last_scores else None
        return tick_read

    @classmethod
    def from_plain_replies(
        cls, replies: Sequence[Any], start: int, limit: int
    ) -> "TickRead | None":
        """Parse the replies to `plain_read_commands`; None where the script has to read instead."""
        if isinstance(replies[0], Exception):
            return cls("", start, is_malformed=True)
        records = replies[1:3]
        found = [[] if isinstance(reply, Exception) else reply for reply in records]
        tick_read = cls._of_parts(replies[0], found[0], found[1], replies[3:], start)
        if max(len(tick_read.quotes), len(tick_read.trades)) >= limit or tick_read.has_too_long:
            return None
        tick_read.wrong_type_count += sum([isinstance(reply, Exception) for reply in records])
        return tick_read

    @classmethod
    def _of_parts(
        cls,
        state: Sequence[Any],
        quotes: Sequence[Any],
        trades: Sequence[Any],
        number_replies: Sequence[Any],
        start: int,
    ) -> "TickRead":
        version, folded_text, recent_count, lost_to = state
        tick_read = cls((version or b"").decode(errors="replace"), start)
        tick_read.quotes, tick_read.trades = read_pairs(quotes), read_pairs(trades)
        tick_read.has_too_long = _has_too_long(tick_read.quotes) or _has_too_long(tick_read.trades)
        *counted, gap_count = number_replies
        counts = [[] if isinstance(number, Exception) else number for number in counted]
        tick_read.folded_count = (counts[0] or 0) + (counts[1] or 0)
        tick_read.ahead_count = (counts[2] or 0) + (counts[3] or 0)
        tick_read.is_malformed = [] in counts[4:]
        tick_read.metrics_lengths = [] if tick_read.is_malformed else counts[4:]
        if isinstance(gap_count, int):
            tick_read.gap_count = gap_count
        else:
            tick_read.wrong_type_count = 1
        tick_read.gap_end = read_finite(lost_to)
        if version and is_integer(folded_text) and is_integer(recent_count):
            tick_read.late_records = tick_read.folded_count - int(folded_text)
            tick_read.recent_count = int(recent_count)
        elif version:
            tick_read.is_malformed = True
        return tick_read

    def replace_records(self, other: "TickRead") -> None:
        """Replace the records by those of another read."""
        self.quotes, self.trades = other.quotes, other.trades
        self.folded_count, self.truncated_at = other.folded_count, other.truncated_at

    def oldest_score(self) -> float:
        """Return the oldest score among the records."""
        return min(records[0][1] for records in (self.quotes, self.trades) if records)

    def second_before_oldest(self) -> int:
        """Return the last whole second before the oldest record."""
        return whole_second(self.oldest_score()) - SECOND_MS

    def parse_piece(self, after: int, to: int, digits: int) -> tuple[Batch, dict[int, int]]:
        """Parse the records stamped in (after, to], and count members by their score's second.

        `digits` are those of the ticker's price unit.
        """
        return parse_records(
            members_in_range(self.quotes, after, to),
            members_in_range(self.trades, after, to),
            after,
            to,
            digits,
        )

    def parse_late_records(self, after: int, to: int, digits: int) -> tuple[Batch, dict[int, int]]:
        """Do the same with the late records and their neighbours."""
        return parse_records(self.late_quotes, self.late_trades, after, to, digits)

    def piece_ends(self, after: int, as_of: int) -> Iterator[int]:
        """Yield the whole seconds that divide the records into pieces of about `PIECE_RECORDS`."""
        last = as_of
        if self.truncated_at is not None:
            last = min(as_of, math.floor((self.truncated_at - MARGIN_MS) / SECOND_MS) * SECOND_MS)
        end = after
        if last - after > SECOND_MS:
            scores = sorted(
                score
                for records in (self.quotes, self.trades)
                for _, score in records
                if after < score <= last
            )
            for score in scores[PIECE_RECORDS::PIECE_RECORDS]:
                if whole_second(score) > end and whole_second(score) < last:
                    end = whole_second(score)
                    yield end
        if last > end:
            yield last


def is_integer(text: bytes | None) -> bool:
    """Return whether a field of the state holds an integer."""
    return text is not None and text.removeprefix(b"-").isdigit()


def read_finite(text: bytes | None) -> float | None:
    """Return a field's finite number, None if it holds none."""
    try:
        number = float(text or b"nan")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def read_pairs(reply: Sequence[Any]) -> list[tuple[bytes, float]]:
    """Return members with their scores from a reply of RESP2 or RESP3."""
    if reply and isinstance(reply[0], list):
        return [(member, score) for member, score in reply]
    return list(zip(reply[::2], map(float, reply[1::2]), strict=True))


def _has_too_long(stored: ScoredMembers) -> bool:
    return bool([member for member, _ in stored if len(member) > LONGEST_RECORD])


def members_in_range(stored: ScoredMembers, after: int, to: int) -> ScoredMembers:
    """Return the members whose stamps may lie in (after, to]: scores may differ by 1 ms."""
    start, stop = _index_range(stored, after - MARGIN_MS, to + MARGIN_MS)
    return stored if stop - start == len(stored) else stored[start:stop]


def parse_records(
    quotes: ScoredMembers,
    trades: ScoredMembers,
    after: int,
    to: int,
    digits: int = DEFAULT_DIGITS,
) -> tuple[Batch, dict[int, int]]:
    """Parse records stamped in (after, to], and count all members by score and second."""
    batch = parse_batch(quotes, trades, digits)
    records, faults = batch.records, batch.faults
    if records and not (after < records[0].stamp and records[-1].stamp <= to):
        start = bisect_right(records, after, key=_stamp_of)
        records = records[start : bisect_right(records, to, key=_stamp_of)]
    if faults:
        faults = _faults_in_range(faults, after, to)
    in_range = Batch(
        records,
        faults,
        batch.digits,
        _faults_in_range(batch.rejected_quotes, after, to) if batch.rejected_quotes else (),
        _faults_in_range(batch.rejected_trades, after, to) if batch.rejected_trades else (),
    )
    return in_range, _stored_by_second((quotes, trades), after, to)


def _faults_in_range(faults: Iterable[Fault], after: int, to: int) -> list[Fault]:
    return [fault for fault in faults if after < fault[0] <= to]


def _stored_by_second(record_lists: Iterable[ScoredMembers], after: int, to: int) -> dict[int, int]:
    """Count members, sorted by score, by the end of the second of their score."""
    counts: dict[int, int] = {}
    for stored in record_lists:
        index, stop = _index_range(stored, after, to)
        while index < stop:
            first, end = index, whole_second(stored[index][1])
            while index < stop and stored[index][1] <= end:
                index += 1
            counts[end] = counts.get(end, 0) + index - first
    return counts


def _index_range(stored: ScoredMembers, after: float, to: float) -> tuple[int, int]:
    """Return the index range of the scores in (after, to]; fast if these are all."""
    if not stored or (after < _score_of(stored[0]) and _score_of(stored[-1]) <= to):
        return 0, len(stored)
    return bisect_right(stored, after, key=_score_of), bisect_right(stored, to, key=_score_of)
