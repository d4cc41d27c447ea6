"""The sessions in the file are those that exchange_calendars computes."""

import runpy
from datetime import UTC, datetime

import pytest

from app.core.calendar_setting import calendar_names, session_tables
from app.core.calendar_zones import ZONES
from app.storage.session_calendars import hours_of_calendar
from tests.contract.documents import ROOT

MINUTE_MS = 60_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# The deprecations that the library meets in pandas are no errors here.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["XNYS", "CMES", "XLON", "XTKS"])
def test_they_are_those_of_the_library(name: str) -> None:
    pytest.importorskip("exchange_calendars")
    maker = runpy.run_path(str(ROOT / "packaging" / "session_tables.py"))

    assert maker["packed"](*maker["sessions_of"](name)) == session_tables()[name]


@pytest.mark.filterwarnings("ignore")
def test_every_calendar_has_the_time_zone_of_the_library() -> None:
    library = pytest.importorskip("exchange_calendars")
    kinds = library.calendar_utils._default_calendar_factories  # noqa: SLF001 - no public form

    assert {name: str(kinds[name].tz) for name in session_tables()} == ZONES


@pytest.mark.parametrize(
    ("calendar", "instant", "phase", "opens", "closes"),
    [
        # Before and after the change to daylight-saving time, 8 March 2026.
        ("XNYS", "2026-03-06T14:30:00", "regular", "2026-03-06T14:30:00", "2026-03-06T21:00:00"),
        ("XNYS", "2026-03-09T13:29:59.999", "pre", "2026-03-09T13:30:00", "2026-03-09T20:00:00"),
        ("XNYS", "2026-03-09T13:30:00", "regular", "2026-03-09T13:30:00", "2026-03-09T20:00:00"),
        # Thanksgiving, and the half day after it.
        ("XNYS", "2026-11-26T15:00:00", "closed", "2026-11-25T14:30:00", "2026-11-25T21:00:00"),
        ("XNYS", "2026-11-27T17:59:59", "regular", "2026-11-27T14:30:00", "2026-11-27T18:00:00"),
        ("XNYS", "2026-11-27T18:00:00", "post", "2026-11-27T14:30:00", "2026-11-27T18:00:00"),
        ("XNYS", "2026-11-27T22:00:00", "closed", "2026-11-27T14:30:00", "2026-11-27T18:00:00"),
        # A weekend, and Monday's early morning.
        ("XNYS", "2026-11-29T12:00:00", "closed", "2026-11-27T14:30:00", "2026-11-27T18:00:00"),
        ("XNYS", "2026-11-30T09:00:00", "pre", "2026-11-30T14:30:00", "2026-11-30T21:00:00"),
        ("XNYS", "2012-06-21T13:30:00", "regular", "2012-06-21T13:30:00", "2012-06-21T20:00:00"),
        # London's change is on another day than New York's, and its half day another one.
        ("XLON", "2026-03-30T07:00:00", "regular", "2026-03-30T07:00:00", "2026-03-30T15:30:00"),
        ("XLON", "2026-12-24T12:30:00", "post", "2026-12-24T08:00:00", "2026-12-24T12:30:00"),
        ("24/7", "2026-11-29T23:59:59", "continuous", "2026-11-29T00:00:00", "2026-11-30T00:00:00"),
        ("24/7", "2026-11-30T00:00:00", "continuous", "2026-11-30T00:00:00", "2026-12-01T00:00:00"),
    ],
)
def test_an_instant_has_its_session_and_phase(
    calendar: str, instant: str, phase: str, opens: str, closes: str
) -> None:
    found = hours_of_calendar(calendar).at(ms(instant))

    assert (found.phase, found.opened_at, found.closes_at) == (phase, ms(opens), ms(closes))


@pytest.mark.parametrize("name", calendar_names())
def test_each_phase_ends_where_the_next_one_begins(name: str) -> None:
    hours = hours_of_calendar(name)
    at = ms("2026-01-01T00:00:00")
    while at < ms("2026-12-01T00:00:00"):
        now = hours.at(at)
        assert now.ends_at > at
        assert hours.at(now.ends_at - 1) == now
        at = now.ends_at


@pytest.mark.parametrize("instant", ["1985-01-01T00:00:00", "2050-01-01T00:00:00"])
def test_outside_of_the_tables_a_market_is_closed(instant: str) -> None:
    assert hours_of_calendar("XNYS").at(ms(instant)).phase == "closed"
