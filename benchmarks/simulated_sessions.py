"""Keep simulated sessions as files of the history, each day busy and restless in its own way."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.records import Batch
from app.feeds.simulation import profile_of, simulate
from app.feeds.simulation.profiles import Profile
from app.history.bar_rows import table_of_bars
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import Kind, file_path
from app.history.session_dates import session_date
from app.storage.published import read_event
from app.storage.session_calendars import hours_of
from app.storage.tick import codec

FIRST_OPEN_MS = 1_609_770_600_000
"""2021-01-04 14:30 UTC, New York's open."""
_DAY_MS = 86_400_000
_NO_MOVES = (None, None, None)


def opens(ticker: str, sessions: int) -> Iterator[int]:
    """Yield when the sessions open, the oldest first (epoch ms)."""
    hours, at = hours_of(ticker, ()), FIRST_OPEN_MS
    for _ in range(sessions):
        phase = hours.at(at)
        yield phase.opened_at
        while hours.at(at).opened_at == phase.opened_at:
            at += _DAY_MS // 4


def of_the_day(profile: Profile, draw: random.Random) -> Profile:
    """Return a profile of a day that is busier and more restless than others, or less."""
    return replace(
        profile,
        bursts_per_second=profile.bursts_per_second * draw.lognormvariate(0, 0.3),
        volatility_ticks=profile.volatility_ticks * draw.lognormvariate(0, 0.3),
    )


def keep_sessions(
    folder: Path,
    ticker: str,
    sessions: int,
    seconds: int,
    note: Callable[[int], object] = lambda _: None,
) -> None:
    """Simulate the first seconds of sessions, fold them by one engine, and write their files."""
    draw = random.Random(ticker)  # noqa: S311 - of a simulation
    hours = hours_of(ticker, ())
    engine = Engine.new(ticker, hours)
    for number, opened_at in enumerate(opens(ticker, sessions)):
        market = simulate(ticker, number, opened_at, seconds, of_the_day(profile_of(ticker), draw))
        bars: dict[int, Bar] = {}
        events: dict[str, Event] = {}
        for second, (records, _) in enumerate(market, 1):
            result = engine.advance(Batch(records, []), opened_at + second * SECOND_MS)
            bars |= {bar.end: bar for bar in result.final_bars}
            events |= {event.id: event for event in result.changed_events}
        bars |= {bar.end: bar for bar in engine.state.recent}
        day = session_date(opened_at, hours)
        members = (codec.event_json(event).encode() for event in events.values())
        found = [KeptEvent(it, _NO_MOVES) for one in members if (it := read_event(one, ticker))]
        tables = {
            "seconds": table_of_bars([bars[end] for end in sorted(bars)]),
            "events": table_of_events(found),
        }
        kinds: tuple[Kind, ...] = ("seconds", "events")
        for kind in kinds:
            facts = FileFacts(kind=kind, ticker=ticker, session_date=day.isoformat())
            write_file(file_path(folder, kind, day, ticker), tables[kind], facts)
        note(number)
