"""Find records whose scores can't be epoch milliseconds, and name the unit that they look like."""

from typing import Any, NamedTuple

import redis

from app.storage.keys import Keys
from app.storage.tick.read import NEWEST_MS, OLDEST_MS

# Exclusive bounds of plausible scores: from 1973 on in each unit, the gap between two units apart.
_UNITS = (
    ("seconds", 1e8, 1e11),
    ("microseconds", float(NEWEST_MS), 1e17),
    ("nanoseconds", 1e17, 1e20),
)
NO_UNIT = "no known unit"


def unit_of_score(score: float) -> str | None:
    """Return the unit of time in which a score seems to be, None for milliseconds.

    >>> [unit_of_score(1.8e9 * factor) for factor in (1, 1e3, 1e6, 1e9)]
    ['seconds', None, 'microseconds', 'nanoseconds']
    >>> unit_of_score(0.0), unit_of_score(float("inf"))
    ('no known unit', 'no known unit')
    """
    if OLDEST_MS <= score <= NEWEST_MS:
        return None
    return next((unit for unit, least, most in _UNITS if least < score < most), NO_UNIT)


class MisStamped(NamedTuple):
    """Mis-stamped records of a ticker: their kind, `quotes` or `trades`, and unit."""

    kind: str
    unit: str


def read_mis_stamped(client: redis.Redis, names: Keys, ticker: str) -> MisStamped | None:
    """Return of which kind and unit a ticker's mis-stamped records are, None if it has none."""
    pipe: Any = client.pipeline(transaction=False)
    kinds = (("quotes", names.quotes(ticker)), ("trades", names.trades(ticker)))
    for _, key in kinds:
        pipe.zrange(key, -1, -1, withscores=True)
        pipe.zrange(key, 0, 0, withscores=True)
    replies = pipe.execute(raise_on_error=False)
    for number, reply in enumerate(replies):
        unit = unit_of_score(reply[0][1]) if isinstance(reply, list) and reply else None
        if unit is not None:
            return MisStamped(kinds[number // 2][0], unit)
    return None
