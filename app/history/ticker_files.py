"""Add to one ticker's files: what is new is merged into the file of its session date."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.analysis.state import ENGINE
from app.analysis.trading_hours import TradingHours
from app.core.errors import HistoryFileNewer, HistoryFileUnreadable
from app.history.bar_rows import table_of_bars
from app.history.columns import SCHEMAS
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import HistoryFile, read_file, write_file
from app.history.paths import Kind, dates_of_ticker, file_path, unreadable_path
from app.history.session_dates import date_of_second, session_date
from app.history.session_row import KeptSession, session_of_table, table_of_session

_log = structlog.get_logger()

Lost = tuple[float, float]


class NewSeconds(NamedTuple):
    """Bars in order of time, the gaps that cut them, and what was lost before them.

    `unreadable` counts stored seconds that could not be decoded; `corrected_at` is when ticks were
    last taken back, 0 for never.
    """

    bars: Sequence[Bar]
    gaps: Sequence[Gap] = ()
    lost: Sequence[Lost] = ()
    corrected_at: int = 0
    unreadable: int = 0


class TickerFiles:
    """The files of one ticker.

    Its methods raise `OSError`; `HistoryFileNewer` of a file that is left alone; and
    `HistoryFileUnreadable` of one that was renamed just now, so that a new one can be begun:
    `set_aside` counts these.
    """

    def __init__(self, folder: Path, ticker: str, hours: TradingHours) -> None:
        self._folder, self.ticker, self.hours = folder, ticker, hours
        self.set_aside = 0

    def newest_second(self) -> tuple[int, int]:
        """Return the end of the newest kept second, and its file's `corrected_at`; 0 for none."""
        for day in reversed(dates_of_ticker(self._folder, "seconds", self.ticker)):
            try:
                found = self._read("seconds", day, ["end"])
            except HistoryFileNewer:
                continue  # its day is left alone, not those after it
            if found.table.num_rows:
                newest = found.table["end"].cast(pa.int64())[-1].as_py()
                return newest, found.facts.corrected_at
        return 0, 0

    def add_bars(self, new: NewSeconds, settled_ms: int) -> None:
        """Add seconds, and what is told of them.

        Where ticks were taken back since the file was written, the bars replace its rows from
        theirs on. Rows ahead of `settled_ms`, which such ticks had left, go too.
        """
        lost, unreadable = new.lost, new.unreadable
        newer: HistoryFileNewer | None = None
        for day, some in groupby(new.bars, lambda bar: date_of_second(bar.end, self.hours)):
            bars = list(some)
            try:
                old = self._read("seconds", day)
            except HistoryFileNewer as error:
                newer = error
                continue
            facts = old.facts
            is_corrected = new.corrected_at > facts.corrected_at
            kept = _rows_until(old.table, bars[0].end - 1 if is_corrected else settled_ms)
            known = set(kept["end"].cast(pa.int64()).to_pylist())
            added = table_of_bars([bar for bar in bars if bar.end not in known])
            table = pa.concat_tables([kept, added]).sort_by("end")
            facts.corrected_at = max(facts.corrected_at, new.corrected_at)
            facts.gaps = _merged_gaps(facts.gaps, new.gaps, table)
            facts.lost = [*facts.lost, *lost]
            facts.lost_bars += unreadable
            self._write("seconds", day, table, facts)
            lost, unreadable = [], 0  # they lie before the first of the new bars
        if newer is not None:
            raise newer

    def add_gaps(self, gaps: Sequence[Gap]) -> None:
        """Add gaps to the newest file: they are told later than the seconds that they cut."""
        for day in dates_of_ticker(self._folder, "seconds", self.ticker)[-1:]:
            old = self._read("seconds", day)
            merged = _merged_gaps(old.facts.gaps, gaps, old.table)
            if merged != old.facts.gaps:
                old.facts.gaps = merged
                self._write("seconds", day, old.table, old.facts)

    def add_events(
        self, events: Iterable[KeptEvent], lost: Sequence[Lost] = (), held_from_ms: float = 0.0
    ) -> None:
        """Add events, each once: one that is kept stays as it is.

        `lost` are times before them of which events may be missing; `held_from_ms` is from when on
        Redis has all that were noticed.
        """
        by_date = sorted(events, key=self._date_of)
        newer: HistoryFileNewer | None = None
        for day, some in groupby(by_date, self._date_of):
            try:
                old = self._read("events", day)
            except HistoryFileNewer as error:
                newer = error
                continue
            known = set(old.table["id"].to_pylist())
            new = [event for event in some if event.record.id not in known]
            if new:
                joined = pa.concat_tables([old.table, table_of_events(new)], promote_options="none")
                table = joined.sort_by([("noticed_at", "ascending"), ("id", "ascending")])
                old.facts.lost = [*old.facts.lost, *self._lost_with(day, held_from_ms), *lost]
                self._write("events", day, table, old.facts)
                lost = ()
        if newer is not None:
            raise newer

    def _lost_with(self, day: date, held_from_ms: float) -> list[Lost]:
        """Return the time of the events that a file had which was set aside, until it is replaced.

        Redis has forgotten those that were noticed before `held_from_ms`.
        """
        path = file_path(self._folder, "events", day, self.ticker)
        if path.exists() or not unreadable_path(path).exists():
            return []
        ends = self._read("seconds", day, ["end"]).table["end"].cast(pa.int64())
        midnight = datetime.combine(day, time.min, UTC).timestamp() * SECOND_MS
        start = float(ends[0].as_py() - SECOND_MS) if len(ends) else midnight
        return [(start, held_from_ms)] if start < held_from_ms else []

    def _date_of(self, event: KeptEvent) -> date:
        return date_of_second(int(event.record.noticed_at), self.hours)

    def keep_session(self, session: KeptSession) -> bool:
        """Write a session unless its final form is kept; return whether that is kept now."""
        opened_at = session.fields.get("opened_at")
        if not isinstance(opened_at, (int, float)):
            return False
        day = session_date(opened_at, self.hours)
        old = self._read("sessions", day)
        kept = session_of_table(old.table)
        if kept is not None and kept.is_final:
            return True
        if kept != session:
            self._write("sessions", day, table_of_session(session), old.facts)
        return session.is_final

    def _read(self, kind: Kind, day: date, columns: list[str] | None = None) -> HistoryFile:
        """Read a file, an empty one where there is none; one that can't be read is set aside."""
        path = file_path(self._folder, kind, day, self.ticker)
        try:
            return read_file(path, kind, columns)
        except FileNotFoundError:
            pass
        except HistoryFileNewer:
            raise
        except HistoryFileUnreadable as error:
            path.replace(unreadable_path(path))
            self.set_aside += 1
            _log.error("file of the history set aside", error=str(error), name=path.name)
            raise
        facts = FileFacts(
            kind=kind,
            ticker=self.ticker,
            session_date=day.isoformat(),
            calendar=self.hours.name,
        )
        return HistoryFile(SCHEMAS[kind].empty_table(), facts)

    def _write(self, kind: Kind, day: date, table: pa.Table, facts: FileFacts) -> None:
        if facts.engines[-1:] != [ENGINE]:
            facts.engines = [*facts.engines, ENGINE]
        write_file(file_path(self._folder, kind, day, self.ticker), table, facts)


def _rows_until(table: pa.Table, end_ms: int) -> pa.Table:
    """Return the rows whose seconds end at or before an instant."""
    ends = table["end"].cast(pa.int64())
    return table.filter(pc.less_equal(ends, end_ms))


def _merged_gaps(old: Sequence[Gap], new: Sequence[Gap], table: pa.Table) -> list[Gap]:
    """Return the gaps of a file and those new ones that overlap its time, in order, each once."""
    found = {_identity(gap): gap for gap in old}
    if table.num_rows:
        ends = table["end"].cast(pa.int64())
        first, last = ends[0].as_py() - 1000, ends[-1].as_py()
        found |= {_identity(gap): gap for gap in new if gap.end > first and gap.start < last}
    return [found[identity] for identity in sorted(found)]


def _identity(gap: Gap) -> tuple[float, float, float]:
    return gap.start, gap.end, gap.stands_at
