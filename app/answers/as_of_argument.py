"""An earlier moment of the last hour, or of any kept day, as people and models type it."""

import math
import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from app.analysis.bars import SECOND_MS
from app.answers.durations import age
from app.core.arguments import parse_seconds
from app.core.errors import BadMoment

MAX_CHARACTERS = 40
PAST_MS = 3600 * SECOND_MS
# The clocks of client and server may differ by so much.
AHEAD_MS = 1000
ACCEPTED = (
    "10 minutes ago, -10m, now, 19:50 (UTC), 09:45 ET, yesterday 09:45 ET, "
    "ISO 8601 such as 2026-11-23T14:30:00Z "
    "(UTC where no zone is given), epoch seconds or ms"
)
# Epoch seconds reach so far until the year 5138, and epoch milliseconds begin in 1973.
_MOST_SECONDS = 1e11
_MOST_MS = 1e14
_NOW = frozenset(("now", "right now", "latest", "current", "newest"))
_ZONES = {
    **dict.fromkeys(("z", "utc", "gmt"), "UTC"),
    **dict.fromkeys(("et", "est", "edt", "eastern"), "America/New_York"),
    **dict.fromkeys(("ct", "cst", "cdt"), "America/Chicago"),
    **dict.fromkeys(("mt", "mst", "mdt"), "America/Denver"),
    **dict.fromkeys(("pt", "pst", "pdt"), "America/Los_Angeles"),
}
_AGO = re.compile(r"(?:now ?)?(?:-|minus )\s*(.+)|(.+?) (?:ago|earlier|back|before now)")
_AHEAD = re.compile(r"(?:(?:now ?)?\+|in )\s*(.+)|(.+?) (?:from now|ahead|later)")
_NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")
_WITH_ZONE = re.compile(r"(.*[0-9](?: ?[ap]m)?) ?([a-z]{1,7})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,6})?)?\s*(am|pm)?")
_YESTERDAY = re.compile(r"yesterday(?: at)?(?: (?P<after>.+))?|(?P<before>.+) yesterday")
_DAY_MS = 86_400 * SECOND_MS
_NOON = 12


def parse_moment(
    text: str,
    now_ms: float,
    argument: str = "as_of",
    past_ms: int = PAST_MS,
    hint: str = "",
) -> int | None:
    """Return the whole second at or before the moment `text` in epoch ms.

    None stands for now, and for an empty text. Raises `BadMoment`, which lists the accepted forms
    or says how far the moment lies from what is kept, for anything else. `past_ms` is how much is,
    `hint` why no more.

    >>> [parse_moment(text, 1340285401000) for text in ("", "now", "-10m", "13:29:59")]
    [None, None, 1340284801000, 1340285399000]
    >>> [parse_moment(text, 1340285401000) for text in ("1340285400123", "1340285400")]
    [1340285400000, 1340285400000]
    >>> parse_moment("2012-06-21T13:30:00Z", 1340285401000), parse_moment("9:30 ET", 1340285401000)
    (1340285400000, 1340285400000)
    """
    written = " ".join(text.lower().split()).removeprefix("at ")
    if not written or written in _NOW:
        return None
    stamp_ms = _stamp_of(written, now_ms) if len(written) <= MAX_CHARACTERS else None
    if stamp_ms is None:
        raise BadMoment(f"{argument} {text[:40]!r} is not understood; accepted: {ACCEPTED}")
    late_ms = now_ms - stamp_ms
    if not -AHEAD_MS <= late_ms <= past_ms:
        kept = "hour" if past_ms == PAST_MS else f"{past_ms // _DAY_MS} days"
        more = f"; {hint}" if hint and late_ms > past_ms else ""
        raise BadMoment(
            f"{argument} {text[:40]!r} lies {_distance(late_ms)}, outside the last {kept}, which "
            f"is what is kept: it is {_clock_text(stamp_ms)}, now is {_clock_text(now_ms)}{more}"
        )
    return math.floor(stamp_ms / SECOND_MS) * SECOND_MS


def _distance(late_ms: float) -> str:
    if late_ms < 0:
        return f"{age(-late_ms / SECOND_MS)} ahead of now"
    return f"{age(late_ms / SECOND_MS)} ago"


def _clock_text(stamp_ms: float) -> str:
    try:
        return datetime.fromtimestamp(stamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{stamp_ms:.0f} epoch ms"


def _stamp_of(text: str, now_ms: float) -> float | None:
    """Return the epoch ms of a text in lower case with single spaces."""
    if not text.isascii():
        return None
    if _NUMBER.fullmatch(text):
        return _epoch_ms(float(text))
    if found := _AGO.fullmatch(text):
        return _at_distance(found, -1, now_ms)
    if found := _AHEAD.fullmatch(text):
        return _at_distance(found, 1, now_ms)
    if found := _YESTERDAY.fullmatch(text):
        return _yesterday(found["after"] or found["before"], now_ms)
    text, zone = _split_zone(text)
    return _clock_stamp(text, zone, now_ms) or _iso_stamp(text, zone)


def _split_zone(text: str) -> tuple[str, tzinfo]:
    """Return a text without the time zone at its end, and that zone; UTC where there is none."""
    found = _WITH_ZONE.fullmatch(text)
    if found and found[2] in _ZONES:
        return found[1].strip(), ZoneInfo(_ZONES[found[2]])
    return text, UTC


def _yesterday(clock: str | None, now_ms: float) -> float | None:
    """Return a time of day of the day before, this time of the day where none is given."""
    if clock is None:
        return now_ms - _DAY_MS
    text, zone = _split_zone(clock)
    wanted = _time_of_day(text)
    if wanted is None:
        return None
    here = datetime.fromtimestamp(now_ms / 1000, zone)
    return datetime.combine(here.date() - timedelta(1), wanted, zone).timestamp() * 1000


def _at_distance(found: re.Match[str], sign: int, now_ms: float) -> float | None:
    """Return the moment at a matched duration from now, None where that is none."""
    seconds = parse_seconds(next(filter(None, found.groups())))
    return None if seconds is None else now_ms + sign * seconds * SECOND_MS


def _epoch_ms(number: float) -> float | None:
    if number < _MOST_SECONDS:
        return number * SECOND_MS
    return number if number < _MOST_MS else None


def _time_of_day(text: str) -> time | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour = int(found[1])
    if found[4]:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if found[4] == "pm" else 0)
    try:
        return time(hour, int(found[2]), int(found[3] or 0))
    except ValueError:
        return None


def _clock_stamp(text: str, zone: tzinfo, now_ms: float) -> float | None:
    """Return the time of day that is nearest to now."""
    wanted = _time_of_day(text)
    if wanted is None:
        return None
    here = datetime.fromtimestamp(now_ms / 1000, zone)
    days = (here.date() + timedelta(days) for days in (-1, 0, 1))
    moments = (datetime.combine(day, wanted, here.tzinfo).timestamp() * 1000 for day in days)
    return min(moments, key=lambda moment: abs(moment - now_ms))


def _iso_stamp(text: str, zone: tzinfo) -> float | None:
    try:
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.timestamp() * 1000
    except (ValueError, OverflowError):
        return None
