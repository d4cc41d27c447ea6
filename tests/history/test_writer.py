"""What the writer does when something is wrong: it says so, loses nothing, and stops nothing."""

import os
import resource
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import redis

from app.analysis.gaps import Gap
from app.core.errors import HistoryUnavailable
from app.core.settings import Settings
from app.history import file_facts
from app.history.bar_rows import bars_of_table, table_of_bars
from app.history.file_facts import FileFacts
from app.history.folder import HistoryFolder
from app.history.parquet_file import read_file, write_file
from app.history.paths import file_path, kept_dates, unfinished_path, unreadable_path
from app.history.query import find_event, read_events, read_seconds, read_session
from app.history.writer import HistoryWriter
from app.operations.history_status import history_troubles
from app.storage.history_report import read_report
from app.storage.session_calendars import hours_of
from tests.history.ticked import TickedKeys, bar_of

TICKER = "BTC-USD"
START_MS = 1_704_715_200_000
"""2024-01-08 12:00 UTC."""
DAY = date(2024, 1, 8)
HOUR_MS = 3_600_000


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = float(START_MS)

    def __call__(self) -> float:
        """Return the time."""
        return self.now_ms


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


NewWriter = Callable[[], HistoryWriter]


@pytest.fixture
def new_writer(
    redis_client: redis.Redis, settings: Settings, folder: Path, time: Time
) -> NewWriter:
    """Give a way to begin a writer; the one before has ended."""
    folders: list[HistoryFolder] = []

    def begin(**changed: object) -> HistoryWriter:
        for one in folders:
            one.close()
        folders.append(HistoryFolder(folder))
        return HistoryWriter(folders[-1], redis_client, settings.model_copy(update=changed), time)

    return begin


@pytest.fixture
def ticked(redis_client: redis.Redis) -> TickedKeys:
    return TickedKeys(redis_client, TICKER)


def seconds(first: int, last: int) -> list[int]:
    """Return the ends of seconds since the start, as numbers of them."""
    return [START_MS + 1000 * number for number in range(first, last + 1)]


def kept_ends(folder: Path) -> list[int]:
    path = file_path(folder, "seconds", DAY, TICKER)
    return [bar.end for bar in bars_of_table(read_file(path, "seconds").table)]


def test_seconds_are_kept_once_they_are_final(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 1000)))
    time.now_ms = START_MS + 1_000_000 + 5000
    writer = new_writer()
    writer.step()
    assert kept_ends(folder) == seconds(1, 945)  # a minute behind

    time.now_ms += 600_000
    new_writer().step()
    assert kept_ends(folder) == seconds(1, 1000)


def test_of_two_writers_the_second_says_so_and_ends(
    new_writer: NewWriter, redis_client: redis.Redis, settings: Settings, folder: Path, time: Time
) -> None:
    new_writer().step()
    second = HistoryWriter(HistoryFolder(folder), redis_client, settings, time)
    with pytest.raises(HistoryUnavailable, match="another process writes the history in"):
        second.step()


def test_a_folder_that_is_missing_is_said_and_taken_up_when_it_is_there(
    redis_client: redis.Redis, settings: Settings, ticked: TickedKeys, tmp_path: Path, time: Time
) -> None:
    folder = tmp_path / "disk" / "history"
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = HistoryWriter(HistoryFolder(folder), redis_client, settings, time)
    writer.step()
    report = read_report(redis_client)
    assert report is not None
    assert list(history_troubles(report, time.now_ms)) == [
        "history is not written for 0.0 s: its folder is missing"
    ]
    (tmp_path / "disk").mkdir()
    time.now_ms += 11_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 100)
    report = read_report(redis_client)
    assert report is not None
    assert list(history_troubles(report, time.now_ms)) == []


def test_a_folder_that_is_taken_away_is_not_made_anew(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    writer = new_writer()
    writer.step()
    away = folder.with_name("away")
    folder.rename(away)
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer.step()
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == "missing"
    assert not folder.exists()
    away.rename(folder)
    time.now_ms += 11_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 100)


def test_a_place_that_can_not_be_written_is_said(
    redis_client: redis.Redis, settings: Settings, time: Time
) -> None:
    place = Path("/sys/history")
    if not place.parent.is_dir() or not os.access("/sys", os.F_OK):
        pytest.skip("needs a read-only file system")
    HistoryWriter(HistoryFolder(place), redis_client, settings, time).step()
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == "read_only"


def test_a_full_disk_is_said_and_nothing_is_lost_that_redis_holds(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # less than a file takes
    try:
        writer.step()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == "disk_full"
    assert [file.name for file in (folder / "seconds").rglob("*") if file.is_file()] == []
    time.now_ms += 11_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 100)
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == ""


def test_a_torn_file_is_set_aside_and_what_redis_holds_is_written(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    path = file_path(folder, "seconds", DAY, TICKER)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1, and no more")
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    new_writer().step()
    assert kept_ends(folder) == seconds(1, 100)
    assert unreadable_path(path).read_bytes() == b"PAR1, and no more"
    report = read_report(redis_client)
    assert report is not None
    assert report.set_aside == 1


def test_what_a_killed_writer_left_unfinished_goes(new_writer: NewWriter, folder: Path) -> None:
    left = unfinished_path(file_path(folder, "seconds", DAY, TICKER))
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PAR1")
    new_writer().step()
    assert not left.exists()


def test_a_file_of_a_newer_version_is_left_alone_and_said(  # noqa: PLR0913, PLR0917 - fixtures
    new_writer: NewWriter,
    ticked: TickedKeys,
    redis_client: redis.Redis,
    folder: Path,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = file_path(folder, "seconds", DAY, TICKER)
    facts = FileFacts(kind="seconds", ticker=TICKER, session_date=DAY.isoformat())
    with monkeypatch.context() as newer:
        newer.setattr("app.history.parquet_file.LAYOUT", file_facts.LAYOUT + 1)
        write_file(path, table_of_bars([bar_of(START_MS)]), facts)
    before = path.read_bytes()
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    other = TickedKeys(redis_client, "ETH-USD")
    other.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    new_writer().step()
    assert path.read_bytes() == before
    assert file_path(folder, "seconds", DAY, "ETH-USD").exists()
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == "newer_file"


def test_what_redis_forgot_while_nobody_wrote_is_said_to_be_lost(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    new_writer().step()
    redis_client.delete(f"orderflow:bars:{TICKER}")
    ticked.add_bars(map(bar_of, seconds(10_000, 10_100)))
    time.now_ms = START_MS + 10_400_000
    new_writer().step()
    kept = read_seconds(folder, TICKER, hours_of(TICKER, ()), START_MS, int(time.now_ms))
    [lost] = kept.gaps
    assert lost.start == START_MS + 400_000  # what was silent until then was read
    assert lost.end == time.now_ms - 7_800_000
    report = read_report(redis_client)
    assert report is not None
    assert report.lost_seconds == (lost.end - lost.start) / 1000


def test_a_gap_told_later_is_kept_with_the_seconds_that_it_cuts(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    writer.step()
    gap = Gap(START_MS + 5000.0, START_MS + 9000.0, cut_to=START_MS + 100_000)
    ticked.set_state(gaps=[gap])
    time.now_ms += 300_000
    writer.step()
    kept = read_seconds(folder, TICKER, hours_of(TICKER, ()), START_MS, START_MS + 100_000)
    assert kept.gaps == [gap]


def test_ticks_taken_back_are_replaced(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    ticked.add_bars(bar_of(end, 200 * 10**8) for end in seconds(1, 200))
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    writer.step()
    redis_client.delete(f"orderflow:bars:{TICKER}")
    ticked.add_bars(bar_of(end, 210 * 10**8) for end in seconds(101, 150))
    ticked.set_state(corrected_at=START_MS + 390_000)
    time.now_ms += 300_000
    writer.step()
    kept = read_seconds(folder, TICKER, hours_of(TICKER, ()), START_MS, START_MS + 400_000)
    mids = {(bar.end - START_MS) // 1000: bar.mid2 for bar in kept.bars}
    assert list(mids) == list(range(1, 151))
    assert (mids[100], mids[101]) == (200 * 10**8, 210 * 10**8)


def test_an_event_is_kept_in_its_final_form_with_what_followed_it(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    noticed = START_MS + 100_000
    ticked.add_bars(
        bar_of(end, 200 * 10**8 + (2 * 10**7 if end >= noticed + 60_000 else 0))
        for end in seconds(1, 350)
    )
    ticked.add_event("aaaaaaaa", noticed, None)
    time.now_ms = START_MS + 440_000
    writer = new_writer()
    writer.step()
    assert read_events(folder, TICKER, DAY) == []
    ticked.add_event("aaaaaaaa", noticed, noticed + 30_000)
    time.now_ms += 240_000
    writer.step()
    new_writer().step()  # another one finds it kept
    [event] = read_events(folder, TICKER, DAY)
    assert event.record.closed_at == noticed + 30_000
    assert event.moves == (0.0, pytest.approx(10.0), None)  # no second after the 350th
    assert find_event(folder, f"{TICKER}~aaaaaaaa") == event


def test_an_event_open_for_over_an_hour_is_kept_though_redis_drops_it_as_it_closes(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 400)))
    ticked.add_event("aaaaaaaa", START_MS + 10_000, None)
    time.now_ms = START_MS + HOUR_MS + 60_000
    writer = new_writer()
    writer.step()
    ticked.add_event("aaaaaaaa", START_MS + 10_000, int(time.now_ms))
    time.now_ms += 3000
    writer.step()
    ticked.trim_events()
    time.now_ms += 300_000
    writer.step()
    assert [event.record.id for event in read_events(folder, TICKER, DAY)] == [f"{TICKER}~aaaaaaaa"]


def test_the_oldest_days_go_beyond_either_bound(
    new_writer: Callable[..., HistoryWriter], folder: Path, time: Time
) -> None:
    for number in range(1, 9):
        day = date(2024, 1, number)
        facts = FileFacts(kind="seconds", ticker=TICKER, session_date=day.isoformat())
        write_file(file_path(folder, "seconds", day, TICKER), table_of_bars([bar_of(1000)]), facts)
    [size] = [one.stat().st_size for one in (folder / "seconds" / "date=2024-01-08").iterdir()]
    new_writer(history_days=5).step()
    assert kept_dates(folder) == [date(2024, 1, number) for number in range(4, 9)]
    assert datetime.fromtimestamp(time.now_ms / 1000, UTC).date() == DAY
    big = file_path(folder, "seconds", date(2024, 1, 6), TICKER)
    big.write_bytes(b"x" * (10_000_000 - size))
    new_writer(history_mb=10).step()
    assert kept_dates(folder) == [date(2024, 1, 7), DAY]


def test_a_session_is_kept_as_of_its_end_also_where_the_next_one_took_its_key(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    midnight = START_MS + 12 * HOUR_MS
    session = {
        "calendar": "24/7",
        "phase": "continuous",
        "opened_at": midnight - 24 * HOUR_MS,
        "closes_at": midnight,
        "covered_seconds": 43_100.0,
        "volume": 5.0,
    }
    ticked.add_bars(map(bar_of, range(midnight - 300_000, midnight - 100_000, 1000)))
    running = {**session, "as_of": midnight - 100_000}
    redis_client.hset(f"orderflow:session:{TICKER}", mapping=running)
    time.now_ms = midnight + 30_000.0
    writer = new_writer()
    writer.step()
    kept = read_session(folder, TICKER, DAY)
    assert kept is not None
    assert (kept.is_final, kept.fields["volume"]) == (False, 5)

    ended = {**session, "as_of": midnight, "volume": 7.0}
    redis_client.hset(f"orderflow:ended:{TICKER}", mapping=ended)
    redis_client.delete(f"orderflow:session:{TICKER}")
    for _ in range(2):
        time.now_ms += 130_000
        writer.step()
    kept = read_session(folder, TICKER, DAY)
    assert kept is not None
    assert (kept.is_final, kept.fields) == (True, ended)
    assert writer.totals.sessions == 1


def test_a_file_that_can_not_be_opened_now_is_not_set_aside(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    writer.step()
    path = file_path(folder, "seconds", DAY, TICKER)
    whole = path.read_bytes()
    path.unlink()
    path.symlink_to(path.name)  # a loop: the system refuses to open it, also for root
    ticked.add_bars(map(bar_of, seconds(101, 200)))
    time.now_ms += 400_000
    writer.step()
    assert not unreadable_path(path).is_symlink()
    report = read_report(redis_client)
    assert report is not None
    assert (report.problem, report.set_aside) == ("io_error", 0)
    path.unlink()
    path.write_bytes(whole)
    time.now_ms += 11_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 200)


def test_a_file_that_is_torn_while_the_writer_runs_is_written_again_from_redis(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    ticked.add_event("aaaaaaaa", START_MS + 10_000, START_MS + 20_000)
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    writer.step()
    for kind in ("seconds", "events"):
        file_path(folder, kind, DAY, TICKER).write_bytes(b"PAR1, and no more")
    ticked.add_bars(map(bar_of, seconds(101, 200)))
    ticked.add_event("bbbbbbbb", START_MS + 110_000, START_MS + 120_000)
    time.now_ms += 400_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 200)
    assert [event.record.id for event in read_events(folder, TICKER, DAY)] == [
        f"{TICKER}~aaaaaaaa",
        f"{TICKER}~bbbbbbbb",
    ]


def test_what_was_in_a_torn_file_and_redis_forgot_is_said_to_be_lost(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    before = START_MS - 13 * HOUR_MS
    ticked.add_bars(map(bar_of, range(before, before + 100_000, 1000)))
    time.now_ms = before + 400_000
    writer = new_writer()
    writer.step()
    redis_client.delete(f"orderflow:bars:{TICKER}")
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer.step()
    file_path(folder, "seconds", DAY, TICKER).write_bytes(b"PAR1, and no more")
    redis_client.delete(f"orderflow:bars:{TICKER}")
    ticked.add_bars(map(bar_of, seconds(10_000, 10_100)))
    time.now_ms = START_MS + 10_400_000
    writer.step()
    assert kept_ends(folder) == seconds(10_000, 10_100)
    facts = read_file(file_path(folder, "seconds", DAY, TICKER), "seconds").facts
    [(start, end)] = facts.lost
    assert start <= START_MS
    assert end == time.now_ms - 7_800_000


def test_the_days_after_one_of_a_newer_version_are_written(
    new_writer: NewWriter,
    ticked: TickedKeys,
    folder: Path,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = date(2024, 1, 7)
    path = file_path(folder, "seconds", day, TICKER)
    facts = FileFacts(kind="seconds", ticker=TICKER, session_date=day.isoformat())
    midnight = START_MS - 12 * HOUR_MS
    with monkeypatch.context() as newer:
        newer.setattr("app.history.parquet_file.LAYOUT", file_facts.LAYOUT + 1)
        write_file(path, table_of_bars([bar_of(midnight - 5000)]), facts)
    before = path.read_bytes()
    ends = range(midnight - 2000, midnight + 3000, 1000)
    ticked.add_bars(map(bar_of, ends))
    time.now_ms = midnight + 300_000.0
    new_writer().step()
    assert path.read_bytes() == before
    assert kept_ends(folder) == [midnight + 1000, midnight + 2000]


def test_a_clock_that_is_ahead_removes_no_day(
    new_writer: Callable[..., HistoryWriter], folder: Path, time: Time
) -> None:
    for day in (date(2024, 1, 7), DAY):
        facts = FileFacts(kind="seconds", ticker=TICKER, session_date=day.isoformat())
        write_file(file_path(folder, "seconds", day, TICKER), table_of_bars([bar_of(1000)]), facts)
    time.now_ms += 400 * 24 * HOUR_MS
    new_writer(history_days=5).step()
    assert kept_dates(folder) == [date(2024, 1, 7), DAY]


def test_a_clock_that_was_ahead_and_is_right_again_delays_no_visit(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    writer = new_writer()
    ticked.add_bars(map(bar_of, seconds(1, 10)))
    time.now_ms = START_MS + HOUR_MS
    writer.step()
    ticked.add_bars(map(bar_of, seconds(11, 100)))
    time.now_ms = START_MS + 400_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 100)


def test_the_bound_is_looked_at_again_within_seconds_of_what_was_wrong(
    new_writer: Callable[..., HistoryWriter], ticked: TickedKeys, folder: Path, time: Time
) -> None:
    big = file_path(folder, "seconds", DAY, "BIG")
    big.parent.mkdir(parents=True)
    big.write_bytes(b"x" * 11_000_000)
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = new_writer(history_mb=10)
    writer.step()
    assert not file_path(folder, "seconds", DAY, TICKER).exists()
    big.unlink()
    time.now_ms += 11_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 100)


def test_a_ticker_that_was_silent_for_hours_has_lost_nothing(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    new_writer().step()
    time.now_ms += 11_000
    writer = new_writer()
    writer.step()
    first = 6 * 3600
    for silent in (7850, 7950, first - 5):
        time.now_ms = START_MS + 1000.0 * silent
        writer.step()
    redis_client.delete(f"orderflow:bars:{TICKER}")
    ticked.add_bars(map(bar_of, seconds(first, first + 100)))
    ticked.add_event("aaaaaaaa", START_MS + 1000 * first, START_MS + 1000 * first + 10_000)
    for seconds_later in (1, 11, 140, 270, 400):
        time.now_ms = START_MS + 1000 * (first + seconds_later)
        writer.step()
    assert kept_ends(folder) == seconds(1, 100) + seconds(first, first + 100)
    assert [event.record.opened_at for event in read_events(folder, TICKER, DAY)]
    for kind in ("seconds", "events"):
        assert read_file(file_path(folder, kind, DAY, TICKER), kind).facts.lost == []


def test_a_ticker_that_redis_forgot_has_no_problem_any_more(  # noqa: PLR0913, PLR0917 - fixtures
    new_writer: NewWriter,
    ticked: TickedKeys,
    redis_client: redis.Redis,
    folder: Path,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = FileFacts(kind="seconds", ticker=TICKER, session_date=DAY.isoformat())
    with monkeypatch.context() as newer:
        newer.setattr("app.history.parquet_file.LAYOUT", file_facts.LAYOUT + 1)
        path = file_path(folder, "seconds", DAY, TICKER)
        write_file(path, table_of_bars([bar_of(START_MS)]), facts)
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    writer.step()
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == "newer_file"
    redis_client.delete("orderflow:tickers")
    time.now_ms += 11_000
    writer.step()
    report = read_report(redis_client)
    assert report is not None
    assert report.problem == ""


def test_bars_of_a_wrong_type_stop_no_other_ticker(
    new_writer: NewWriter, ticked: TickedKeys, redis_client: redis.Redis, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    redis_client.zadd("orderflow:tickers", {"AAA": START_MS})
    redis_client.set("orderflow:bars:AAA", "no stream")
    time.now_ms = START_MS + 400_000
    new_writer().step()
    assert kept_ends(folder) == seconds(1, 100)


def test_events_of_a_torn_file_that_redis_forgot_are_said_to_be_lost(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 4000)))
    ticked.add_event("aaaaaaaa", START_MS + 10_000, START_MS + 20_000)
    time.now_ms = START_MS + 400_000
    new_writer().step()
    path = file_path(folder, "events", DAY, TICKER)
    path.write_bytes(b"PAR1, and no more")
    ticked.trim_events()
    ticked.add_event("bbbbbbbb", START_MS + 3_700_000, START_MS + 3_710_000)
    time.now_ms = START_MS + 4_100_000
    new_writer().step()
    lost = read_file(path, "events").facts.lost
    assert lost[0] == (START_MS, time.now_ms - 600_000)

    ticked.add_event("cccccccc", START_MS + 3_800_000, START_MS + 3_810_000)
    time.now_ms += 120_000
    new_writer().step()
    kept = read_file(path, "events")
    assert kept.table.num_rows == 2
    assert kept.facts.lost == lost  # the new file was whole


def test_another_disk_in_the_place_of_the_folder_gets_all_that_redis_holds(
    new_writer: NewWriter, ticked: TickedKeys, folder: Path, time: Time
) -> None:
    ticked.add_bars(map(bar_of, seconds(1, 100)))
    time.now_ms = START_MS + 400_000
    writer = new_writer()
    writer.step()
    folder.rename(folder.with_name("first"))
    folder.mkdir()
    (folder / ".writer.lock").touch()
    time.now_ms += 11_000
    writer.step()
    assert kept_ends(folder) == seconds(1, 100)
