"""Questions about days that only the history holds."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import redis

from app.answers.ask import ask
from app.answers.reader import Reader
from app.answers.rendering import render_text
from app.answers.series import series
from app.core import clock
from app.core.errors import (
    BadHistory,
    BadMoment,
    HistoryFileUnreadable,
    NotKept,
)
from app.core.settings import Settings
from app.history.paths import file_path
from tests.history.ticked import TickedKeys
from tests.kept_files import DAY_MS, EngineRun, busy_records, keep, let_it_be_days_later

RECORDS = busy_records(7, 9000, odd_share=0.05)
RUN = EngineRun(RECORDS)
END = RUN.ends[-1]
NOT_RECOMPUTED = {"as_of", "spread_ticks", "ranks", "rank_windows"}


@pytest.fixture
def now_ms(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let it be three days after the records."""
    return let_it_be_days_later(monkeypatch, RUN)


@pytest.fixture
def past_reader(settings: Settings, tmp_path: Path, now_ms: int) -> Iterator[Reader]:
    """Give a reader of a Redis that is empty and of a history that holds the records' day."""
    assert now_ms
    keep(tmp_path, RUN)
    made = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))
    yield made
    made.close()


@pytest.mark.parametrize(("window", "seconds"), [("10s", 10), ("1min", 60), ("5min", 300)])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.8, 1.0])
def test_a_kept_moment_has_the_numbers_that_were_published(
    past_reader: Reader, window: str, seconds: int, share: float
) -> None:
    at = RUN.ends[round(share * (len(RUN.ends) - 1))]

    snapshot = past_reader.snapshot("TEST", seconds, at_ms=at)

    published = RUN.metrics[at][window]
    names = set(published) - NOT_RECOMPUTED
    assert set(snapshot.metrics) - NOT_RECOMPUTED == names
    for name in names:
        value = published[name]
        wanted = value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-9)
        assert snapshot.metrics[name] == wanted, name
    assert snapshot.as_of_ms == snapshot.now_ms == at
    assert snapshot.past
    assert snapshot.evidence_class == "A"
    assert snapshot.engine is not None


def test_events_are_those_that_had_been_noticed(past_reader: Reader) -> None:
    at = RUN.ends[len(RUN.ends) // 2]

    snapshot = past_reader.snapshot("TEST", 3600, at_ms=at)

    noticed = {event.id for event in RUN.events if event.noticed_at <= at}
    wanted = {
        it.id for it in RUN.events if it.id in noticed and (it.closed_at or at) > at - 3_600_000
    }
    assert wanted
    assert {event.id for event in snapshot.events or ()} == wanted
    for event in snapshot.events or ():
        assert event.closed_at is None or event.closed_at <= at
        assert event.updated_at <= at


def test_what_is_not_kept_is_absent_and_said(past_reader: Reader) -> None:
    answer = ask(past_reader, "TEST", as_of=str(END)).answer

    text = render_text(answer)
    assert answer.levels == []
    assert answer.session is None
    assert answer.ranks == {}
    assert answer.behaviors == {}
    assert answer.metrics.spread_ticks is None
    for name in ("ranks", "levels", "behaviors", "session"):
        assert name in (answer.note or "")
    assert "asked 72.0 h later" in text
    assert "2023-11-1" in text


def test_a_history_of_a_day_adds_up_what_files_hold(past_reader: Reader) -> None:
    answer = ask(past_reader, "TEST", "1d", as_of=str(END)).answer

    trades = sum(bar.trade_count for bar in RUN.bars)
    assert answer.history_seconds == 86_400
    assert answer.metrics.trade_count == trades
    assert answer.warming
    assert answer.covered_seconds == pytest.approx((END - RUN.ends[0]) / 1000, abs=1)


def test_a_series_of_a_kept_day_has_the_measures_of_its_steps(past_reader: Reader) -> None:
    at = RUN.ends[-60]

    found = series(past_reader, "TEST", ["ofi", "quote_count"], "2m", 12, as_of=str(at))

    assert found.as_of == at
    assert found.asked_at == at + 3 * DAY_MS + 59_000
    for place, value in enumerate(found.columns["quote_count"]):
        end = found.first_end + place * 10_000
        assert value == RUN.metrics[end]["10s"]["quote_count"]
    assert "2023-11-1" in found.as_text()


def test_a_moment_that_nothing_is_kept_of_names_the_days_that_are(past_reader: Reader) -> None:
    with pytest.raises(NotKept, match=r"nothing is kept of 2023-11-15; kept: 2023-11-14"):
        past_reader.snapshot("TEST", 300, at_ms=END + DAY_MS)


def test_a_moment_after_the_newest_quote_names_how_long_after(past_reader: Reader) -> None:
    with pytest.raises(NotKept, match=r"the newest kept second before it ends \d+ s earlier"):
        past_reader.snapshot("TEST", 300, at_ms=END + 400_000)


def test_a_ticker_of_which_nothing_is_kept_is_named(past_reader: Reader) -> None:
    with pytest.raises(NotKept, match="NONE: nothing is kept of it; kept"):
        past_reader.snapshot("NONE", 300, at_ms=END)


def test_a_kept_ticker_is_found_without_regard_to_case(past_reader: Reader) -> None:
    assert past_reader.snapshot("test", 60, at_ms=END).ticker == "TEST"


def test_a_moment_before_all_that_is_kept_names_how_much_is(past_reader: Reader) -> None:
    with pytest.raises(BadMoment, match="outside the last 30 days, which is what is kept"):
        ask(past_reader, "TEST", as_of="2023-09-01T00:00:00Z")


def test_a_file_that_is_no_history_is_named(past_reader: Reader, tmp_path: Path) -> None:
    days = sorted(path.name for path in (tmp_path / "seconds").iterdir())
    for day in days:
        path = file_path(tmp_path, "seconds", date.fromisoformat(day.removeprefix("date=")), "TEST")
        path.write_bytes(b"no parquet")

    with pytest.raises(HistoryFileUnreadable, match=r"TEST\.parquet"):
        past_reader.snapshot("TEST", 60, at_ms=END)


def test_without_a_history_one_line_says_what_is_not_set(reader: Reader, now_ms: int) -> None:
    with pytest.raises(BadMoment, match=r"the last hour.*ORDERFLOW_HISTORY.*not set"):
        ask(reader, "TEST", as_of=str(now_ms - 2 * DAY_MS))
    with pytest.raises(BadHistory, match=r"the last 1 h is kept \(ORDERFLOW_HISTORY"):
        ask(reader, "TEST", "1d")


def test_a_gap_that_had_not_ended_is_not_known_yet(
    settings: Settings, tmp_path: Path, now_ms: int
) -> None:
    gap = (RUN.ends[200] - 500, RUN.ends[230] - 500)
    records = [one for one in RECORDS if not gap[0] < one.stamp <= gap[1]]
    run = EngineRun(records, gaps=(gap,))
    keep(tmp_path, run)
    reader = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))
    for at in (RUN.ends[210], RUN.ends[240]):
        snapshot = reader.snapshot("TEST", 60, at_ms=at)
        wanted = run.metrics[at]["1min"]["covered_seconds"]
        assert snapshot.metrics["covered_seconds"] == pytest.approx(wanted, rel=1e-9)
    reader.close()
    assert now_ms


def test_an_event_that_redis_alone_has_is_part_of_a_moment_of_two_hours_ago(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = RUN.ends[-1]
    monkeypatch.setattr(clock, "now_ms", lambda: at + 7_000_000)
    keep(tmp_path, RUN)
    TickedKeys(redis_client, "TEST").add_event("aaaaaaaa", at - 10_000, None)
    reader = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))

    snapshot = reader.snapshot("TEST", 300, at_ms=at)

    reader.close()
    assert "TEST~aaaaaaaa" in {event.id for event in snapshot.events or ()}
