"""Stored state is read whole or is refused by name, whatever happened to its bytes."""

import functools

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.patterns.events import whole_second
from app.analysis.records import Batch
from app.core.errors import StateUnreadable
from app.storage.tick import codec
from tests.strategies import Flavour


@functools.cache
def stored() -> tuple[bytes, bytes]:
    """Give a real state's packed form, and its packed bars."""
    engine = Engine.new("SPY")
    stream = Flavour(3, 300, 0.3, 1.0, 0.05, 0.0, 1.0, 0.4).stream()
    engine.advance(Batch(stream, []), whole_second(stream[-1].stamp))
    return codec.encode_state(engine.state).blob, codec.join_bars(
        map(codec.encode_bar, engine.state.recent)
    )


def read(blob: bytes) -> None:
    for decode in (
        lambda b: codec.decode_state(codec.PackedState(b)),
        codec.decode_bars,
        codec.decode_bar,
    ):
        try:
            decode(blob)
        except StateUnreadable as error:
            assert str(error)


@given(st.binary(max_size=400))
@example(b"")
@example(b"\x91" * 5000)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdb\xff\xff\xff\xff")
def test_any_bytes_are_read_or_refused(blob: bytes) -> None:
    read(blob)


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), is_cut=st.booleans())
def test_a_damaged_state_is_read_or_refused(*, place: int, byte: int, is_cut: bool) -> None:
    for whole in stored():
        at = place % len(whole)
        read(whole[:at] if is_cut else whole[:at] + bytes([byte]) + whole[at + 1 :])


@given(
    st.recursive(st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(), st.lists)
)
def test_any_message_of_another_shape_is_refused(value: object) -> None:
    read(msgspec.msgpack.encode(value))
