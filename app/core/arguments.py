"""Durations, numbers and words as people and models type them, for tools, commands and feeds.

Ticker names are in `app.core.tickers`.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import click

from app.core.errors import BadQuestion

PORTS = (1, 65535)
INTERVAL_SECONDS = (1, 30)
RETENTION_SECONDS = (60, 86400)

_UNIT_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
# ASCII only, and few digits: int() would also take other scripts' digits and any length, and \s
# other scripts' spaces.
_DURATION = re.compile(r"\s*([0-9]{1,6})\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def parse_seconds(text: str) -> int | None:
    """Return the whole seconds of a duration, None where `text` is none.

    >>> [parse_seconds(text) for text in ("90", "5mins", "10 minutes", "1h", "5 days")]
    [90, 300, 600, 3600, None]
    """
    found = _DURATION.fullmatch(text)
    unit_seconds = _UNIT_SECONDS.get(found[2].lower()) if found else None
    return None if found is None or unit_seconds is None else int(found[1]) * unit_seconds


class Seconds(click.IntRange):
    """A command's option that holds whole seconds within bounds, also written as `5m` or `1h`."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in the base class
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return the seconds; what is no duration gets click's own message."""
        seconds = parse_seconds(value) if isinstance(value, str) else None
        converted: int = super().convert(value if seconds is None else seconds, param, ctx)
        return converted


def check_range(name: str, number: float, least: float, most: float) -> None:
    """Raise `BadQuestion` unless a number lies within bounds."""
    if not least <= number <= most:
        raise BadQuestion(f"{name} lies from {least} to {most}")


def check_count(name: str, given: Sequence[str], most: int) -> None:
    """Raise `BadQuestion` unless there are 1 to `most` values."""
    if not 1 <= len(given) <= most:
        raise BadQuestion(f"{name}: {len(given)} given, 1 to {most} accepted")


def check_word(name: str, word: str, accepted: Collection[str]) -> None:
    """Raise `BadQuestion` unless a word is an accepted one."""
    if word not in accepted:
        raise BadQuestion(f"{name} {word[:40]!r} is not known; accepted: {', '.join(accepted)}")


def check_words(name: str, words: Sequence[str], accepted: Collection[str], most: int) -> None:
    """Raise `BadQuestion` unless there are 1 to `most` words, all of them accepted ones."""
    unknown = [word[:40] for word in words if word not in accepted]
    if unknown or not 1 <= len(words) <= most:
        fault = f"{unknown} not known" if unknown else f"{len(words)} given"
        raise BadQuestion(f"{name}: {fault}; 1 to {most} of: {', '.join(accepted)}")
