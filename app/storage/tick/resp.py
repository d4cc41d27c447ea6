"""Pack Redis commands in RESP, the wire format: words, each preceded by its length.

A client packs each word anew, but most words of a tick are the same each second.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

Command = tuple[Any, ...] | bytes
"""The words of a command, or a packed command."""

_SIZES: Final = tuple(f"{n}\r\n" for n in range(100))


def bulk_string(text: str) -> str:
    r"""Return one word as a bulk string.

    >>> bulk_string("HLEN"), bulk_string("é")
    ('$4\r\nHLEN\r\n', '$2\r\né\r\n')
    """
    size = len(text) if text.isascii() else len(text.encode())
    return f"${size}\r\n{text}\r\n"


def command(*words: object) -> bytes:
    r"""Pack a command of numbers and text.

    >>> command("EXPIRE", "k", 60)
    b'*3\r\n$6\r\nEXPIRE\r\n$1\r\nk\r\n$2\r\n60\r\n'
    """
    return f"*{len(words)}\r\n{''.join([bulk_string(str(it)) for it in words])}".encode()


class FieldNames:
    """A hash's field names, each packed from the line end before it to the `$` of its value."""

    __slots__ = ("fields", "packed")

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self.packed = [f"\r\n{bulk_string(name)}$" for name in fields]


@functools.lru_cache(maxsize=1000)
def field_names(fields: tuple[str, ...]) -> FieldNames:
    """Return a cached object for the names: most tickers' windows have the same fields."""
    return FieldNames(fields)


def hset(
    key: str, names: FieldNames, texts: Sequence[str], stored: Sequence[str] | None = None
) -> bytes:
    r"""Pack the command that sets fields of a hash; those whose text is `stored` are left out.

    >>> hset("h", field_names(("a", "b")), ["1.5", "2"], ["1.4", "2"])
    b'*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\na\r\n$3\r\n1.5\r\n'
    """
    parts = [""]
    for place, text in enumerate(texts):
        if stored is not None and text == stored[place]:
            continue
        size = len(text)
        parts.append(names.packed[place])
        parts.append(_SIZES[size] if size < len(_SIZES) else f"{size}\r\n")
        parts.append(text)
    # Two words and two a field, for which there are three parts.
    parts[0] = f"*{2 + len(parts) // 3 * 2}\r\n{bulk_string('HSET')}{bulk_string(key)[:-2]}"
    parts.append("\r\n")
    whole = "".join(parts)
    if whole.isascii():
        return whole.encode()
    # RESP lengths are in bytes: only for ASCII they equal the numbers of characters.
    changed = [place for place, text in enumerate(texts) if stored is None or text != stored[place]]
    return command("HSET", key, *flat({names.fields[it]: texts[it] for it in changed}))


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """Return names and values alternately, without a loop over the fields."""
    words: list[Any] = [""] * (2 * len(fields))
    words[::2] = fields
    words[1::2] = fields.values()
    return words
