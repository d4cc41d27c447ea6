"""Read what a tick needs: new records, late ones, those that one read could not return, gaps."""

from redis.exceptions import NoScriptError

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.late_records import MAX_LATE_MS
from app.core import clock
from app.core.errors import RecordsTooLong
from app.core.settings import Settings
from app.storage.record_reads import read_all
from app.storage.scripts import READ_RECORDS
from app.storage.tick.declared_gaps import find_unseen
from app.storage.tick.read import (
    GAPS_PLACE,
    MARGIN_MS,
    MAX_RECORDS_READ,
    PLAIN_READ_COMMAND_COUNT,
    READ_COMMAND_COUNT,
    KeyCheck,
    PlainReads,
    ReadRange,
    TickRead,
    plain_read_commands,
    read_commands,
)
from app.storage.tick.score_bounds import NEWEST_MS, OLDEST_MS
from app.storage.tick_job import TickJob, WarmTicker

MOST_RECORDS_READ = 50_000
"""`MAX_RECORDS_READ` for each second of the interval, but no more: no busy ticker falls behind."""
# Each time, 16 MB of too long records are cut: what a broker can't write in a second or two.
MAX_REPEATED_READS = 100


class TickReads:
    """The reads of ticks, each on its tick's connection."""

    def __init__(self, settings: Settings) -> None:
        self._retention_ms = settings.retention_seconds * SECOND_MS
        self._max_records = settings.max_records
        self._records_read = min(MAX_RECORDS_READ * settings.interval_seconds, MOST_RECORDS_READ)

    def read_new(
        self, tick: TickJob, folded_to: int, key_check: KeyCheck, plain_reads: PlainReads | None
    ) -> TickRead:
        """Read the records after `folded_to`, and WATCH the state for other workers' writes."""
        start = tick.as_of - self._retention_ms
        first = folded_to or start
        limit = 0 if plain_reads is None else plain_reads.limit(tick.clock_as_of)
        reading = self._read_plainly(tick, first, limit, start) if limit else None
        if reading is None:
            reading = self._read_records(tick, first, tick.as_of, self._records_read, start)
        reading.key_check = key_check
        if reading.ahead_count:
            counts = tick.connection.read(
                [("ZCOUNT", name, f"({NEWEST_MS}", "+inf") for name in tick.names[1:3]]
            )
            reading.not_ms_count = sum(count for count in counts if isinstance(count, int))
            reading.ahead_count = max(0, reading.ahead_count - reading.not_ms_count)
        if reading.version and reading.late_records:
            self._read_late_records(tick, reading, folded_to)
        return reading

    def read_missing(self, tick: TickJob, reading: TickRead, folded_to: int) -> bool:
        """Read records that the tick needs and the first read lacks; False if another worker wrote.

        After a gap: the records from its end on. If the first second has more records than one
        read may return: all of that second.
        """
        start = folded_to
        if reading.gap_end is not None and reading.gap_end > folded_to:
            start = whole_second(reading.gap_end) - SECOND_MS
            if not self._read_more(tick, reading, start, tick.as_of, self._records_read):
                return False
        if reading.truncated_at is None or reading.truncated_at > start + SECOND_MS + MARGIN_MS:
            return True
        end = whole_second(max(reading.oldest_score(), start + 1))
        is_same = self._read_more(tick, reading, start, end, MAX_RECORDS_READ)
        if reading.truncated_at is not None:
            self._read_rest(tick, reading, start, end)
        reading.truncated_at = float(end + 1)
        return is_same

    @staticmethod
    def read_gaps(tick: TickJob, reading: TickRead, warm: WarmTicker) -> None:
        """Read the declared gaps if their number changed; keep those that the engine has not seen.

        Gaps are few: most ticks only see that there are as many as before.
        """
        if reading.gap_count == warm.gap_count:
            return
        name, limit = tick.names[GAPS_PLACE], MAX_RECORDS_READ
        members = read_all(tick.connection.read_one, name, (reading.start, NEWEST_MS), limit)
        now_ms = max(tick.clock_as_of, clock.now_ms())
        gaps = find_unseen(members, warm.engine.state.seen_gaps, now_ms)
        warm.gap_count = reading.gap_count
        reading.gaps = gaps if gaps.unseen else None

    @staticmethod
    def _read_records(
        tick: TickJob, folded_to: int, as_of: int, limit: int, start: int
    ) -> TickRead:
        """Read the records in (folded_to, as_of], at most `limit` of a kind, fewer of long ones."""
        wanted = ReadRange(folded_to, as_of, tick.clock_as_of)
        packed = read_commands(tick.names, wanted, limit)
        for _ in range(MAX_REPEATED_READS):
            try:
                _, _, *replies = tick.connection.first_read([packed], READ_COMMAND_COUNT)
            except NoScriptError:
                tick.connection.read([("SCRIPT", "LOAD", READ_RECORDS)])
                continue
            reading = TickRead.from_replies(replies, start)
            if not reading.is_cut_short:
                return reading
        raise RecordsTooLong(f"{tick.ticker}: too long records come faster than they can be cut")

    @staticmethod
    def _read_plainly(tick: TickJob, folded_to: int, limit: int, start: int) -> TickRead | None:
        """Read by plain commands; None where there are too many or too long records for them."""
        wanted = ReadRange(folded_to, tick.as_of, tick.clock_as_of)
        packed = plain_read_commands(tick.names, wanted, limit)
        _, _, *replies = tick.connection.first_read([packed], PLAIN_READ_COMMAND_COUNT)
        return TickRead.from_plain_replies(replies, start, limit)

    def _read_late_records(self, tick: TickJob, reading: TickRead, folded_to: int) -> None:
        """Read the last 2 s of folded records again, if their number changed."""
        records, limit = tick.names[1:3], self._max_records
        recent = (f"({folded_to - MAX_LATE_MS}", folded_to)
        replies = tick.connection.read(
            [
                *(("ZCOUNT", name, OLDEST_MS, folded_to) for name in records),
                *(("ZCOUNT", name, *recent) for name in records),
            ]
        )
        folded_counts, recent_counts = replies[:2], replies[2:4]
        folded_count = sum(count for count in folded_counts if isinstance(count, int))
        reading.late_records += folded_count - reading.folded_count
        reading.folded_count = folded_count
        if sum(count for count in recent_counts if isinstance(count, int)) != reading.recent_count:
            margins = folded_to - MAX_LATE_MS - 1, folded_to + 1
            run = tick.connection.read_one
            reading.late_quotes, reading.late_trades = (
                read_all(run, name, margins, limit) for name in records
            )

    def _read_rest(self, tick: TickJob, reading: TickRead, start: int, end: int) -> None:
        """Add the records in (start, end] that follow those of a reading."""
        for name, found in zip(tick.names[1:3], (reading.quotes, reading.trades), strict=True):
            limit = self._max_records - len(found)
            if limit > 0:
                scores, run = (f"({start - 1}", end + 1), tick.connection.read_one
                found.extend(read_all(run, name, scores, limit, leave_out=len(found)))

    def _read_more(self, tick: TickJob, reading: TickRead, start: int, to: int, limit: int) -> bool:
        """Replace a reading's records; return whether the state's version is still the same."""
        more = self._read_records(tick, start, to, limit, reading.start)
        reading.replace_records(more)
        return more.version == reading.version
