"""Time questions about 30 kept days of one ticker, and measure what they take on the disk.

    python -m benchmarks.history [--days 30]

One day of a walking book is folded by the engine and kept under 30 session dates. Exits with 1 if
a question over all of them takes a second or more.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import click
import msgspec
import redis

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.engine import Engine
from app.analysis.record_parser import parse_batch
from app.analysis.trading_hours import PRE_MS
from app.answers.ask import ask
from app.answers.reader import Reader
from app.answers.scan import scan
from app.answers.series import series
from app.core import clock
from app.core.settings import Settings
from app.history.bar_rows import table_of_bars
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import KINDS, date_folder, file_path
from app.history.session_dates import session_date
from app.storage.published import EventRecord, read_event
from app.storage.session_calendars import hours_of
from benchmarks.books import Book

TICKER = "SPY"
SESSION_SECONDS = 23_400
RATE = 10
MAX_SECONDS = 1.0
MAX_BYTES = 2_000_000


def one_session(opened_ms: int) -> tuple[list[Bar], list[EventRecord]]:
    """Fold a session of a walking book; return its bars and closed events."""
    engine, book = Engine.new(TICKER), Book(seed=1)
    bars: list[Bar] = []
    events: dict[str, EventRecord] = {}
    for end in range(opened_ms + SECOND_MS, opened_ms + SESSION_SECONDS * SECOND_MS, SECOND_MS):
        stored = book.second(float(end), RATE)
        batch = parse_batch([*stored.quotes.items()], [*stored.trades.items()])
        result = engine.advance(batch, end)
        bars += result.final_bars
        for event in result.changed_events:
            found = as_published(event)
            if found is not None and found.status == "closed":
                events[found.id] = found
    return bars, [*events.values()]


def as_published(event: object) -> EventRecord | None:
    """Return an engine's event as it is read back from where it is published."""
    names = (name for name in EventRecord.__struct_fields__ if hasattr(event, name))
    return read_event(msgspec.json.encode({name: getattr(event, name) for name in names}), TICKER)


def keep(folder: Path, opens: Sequence[int]) -> int:
    """Write the session under each date; return how many bytes a session takes."""
    hours = hours_of(TICKER, ())
    bars, events = one_session(opens[0])
    before = opens[0]
    for number, opened in enumerate(opens):
        later_ms, before = opened - before, opened
        for bar in bars:
            bar.end += later_ms
        events = [moved(event, later_ms, number) for event in events]
        day = session_date(opened, hours)
        tables = {
            "seconds": table_of_bars(bars),
            "events": table_of_events(KeptEvent(event, (None, None, None)) for event in events),
        }
        for kind in KINDS:
            if kind in tables:
                facts = FileFacts(kind=kind, ticker=TICKER, session_date=day.isoformat())
                write_file(file_path(folder, kind, day, TICKER), tables[kind], facts)
    return sum(
        path.stat().st_size
        for kind in KINDS
        for path in date_folder(folder, kind, day).glob("*.parquet")
    )


def moved(event: EventRecord, later_ms: int, number: int) -> EventRecord:
    """Return an event of a later session, with an id of its own."""
    times = {
        name: getattr(event, name) + later_ms for name in ("opened_at", "noticed_at", "updated_at")
    }
    closed_at = None if event.closed_at is None else event.closed_at + later_ms
    name = f"{event.id[:-2]}{chr(97 + number // 26)}{chr(97 + number % 26)}"
    return msgspec.structs.replace(event, id=name, closed_at=closed_at, **times)


def session_opens(days: int) -> list[int]:
    """Return the opens of the newest sessions that have ended, the oldest first."""
    hours, opens = hours_of(TICKER, ()), []
    at = round(clock.now_ms()) - 2 * 86_400_000
    while len(opens) < days:
        phase = hours.at(at)
        if phase.closes_at < clock.now_ms() and phase.opened_at not in opens:
            opens.append(phase.opened_at)
        at = phase.opened_at - PRE_MS - 1
    return opens[::-1]


def seconds_of(question: Callable[[], object]) -> float:
    """Return the median time of a question in seconds."""
    question()
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        question()
        times.append(time.perf_counter() - begun)
    return median(times)


def questions(reader: Reader, opens: Sequence[int]) -> dict[str, Callable[[], object]]:
    """Return what is asked, by name."""
    files = reader.past.files
    noon, evening = 10_800_000, (SESSION_SECONDS - 2) * SECOND_MS
    oldest = opens[0] + noon
    days = [files.date_at(TICKER, opened) for opened in opens]
    event_id = files.events(TICKER, days[0])[0].id
    return {
        "five minutes of the oldest day": lambda: ask(reader, TICKER, as_of=str(oldest)),
        "a whole day": lambda: ask(reader, TICKER, "1d", as_of=str(opens[-1] + evening)),
        "a day in 60 steps": lambda: series(
            reader, TICKER, history="1d", points=60, as_of=str(opens[-1] + evening)
        ),
        "the events of a day": lambda: scan(reader, day=days[-1].isoformat()),
        "an event of the oldest day, by its id": lambda: files.event(event_id),
        "all days: the same half hour of each": lambda: [
            files.seconds(TICKER, opened + noon, opened + noon + 1_800_000) for opened in opens
        ],
        "all days: all events": lambda: [files.events(TICKER, day) for day in days],
        "all days: five minutes of each": lambda: [
            reader.snapshot(TICKER, 300, at_ms=opened + noon) for opened in opens
        ],
    }


@click.command()
@click.option("--days", type=click.IntRange(2, 250), default=30, show_default=True)
def main(days: int) -> None:
    """Measure and print."""
    opens = session_opens(days)
    with tempfile.TemporaryDirectory() as name:
        session_bytes = keep(Path(name), opens)
        given = Settings().model_copy(
            update={"history_given": str(Path(name)), "history_days": 3650}
        )
        with redis.Redis(port=1) as nowhere:  # none of these questions asks Redis
            reader = Reader(nowhere, given)
            found = {what: seconds_of(it) for what, it in questions(reader, opens).items()}
    click.echo(f"a session of {SESSION_SECONDS} s at {RATE} quotes/s: {session_bytes:,} bytes")
    for what, seconds in found.items():
        click.echo(f"{what}: {1000 * seconds:.0f} ms")
    if max(found.values()) >= MAX_SECONDS or session_bytes > MAX_BYTES:
        sys.exit(f"too slow or too large: {MAX_SECONDS} s and {MAX_BYTES:,} bytes are allowed")


if __name__ == "__main__":
    main()
