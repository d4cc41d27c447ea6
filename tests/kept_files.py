"""Write files of history, as the project's own writer does, from what an engine finds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.engine import Engine
from app.analysis.gaps import Gap
from app.analysis.records import Batch, Span
from app.analysis.windows import WINDOWS
from app.core import clock
from app.history.bar_rows import table_of_bars
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import file_path
from app.history.session_dates import date_of_second
from app.storage.published import EventRecord, read_event
from app.storage.session_calendars import hours_of
from tests.engine_answers import Records, metrics_of
from tests.reference.past import ceil_second
from tests.strategies import Flavour

DAY_MS = 86_400_000


def busy_records(seed: int, number: int = 6000, odd_share: float = 0.02) -> Records:
    """Return quotes and trades of a quarter of an hour and more, without silence."""
    return Flavour(
        seed=seed,
        records=number,
        trade_share=0.2,
        given_share=1.0,
        odd_share=odd_share,
        silence_share=0.0,
        pace=1.0,
        restlessness=0.3,
    ).stream()


class EngineRun:
    """What an engine published of each second of some records, its bars and closed events."""

    def __init__(self, records: Records, ticker: str = "TEST", gaps: Sequence[Span] = ()) -> None:
        engine = Engine.new(ticker)
        bars: list[Bar] = []
        events: dict[str, Any] = {}
        self.ticker = ticker
        self.metrics: dict[int, dict[str, dict[str, Any]]] = {}
        done, first = 0, ceil_second(records[0].stamp)
        for end in range(first, ceil_second(records[-1].stamp) + SECOND_MS, SECOND_MS):
            upto = done
            while upto < len(records) and records[upto].stamp <= end:
                upto += 1
            declared = [gap for gap in gaps if end - SECOND_MS < gap[1] <= end]
            result = engine.advance(Batch(records[done:upto], [], gaps=declared), end)
            done = upto
            bars += result.final_bars
            events |= {event.id: event for event in result.changed_events}
            self.metrics[end] = {name: metrics_of(result, name) for name in WINDOWS}
        self.gaps = engine.state.gaps
        self.bars = list({bar.end: bar for bar in [*bars, *engine.state.recent]}.values())
        self.events = [record_of(event) for event in events.values() if event.status == "closed"]

    @property
    def ends(self) -> list[int]:
        """Return the seconds that something was published of."""
        return sorted(self.metrics)


def let_it_be_days_later(monkeypatch: pytest.MonkeyPatch, run: EngineRun) -> int:
    """Set the clock to three days after a run, for the test; return that time."""
    now_ms = run.ends[-1] + 3 * DAY_MS
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    return now_ms


def record_of(event: Any) -> EventRecord:
    """Return an engine's event as it is read back from where it is published."""
    names = EventRecord.__struct_fields__
    fields = {name: getattr(event, name) for name in names if hasattr(event, name)}
    found = read_event(msgspec.json.encode(fields), str(event.id).rpartition("~")[0])
    assert found is not None
    return found


def keep(folder: Path, run: EngineRun, lost: Iterable[Span] = ()) -> list[date]:
    """Write a run's seconds and events as files; return their session dates."""
    events: dict[date, list[KeptEvent]] = defaultdict(list)
    for event in run.events:
        day = date_of_second(int(event.noticed_at), hours_of(run.ticker, ()))
        events[day].append(KeptEvent(event, (None, None, None)))
    for day, found in events.items():
        facts = FileFacts(kind="events", ticker=run.ticker, session_date=day.isoformat())
        write_file(file_path(folder, "events", day, run.ticker), table_of_events(found), facts)
    return keep_bars(folder, run.ticker, run.bars, run.gaps, lost)


def keep_bars(
    folder: Path,
    ticker: str,
    bars: Sequence[Bar],
    gaps: Sequence[Gap] = (),
    lost: Iterable[Span] = (),
) -> list[date]:
    """Write seconds as files of their session dates; return these."""
    seconds: dict[date, list[Bar]] = defaultdict(list)
    for bar in bars:
        seconds[date_of_second(bar.end, hours_of(ticker, ()))].append(bar)
    for day, found in seconds.items():
        facts = FileFacts(
            kind="seconds",
            ticker=ticker,
            session_date=day.isoformat(),
            gaps=[Gap(*_plain(gap)) for gap in gaps],
            lost=list(lost),
        )
        write_file(file_path(folder, "seconds", day, ticker), table_of_bars(found), facts)
    return sorted(seconds)


def _plain(gap: Gap) -> tuple[Any, ...]:
    return tuple(getattr(gap, name) for name in Gap.__dataclass_fields__)
