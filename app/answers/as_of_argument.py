"""An earlier moment of the last hour, as people and models type it."""

import math
from datetime import UTC, datetime

from app.analysis.bars import SECOND_MS
from app.core.errors import BadMoment

MAX_DIGITS = 20
PAST_MS = 3600 * SECOND_MS
# The clocks of client and server may differ by so much.
AHEAD_MS = 1000
ACCEPTED = "ISO 8601 such as 2026-11-23T14:30:00Z (UTC where no zone is given), or epoch ms"


def parse_moment(text: str, now_ms: float) -> int | None:
    """Return the whole second at or before the moment `text` in epoch ms, None where it is empty.

    Raises `BadMoment`, which lists the accepted forms, for anything else.

    >>> parse_moment("1340285400123", 1340285401000), parse_moment("", 0)
    (1340285400000, None)
    >>> parse_moment("2012-06-21T13:30:00Z", 1340285401000)
    1340285400000
    """
    if not text.strip():
        return None
    stamp_ms = _stamp_of(text.strip())
    if stamp_ms is None:
        raise BadMoment(f"as_of {text[:40]!r} is not understood; accepted: {ACCEPTED}")
    if not now_ms - PAST_MS <= stamp_ms <= now_ms + AHEAD_MS:
        raise BadMoment(
            f"as_of {text[:40]!r} lies outside the last hour, which is what is kept; "
            f"now is {round(now_ms)} epoch ms"
        )
    return math.floor(stamp_ms / SECOND_MS) * SECOND_MS


def _stamp_of(text: str) -> float | None:
    if text.isascii() and text.replace(".", "", 1).isdecimal():
        return float(text) if len(text) <= MAX_DIGITS else None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, OverflowError):
        return None
