"""What files of a history hold, in the form in which an engine says it."""

from pathlib import Path

import msgspec

from app.history.bar_rows import bars_of_table
from app.history.parquet_file import read_file
from app.history.paths import KINDS, dates_of_ticker, file_path
from app.history.query import read_events
from app.storage.published import EventRecord
from app.storage.tick import codec
from tests.history.simulated_days import Found

_OPTIONAL = ("return_minutes", "at_least")


def kept_of(folder: Path, ticker: str) -> Found:
    """Read all files of a ticker; raises `AssertionError` where one holds something twice."""
    found = Found()
    for day in dates_of_ticker(folder, "seconds", ticker):
        table = read_file(file_path(folder, "seconds", day, ticker), "seconds").table
        for bar in bars_of_table(table):
            assert bar.end not in found.bars
            found.bars[bar.end] = codec.encode_bar(bar)
    for day in dates_of_ticker(folder, "events", ticker):
        for event in read_events(folder, ticker, day):
            assert event.record.id not in found.events
            found.events[event.record.id] = _member(event.record)
    return found


def _member(record: EventRecord) -> str:
    """Write an event as its member of the patterns key."""
    fields = msgspec.structs.asdict(record)
    fields |= {name: int(fields[name]) for name in ("noticed_at", "updated_at")}
    for name in _OPTIONAL:
        if not fields[name]:
            del fields[name]
    return codec.json_text(fields)


def bytes_by_kind(folder: Path) -> dict[str, list[int]]:
    """Return the sizes of all files by kind."""
    return {
        kind: [file.stat().st_size for file in (folder / kind).rglob("*.parquet")] for kind in KINDS
    }
