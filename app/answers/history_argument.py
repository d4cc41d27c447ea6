"""The history that an answer covers, as people and models type it."""

from app.core.arguments import parse_seconds
from app.core.errors import BadHistory

MIN_SECONDS, MAX_SECONDS = 10, 3600
DAY_SECONDS = 86_400
"""The longest history where one is kept in files, beyond what Redis holds."""
DEFAULT_HISTORY = "5mins"
ACCEPTED = (
    "30s, 45sec, 5m, 5min, 5mins, 10 minutes, last hour, 1h or 90 (seconds): "
    "whole seconds from 10 s to"
)
NOT_KEPT = "ORDERFLOW_HISTORY, which keeps more, is not set"


def parse_history(text: str, most_seconds: int = MAX_SECONDS, hint: str = "") -> int:
    """Return the whole seconds that `text` stands for.

    Raises `BadHistory`, which lists the accepted forms, for anything else; of too long ones it says
    why no more is kept, the `hint`.

    >>> [parse_history(text) for text in ("5mins", "10 minutes", "1h", "90")]
    [300, 600, 3600, 90]
    >>> parse_history("1d", DAY_SECONDS)
    86400
    """
    seconds = parse_seconds(text)
    accepted = f"accepted: {ACCEPTED} {'1 day' if most_seconds > MAX_SECONDS else '1 h'}"
    if seconds is None:
        raise BadHistory(f"history {text[:40]!r} is not understood; {accepted}")
    if not MIN_SECONDS <= seconds <= most_seconds:
        bound = "at least 10 s" if seconds < MIN_SECONDS else _most(most_seconds, hint)
        raise BadHistory(f"history {text[:40]!r} is {seconds} s: {bound}; {accepted}")
    return seconds


def _most(most_seconds: int, hint: str) -> str:
    if most_seconds > MAX_SECONDS:
        return "at most 1 day"
    return f"the last 1 h is kept ({hint})" if hint else "the last 1 h is kept"
