"""What followed events in earlier kept sessions is what their files say, and never hindsight."""

import random
from datetime import date
from pathlib import Path

import msgspec
import pytest

from app.analysis.bars import SECOND_MS
from app.analysis.gaps import Gap
from app.analysis.student_t import t_975
from app.answers.earlier_outcomes import FollowedEarlier, followed_earlier
from app.answers.explain import explain
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.history.event_rows import KeptEvent, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import write_file
from app.history.paths import file_path
from app.history.reader import HistoryReader
from app.storage.session_calendars import hours_of
from tests.analysis.test_outcomes import slot_of
from tests.history.walked_sessions import KINDS, ends_from, events_at, keep_session
from tests.reference import kept_outcomes as oracle

PAIR, STOCK = "BTC/USD", "SPY"
DAY_MS = 86_400_000
MIDNIGHT_MS = 1_700_006_400_000
"""2023-11-15 00:00 UTC."""
HOUR_SECONDS = 3600


def keep_days(folder: Path, days: int, ticker: str = PAIR, **given: object) -> list[date]:
    """Keep an hour of as many days before the 15th, the oldest first."""
    noon = MIDNIGHT_MS + 43_200_000
    silent = range(1000, 1200)
    return [
        keep_session(
            folder,
            ticker,
            ends_from(noon - number * DAY_MS, HOUR_SECONDS, without=silent),
            seed=number,
            **given,  # type: ignore[arg-type]
        )
        for number in range(days, 0, -1)
    ]


def of_oracle(
    folder: Path, ticker: str, days: list[date], cuts: oracle.Cuts | None = None
) -> oracle.Rows:
    sessions = [
        oracle.session_of_files(
            file_path(folder, "seconds", day, ticker), file_path(folder, "events", day, ticker)
        )
        for day in days
    ]
    return oracle.table(sessions, cuts or [], slot_of(hours_of(ticker, ())), t_975)


def assert_as_the_files_say(
    found: FollowedEarlier | None, kind: tuple[str, str], expected: oracle.Rows
) -> None:
    assert found is not None
    assert found.by_horizon.keys() == {seconds for *of, seconds in expected if (*of,) == kind}
    for seconds, record in found.by_horizon.items():
        told = {k: v for k, v in msgspec.structs.asdict(record).items() if v is not None}
        told = {name: value for name, value in told.items() if value is not False}
        assert told == pytest.approx(expected[*kind, seconds], rel=1e-9, abs=1e-9)


def test_it_is_what_the_files_say(tmp_path: Path) -> None:
    start = MIDNIGHT_MS - 3 * DAY_MS + 43_200_000
    gap = Gap(start + 600_300.0, start + 660_700.0, cut_to=start + 661_000)
    days = keep_days(tmp_path, 6, gaps=[gap])
    expected = of_oracle(tmp_path, PAIR, days, [(gap.start, gap.end)])

    for kind in KINDS:
        found = followed_earlier(HistoryReader(tmp_path), PAIR, date(2023, 11, 15), *kind)
        assert_as_the_files_say(found, kind, expected)
        assert found is not None
        assert found.sessions == 6
        assert not found.by_horizon[10].insufficient


def test_half_hours_of_a_stock_are_counted_from_each_open_over_a_change_of_clocks(
    tmp_path: Path,
) -> None:
    # New York's clocks were set back on 2023-11-05; the open moved from 13:30 to 14:30 UTC.
    opens = [1_698_931_800_000, 1_699_018_200_000]
    opens += [1_699_281_000_000 + DAY_MS * day for day in range(4)]
    days = [
        keep_session(tmp_path, STOCK, ends_from(at - 600_000, 3600), seed=number)
        for number, at in enumerate(opens)
    ]
    assert [day.isoformat() for day in days] == [
        *("2023-11-02", "2023-11-03", "2023-11-06", "2023-11-07", "2023-11-08", "2023-11-09")
    ]
    expected = of_oracle(tmp_path, STOCK, days)

    for kind in KINDS:
        found = followed_earlier(HistoryReader(tmp_path), STOCK, date(2023, 11, 10), *kind)
        assert_as_the_files_say(found, kind, expected)


def test_only_sessions_before_the_date_count(tmp_path: Path) -> None:
    days = keep_days(tmp_path, 7)
    files = HistoryReader(tmp_path)

    for kind in KINDS:
        found = followed_earlier(files, PAIR, days[5], *kind)
        assert_as_the_files_say(found, kind, of_oracle(tmp_path, PAIR, days[:5]))
    assert followed_earlier(files, PAIR, days[4], *KINDS[0]) is None  # four of them


def test_a_session_counts_with_what_was_written_of_it_later(tmp_path: Path) -> None:
    days = keep_days(tmp_path, 5)
    files, kind = HistoryReader(tmp_path), KINDS[0]
    before = followed_earlier(files, PAIR, date(2023, 11, 15), *kind)

    keep_session(
        tmp_path, PAIR, ends_from(MIDNIGHT_MS - DAY_MS + 43_200_000, 7000), seed=1, events=400
    )

    after = followed_earlier(files, PAIR, date(2023, 11, 15), *kind)
    assert before is not None
    assert after is not None
    assert after.by_horizon[10].n > before.by_horizon[10].n + 100
    assert_as_the_files_say(after, kind, of_oracle(tmp_path, PAIR, days))


def test_a_session_that_can_not_be_read_is_left_out_and_one_of_other_definitions_too(
    tmp_path: Path,
) -> None:
    days = keep_days(tmp_path, 7)
    file_path(tmp_path, "events", days[2], PAIR).write_bytes(b"no parquet")
    noon = MIDNIGHT_MS + 43_200_000
    keep_session(
        tmp_path, PAIR, ends_from(noon - 3 * DAY_MS, 3600), seed=9, engines=["0.0.1", "0.0.2"]
    )
    used = [day for place, day in enumerate(days) if place not in {2, 4}]

    found = followed_earlier(HistoryReader(tmp_path), PAIR, date(2023, 11, 15), *KINDS[0])

    assert_as_the_files_say(found, KINDS[0], of_oracle(tmp_path, PAIR, used))
    assert found is not None
    assert found.sessions == 5


def test_few_events_are_insufficient(tmp_path: Path) -> None:
    keep_days(tmp_path, 5, events=4)

    found = followed_earlier(HistoryReader(tmp_path), PAIR, date(2023, 11, 15), *KINDS[0])

    assert found is not None
    assert found.by_horizon[10].insufficient
    assert found.by_horizon[10].mean_bps is None


@pytest.mark.usefixtures("redis_client")
def test_an_event_is_explained_with_what_followed_such_events_before_its_session(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = keep_days(tmp_path, 8)
    [event] = events_at(random.Random(5), PAIR, [MIDNIGHT_MS + 43_200_000], 1)  # noqa: S311
    facts = FileFacts(kind="events", ticker=PAIR, session_date="2023-11-15")
    path = file_path(tmp_path, "events", date(2023, 11, 15), PAIR)
    write_file(path, table_of_events([KeptEvent(event.record, (0.1, 0.2, 0.3))]), facts)
    keep_session(
        tmp_path, PAIR, ends_from(MIDNIGHT_MS + DAY_MS, 3600), seed=77
    )  # later: it has no part in it
    monkeypatch.setattr(clock, "now_ms", lambda: float(MIDNIGHT_MS + 3 * DAY_MS))
    config = settings.model_copy(update={"history_given": str(tmp_path)})
    reader = Reader.from_settings(config)

    found = explain(reader, event.record.id)

    reader.close()
    kind = event.record.type, event.record.side
    expected = of_oracle(tmp_path, PAIR, days)
    assert found.earlier_sessions == 8
    assert [it.seconds for it in found.followed_earlier] == [10, 60, 300]
    for told in found.followed_earlier:
        row = expected[*kind, int(told.seconds)]
        assert told.n == row["n"]
        assert told.mean_bps == pytest.approx(row["mean_bps"], rel=5e-3, abs=1e-3)
        assert told.usual_bps == pytest.approx(row["baseline_mean_bps"], rel=5e-3, abs=1e-3)
    assert (
        f"followed such events in 8 earlier sessions: 10 s n {expected[*kind, 10]['n']} mean"
        in (found.as_text())
    )


def test_seconds_of_the_last_five_minutes_are_no_baseline_of_a_horizon_they_lack(
    tmp_path: Path,
) -> None:
    for number in range(5):
        start = MIDNIGHT_MS - (5 - number) * DAY_MS
        keep_session(tmp_path, PAIR, ends_from(start + 80_000_000, 3600), seed=number, events=100)

    found = followed_earlier(HistoryReader(tmp_path), PAIR, date(2023, 11, 15), *KINDS[0])

    assert found is not None
    short, long = (found.by_horizon[it].baseline_n or 0 for it in (10, 300))
    assert 0.95 * 5 * 3590 < short <= 5 * 3590
    assert long <= 5 * 3300
    assert SECOND_MS * 3600 + 80_000_000 < DAY_MS
