"""Read `ORDERFLOW_CALENDARS`, which tells tickers' calendars, and the sessions of all calendars."""

import functools
import json
from pathlib import Path
from typing import NamedTuple

STOCKS = "XNYS"
"""The calendar of a ticker that no rule names, unless it looks like a pair."""
UTC_DAYS_NAME = "24/7"
_FILE = Path(__file__).parent / "sessions.json"


class CalendarRule(NamedTuple):
    """A pattern of tickers, as in file names, and the calendar of those that fit it."""

    pattern: str
    calendar: str


@functools.cache
def session_tables() -> dict[str, str]:
    """Return the packed sessions of all calendars by name; that of UTC days has none."""
    tables: dict[str, str] = json.loads(_FILE.read_text(encoding="utf-8"))
    return tables


def calendar_names() -> list[str]:
    """Return the names of all calendars."""
    return sorted([UTC_DAYS_NAME, *session_tables()])


def parse_calendars(text: str) -> tuple[CalendarRule, ...]:
    """Return the rules of a setting: `PATTERN=CALENDAR`, separated by spaces.

    Raises `ValueError` where a part has another form or names no calendar.

    >>> parse_calendars("ES*=CMES *USDT=24/7")[1]
    CalendarRule(pattern='*USDT', calendar='24/7')
    """
    rules = [CalendarRule(*_halves(part)) for part in text.split()]
    for rule in rules:
        if not rule.pattern or rule.calendar not in calendar_names():
            raise ValueError(f"no calendar or no pattern in {rule.pattern}={rule.calendar}")
    return tuple(rules)


def _halves(part: str) -> tuple[str, str]:
    pattern, _, calendar = part.rpartition("=")
    return pattern, calendar
