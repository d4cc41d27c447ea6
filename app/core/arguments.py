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
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("week", "weeks"), 7 * 86400),
}
_NUMBERS = {
    **dict.fromkeys(("a", "an", "one"), 1),
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "twenty-five": 25,
    "thirty": 30,
    "forty": 40,
    "forty-five": 45,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
}
_PARTS_OF_AN_HOUR = {
    **dict.fromkeys(("half hour", "half an hour"), 1800),
    **dict.fromkeys(("quarter hour", "quarter of an hour", "a quarter of an hour"), 900),
}
_LAST = re.compile(r"^(in |over |for )?(the )?(last|past|previous)[ _-]")
# Few digits: int() would take any length. Some models write a whole number as 300.0.
_DURATION = re.compile(r"([0-9]{1,6})(?:\.0{1,6})?[ -]?([a-z]*)")
_IN_WORDS = re.compile(rf"(?:({'|'.join(sorted(_NUMBERS, reverse=True))}) )?([a-z]{{3,}})")


def parse_seconds(text: str) -> int | None:
    """Return the whole seconds of a duration, None where `text` is none.

    >>> [parse_seconds(text) for text in ("90", "5mins", "10 minutes", "1h", "2 days")]
    [90, 300, 600, 3600, 172800]
    >>> [parse_seconds(text) for text in ("last hour", "five minutes", "half an hour", "300.0")]
    [3600, 300, 1800, 300]
    >>> [parse_seconds(text) for text in ("5-minute", "in the previous hour", "quarter of an hour")]
    [300, 3600, 900]
    """
    if not text.isascii():
        return None
    words = re.sub(_LAST, "", " ".join(text.lower().split()))
    if words in _PARTS_OF_AN_HOUR:
        return _PARTS_OF_AN_HOUR[words]
    if found := _DURATION.fullmatch(words):
        return _times(int(found[1]), found[2])
    if found := _IN_WORDS.fullmatch(words):
        return _times(_NUMBERS.get(found[1] or "one", 1), found[2])
    return None


def _times(number: int, unit: str) -> int | None:
    seconds = _UNIT_SECONDS.get(unit)
    return None if seconds is None else number * seconds


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
