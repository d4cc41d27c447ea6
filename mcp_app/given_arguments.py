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


def read_arguments(
    given: Mapping[str, Any], fields: Mapping[str, FieldInfo]
) -> Mapping[str, object]:
    """Return arguments in the form that their fields have, without those that have no value.

    What is in no such form stays as it came, for the validation to refuse; so do unknown names.
    """
    read: dict[str, object] = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            read[name] = value
        elif not _has_no_value(value, field):
            read[name] = _read(value, field)
    return read


def _has_no_value(value: object, field: FieldInfo) -> bool:
    if isinstance(value, str) and not field.is_required():
        return value.strip().lower() in _NO_VALUE
    return value is None


def _read(value: object, field: FieldInfo) -> object:
    if get_origin(field.annotation) is list:
        return [*_items(value if isinstance(value, list) else [value])]
    if field.annotation is str:
        return _scalar(value)
    return value


def _scalar(value: object) -> object:
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _items(values: list[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, str):
            items = (item.strip(_QUOTES) for item in _SEPARATORS.split(value))
            yield from (item for item in items if item)
        else:
            yield value
