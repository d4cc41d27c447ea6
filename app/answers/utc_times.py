"""Write instants as clock times in UTC, and in the local time of a market."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


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


def local_clock(stamp_ms: float, zone: str) -> str:
    """Return hours and minutes of an instant in a time zone, with the zone's abbreviation.

    >>> local_clock(1340285400123, "America/New_York")
    '09:30 EDT'
    """
    moment = datetime.fromtimestamp(stamp_ms / 1000, ZoneInfo(zone))
    return moment.strftime("%H:%M %Z")
