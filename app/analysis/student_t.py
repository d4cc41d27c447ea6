"""The quantile of Student's distribution that a 95 % interval of a mean needs.

Written out, because scipy is no library of the processes: the distribution has a closed form for
whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).
"""

import math
from typing import Final

NORMAL_975: Final = 1.959963984540054
_CENTRAL: Final = 0.95
_MAX_EXACT: Final = 200
_known: dict[int, float] = {}


def central_probability(t: float, degrees: int) -> float:
    """Return the probability that a value of Student's distribution lies within ±t."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees % 2 == 1
    term = cosine if is_odd else 1.0
    total = term if degrees > 1 else 0.0
    for step in range(3 if is_odd else 2, degrees - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    if not is_odd:
        return sine * total
    return 2 / math.pi * (angle + sine * total)


def t_975(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's distribution.

    >>> round(t_975(1), 6), round(t_975(9), 6), round(t_975(1000), 6)
    (12.706205, 2.262157, 1.962339)
    """
    found = _known.get(degrees)
    if found is None:
        found = _expanded(degrees) if degrees > _MAX_EXACT else _solved(degrees)
        _known[degrees] = found
    return found


def _solved(degrees: int) -> float:
    low, high = 1.9, 13.0
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return middle
        if central_probability(middle, degrees) < _CENTRAL:
            low = middle
        else:
            high = middle


def _expanded(degrees: int) -> float:
    """Return the expansion about the normal quantile (Abramowitz and Stegun 26.7.5)."""
    z, n = NORMAL_975, float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / n + second / n**2 + third / n**3 + fourth / n**4
