"""Read a ticker's kept seconds, events and sessions, over the files that hold them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.analysis.bars import Bar
from app.analysis.gaps import Gap
from app.analysis.outcomes import OutcomeTotals
from app.analysis.state import ENGINE
from app.analysis.trading_hours import TradingHours
from app.core.errors import HistoryFileUnreadable
from app.history.bar_rows import bars_of_table
from app.history.event_rows import KeptEvent, events_of_table
from app.history.file_facts import FileFacts
from app.history.parquet_file import read_file
from app.history.paths import Kind, dates_of_ticker, file_path
from app.history.session_dates import date_of_second
from app.history.session_outcomes import (
    NoticedEvents,
    SessionMids,
    event_key,
    session_outcomes,
)
from app.history.session_row import KeptSession, session_of_table

_ID_LENGTH = len("~abcdefgh")
_DATES_BEFORE = 2
"""In so many earlier files the second before a time is sought: after a weekend, in the last."""


class KeptSeconds(NamedTuple):
    """The bars of some time in order, the gaps by which they are to be cut, and the bar before."""

    bars: list[Bar]
    gaps: list[Gap]
    bar_before: Bar | None


def read_seconds(
    folder: Path, ticker: str, hours: TradingHours, start_ms: int, end_ms: int
) -> KeptSeconds:
    """Read the seconds that end in (start, end].

    Raises `HistoryFileUnreadable`, or `OSError`.
    """
    first, last = date_of_second(start_ms + 1, hours), date_of_second(end_ms, hours)
    kept = dates_of_ticker(folder, "seconds", ticker)
    bars: list[Bar] = []
    gaps: list[Gap] = []
    for day in [it for it in kept if first <= it <= last]:
        found = read_file(
            file_path(folder, "seconds", day, ticker),
            "seconds",
            filters=[
                ("end", ">", _timestamp(start_ms)),
                ("end", "<=", _timestamp(end_ms)),
            ],
        )
        bars += bars_of_table(found.table)
        gaps += [gap for gap in gaps_of(found.facts) if gap not in gaps]
    inside = [gap for gap in gaps if gap.end > start_ms and gap.start < end_ms]
    before = [it for it in kept if it <= first][-1 - _DATES_BEFORE :]
    return KeptSeconds(bars, inside, _newest_bar(folder, ticker, before, start_ms))


def gaps_of(facts: FileFacts) -> list[Gap]:
    """Return the times of a file in which nothing is known, or less than its rows tell."""
    lost = [Gap(start, end, cut_to=int(end)) for start, end in facts.lost]
    return sorted([*facts.gaps, *lost], key=_end_of)


def _end_of(gap: Gap) -> float:
    return gap.end


def _newest_bar(folder: Path, ticker: str, days: list[date], until_ms: int) -> Bar | None:
    """Return the newest bar that ends at or before an instant, None where none is kept."""
    for day in reversed(days):
        path = file_path(folder, "seconds", day, ticker)
        ends = read_file(path, "seconds", ["end"], [("end", "<=", _timestamp(until_ms))]).table
        if ends.num_rows:
            newest = ends["end"][ends.num_rows - 1]
            found = read_file(path, "seconds", filters=[("end", "=", newest)])
            return bars_of_table(found.table)[0]
    return None


def _timestamp(at_ms: int) -> pa.Scalar:
    return pa.scalar(at_ms, pa.timestamp("ms", tz="UTC"))


def read_events(folder: Path, ticker: str, day: date) -> list[KeptEvent]:
    """Read the events of a session date, in the order in which they were noticed.

    Raises `HistoryFileUnreadable`, or `OSError`.
    """
    try:
        found = read_file(file_path(folder, "events", day, ticker), "events")
    except FileNotFoundError:
        return []
    return events_of_table(found.table)


def find_event(folder: Path, event_id: str) -> KeptEvent | None:
    """Find an event by its id, in the newest files first.

    Raises `HistoryFileUnreadable` where it is in no file that can be read, or `OSError`.
    """
    ticker = event_id[:-_ID_LENGTH]
    unreadable: HistoryFileUnreadable | None = None
    for path in _newest_first(folder, "events", ticker):
        try:
            rows = read_file(path, "events", filters=[("id", "=", event_id)]).table
        except HistoryFileUnreadable as error:
            unreadable = error  # it may be kept in another file
            continue
        if rows.num_rows:
            return events_of_table(rows)[0]
    if unreadable is not None:
        raise unreadable
    return None


def _newest_first(folder: Path, kind: Kind, ticker: str) -> Iterator[Path]:
    for day in reversed(dates_of_ticker(folder, kind, ticker)):
        yield file_path(folder, kind, day, ticker)


def read_session(folder: Path, ticker: str, day: date) -> KeptSession | None:
    """Read what is kept of the session of a date.

    Raises `HistoryFileUnreadable`, or `OSError`.
    """
    try:
        found = read_file(file_path(folder, "sessions", day, ticker), "sessions")
    except FileNotFoundError:
        return None
    return session_of_table(found.table)


def read_outcomes(folder: Path, ticker: str, hours: TradingHours, day: date) -> OutcomeTotals:
    """Sum up what followed the events of a session date, within its files.

    Nothing of a day whose events were found by other versions of the definitions. Raises
    `HistoryFileUnreadable`, or `OSError`: `FileNotFoundError` where a file is not there.
    """
    events = read_noticed(folder, ticker, day)
    if events is None:
        return OutcomeTotals()
    return session_outcomes(read_mids(folder, ticker, day), events, hours)


def read_noticed(folder: Path, ticker: str, day: date) -> NoticedEvents | None:
    """Read which events were noticed when, None of another version of the definitions.

    Raises as `read_outcomes` does.
    """
    columns = ["noticed_at", "type", "side"]
    table, facts = read_file(file_path(folder, "events", day, ticker), "events", columns)
    if facts.engines != [ENGINE]:
        return None
    kinds = zip(table["type"].to_pylist(), table["side"].to_pylist(), strict=True)
    return NoticedEvents([event_key(*kind) for kind in kinds], _times(table, "noticed_at"))


def read_mids(folder: Path, ticker: str, day: date) -> SessionMids:
    """Read the mids of a session's seconds, and the gaps between them.

    Raises as `read_outcomes` does.
    """
    path = file_path(folder, "seconds", day, ticker)
    table, facts = read_file(path, "seconds", ["end", "mid2", "digits"])
    digits = table["digits"].to_numpy()
    mids = table["mid2"].to_numpy().astype(np.float64)
    if len(digits):
        mids *= 10.0 ** (digits.max() - digits)
    return SessionMids(_times(table, "end"), mids, gaps_of(facts))


def _times(table: pa.Table, name: str) -> NDArray[np.int64]:
    times: NDArray[np.int64] = table[name].cast(pa.int64()).to_numpy()
    return times
