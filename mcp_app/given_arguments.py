"""Read a tool's arguments as models send them: nulls, numbers for texts, texts for lists."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from pydantic.fields import FieldInfo

# What stands between the values of a list that came as one text, and around them.
_SEPARATORS = re.compile(r"[,;\n]")
_QUOTES = "[]'\" "
# Texts that stand for no value; a ticker may have such a name, an argument with a default not.
_NO_VALUE = frozenset(("", "null", "none"))
OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "ticker": ("symbol",),
    "tickers": ("symbols", "ticker", "symbol"),
    "id": ("event_id", "pattern_id"),
    "pattern": ("patterns", "types", "type"),
    "side": ("sides",),
    "fields": ("field", "metrics"),
}
"""By argument: other names that models use for it, where the tool has no such argument."""
PLACEHOLDERS = frozenset(("random_string", "dummy", "_", ""))
"""What clients send that can't call a tool without any argument."""


def read_arguments(
    given: Mapping[str, Any], fields: Mapping[str, FieldInfo]
) -> Mapping[str, object]:
    """Return arguments in the form that their fields have, without those that have no value.

    What is in no such form stays as it came, for the validation to refuse; so do unknown names.
    """
    read: dict[str, object] = {}
    for given_name, value in given.items():
        name = _argument_of(given_name, fields)
        field = fields.get(name)
        if name in read or (name != given_name and name in given):
            # Both names of one argument: the other one is refused as unknown.
            name, field = given_name, None
        if field is None:
            if given_name not in PLACEHOLDERS or any(f.is_required() for f in fields.values()):
                read[name] = value
        elif not _has_no_value(value, field):
            read[name] = _read(value, field)
    return read


def _argument_of(given_name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the argument that a name means, itself where it means none."""
    if given_name in fields:
        return given_name
    return next(
        (name for name in fields if given_name in OTHER_NAMES.get(name, ())),
        given_name,
    )


def _has_no_value(value: object, field: FieldInfo) -> bool:
    if isinstance(value, str) and not field.is_required():
        return value.strip().lower() in _NO_VALUE
    return value is None


def _read(value: object, field: FieldInfo) -> object:
    if get_origin(field.annotation) is list:
        return [*_items(value if isinstance(value, list) else [value])]
    if field.annotation is str:
        return _text(value, field)
    return value


def _text(value: object, field: FieldInfo) -> object:
    """Return one value; several texts are one with commas where the argument has a default."""
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if isinstance(value, list) and not field.is_required() and _are_texts(value):
        return ", ".join(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _are_texts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _items(values: list[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, str):
            items = (item.strip(_QUOTES) for item in _SEPARATORS.split(value))
            yield from (item for item in items if item)
        else:
            yield value
