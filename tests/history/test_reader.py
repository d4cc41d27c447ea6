"""What a reader finds at the bounds of session dates."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.core.errors import HistoryFileNewer, HistoryFileUnreadable
from app.history import file_facts
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import file_path
from app.history.reader import HistoryReader
from app.history.session_dates import date_of_second
from app.storage.published import read_event
from app.storage.session_calendars import hours_of
from tests.history.ticked import EVENT, bar_of
from tests.kept_files import keep_bars


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def keep_event(folder: Path, ticker: str, noticed_at: int, closed_at: int) -> None:
    """Keep an event, and a second at either end of it."""
    fields: dict[str, Any] = {
        "id": f"{ticker}~aaaaaaaa",
        **EVENT,
        "opened_at": noticed_at,
        "noticed_at": noticed_at,
        "updated_at": closed_at,
        "closed_at": closed_at,
    }
    record = read_event(msgspec.json.encode(fields), ticker)
    assert record is not None
    day = date_of_second(noticed_at, hours_of(ticker, ()))
    facts = FileFacts(kind="events", ticker=ticker, session_date=day.isoformat())
    table = table_of_events([KeptEvent(record, (None, None, None))])
    write_file(file_path(folder, "events", day, ticker), table, facts)
    keep_bars(folder, ticker, [bar_of(noticed_at), bar_of(closed_at)])


def test_an_event_that_lasted_over_a_weekend_is_found_after_it(tmp_path: Path) -> None:
    friday, monday = instant("2024-01-05 20:59:00"), instant("2024-01-08 14:30:10")
    keep_event(tmp_path, "SPY", friday, monday)

    found = HistoryReader(tmp_path).events_between("SPY", monday - 60_000, monday - 1000)

    assert [event.id for event in found] == ["SPY~aaaaaaaa"]


def test_the_evidence_class_at_midnight_is_that_of_the_day_that_ends(tmp_path: Path) -> None:
    midnight = instant("2024-01-08 00:00:00")
    keep_event(tmp_path, "BTC-USD", midnight, midnight + 5000)

    reader = HistoryReader(tmp_path)

    assert reader.evidence_class_at("BTC-USD", midnight) == "A"


@pytest.mark.parametrize("fault", ["torn", "newer"])
def test_an_older_event_is_found_behind_a_file_that_can_not_be_read(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = instant("2024-01-05 12:00:00"), instant("2024-01-08 12:00:00")
    keep_event(tmp_path, "BTC-USD", old, old + 5000)
    with monkeypatch.context() as newer:
        if fault == "newer":
            newer.setattr("app.history.parquet_file.LAYOUT", file_facts.LAYOUT + 1)
        keep_event(tmp_path, "BTC-USD", new, new + 5000)
    if fault == "torn":
        [path] = tmp_path.glob("events/date=2024-01-08/*")
        path.write_bytes(b"PAR1, and no more")
    reader = HistoryReader(tmp_path)

    found = reader.event("BTC-USD~aaaaaaaa")

    assert found is not None
    assert found.record.noticed_at == old
    # Whether another one is kept can't be told: the file is named.
    with pytest.raises(HistoryFileNewer if fault == "newer" else HistoryFileUnreadable):
        reader.event("BTC-USD~bbbbbbbb")
