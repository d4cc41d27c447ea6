"""Write instants as clock times in UTC, and in the local time of a market."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from app.answers.durations import TODAY_MS, age


def utc_clock(stamp_ms: float) -> str:
    """Return the clock time of an instant in UTC, without its date.

    >>> utc_clock(1340285400123)
    '13:30:00'
    """
    return datetime.fromtimestamp(stamp_ms // 1000, UTC).strftime("%H:%M:%S")


def iso_utc(stamp_ms: float) -> str:
    """Return an instant as ISO 8601 in UTC, to whole seconds.

    >>> iso_utc(1340285400123)
    '2012-06-21T13:30:00Z'
    """
    return datetime.fromtimestamp(stamp_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_of_text(as_of_ms: float, asked_at_ms: float) -> str:
    """Return of which earlier moment an answer is, with its date if that is long ago.

    >>> as_of_text(1340285400123, 1340285460123)
    'as of 13:30:00 UTC, asked 60 s later'
    >>> as_of_text(1340285400123, 1340371800123)
    'as of 2012-06-21 13:30:00 UTC, asked 24.0 h later'
    """
    later_ms = asked_at_ms - as_of_ms
    day = "" if later_ms < TODAY_MS else f"{iso_utc(as_of_ms)[:10]} "
    return f"as of {day}{utc_clock(as_of_ms)} UTC, asked {age(later_ms / 1000)} later"


def local_clock(stamp_ms: float, zone: str) -> str:
    """Return hours and minutes of an instant in a time zone, with the zone's abbreviation.

    >>> local_clock(1340285400123, "America/New_York")
    '09:30 EDT'
    """
    moment = datetime.fromtimestamp(stamp_ms / 1000, ZoneInfo(zone))
    return moment.strftime("%H:%M %Z")
