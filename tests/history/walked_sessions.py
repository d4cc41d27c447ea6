"""Sessions of a walking mid with events at random seconds, as files of the history."""

import random
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import file_path
from app.history.session_dates import date_of_second
from app.storage.published import EventRecord
from app.storage.session_calendars import hours_of
from tests.history.ticked import EVENT, bar_of
from tests.kept_files import keep_bars

KINDS = (("wall", "bid"), ("sweep", "ask"))
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def walk(draw: random.Random, ends: Sequence[int], digits: int = 8) -> list[Bar]:
    """Return a bar a second, whose mid stands still, walks, and is unknown now and then."""
    bars, mid2 = [], 200 * 10**digits
    for end in ends:
        mid2 += draw.choice((0, 0, -2, 2)) * 10 ** (digits - 3)
        bar = bar_of(end, mid2)
        bar.digits = digits
        if draw.random() < 0.01:
            bar.mid2 = 0
        bars.append(bar)
    return bars


def events_at(draw: random.Random, ticker: str, ends: Sequence[int], most: int) -> list[KeptEvent]:
    """Return events of two kinds that were noticed at some of the seconds."""
    found = []
    for number, at in enumerate(sorted(draw.choices(ends, k=most))):
        kind, side = draw.choice(KINDS)
        name = f"{_LETTERS[number % 32]}{_LETTERS[number // 32 % 32]}{at // 1000 % 10**6:06d}"
        fields = EVENT | {"type": kind, "side": side, "id": f"{ticker}~{name}"}
        times = {"opened_at": at - 900.0, "noticed_at": float(at), "updated_at": float(at)}
        record = EventRecord(**fields, **times, closed_at=at + 500.0)
        found.append(KeptEvent(record, (None, None, None)))
    return found


def keep_session(  # noqa: PLR0913 - what a session has
    folder: Path,
    ticker: str,
    ends: Sequence[int],
    *,
    seed: int,
    events: int = 40,
    gaps: Sequence[Gap] = (),
    engines: Sequence[str] | None = None,
) -> date:
    """Write the seconds and events of one session; return its date."""
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    keep_bars(folder, ticker, walk(draw, ends, digits=8 + seed % 2 * 2), gaps)
    day = date_of_second(ends[0], hours_of(ticker, ()))
    facts = FileFacts(kind="events", ticker=ticker, session_date=day.isoformat())
    if engines is not None:
        facts.engines = [*engines]
    found = events_at(draw, ticker, ends, events)
    write_file(file_path(folder, "events", day, ticker), table_of_events(found), facts)
    return day


def ends_from(start_ms: int, seconds: int, without: range = range(0)) -> list[int]:
    """Return the ends of so many seconds from an instant on, without those of some places."""
    return [start_ms + SECOND_MS * (n + 1) for n in range(seconds) if n not in without]
