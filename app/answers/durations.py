"""Format durations and times for people: how long ago, and when in UTC."""

from datetime import UTC, datetime

TENTHS_BELOW_SECONDS = 10
SECONDS_BELOW_SECONDS = 600
MINUTES_BELOW_SECONDS = 7200
TODAY_MS = 12 * 3_600_000
# The clocks of machines that work together differ by less.
CLOCK_SKEW_SECONDS = 0.25


def age(seconds: float) -> str:
    """Return a duration in the unit that suits its size.

    >>> age(1.25), age(42.4), age(412), age(5400), age(90000)
    ('1.2 s', '42 s', '412 s', '90 min', '25.0 h')
    """
    if seconds < TENTHS_BELOW_SECONDS:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < SECONDS_BELOW_SECONDS:
        return f"{seconds:.0f} s"
    if seconds < MINUTES_BELOW_SECONDS:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def lag(seconds: int) -> str:
    """Return by how much a feed is behind, in whole units.

    >>> lag(10), lag(119), lag(903), lag(21605)
    ('10 s', '119 s', '15 min', '6 h')
    """
    if seconds < 2 * 60:
        return f"{seconds} s"
    if seconds < MINUTES_BELOW_SECONDS:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def ago(stamp_ms: float, now_ms: float) -> str:
    """Return the age of a stamp at `now_ms` as text, or how far it is ahead of the clock.

    >>> ago(1000, 3500), ago(9000, 1000)
    ('2.5 s ago', '8.0 s ahead')
    """
    seconds = (now_ms - stamp_ms) / 1000
    return f"{age(-seconds)} ahead" if seconds < -CLOCK_SKEW_SECONDS else f"{age(seconds)} ago"


def before(stamp_ms: float, moment_ms: float) -> str:
    """Return how long a stamp is before an earlier moment that somebody asked about.

    >>> before(1000, 3500)
    '2.5 s before'
    """
    return f"{age((moment_ms - stamp_ms) / 1000)} before"


def since(stamp_ms: float, now_ms: float) -> str:
    """Return a stamp as a time in UTC and its age.

    >>> since(1340285400123, 1340285412123)
    '13:30:00 UTC (12 s ago)'
    """
    moment = datetime.fromtimestamp(stamp_ms / 1000, UTC)
    form = "%H:%M:%S UTC" if now_ms - stamp_ms < TODAY_MS else "%Y-%m-%d %H:%M:%S UTC"
    return f"{moment.strftime(form)} ({ago(stamp_ms, now_ms)})"
