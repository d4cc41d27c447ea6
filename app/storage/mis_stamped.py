"""Find records whose scores can't be epoch milliseconds, and name the unit that they look like."""

from typing import Any, NamedTuple

import redis

from app.storage.keys import Keys
from app.storage.tick.score_bounds import AHEAD_MS, NEWEST_MS, OLDEST_MS

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
    """Mis-stamped records of a ticker: their kind, `quotes` or `trades`, and unit.

    The unit is None where they are in milliseconds, but ahead of the clock, by up to `ahead_ms`.
    """

    kind: str
    unit: str | None
    ahead_ms: float = 0.0


def read_mis_stamped(
    client: redis.Redis, names: Keys, ticker: str, now_ms: float
) -> MisStamped | None:
    """Return what is wrong with the stamps of a ticker's records, None if nothing is."""
    pipe: Any = client.pipeline(transaction=False)
    kinds = (("quotes", names.quotes(ticker)), ("trades", names.trades(ticker)))
    for _, key in kinds:
        pipe.zrange(key, -1, -1, withscores=True)
        pipe.zrange(key, 0, 0, withscores=True)
    replies = pipe.execute(raise_on_error=False)
    scores = [
        (kinds[number // 2][0], float(reply[0][1]))
        for number, reply in enumerate(replies)
        if isinstance(reply, list) and reply
    ]
    found = [MisStamped(kind, unit_of_score(score), score - now_ms) for kind, score in scores]
    by_unit = (it for it in found if it.unit is not None)
    ahead = (it for it in found if it.unit is None and it.ahead_ms > AHEAD_MS)
    return next(by_unit, next(ahead, None))
