"""Bound what a request may hold before it is validated: texts, items, keys and depth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

REFUSAL_CHARACTERS = 1000
SHOWN_FAULTS = 3
_NAME_CHARACTERS = 40


class Bounds(NamedTuple):
    """The largest value that is accepted."""

    characters_each: int
    characters: int
    items: int
    depth: int


# The longest that a tool or prompt can use is ten tickers in one text.
ARGUMENT = Bounds(characters_each=500, characters=4000, items=100, depth=4)
# What a client tells of itself; it may hold icons.
DECLARATION = Bounds(characters_each=16_384, characters=16_384, items=200, depth=16)


def excess(value: object, bounds: Bounds) -> str | None:
    """Return what a decoded JSON value has too much of, or None; read no more than is allowed.

    >>> excess("x" * 501, ARGUMENT), excess([1] * 101, ARGUMENT), excess(["SPY"], ARGUMENT)
    ('a text of 501 characters; allowed are 500', '101 items; allowed are 100', None)
    """
    characters = items = 0
    level: list[object] = [value]
    for _ in range(bounds.depth + 1):
        lengths = [len(one) for one in level if isinstance(one, str)]
        longest = max(lengths, default=0)
        if longest > bounds.characters_each:
            return f"a text of {longest} characters; allowed are {bounds.characters_each}"
        characters += sum(lengths)
        if characters > bounds.characters:
            return f"texts of {characters} characters; allowed are {bounds.characters}"
        holders = [one for one in level if isinstance(one, (list, dict))]
        # Before anything in them is copied: they may hold a million.
        items += sum(map(len, holders))
        if items > bounds.items:
            return f"{items} items; allowed are {bounds.items}"
        level = [part for holder in holders for part in _parts(holder)]
        if not level:
            return None
    return f"more than {bounds.depth} levels of lists and objects"


def _parts(holder: list[object] | dict[object, object]) -> Iterable[object]:
    """Return what a list holds, or the keys and values of an object."""
    return (*holder.keys(), *holder.values()) if isinstance(holder, dict) else holder


def argument_faults(arguments: Mapping[str, Any]) -> list[str]:
    """Return what is too large in the arguments of a call; one fault for each argument at most."""
    if len(arguments) > ARGUMENT.items:
        return [f"{len(arguments)} arguments; allowed are {ARGUMENT.items}"]
    return [
        f"argument {str(name)[:_NAME_CHARACTERS]!r} has {found}"
        for name, value in arguments.items()
        if (found := excess(value, ARGUMENT) or excess(name, ARGUMENT)) is not None
    ]


def list_faults(faults: Sequence[str]) -> str:
    """Return the first few faults, and how many more there are.

    >>> list_faults(["a", "b", "c", "d", "e"])
    'a; b; c; and 2 more'
    """
    text = "; ".join(faults[:SHOWN_FAULTS])
    if len(text) > REFUSAL_CHARACTERS // 2:
        text = text[: REFUSAL_CHARACTERS // 2] + "…"
    more = len(faults) - SHOWN_FAULTS
    return f"{text}; and {more} more" if more > 0 else text
