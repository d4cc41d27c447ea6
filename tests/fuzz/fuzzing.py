"""Members as a broker must not write them, from a seed: nearly right JSON, bytes of any kind."""

import json
from collections.abc import Iterator
from random import Random

from app.analysis.record_parser import MAX_RECORD_BYTES

REASONS = frozenset(
    {
        "not_json",
        "missing_number",
        "boolean_number",
        "not_finite",
        "negative_size",
        "non_positive_price",
        "inexact_price",
        "out_of_range",
        "zero_size",
        "too_long",
    }
)
"""Every reason that a record may be refused for (contract, section 1)."""

NUMBERS = (
    "0", "-0.0", "1", "-1", "585.33", "1e308", "-1e308", "1e309", "1e-320", "9" * 400, "0.1e1",
    "true", "false", "null", "NaN", "Infinity", '"1"', '"1e5"', '" 1 "', '"inf"', '"nan"', '"1_0"',
    '"٣"', '"0x10"', '""', "[]", "{}", '"\\ud800"', '"\\u0000"', "1e", "01", "+1",
    "9007199254740993", "0.000009723", "1e-12", "1e-17", "90000000000", "145000000.1",
    "18446744073709551616", "-9223372036854775809", "90071992.54740992", "90071992.54740991",
)  # fmt: skip
NAMES = (
    "bid_price", "bid_size", "ask_price", "ask_size", "price", "size", "timestamp", "seq",
    "aggressor", "note", "\\ud800", "",
)  # fmt: skip
FOUND = (
    b"",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"[" * 2000,
    b'{"a":' * 700,
    b'{"price":1,"size":1,"note":"\\ud800"}',
    b'{"price":1,"size":1,"aggressor":"\\udfff"}',
    b'{"price":1,"size":1,"seq":18446744073709551616}',
    b'{"bid_price":1,"bid_size":1,"ask_price":2,"ask_size":1,"seq":18446744073709551616}',
    b'{"bid_price":1,"bid_size":1,"ask_price":2,"ask_size":1,"seq":-5}',
    b'{"price":1,"size":1e-320,"aggressor":"buy"}',
    b'{"bid_price":1,"bid_size":1e-320,"ask_price":2,"ask_size":5e-324}',
    b'{"price":1e308,"size":1e308,"timestamp":1e308}',
    b'{"price":1,"size":1,"timestamp":NaN}',
    b'{"bid_price":"1e400","bid_size":1,"ask_price":1,"ask_size":1}',
    b'{"bid_price":' + b"9" * 4000 + b',"bid_size":1,"ask_price":1,"ask_size":1}',
    b"\x00" * MAX_RECORD_BYTES,
    b"{" + b" " * MAX_RECORD_BYTES + b"}",
)
"""Members that were or might have been a parser's undoing; kept for ever."""


def members(seed: int) -> Iterator[bytes]:
    """Draw members without end."""
    draw = Random(seed)  # noqa: S311 - a test's, not a secret's
    yield from FOUND
    while True:
        member = _object(draw).encode("utf-8", "surrogatepass")
        yield _damaged(member, draw) if draw.random() < 0.3 else member


def _object(draw: Random) -> str:
    kind = draw.choice((NAMES[:4], NAMES[4:6]))
    names = [*kind, *draw.sample(NAMES, draw.randrange(4))]
    if draw.random() < 0.1:
        names.pop(draw.randrange(len(names)))
    usual = draw.random() < 0.5
    fields = [f'"{n}":{draw.choice(NUMBERS[2:5] if usual else NUMBERS)}' for n in names]
    if draw.random() < 0.2:
        fields.append(f'"aggressor":{draw.choice((chr(34) + "buy" + chr(34), "1", "null"))}')
    return "{" + ",".join(fields) + "}"


def _damaged(member: bytes, draw: Random) -> bytes:
    changed = bytearray(member)
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(changed) + 1)
        match draw.randrange(4):
            case 0:
                changed.insert(place, draw.randrange(256))
            case 1:
                del changed[place : place + draw.randrange(1, 9)]
            case 2:
                changed[place:place] = draw.choice((b"[" * 999, b"\xed\xb0\x80", b"\\ud800", b"\0"))
            case _:
                changed += json.dumps("x" * draw.choice((1, 5000))).encode()
    return bytes(changed)
