"""The history that an answer covers, as people and models type it."""

from app.core.arguments import parse_seconds
from app.core.errors import BadHistory

MIN_SECONDS, MAX_SECONDS = 10, 3600
DEFAULT_HISTORY = "5mins"
ACCEPTED = (
    "30s, 45sec, 5m, 5min, 5mins, 10 minutes, last hour, 1h or 90 (seconds): "
    "whole seconds from 10 s to 1 h"
)


def parse_history(text: str) -> int:
    """Return the whole seconds that `text` stands for.

    Raises `BadHistory`, which lists the accepted forms, for anything else.

    >>> [parse_history(text) for text in ("5mins", "10 minutes", "1h", "90")]
    [300, 600, 3600, 90]
    """
    seconds = parse_seconds(text)
    if seconds is None:
        raise BadHistory(f"history {text[:40]!r} is not understood; accepted: {ACCEPTED}")
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        bound = "the last 1 h is kept" if seconds > MAX_SECONDS else "at least 10 s"
        raise BadHistory(f"history {text[:40]!r} is {seconds} s: {bound}; accepted: {ACCEPTED}")
    return seconds
