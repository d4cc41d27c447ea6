"""Tell repeated events once a minute for each kind, and show foreign text cut and escaped."""

import time
from collections.abc import Callable

import msgspec

MINUTE_SECONDS = 60.0
SHOWN_CHARACTERS = 80
MAX_KINDS = 1000


def shown(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    r"""Return the beginning of a foreign text, with all but printable ASCII escaped.

    >>> shown("a\n\u202eb"), shown("x" * 100, 3)
    ('a\\n\\u202eb', 'xxx… (100 characters)')
    """
    cut = text[:characters].encode("unicode_escape").decode("ascii")
    return cut if len(text) <= characters else f"{cut}… ({len(text)} characters)"


class _Kind(msgspec.Struct):
    said_at: float
    left_out: int = 0


class OncePerMinute:
    """Tell which of repeated events to log, and how many were left out since the last one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kinds: dict[object, _Kind] = {}

    def left_out(self, kind: object) -> int | None:
        """Return how many of a kind were left out since the last one, or None to leave this out."""
        now, known = self._now(), self._kinds.get(kind)
        if known is not None and now - known.said_at < MINUTE_SECONDS:
            known.left_out += 1
            return None
        if known is None and len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = _Kind(now)
        return 0 if known is None else known.left_out
