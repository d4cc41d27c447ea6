"""Names as people and models type them: any case, plural, with spaces or hyphens."""

import re
from collections.abc import Collection, Iterable

from app.core.errors import BadQuestion

_SEPARATORS = re.compile(r"[,;|\n]|\band\b|\bor\b")
_BETWEEN_WORDS = re.compile(r"[\s\-_]+")
_ANY = frozenset(("any", "all", "every", "*"))


def find_name(typed: str, names: Collection[str]) -> str | None:
    """Return the name that a typed text means, None where it means none.

    >>> names = ("absorption", "hidden_print", "bid", "min_spread")
    >>> [find_name(typed, names) for typed in ('["Absorptions"]', "hidden prints", "BIDS", "x")]
    ['absorption', 'hidden_print', 'bid', None]
    """
    written = _BETWEEN_WORDS.sub("_", typed.strip().strip("'\"`[]").lower())
    forms = (written, written.removesuffix("s"), written.removesuffix("es"))
    return next((form for form in forms if form in names), None)


def parse_names(argument: str, typed: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the names of a text with commas between them, each once; `any` and nothing give none.

    Raises `BadQuestion`, which lists what is accepted.

    >>> parse_names("pattern", "Icebergs, absorption", ("absorption", "iceberg"))
    ('iceberg', 'absorption')
    >>> parse_names("side", "any", ("bid", "ask"))
    ()
    """
    parts = [part.strip() for part in _SEPARATORS.split(typed) if part.strip()]
    if all(part.lower() in _ANY for part in parts):
        return ()
    return distinct(_known(argument, part, names) for part in parts)


def _known(argument: str, part: str, names: Collection[str]) -> str:
    name = find_name(part, names)
    if name is None:
        raise BadQuestion(
            f"{argument} {part[:40]!r} is not known; accepted: any, {', '.join(names)}"
        )
    return name


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Return names without repetitions, in their order."""
    return tuple(dict.fromkeys(names))
