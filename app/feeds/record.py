"""Record tapes: one gzipped CSV file a ticker, kind of record and day (UTC).

Files grow by a whole gzip member every few seconds (`gzip_members.py`), so that what is killed
leaves tapes that can be read ([decision 26](docs/decisions/0026-recorded-tapes.md)).
"""

import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import structlog

from app.core.errors import TapeError
from app.core.gzip_members import MemberFile, whole_members
from app.core.tickers import file_name_of
from app.feeds.publish import QuoteMember, TradeMember
from app.feeds.tape_rows import header_of, kind_of, row_of_member, stamp_of

WRITE_SECONDS = 5.0
"""A tape lacks at most about so much when its recorder is killed."""
MAX_WAITING_ROWS = 200_000
"""Rows of one file that wait for a disk which takes none; beyond them the oldest are lost."""
DAY_MS = 86_400_000
GAPS_HEADER = "from,to,reason"
KINDS = ("quotes", "trades")

log = structlog.get_logger()


@dataclass(slots=True)
class _OpenFile:
    """One file of a tape, and the rows to be written to it."""

    file: MemberFile
    rows: list[str] = field(default_factory=list)


class TapeRecorder:
    """Writes records into tapes; rows that the disk does not take wait for the next attempt.

    With `declares_restarts`, a tape that goes on gets a gap from its last row to the first record,
    unless it was complete up to the gap that the feed itself declares: a recorder that was killed
    had records that it did not write.
    """

    def __init__(self, folder: Path, *, declares_restarts: bool = True) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TapeError(f"{folder}: no tapes can be recorded there: {error}") from error
        self._folder = folder
        self._files: dict[tuple[str, str, int], _OpenFile] = {}
        self._gaps: dict[Path, list[str]] = {}
        self._declares_restarts = declares_restarts
        self._begun: set[str] = set()
        self._gap_starts: dict[str, float] = {}
        self._write_at = time.monotonic() + WRITE_SECONDS
        self._is_refused = False
        self.recorded_count = 0

    def add(self, ticker: str, record: QuoteMember | TradeMember) -> None:
        """Queue a record for the next write."""
        if ticker not in self._begun:
            self._begun.add(ticker)
            if self._declares_restarts:
                self._declare_restart(ticker, record.timestamp)
        self.add_row(ticker, kind_of(record), row_of_member(record), record.timestamp)

    def add_row(self, ticker: str, kind: str, row: str, stamp: float) -> None:
        """Queue a record that is a row already."""
        key = (ticker, kind, int(stamp // DAY_MS))
        opened = self._files.get(key)
        if opened is None:
            opened = self._files[key] = _OpenFile(
                MemberFile(path_of(self._folder, *key), header_of(kind))
            )
        opened.rows.append(row)

    def add_gap(self, ticker: str, from_ms: float, to_ms: float, reason: str) -> None:
        """Queue a declared gap for the next write, in the file of the day in which it ends.

        Of a longer one than gaps may be, the last 24 h are declared: a tape begins after midnight.
        """
        from_ms = max(from_ms, to_ms - DAY_MS)
        if ticker not in self._begun:
            self._gap_starts[ticker] = min(from_ms, self._gap_starts.get(ticker, from_ms))
        path = gaps_path(self._folder, ticker, int(to_ms // DAY_MS))
        self._gaps.setdefault(path, []).append(gap_row(from_ms, to_ms, reason))

    def _declare_restart(self, ticker: str, first_ms: float) -> None:
        ends = [read_end(self._folder, ticker, kind, 0.0) for kind in KINDS]
        newest_ms = max(end.newest_ms for end in ends)
        complete_ms = max(end.written_ms for end in ends)
        is_declared = self._gap_starts.get(ticker, math.inf) <= complete_ms
        if 0 < newest_ms < first_ms and not is_declared:
            self.add_gap(ticker, newest_ms, first_ms, "resumed")

    def flush(self) -> None:
        """Write if the last write is some seconds ago."""
        if time.monotonic() >= self._write_at:
            self.write()

    def write(self) -> bool:
        """Write what is queued and tell whether the disk took all of it.

        Logs once that it refuses, and once that it no longer does.
        """
        self._write_at = time.monotonic() + WRITE_SECONDS
        try:
            self._write_gaps()
            for key, opened in list(self._files.items()):
                self._write_rows(key, opened)
        except OSError as error:
            if not self._is_refused:
                log.warning("tapes can't be written, trying again", error=str(error))
            self._is_refused = True
            self._drop_oldest()
            return False
        if self._is_refused:
            log.info("tapes are written again")
        self._is_refused = False
        if self._declares_restarts:
            self._note_complete()
        return True

    def _note_complete(self) -> None:
        """Keep as the time of the newest files that the tapes are complete until now."""
        newest = {
            (ticker, kind): opened
            for (ticker, kind, _), opened in sorted(self._files.items(), key=itemgetter(0))
        }
        for opened in newest.values():
            with suppress(FileNotFoundError):
                os.utime(opened.file.path)

    def _write_rows(self, key: tuple[str, str, int], opened: _OpenFile) -> None:
        if opened.rows:
            opened.file.append(opened.rows)
            self.recorded_count += len(opened.rows)
            opened.rows = []
        elif key[2] < self._newest_day(key[0]) - 1:
            # Late rows of the day before are possible still.
            del self._files[key]

    def _newest_day(self, ticker: str) -> int:
        return max(day for name, _, day in self._files if name == ticker)

    def _write_gaps(self) -> None:
        for path, rows in list(self._gaps.items()):
            _append_text(path, GAPS_HEADER, rows)
            del self._gaps[path]

    def _drop_oldest(self) -> None:
        """Bound the rows that wait, and declare those lost that are dropped."""
        for (ticker, _, _), opened in self._files.items():
            lost = opened.rows[:-MAX_WAITING_ROWS]
            if lost:
                del opened.rows[: len(lost)]
                self.add_gap(ticker, stamp_of(lost[0]), stamp_of(lost[-1]), "overflow")

    def close(self) -> None:
        """Write the rest; log how many rows the disk did not take."""
        self.write()
        lost = sum(len(opened.rows) for opened in self._files.values())
        if lost:
            log.error("rows are not recorded", rows=lost, folder=str(self._folder))


def _append_text(path: Path, header: str, rows: Iterable[str]) -> None:
    """Append lines to a plain file in one write, behind the last line that is whole."""
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.write("".join(f"{row}\n" for row in ([] if whole else [header]) + [*rows]).encode())


def gap_row(from_ms: float, to_ms: float, reason: str) -> str:
    """Return a gap as a line of its file."""
    return f"{float(from_ms)!r},{float(to_ms)!r},{reason}"


def _stem(ticker: str, day: int) -> str:
    date = datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date()
    return f"{file_name_of(ticker)}_{date.isoformat()}"


def path_of(folder: Path, ticker: str, kind: str, day: int) -> Path:
    """Return the file of one kind of records of a day, in days since the epoch."""
    return folder / f"{_stem(ticker, day)}.{kind}.csv.gz"


def gaps_path(folder: Path, ticker: str, day: int) -> Path:
    """Return the file of the gaps that ended on a day, in days since the epoch."""
    return folder / f"{_stem(ticker, day)}.gaps.csv"


def files_of(folder: Path, ticker: str, kind: str) -> list[Path]:
    """Return a ticker's files of one kind, by day."""
    prefix = f"{file_name_of(ticker)}_"
    return sorted(path for path in folder.glob(f"*.{kind}.csv*") if path.name.startswith(prefix))


@dataclass(frozen=True, slots=True)
class TapeEnd:
    """The newest rows of a kind on tape, how often each is there, and the newest stamp (0: none).

    `written_ms` is when the newest file was last written, in epoch ms, 0 if there is none.
    """

    rows: Counter[str]
    newest_ms: float
    written_ms: float


def read_end(folder: Path, ticker: str, kind: str, span_ms: float) -> TapeEnd:
    """Read the rows that are at most about `span_ms` older than the newest one.

    Raises `TapeError`.
    """
    files = files_of(folder, ticker, kind)[-2:]
    parts: deque[tuple[float, bytes]] = deque()
    try:
        for path in files:
            for text in whole_members(path):
                _add_part(parts, text, span_ms)
        written_ms = files[-1].stat().st_mtime * 1000 if files else 0.0
        rows = Counter(row for _, text in parts for row in _rows_in(text))
        return TapeEnd(rows, max(map(stamp_of, rows), default=0.0), written_ms)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TapeError(f"{folder}: the tapes of {ticker} can't be read: {error}") from error


def _add_part(parts: deque[tuple[float, bytes]], text: bytes, span_ms: float) -> None:
    """Add a member by its last stamp, and drop those that are too old by now."""
    last = text.rstrip(b"\n").rpartition(b"\n")[2].decode()
    if not _is_header(last):
        parts.append((stamp_of(last), text))
        while parts[0][0] < parts[-1][0] - span_ms:
            parts.popleft()


def _rows_in(text: bytes) -> list[str]:
    return [row for row in text.decode().splitlines() if not _is_header(row)]


def _is_header(row: str) -> bool:
    return row.startswith("ts_ms")
