"""The session as of an earlier moment is what it was then, as far as it can be known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from app.analysis.bars import Bar
from app.analysis.engine import Engine
from app.analysis.records import Batch
from app.answers.past_session import session_at
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.feeds.simulation.profiles import profile_of
from app.feeds.simulation.run import simulate
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import file_path
from app.history.session_row import KeptSession, table_of_session
from app.storage.published import Value
from app.storage.session_calendars import hours_of
from tests.kept_files import keep_bars

pytestmark = pytest.mark.redis

DAY_MS = 86_400_000
MINUTE_MS = 60_000
MONDAY_MS = 1_795_996_800_000
OPEN_MS = MONDAY_MS + (14 * 60 + 30) * MINUTE_MS
CLOSE_MS = MONDAY_MS + 21 * 60 * MINUTE_MS
SUMS = ("volume", "cvd", "vwap")
OF_PRINTS = ("vwap_sd", "poc", "value_area_low", "value_area_high")
RANGE = ("opening_range_low", "opening_range_high")


class Day:
    """What an engine knew of a session at the end of each minute, and the bars it stored."""

    def __init__(self, start_ms: int, minutes: int) -> None:
        engine = Engine.new("SPY", hours_of("SPY", ()))
        self.then: dict[int, dict[str, Value]] = {}
        bars: list[Bar] = []
        for second, (records, _) in enumerate(
            simulate("SPY", 3, start_ms, 60 * minutes, profile_of("SPY")), 1
        ):
            end = start_ms + 1000 * second
            bars += engine.advance(Batch(records, []), end).final_bars
            if second % 60 == 0:
                self.then[end] = {**engine.state.session.fields(end, engine.state.digits)}
        self.bars = [*bars, *engine.state.recent]


@pytest.fixture(scope="module")
def morning() -> Day:
    """Give a session from before its open on."""
    return Day(OPEN_MS - 2 * MINUTE_MS, 40)


@pytest.fixture(scope="module")
def evening() -> Day:
    """Give the last minutes of a session, seen from 20 min before its close on."""
    return Day(CLOSE_MS - 20 * MINUTE_MS, 30)


@pytest.fixture
def days_later(
    redis_client: redis.Redis,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    """Give a reader of a history, of which Redis holds nothing."""
    monkeypatch.setattr(clock, "now_ms", lambda: MONDAY_MS + 3.0 * DAY_MS)
    return Reader(redis_client, settings.model_copy(update={"history_given": str(tmp_path)}))


def keep(folder: Path, day: Day, session: Mapping[str, Value] | None = None) -> None:
    """Write a day's seconds, and its session, as it last was."""
    [date] = keep_bars(folder, "SPY", day.bars)
    kept = session or day.then[max(day.then)]
    facts = FileFacts(kind="sessions", ticker="SPY", session_date=date.isoformat())
    is_final = kept["as_of"] >= kept["closes_at"]  # type: ignore[operator]
    table = table_of_session(KeptSession(kept, is_final))
    write_file(file_path(folder, "sessions", date, "SPY"), table, facts)


def only(names: tuple[str, ...], fields: Mapping[str, Value]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


@pytest.mark.parametrize("minutes", [1, 5, 29, 30, 38])
def test_its_sums_are_those_that_were_published_then(
    days_later: Reader, morning: Day, tmp_path: Path, minutes: int
) -> None:
    keep(tmp_path, morning)
    at = OPEN_MS + minutes * MINUTE_MS

    found = session_at(days_later, "SPY", at)

    assert only(SUMS, found) == pytest.approx(only(SUMS, morning.then[at]), rel=1e-9)
    assert len(only(SUMS, found)) == 3
    assert "since" not in found
    assert found["phase"] == "regular"


def test_what_the_last_state_knew_beyond_them_is_not_told(
    days_later: Reader, morning: Day, tmp_path: Path
) -> None:
    keep(tmp_path, morning)

    found = session_at(days_later, "SPY", OPEN_MS + 31 * MINUTE_MS)

    assert only((*OF_PRINTS, "high", "low", "cvd_large"), found) == {}


@pytest.mark.parametrize(("minutes", "is_known"), [(29, False), (30, True), (35, True)])
def test_the_opening_range_is_known_once_it_is_over(
    days_later: Reader, morning: Day, tmp_path: Path, minutes: int, *, is_known: bool
) -> None:
    keep(tmp_path, morning)
    at = OPEN_MS + minutes * MINUTE_MS

    found = session_at(days_later, "SPY", at)

    assert only(RANGE, found) == (only(RANGE, morning.then[at]) if is_known else {})


def test_a_state_that_was_kept_within_the_first_half_hour_tells_no_opening_range(
    days_later: Reader, morning: Day, tmp_path: Path
) -> None:
    keep(tmp_path, morning, morning.then[OPEN_MS + 20 * MINUTE_MS])

    assert only(RANGE, session_at(days_later, "SPY", OPEN_MS + 35 * MINUTE_MS)) == {}


def test_before_the_open_there_are_no_numbers(
    days_later: Reader, morning: Day, tmp_path: Path
) -> None:
    keep(tmp_path, morning)

    found = session_at(days_later, "SPY", OPEN_MS - MINUTE_MS)

    assert found["phase"] == "pre"
    assert only((*SUMS, *OF_PRINTS, *RANGE), found) == {}


def test_a_session_seen_late_is_reckoned_back_from_its_end(
    days_later: Reader, evening: Day, tmp_path: Path
) -> None:
    keep(tmp_path, evening)
    at = CLOSE_MS - 7 * MINUTE_MS

    found = session_at(days_later, "SPY", at)

    assert only(SUMS, found) == pytest.approx(only(SUMS, evening.then[at]), rel=1e-9)
    assert found["since"] == evening.then[at]["since"]


def test_without_its_end_it_is_what_is_kept_and_says_since_when(
    days_later: Reader, evening: Day, tmp_path: Path
) -> None:
    [_] = keep_bars(tmp_path, "SPY", evening.bars)
    at = CLOSE_MS - 7 * MINUTE_MS

    found = session_at(days_later, "SPY", at)

    assert only(SUMS, found) == pytest.approx(only(SUMS, evening.then[at]), rel=1e-9)
    assert abs(found["since"] - evening.then[at]["since"]) <= 2000  # type: ignore[operator]


def test_after_the_close_all_of_it_is_known(
    days_later: Reader, evening: Day, tmp_path: Path
) -> None:
    keep(tmp_path, evening)
    at = CLOSE_MS + 5 * MINUTE_MS

    found = session_at(days_later, "SPY", at)

    assert found == evening.then[at]
    assert len(only((*SUMS, *OF_PRINTS), found)) == 7


def test_without_anything_kept_only_its_bounds_are_known(
    days_later: Reader, tmp_path: Path
) -> None:
    found = session_at(days_later, "SPY", OPEN_MS + MINUTE_MS)

    assert not any(tmp_path.iterdir())
    assert {*found} == {"as_of", "calendar", "phase", "opened_at", "closes_at"}
