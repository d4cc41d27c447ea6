"""How large the history of a session is, and what writing it takes: by file, or in parts.

    python -m benchmarks.history_size [TICKER] [HOURS]

A session is simulated and folded; its seconds are written as one growing file every quarter of an
hour, as the writer does, and as parts of a quarter of an hour each that are joined at the end.
"""

import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from app.analysis.bars import Bar
from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.records import Batch, Quote
from app.feeds.simulation import profile_of, simulate
from app.history.bar_rows import bars_of_table, table_of_bars
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import read_file, write_file
from app.history.paths import Kind
from app.history.ticker_writer import SECONDS_EVERY_MS
from app.storage.published import read_event
from app.storage.session_calendars import hours_of
from app.storage.tick import codec

START_MS = 1_704_205_800_000
NO_MOVES = (0.123456789, -1.23456789, 12.3456789)
ROWS_A_PART = SECONDS_EVERY_MS // 1000


def _session(ticker: str, seconds: int) -> tuple[list[Bar], list[Event], int]:
    """Return the bars and events of a simulated session, and its number of quotes."""
    engine, bars, quotes = Engine.new(ticker, hours_of(ticker, ())), [], 0
    events: dict[str, Event] = {}
    market = simulate(ticker, 5, START_MS, seconds, profile_of(ticker))
    for number, (records, _) in enumerate(market, 1):
        quotes += sum(isinstance(record, Quote) for record in records)
        result = engine.advance(Batch(records, []), START_MS + 1000 * number)
        bars += result.final_bars
        events |= {event.id: event for event in result.changed_events}
    return bars, [*events.values()], quotes


def _facts(kind: Kind, ticker: str) -> FileFacts:
    return FileFacts(kind=kind, ticker=ticker, session_date="2024-01-02")


def _write_growing(path: Path, parts: list[pa.Table], ticker: str) -> None:
    """Write one file anew with each part, as the writer does."""
    for number, part in enumerate(parts):
        old = [read_file(path, "seconds").table] if number else []
        write_file(path, pa.concat_tables([*old, part]), _facts("seconds", ticker))


def _write_parts(folder: Path, parts: list[pa.Table], ticker: str) -> int:
    """Write a file a part and join them at the end; return how much the parts take."""
    paths = [folder / f"part-{number}.parquet" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        write_file(path, part, _facts("seconds", ticker))
    size = sum(path.stat().st_size for path in paths)
    joined = pa.concat_tables([read_file(path, "seconds").table for path in paths])
    write_file(folder / "joined.parquet", joined, _facts("seconds", ticker))
    for path in paths:
        path.unlink()
    return size


def main() -> None:
    """Measure one ticker's session."""
    ticker = sys.argv[1] if len(sys.argv) > 1 else "SPY"
    seconds = int(float(sys.argv[2] if len(sys.argv) > 2 else 6.5) * 3600)  # noqa: PLR2004 - an argument
    bars, events, quotes = _session(ticker, seconds)
    tables = [
        table_of_bars(bars[place : place + ROWS_A_PART])
        for place in range(0, len(bars), ROWS_A_PART)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "seconds.parquet"
        _write_growing(path, tables[:1], ticker)  # what is loaded at the first use
        begun = time.process_time()
        _write_growing(path, tables, ticker)
        grown = time.process_time()
        part_bytes = _write_parts(folder, tables, ticker)
        joined = time.process_time()
        kept = bars_of_table(read_file(path, "seconds").table)
        read = time.process_time()
        members = [codec.event_json(event).encode() for event in events]
        found = [KeptEvent(it, NO_MOVES) for one in members if (it := read_event(one, ticker))]
        write_file(folder / "events.parquet", table_of_events(found), _facts("events", ticker))
        event_bytes = (folder / "events.parquet").stat().st_size
        second_bytes = path.stat().st_size
    is_equal = [*map(codec.encode_bar, kept)] == [*map(codec.encode_bar, bars)]
    print(f"{ticker}: {quotes / seconds:.1f} quotes/s, {len(bars)} seconds, {len(events)} events")
    print(f"seconds {second_bytes:,} B, events {event_bytes:,} B, equal when read: {is_equal}")
    print(f"in Redis the seconds take {sum(len(codec.encode_bar(bar)) for bar in bars):,} B")
    print(f"one growing file: {grown - begun:.2f} s of CPU in {len(tables)} writes")
    print(f"parts, joined at the end: {joined - grown:.2f} s; before that {part_bytes:,} B")
    print(f"reading all of it as bars: {read - joined:.2f} s")


if __name__ == "__main__":
    main()
