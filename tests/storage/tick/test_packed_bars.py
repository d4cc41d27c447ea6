"""A stored bar is read as it was, or not at all."""

import msgspec
import pytest

from app.analysis.bars import ADDITIVE_FIELDS, COUNT_FIELDS, Bar
from app.analysis.records import Quote
from app.core.errors import StateUnreadable
from app.storage.tick.codec import decode_bar, encode_bar


def _bar() -> Bar:
    bar = Bar(1_700_000_000_000).set_fields(
        (name, 0.5 + n) for n, name in enumerate(ADDITIVE_FIELDS)
    )
    bar.set_fields((name, n) for n, name in enumerate(COUNT_FIELDS))
    bar.bid_price, bar.ask_price, bar.stood = 10_00000000, 10_02000000, 1
    bar.first_quote, bar.quality = Quote(1.5, 7, 1, 2.0, 3, 4.0), {"late": 2}
    return bar


@pytest.mark.parametrize("locked_before", [False, True])
def test_a_bar_comes_back_as_it_was(locked_before: bool) -> None:  # noqa: FBT001 - a parameter
    bar = _bar()
    # What is valid may be older than what stands: packed as the difference between the two.
    bar.mid2, bar.spread = (20_00000000, 1000000) if locked_before else (20_02000000, 2000000)

    assert decode_bar(encode_bar(bar)) == bar


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(0, 1, id="another form"),
        pytest.param(2, -1, id="a negative count"),
        pytest.param(2, 2**32, id="a count beyond what a table holds"),
        pytest.param(11, "x", id="a word"),
    ],
)
def test_a_bar_that_can_not_be_one_is_unreadable(place: int, value: object) -> None:
    values = msgspec.msgpack.decode(encode_bar(_bar()))
    values[place] = value

    with pytest.raises(StateUnreadable):
        decode_bar(msgspec.msgpack.encode(values))


def test_a_bar_without_the_number_of_its_form_is_unreadable() -> None:
    values = msgspec.msgpack.decode(encode_bar(_bar()))

    with pytest.raises(StateUnreadable):
        decode_bar(msgspec.msgpack.encode(values[1:]))


@pytest.mark.parametrize(
    ("bid", "ask", "mid2", "spread"),
    [
        (9 * 10**18, 9 * 10**18, 0, 0),
        (9 * 10**18 - 1, 9 * 10**18, 18 * 10**18 - 1, 1),
        (0, 9 * 10**18, 18 * 10**18 - 3, 5),
        (9 * 10**18, 1, 18 * 10**18 - 3, 9 * 10**18 - 2),
        (1, 9 * 10**18, 0, 0),
    ],
)
def test_the_greatest_prices_come_back(bid: int, ask: int, mid2: int, spread: int) -> None:
    bar = _bar()
    bar.bid_price, bar.ask_price, bar.mid2, bar.spread = bid, ask, mid2, spread

    assert decode_bar(encode_bar(bar)) == bar


@pytest.mark.parametrize("digits", [8, 9, 16])
def test_a_bar_tells_its_price_unit(digits: int) -> None:
    bar = _bar()
    bar.digits = digits

    assert decode_bar(encode_bar(bar)).digits == digits


@pytest.mark.parametrize("form", [1, 3, 8, 17])
def test_a_bar_of_no_known_form_is_unreadable(form: int) -> None:
    values = msgspec.msgpack.decode(encode_bar(_bar()))
    values[0] = form

    with pytest.raises(StateUnreadable):
        decode_bar(msgspec.msgpack.encode(values))
