"""Stored state is read whole or is refused by name, whatever happened to its bytes."""

import functools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.analysis.bars import whole_second
from app.analysis.baselines import TickSize
from app.analysis.engine import Engine
from app.analysis.records import Batch
from app.core.errors import StateUnreadable
from app.storage.tick import codec
from app.storage.tick.state_packing import pack
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


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary()
    | st.text()
)
# Far shorter than a bar or a state; the empty list alone is valid, as no bars.
OTHER_SHAPES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, min_size=1, max_size=5), max_leaves=20
)
NO_NUMBERS = st.none() | st.binary() | st.text() | st.lists(st.booleans(), max_size=3)


def bar_values() -> list[object]:
    """Give a real bar as the plain values that are packed."""
    values: list[object] = msgspec.msgpack.decode(stored()[1])[0]
    return values


def refused(decode: Callable[[bytes], object], blob: bytes) -> None:
    with pytest.raises(StateUnreadable) as refusal:
        decode(blob)
    assert str(refusal.value)


def state_of(blob: bytes) -> object:
    return codec.decode_state(codec.PackedState(blob))


@given(OTHER_SHAPES)
@example([])
@example({})
def test_any_message_of_another_shape_is_refused(value: object) -> None:
    message = msgspec.msgpack.encode(value)
    refused(codec.decode_bar, message)
    refused(state_of, message)
    refused(state_of, pack(value))  # under a checksum that holds
    if value != []:
        refused(codec.decode_bars, message)


@given(place=st.integers(0, 10**6), other=NO_NUMBERS)
def test_a_bar_with_anything_but_a_number_in_a_numbers_place_is_refused(
    place: int, other: object
) -> None:
    values = bar_values()
    numbers = [at for at, value in enumerate(values) if isinstance(value, int | float)]
    values[numbers[place % len(numbers)]] = other
    refused(codec.decode_bar, msgspec.msgpack.encode(values))
    refused(codec.decode_bars, msgspec.msgpack.encode([values]))


@pytest.mark.parametrize("change", [lambda values: values[:-1], lambda values: [*values, 0]])
def test_a_bar_with_a_value_less_or_more_is_refused(
    change: Callable[[list[object]], list[object]],
) -> None:
    values = change(bar_values())
    refused(codec.decode_bar, msgspec.msgpack.encode(values))
    refused(codec.decode_bars, msgspec.msgpack.encode([values]))


def test_another_object_of_the_fold_is_refused_where_a_state_is_to_be() -> None:
    refused(state_of, pack(TickSize()))


def test_a_state_with_a_value_more_or_of_an_unknown_class_is_refused() -> None:
    values = msgspec.msgpack.decode(stored()[0][4:])  # after the checksum
    refused(state_of, pack([*values, 0]))
    refused(state_of, pack([b"Unknown", *values[1:]]))


def test_valid_messages_are_delivered() -> None:
    state, bars = stored()
    assert codec.encode_state(codec.decode_state(codec.PackedState(state))).blob == state
    found = codec.decode_bars(bars)
    assert found
    assert codec.join_bars(map(codec.encode_bar, found)) == bars
    assert codec.decode_bar(codec.encode_bar(found[0])) == found[0]
    assert codec.decode_bars(msgspec.msgpack.encode([])) == []
