"""Pack the engine's state to bytes, and unpack it: each object as its class's name and its fields.

The name is stored because compiled classes have no annotations at run time. Fields that are no
parameters of their class (`init=False`) are left out: they are stored apart, or derived. Arrays of
floats that 32 bits hold exactly, as most sizes and numbers of price units, are stored in those.
"""

import zlib
from array import array
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any, Final

import msgspec
import numpy as np

from app.analysis import (
    bars,
    baselines,
    detector_context,
    gaps,
    levels,
    outcomes,
    quantiles,
    records,
    rejections,
    return_periods,
    session,
    standing_quote,
    state,
    touch,
)
from app.analysis.detectors import DETECTOR_MODULES
from app.analysis.patterns import events
from app.analysis.quantiles import FloatArray
from app.core.errors import StateUnreadable
from app.storage.tick import journal

_MODULES: tuple[ModuleType, ...] = (
    bars,
    journal,
    levels,
    outcomes,
    session,
    standing_quote,
    records,
    rejections,
    return_periods,
    quantiles,
    detector_context,
    gaps,
    state,
    touch,
    baselines,
    events,
    *DETECTOR_MODULES,
)
_CHECKSUM_BYTES = 4
_PLAIN = (bool, int, float, str)
_FEW_FLOATS = 16
"""So many are faster looked at one by one than by numpy."""


class PackedClass:
    """A class whose objects are part of the state."""

    def __init__(self, made: type) -> None:
        self.make: Callable[..., object] = made
        kept = [f for f in fields(made) if f.init]
        self.names = [f.name for f in kept]
        self.mark = made.__name__.encode()
        # `pack` replaces the class by its mark.
        self.values: Callable[[object], Any] = attrgetter("__class__", *self.names)
        self.not_plain = [place for place, f in enumerate(kept, 1) if f.type not in _PLAIN]


def _kinds() -> dict[type, PackedClass]:
    found: dict[type, PackedClass] = {}
    for module in _MODULES:
        for made in vars(module).values():
            if isinstance(made, type) and is_dataclass(made) and made.__module__ == module.__name__:
                found[made] = PackedClass(made)
    return found


_KINDS = _kinds()
_MAKE: dict[bytes, Callable[..., object]] = {kind.mark: kind.make for kind in _KINDS.values()}
_LAYOUT = zlib.crc32(repr(sorted((k.mark, k.names) for k in _KINDS.values())).encode())

# The number of today's layout, greater with each change of what is packed, or how: of two workers,
# the one whose layout is older leaves the other's states alone. A test keeps it.
LAYOUT_NUMBER: Final = 6

# Errors of unpacking valid msgpack that holds no state.
_MISSHAPEN = (RecursionError, KeyError, TypeError, ValueError, IndexError)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def pack(value: object) -> bytes:
    """Pack an object of the state, with a checksum over its bytes and these classes' fields."""
    body = _encode(_plain(value))
    return _checksum(body, _LAYOUT) + body


def ignoring_overflow() -> AbstractContextManager[Any]:
    """Return a context in which to pack a state, so that numpy does not warn of great numbers.

    One for a whole state: to enter it takes as long as to pack an array.
    """
    return np.errstate(over="ignore")


def _checksum(body: bytes, layout: int) -> bytes:
    return zlib.crc32(body, layout).to_bytes(_CHECKSUM_BYTES, "big")


def unpack(blob: bytes) -> object:
    """Return the object that `pack` was given.

    Raises `StateUnreadable` if the bytes or the fields of the classes changed since.
    """
    body = blob[_CHECKSUM_BYTES:]
    if blob[:_CHECKSUM_BYTES] != _checksum(body, _LAYOUT):
        raise StateUnreadable("its checksum differs")
    try:
        return _made(_decode(body))
    except (msgspec.DecodeError, *_MISSHAPEN) as error:
        raise StateUnreadable(f"{type(error).__name__}: {error}") from None


def _plain(value: object) -> object:
    kind = _KINDS.get(type(value))
    if kind is not None:
        plain: list[object] = list(kind.values(value))
        plain[0] = kind.mark
        for place in kind.not_plain:
            plain[place] = _plain(plain[place])
        return plain
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, array):
        return _packed_floats(value) if value.typecode == "d" else _packed_array(value)
    return value


def _packed_array(values: "array[Any]") -> bytes:
    return values.typecode.encode() + values.tobytes()


def _packed_floats(values: FloatArray) -> bytes:
    if len(values) <= _FEW_FLOATS:
        few = values.tolist()
        fewer_bits = array("f", few)
        return (
            b"f" + fewer_bits.tobytes() if fewer_bits.tolist() == few else b"d" + values.tobytes()
        )
    short = np.frombuffer(values).astype(np.float32)
    whole = values.tobytes()
    return b"f" + short.tobytes() if short.astype(np.float64).tobytes() == whole else b"d" + whole


def _made(plain: object) -> object:
    if isinstance(plain, list):
        if plain and isinstance(plain[0], bytes):
            return _MAKE[plain[0]](*[_made(one) for one in plain[1:]])
        return [_made(one) for one in plain]
    if isinstance(plain, dict):
        return {key: _made(one) for key, one in plain.items()}
    if isinstance(plain, bytes):
        unpacked: array[Any] = array(chr(plain[0]), plain[1:])
        return array("d", unpacked) if unpacked.typecode == "f" else unpacked
    return plain
