"""Hold prices as whole numbers of a unit, 10^-digits, and publish them as floats.

A unit holds a price v if some whole multiple of it is within `NOISE` of v: a broker that computes
585.3300000000001 means 585.33. Of all such decimals the one with the fewest digits is meant; only
from 2.8 to 90 million, where eight decimals take all the digits of a double and leave none for
noise, the nearest multiple of 1e-8. What is published is the double nearest to that decimal.
"""

from operator import truediv
from typing import Final

DEFAULT_DIGITS: Final = 8
MAX_DIGITS: Final = 16
EXACT_DIGITS: Final = 17
"""A unit finer than any ticker's: it holds what any of them does, and prices of any size."""
MAX_UNITS: Final = 9 * 10**18
"""The greatest price in units: it fits in 64 bits, and so does the sum of two, unsigned."""
NOT_HELD: Final = -1

NOISE: Final = 5 * 2.0**-52
"""How much of itself a price may be off: at least four times the spacing of doubles there."""
_UNAMBIGUOUS: Final = 2.0**48
"""Below so many units noise is less than half a unit, so that the nearest whole number is meant."""
_WHOLE_FROM: Final = 2.0**52
EXACT_FLOAT: Final = 2**53
"""Whole numbers up to here are doubles, so that a division by 10^digits rounds correctly."""

UNITS_PER_ONE: Final[tuple[int, ...]] = tuple([10**digits for digits in range(EXACT_DIGITS + 1)])
FLOAT_UNITS_PER_ONE: Final[tuple[float, ...]] = tuple([float(units) for units in UNITS_PER_ONE])


def to_price_units(price: float, digits: int) -> int:
    """Return a price in units of 10^-digits, `NOT_HELD` if this unit can't hold it.

    >>> to_price_units(585.3300000000001, 8), to_price_units(9.723e-6, 8), to_price_units(9e10, 8)
    (58533000000, -1, 9000000000000000000)
    """
    scaled = price * FLOAT_UNITS_PER_ONE[digits]
    if scaled >= _UNAMBIGUOUS or digits > MAX_DIGITS:
        return _shortest_in_units(price, digits)
    units = int(scaled + 0.5)
    noise = scaled * NOISE
    return units if -noise <= scaled - units <= noise else NOT_HELD


def _shortest_in_units(price: float, digits: int) -> int:
    """Do the same where several multiples of the unit are within noise."""
    in_default = price * FLOAT_UNITS_PER_ONE[DEFAULT_DIGITS]
    if _UNAMBIGUOUS <= in_default < EXACT_FLOAT:
        # The product above is rounded to a half at the worst, which is too coarse here.
        numerator, denominator = price.as_integer_ratio()
        doubled = 2 * numerator * UNITS_PER_ONE[DEFAULT_DIGITS]
        units = (doubled + denominator) // (2 * denominator)
        return _if_small_enough(units * UNITS_PER_ONE[digits - DEFAULT_DIGITS], digits)
    for used in range(min(digits, MAX_DIGITS) + 1):
        scaled = price * FLOAT_UNITS_PER_ONE[used]
        # From 2^52 on doubles are whole, and adding a half would round.
        whole = int(scaled) if scaled >= _WHOLE_FROM else int(scaled + 0.5)
        if abs(scaled - float(whole)) <= scaled * NOISE:
            return _if_small_enough(whole * UNITS_PER_ONE[digits - used], digits)
    return NOT_HELD


def _if_small_enough(units: int, digits: int) -> int:
    return units if units <= MAX_UNITS or digits == EXACT_DIGITS else NOT_HELD


def published_price(units: int, units_per_one: float) -> float:
    """Return the double nearest to a price, or a difference of prices, given in units.

    >>> published_price(58533000000, 1e8), published_price(145000000_10000000, 1e8)
    (585.33, 145000000.1)
    """
    if -EXACT_FLOAT <= units <= EXACT_FLOAT:
        return units / units_per_one
    # The division of two whole numbers rounds once; compiled, `/` would first round both.
    exact: float = truediv(units, int(units_per_one))
    return exact


def digits_needed(units: int, digits: int) -> int:
    """Return the fewest digits, from `DEFAULT_DIGITS` on, of a unit that holds a price.

    >>> digits_needed(9723 * 10**8, EXACT_DIGITS), digits_needed(58533 * 10**15, EXACT_DIGITS)
    (9, 8)
    """
    needed = digits
    while needed > DEFAULT_DIGITS and not units % 10:
        units //= 10
        needed -= 1
    return needed


def in_other_unit(units: int, digits: int, other: int) -> int:
    """Return a price in the unit of `other` digits, which must hold it."""
    if other >= digits:
        return units * UNITS_PER_ONE[other - digits]
    return units // UNITS_PER_ONE[digits - other]
