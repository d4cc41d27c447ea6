"""A session date, as people and models type it."""

from datetime import UTC, date, datetime, timedelta

from app.core.errors import BadMoment

ACCEPTED = "yesterday, today, or a date such as 2026-11-24"
_AGO = {"today": 0, "yesterday": 1}


def parse_day(text: str, now_ms: float) -> date:
    """Return the date that a text means; days begin in UTC.

    Raises `BadMoment`, which lists the accepted forms.

    >>> parse_day("yesterday", 1340285401000), parse_day(" 2012-06-20 ", 1340285401000)
    (datetime.date(2012, 6, 20), datetime.date(2012, 6, 20))
    """
    typed = text.strip().lower()
    if typed in _AGO:
        return datetime.fromtimestamp(now_ms / 1000, UTC).date() - timedelta(_AGO[typed])
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise BadMoment(f"day {text[:40]!r} is not understood; accepted: {ACCEPTED}") from None
