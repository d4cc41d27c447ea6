"""Give each ticker the sessions of its calendar.

The sessions were computed by exchange_calendars, for years ahead, and are read from a file: see
docs/decisions/0016-calendars.md.
"""

import base64
import functools
import re
import zlib
from array import array
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

from app.analysis.trading_hours import CONTINUOUS_NAME, UTC_DAYS, TradingHours
from app.core.calendar_setting import STOCKS, CalendarRule, session_tables

_MINUTE_MS = 60_000
_PAIR = re.compile("[-/]")


@functools.cache
def hours_of_calendar(name: str) -> TradingHours:
    """Return the sessions of a calendar."""
    if name == CONTINUOUS_NAME:
        return UTC_DAYS
    numbers = array("i", zlib.decompress(base64.b64decode(session_tables()[name])))
    count = len(numbers) // 2
    opens = [minute * _MINUTE_MS for minute in accumulate(numbers[:count])]
    lengths = [minutes * _MINUTE_MS for minutes in numbers[count:]]
    closes = [opened + length for opened, length in zip(opens, lengths, strict=True)]
    return TradingHours(name, opens, closes)


def calendar_of(ticker: str, rules: Sequence[CalendarRule]) -> str:
    """Return the name of a ticker's calendar: the first rule's that fits, or the usual one.

    >>> [calendar_of(name, ()) for name in ("SPY", "BTC/USD", "ETH-PERP", "SPY   241220C00450000")]
    ['XNYS', '24/7', '24/7', 'XNYS']
    """
    for rule in rules:
        if fnmatchcase(ticker, rule.pattern):
            return rule.calendar
    return CONTINUOUS_NAME if _PAIR.search(ticker) else STOCKS


def hours_of(ticker: str, rules: Sequence[CalendarRule]) -> TradingHours:
    """Return the sessions of a ticker's market."""
    return hours_of_calendar(calendar_of(ticker, rules))
