"""Prices are held exactly, in a unit that becomes finer as they ask, and that changes no result."""

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.analysis.price_units import (
    DEFAULT_DIGITS,
    EXACT_DIGITS,
    FLOAT_UNITS_PER_ONE,
    MAX_DIGITS,
    MAX_UNITS,
    NOT_HELD,
    digits_needed,
    published_price,
    to_price_units,
)

DIGITS = range(DEFAULT_DIGITS, MAX_DIGITS + 1)

decimals = st.builds(
    lambda whole, places: Decimal(whole).scaleb(-places),
    st.integers(1, 10**13),
    st.integers(0, MAX_DIGITS),
).filter(lambda price: price <= 90_000_000_000)


def apart(price: float, ulps: int) -> float:
    return price + ulps * math.ulp(price)


def has_room_for_noise(price: Decimal) -> bool:
    """Eight decimals of prices between these take all the digits of a double."""
    return not Decimal(2**48) <= price.scaleb(8) < 2**53


@given(decimals.filter(has_room_for_noise), st.integers(-4, 4), st.sampled_from(DIGITS))
@example(Decimal("585.33"), 1, 8)
@example(Decimal("145000000.1"), 3, 8)
@example(Decimal(90000000000), 0, 8)
@example(Decimal("0.0000000000000001"), 0, 16)
def test_a_price_with_noise_is_the_decimal_that_was_meant(
    price: Decimal, ulps: int, digits: int
) -> None:
    units = to_price_units(apart(float(price), ulps), digits)

    exact = price.scaleb(digits)
    held = exact == exact.to_integral_value() and exact <= MAX_UNITS
    assert units == (int(exact) if held else NOT_HELD)


@given(st.integers(2**48 // 10**8 + 1, 2**26 - 1), st.integers(0, 10**8 - 1))
def test_each_of_eight_decimals_of_a_large_price_counts(whole: int, part: int) -> None:
    price = float(f"{whole}.{part:08d}")

    assert to_price_units(price, DEFAULT_DIGITS) == whole * 10**8 + part
    assert to_price_units(price, EXACT_DIGITS) == (whole * 10**8 + part) * 10**9


@given(decimals.filter(has_room_for_noise))
def test_the_price_published_is_the_double_nearest_to_the_decimal(price: Decimal) -> None:
    units = to_price_units(float(price), EXACT_DIGITS)

    assert published_price(units, FLOAT_UNITS_PER_ONE[EXACT_DIGITS]) == float(price)
    needed = digits_needed(units, EXACT_DIGITS)
    in_its_unit = to_price_units(float(price), needed)
    if in_its_unit != NOT_HELD:
        assert published_price(in_its_unit, FLOAT_UNITS_PER_ONE[needed]) == float(price)


@given(st.floats(1e-16, 9e10))
def test_no_price_is_rounded_by_more_than_noise(price: float) -> None:
    units = to_price_units(price, EXACT_DIGITS)

    if units != NOT_HELD:
        published = published_price(units, FLOAT_UNITS_PER_ONE[EXACT_DIGITS])
        assert abs(published - price) <= 11 * math.ulp(price)


@pytest.mark.parametrize(
    ("price", "digits"),
    [
        (1e-9, 8),
        (0.123456789, 8),
        (1e-17, EXACT_DIGITS),
        (1 / 3e6, EXACT_DIGITS),
        (1000.0, 16),
        (1e9 + 1, 10),
    ],
)
def test_what_a_unit_can_not_hold_is_told(price: float, digits: int) -> None:
    assert to_price_units(price, digits) == NOT_HELD
