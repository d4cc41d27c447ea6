"""Pack Redis commands in RESP, the wire format: words, each preceded by its length.

A client packs each word anew, but most words of a tick are the same each second.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

Command = tuple[Any, ...] | bytes
"""The words of a command, or a packed command."""

_SIZES: Final = tuple(f"{n}\r\n" for n in range(100))
_HEADS: Final = tuple(f"${n}\r\n".encode() for n in range(1000))
_END: Final = b"\r\n"


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
    return pack_words(words)


def pack_words(words: Sequence[object]) -> bytes:
    r"""Pack the words of a command: numbers, text and bytes.

    >>> pack_words(["HSET", "k", "f", b"\xff"])
    b'*4\r\n$4\r\nHSET\r\n$1\r\nk\r\n$1\r\nf\r\n$1\r\n\xff\r\n'
    """
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        packed = word if isinstance(word, bytes) else str(word).encode()
        size = len(packed)
        # No formatting for most lengths: it takes longer than all else.
        parts.append(_HEADS[size] if size < len(_HEADS) else f"${size}\r\n".encode())
        parts.append(packed)
        parts.append(_END)
    return b"".join(parts)


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


def hset(key: str, names: FieldNames, texts: list[str], places: list[int] | None = None) -> bytes:
    r"""Pack the command that sets fields of a hash: all, or those at some places among the names.

    >>> hset("h", field_names(("a", "b")), ["1.5"], [1])
    b'*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nb\r\n$3\r\n1.5\r\n'
    """
    parts, packed = [""], names.packed
    for number, text in enumerate(texts):
        size = len(text)
        parts.append(packed[number if places is None else places[number]])
        parts.append(_SIZES[size] if size < len(_SIZES) else f"{size}\r\n")
        parts.append(text)
    # Two words and two a field, for which there are three parts.
    parts[0] = f"*{2 + len(parts) // 3 * 2}\r\n{bulk_string('HSET')}{bulk_string(key)[:-2]}"
    parts.append("\r\n")
    whole = "".join(parts)
    if whole.isascii():
        return whole.encode()
    # RESP lengths are in bytes: only for ASCII they equal the numbers of characters.
    chosen = names.fields if places is None else [names.fields[place] for place in places]
    return pack_words(["HSET", key, *flat(dict(zip(chosen, texts, strict=True)))])


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """Return names and values alternately, without a loop over the fields."""
    words: list[Any] = [""] * (2 * len(fields))
    words[::2] = fields
    words[1::2] = fields.values()
    return words
