"""How long a past an answer covers, as people and models write it."""

import re

from app.core.errors import BadHistory

MIN_SECONDS, MAX_SECONDS = 10, 3600

_UNIT_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
# ASCII only, and few digits: int() would also take other scripts' digits and any length, and \s
# other scripts' spaces.
_HISTORY = re.compile(r"\s*([0-9]{1,6})\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)

ACCEPTED = (
    "30s, 45sec, 5m, 5min, 5mins, 10 minutes, 1h or 90 (seconds): whole seconds from 10 s to 1 h"
)


def parse_history(text: str) -> int:
    """Return the whole seconds that `text` stands for.

    Raises `BadHistory`, which lists the accepted forms, for anything else.

    >>> [parse_history(text) for text in ("5mins", "10 minutes", "1h", "90")]
    [300, 600, 3600, 90]
    """
    found = _HISTORY.fullmatch(text)
    unit_seconds = _UNIT_SECONDS.get(found[2].lower()) if found else None
    if found is None or unit_seconds is None:
        raise BadHistory(f"history {text[:40]!r} is not understood; accepted: {ACCEPTED}")
    seconds = int(found[1]) * unit_seconds
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise BadHistory(f"history {text[:40]!r} is {seconds} s; accepted: {ACCEPTED}")
    return seconds
