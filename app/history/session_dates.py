"""Tell to which session date an instant belongs: the name of its day in the history.

That of a session is the date of its close in the market's time zone, as exchanges count trading
days: a session that opens on Sunday evening is Monday's. The time before an open, from the phase
`pre` on, belongs to the coming session, all time after a close to the last one. Where a session is
a UTC day, it is that day.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from app.analysis.trading_hours import TradingHours
from app.core.calendar_zones import ZONES


def session_date(instant_ms: float, hours: TradingHours) -> date:
    """Return the session date of an instant; the close itself belongs to what follows it.

    >>> from app.analysis.trading_hours import UTC_DAYS
    >>> session_date(1_700_000_000_000, UTC_DAYS).isoformat()
    '2023-11-14'
    """
    phase = hours.at(instant_ms)
    zone = ZoneInfo(ZONES[hours.name]) if hours.name in ZONES else UTC
    last_ms = phase.closes_at - 1 if phase.closes_at else instant_ms
    return datetime.fromtimestamp(last_ms / 1000, zone).date()


def date_of_second(end_ms: int, hours: TradingHours) -> date:
    """Return the session date of the second that ends at `end_ms`."""
    return session_date(end_ms - 1, hours)
