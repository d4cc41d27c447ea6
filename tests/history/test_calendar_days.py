"""Half days, holidays and changes of the clock: dates of files and half hours, as a calendar says.

What is expected comes from the exchange's rules as people read them, local time and date, and from
the system's time zones; not from the tables that the project's calendars are made of.
"""

from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.answers.earlier_sessions import same_time_earlier
from app.answers.half_hour import half_hour_of
from app.history.paths import dates_of_ticker, file_path
from app.history.query import read_seconds
from app.history.ticker_files import NewSeconds, TickerFiles
from app.storage.session_calendars import hours_of
from tests.history.ticked import bar_of

NEW_YORK = ZoneInfo("America/New_York")
NOON, FOUR = time(13), time(16)
WEEKS = {
    # The clocks went forward on Sunday the 10th.
    "spring": {date(2024, 3, day): FOUR for day in (7, 8, 11, 12)},
    # They went back on Sunday the 5th.
    "autumn": {date(2023, 11, day): FOUR for day in (2, 3, 6, 7)},
    # The 23rd was a holiday, and the 24th a half day.
    "thanksgiving": {
        date(2023, 11, 22): FOUR,
        date(2023, 11, 24): NOON,
        date(2023, 11, 27): FOUR,
        date(2023, 11, 28): FOUR,
    },
    # The 3rd was a half day, and the 4th a holiday.
    "july": {
        date(2023, 6, 30): FOUR,
        date(2023, 7, 3): NOON,
        date(2023, 7, 5): FOUR,
        date(2023, 7, 6): FOUR,
    },
}
"""Trading days of some weeks, with when they closed."""
week = pytest.mark.parametrize("days", WEEKS.values(), ids=WEEKS)
TICKER, HOURS = "SPY", hours_of("SPY", ())


def instant(day: date, at: time) -> int:
    """Return the instant of a time of New York, in epoch ms."""
    return round(datetime.combine(day, at, NEW_YORK).timestamp() * 1000)


def opened(day: date) -> int:
    return instant(day, time(9, 30))


def hours_ms(hours: float) -> int:
    return round(hours * 3_600_000)


@week
def test_each_second_is_in_the_file_of_the_session_that_it_belongs_to(
    tmp_path: Path, days: dict[date, time]
) -> None:
    expected: dict[date, list[int]] = {}
    for day, following in zip(days, [*days][1:], strict=False):
        # From 5.5 hours before the open to as long before the next one.
        first, last = opened(day) - hours_ms(5.5), opened(following) - hours_ms(5.5)
        edges = [first, opened(day), instant(day, days[day]), last - 1000]
        expected[day] = [edge + after for edge in edges for after in (1000,)]
    ends = [end for found in expected.values() for end in found]
    files = TickerFiles(tmp_path, TICKER, HOURS)

    files.add_bars(NewSeconds([bar_of(end) for end in ends]), ends[-1])

    assert dates_of_ticker(tmp_path, "seconds", TICKER) == [*expected]
    for day, wanted in expected.items():
        assert file_path(tmp_path, "seconds", day, TICKER).is_file()
        found = read_seconds(tmp_path, TICKER, HOURS, wanted[0] - 1000, wanted[-1])
        assert [bar.end for bar in found.bars] == wanted


@week
def test_the_half_hours_of_a_session_begin_at_its_open_and_end_at_its_close(
    days: dict[date, time],
) -> None:
    for day, closes in days.items():
        start, close = opened(day), instant(day, closes)
        assert (close - start) // hours_ms(0.5) == (7 if closes == NOON else 13)
        assert half_hour_of(HOURS, start - 1) is None
        assert half_hour_of(HOURS, close) is None
        while start < close:
            for at in (start, start + hours_ms(0.5) - 1):
                found = half_hour_of(HOURS, at)
                assert found is not None
                assert (found.start_ms, found.end_ms) == (start, start + hours_ms(0.5))
            start += hours_ms(0.5)


def test_a_holiday_has_no_half_hour() -> None:
    for day in (date(2023, 11, 23), date(2023, 7, 4)):
        assert half_hour_of(HOURS, instant(day, time(11))) is None


@week
def test_the_same_time_of_earlier_sessions_is_that_of_the_clock_in_new_york(
    days: dict[date, time],
) -> None:
    *earlier, last = days
    at = instant(last, time(11, 17))

    found = [*same_time_earlier(HOURS, at, len(earlier))]

    assert found == [instant(day, time(11, 17)) for day in reversed(earlier)]
    assert last - timedelta(days=7) < earlier[0]
