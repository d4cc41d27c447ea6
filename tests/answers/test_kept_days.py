"""Events of kept days, comparisons with earlier sessions, and events that outlive Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.analysis.bars import Bar
from app.answers.ask import ask
from app.answers.compare import compare
from app.answers.earlier_sessions import same_time_earlier
from app.answers.explain import explain
from app.answers.reader import Reader
from app.answers.scan import scan
from app.answers.series import series
from app.cli import main
from app.core import clock
from app.core.errors import (
    BadMoment,
    BadQuestion,
    NotKept,
    UnknownEvent,
)
from app.core.settings import Settings
from app.storage.session_calendars import hours_of_calendar
from tests.builders import START_MS
from tests.engine_answers import Records
from tests.kept_files import (
    DAY_MS,
    EngineRun,
    busy_records,
    keep,
    keep_bars,
    let_it_be_days_later,
)
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import call, text_of

PAIR = "BTC/USD"


def records_at(start_ms: float) -> Records:
    """Return the same records, begun at another time."""
    records = busy_records(11)
    for record in records:
        record.stamp += round(start_ms) - START_MS
    return records


RUN = EngineRun(records_at(START_MS), PAIR)
DAY = "2023-11-14"


@pytest.fixture
def kept_settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"history_given": str(tmp_path)})


@pytest.fixture
def at_noon() -> Iterator[None]:
    """Let it be noon: what came minutes before and after is of the same day then."""
    now_ms = clock.now_ms()
    clock.shift(now_ms // DAY_MS * DAY_MS + DAY_MS / 2 - now_ms)
    yield
    clock.shift(0.0)


@pytest.fixture
def past_reader(
    kept_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    """Give a reader of an empty Redis, three days after the records, which are kept."""
    keep(tmp_path, RUN)
    let_it_be_days_later(monkeypatch, RUN)
    made = Reader.from_settings(kept_settings)
    yield made
    made.close()


def of_day(run: EngineRun) -> list[str]:
    """Return the ids of a run's events that were noticed on its first date, in UTC."""
    days = {it.id: datetime.fromtimestamp(it.noticed_at / 1000, UTC).date() for it in run.events}
    return [it for it, day in days.items() if day.isoformat() == DAY]


def test_the_events_of_a_day_are_all_that_were_noticed_on_it(past_reader: Reader) -> None:
    found = scan(past_reader, limit=100, min_return_minutes=0, day=DAY)

    assert found.day == DAY
    wanted = of_day(RUN)
    assert len(wanted) > 10
    assert len(found.events) + (found.events_left_out or 0) == len(wanted)
    assert {event.id for event in found.events} <= {*wanted}
    assert all(event.ticker == PAIR for event in found.events)
    assert f"session of {DAY}: 1 tickers kept" in found.as_text()


def test_events_of_a_day_are_selected_by_type_side_and_return_period(past_reader: Reader) -> None:
    kind = max(RUN.events, key=lambda it: sum(it.type == one.type for one in RUN.events)).type

    found = scan(past_reader, kind, limit=100, min_return_minutes=0, day=DAY)
    rare = scan(past_reader, kind, limit=100, min_return_minutes=20, day=DAY)

    known = {it.id: it for it in RUN.events}
    assert found.events
    assert {event.type for event in found.events} == {kind}
    minutes = [known[event.id].return_minutes for event in rare.events]
    assert all(it is None or it >= 20 for it in minutes)
    counted = len(rare.events) + (rare.events_left_out or 0) + sum(rare.routine.values())
    assert counted == len(found.events) + (found.events_left_out or 0)


def test_a_day_of_which_nothing_is_kept_names_those_that_are(past_reader: Reader) -> None:
    with pytest.raises(NotKept, match=r"nothing is kept of 2023-11-20; kept.*2023-11-14"):
        scan(past_reader, day="2023-11-20")
    with pytest.raises(NotKept, match=f"ETH/USD: nothing is kept of it on {DAY}"):
        scan(past_reader, day=DAY, tickers=["ETH/USD"])
    with pytest.raises(BadMoment, match="day 'last week' is not understood; accepted: yesterday"):
        scan(past_reader, day="last week")


def test_without_a_history_a_day_is_refused_with_what_is_not_set(reader: Reader) -> None:
    with pytest.raises(BadQuestion, match="ORDERFLOW_HISTORY, which keeps more, is not set"):
        scan(reader, day="yesterday")


def test_the_command_prints_the_events_of_a_day(
    past_reader: Reader, kept_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert past_reader.past.is_kept
    monkeypatch.setattr("app.cli.events.settings", lambda: kept_settings)

    shown = CliRunner().invoke(main, ["events", DAY, "--ticker", "btc/usd"])
    refused = CliRunner().invoke(main, ["events", "2023-01-01"])

    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"session of {DAY}")
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1


def test_an_event_that_redis_has_forgotten_is_explained_from_the_history(
    past_reader: Reader,
) -> None:
    event = next(it for it in RUN.events if it.closed_at and it.closed_at - it.opened_at > 2000)

    found = explain(past_reader, event.id)

    bars = {bar.end: bar for bar in RUN.bars}
    start, end = int(event.opened_at // 1000 * 1000), -int(-(event.closed_at or 0) // 1000 * 1000)
    quotes = sum(bars[at].quote_count for at in range(start + 1000, end + 1000, 1000) if at in bars)
    assert found.event.id == event.id
    assert found.evidence.keys() == event.evidence.keys()
    assert found.during.quotes == pytest.approx(quotes, abs=bars[end].quote_count)
    assert found.before.seconds == 10
    assert "from the history" in (found.note or "")
    assert "its records are not kept" in found.as_text()


def test_an_event_that_is_nowhere_is_unknown(past_reader: Reader) -> None:
    with pytest.raises(UnknownEvent, match="neither of the last hour nor in the history"):
        explain(past_reader, f"{PAIR}~aaaaaaaa")


@pytest.mark.usefixtures("at_noon")
def test_a_ticker_is_compared_with_the_same_time_of_earlier_sessions(
    writer: KeyWriter, kept_settings: Settings, tmp_path: Path
) -> None:
    writer.quote(PAIR)
    writer.trade(PAIR)
    writer.heartbeat()
    writer.discovered(PAIR)
    as_of = writer.tick(PAIR)
    runs = {}
    for days in (1, 2, 4):
        run = EngineRun(records_at(as_of - days * DAY_MS - 900_000), PAIR)
        keep(tmp_path, run)
        runs[as_of - days * DAY_MS] = run
    reader = Reader.from_settings(kept_settings)

    found = compare(reader, [PAIR], "60s", sessions=5)

    now, *earlier = found.tickers
    assert now.session_date is None
    assert [row.as_of for row in earlier] == [*runs]
    for row, (at, run) in zip(earlier, runs.items(), strict=True):
        day = datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
        assert row.session_date == day
        assert row.error is None
        published = run.metrics[at]["1min"]
        assert row.model_dump()["spread_bps"] == pytest.approx(published["spread_bps"], rel=1e-3)
        assert f"{PAIR} {day}: " in found.as_text()
    assert "earlier sessions" in (found.note or "")
    reader.close()


def counted(end: int, quotes: int) -> Bar:
    fields = {"quote_count": quotes, "stood": 1, "bid_size": 1.0, "ask_size": 1.0}
    return Bar(end).set_fields((fields | {"covered_ms": 1000.0}).items())


def test_a_history_longer_than_redis_holds_adds_up_files_and_redis(
    writer: KeyWriter, kept_settings: Settings, tmp_path: Path
) -> None:
    writer.quote(PAIR)
    writer.heartbeat()
    writer.discovered(PAIR)
    as_of = writer.tick(PAIR)
    in_files = [counted(as_of - age * 1000, 2) for age in range(7200, 239, -1)]
    writer.bars([counted(as_of - age * 1000, 3) for age in range(600, -1, -1)], PAIR, recent=2)
    keep_bars(tmp_path, PAIR, in_files)
    reader = Reader.from_settings(kept_settings)

    answer = ask(reader, PAIR, "100 minutes").answer
    found = series(reader, PAIR, ["quote_count"], "100 minutes", 10)

    kept, newest = (6000 - 240) * 2, 240 * 3
    assert answer.metrics.quote_count == kept + newest
    assert answer.covered_seconds == 6000
    assert found.columns["quote_count"] == [1200] * 9 + [360 * 2 + 240 * 3]
    reader.close()


def test_time_that_neither_files_nor_redis_hold_is_not_covered(
    writer: KeyWriter, kept_settings: Settings, tmp_path: Path
) -> None:
    writer.quote(PAIR)
    writer.heartbeat()
    writer.discovered(PAIR)
    as_of = writer.tick(PAIR)
    keep_bars(tmp_path, PAIR, [counted(as_of - age * 1000, 2) for age in range(7200, 3000, -1)])
    writer.bars([counted(as_of - age * 1000, 3) for age in range(600, -1, -1)], PAIR, recent=2)
    reader = Reader.from_settings(kept_settings)

    answer = ask(reader, PAIR, "100 minutes").answer

    # Of the 6,000 s the files have 3,000 and Redis 601.
    assert answer.covered_seconds == pytest.approx(3600, abs=1)
    assert answer.quality.gap_seconds == pytest.approx(2400, abs=1)
    reader.close()


def test_more_rows_than_an_answer_takes_are_refused(past_reader: Reader) -> None:
    with pytest.raises(BadQuestion, match="with 5 earlier sessions, 1 to 2 accepted"):
        compare(past_reader, ["A", "B", "C"], sessions=5)
    with pytest.raises(BadQuestion, match="sessions lies from 0 to 5"):
        compare(past_reader, ["A"], sessions=6)


@pytest.mark.usefixtures("past_reader")
def test_a_client_asks_about_kept_days(kept_settings: Settings) -> None:
    at = str(RUN.ends[-1])
    events = call(kept_settings, "scan_order_flow", day=DAY, tickers=[PAIR])
    measured = call(kept_settings, "order_flow_series", ticker=PAIR, as_of=at, history="10m")
    told = call(kept_settings, "analyze_order_flow_tool", ticker=PAIR, as_of=at, history="1d")
    refused = call(kept_settings, "scan_order_flow", day="2020-01-01")

    assert events.structured_content is not None
    assert events.structured_content["day"] == DAY
    assert measured.structured_content is not None
    assert measured.structured_content["as_of"] == RUN.ends[-1]
    assert told.structured_content is not None
    assert told.structured_content["history_seconds"] == 86_400
    assert refused.is_error
    assert "nothing is kept of 2020-01-01" in text_of(refused)


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_the_same_time_is_as_long_after_the_open_whatever_the_clock_does() -> None:
    hours = hours_of_calendar("XNYS")

    # A Monday after New York went back to winter time; and a Monday in summer.
    winter = [*same_time_earlier(hours, utc("2023-11-06T15:00:00Z"), 2)]
    summer = [*same_time_earlier(hours, utc("2023-07-03T15:00:00Z"), 1)]

    assert winter == [utc("2023-11-03T14:00:00Z"), utc("2023-11-02T14:00:00Z")]
    assert summer == [utc("2023-06-30T15:00:00Z")]
