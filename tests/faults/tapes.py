"""A plan's tape: three tickers' records, drawn from its seed alone."""

import math
from dataclasses import fields
from random import Random

from app.analysis.records import Quote, Record, Trade
from app.feeds.simulation import Profile, simulate
from tests.builders import START_MS
from tests.strategies import Flavour

TICKERS = ("AAA", "BB/B", "C:C")
WALKED = "C:C"
PAST_SECONDS = 60
_RECORDS_A_SECOND = 4


def records_of(ticker: str, seed: int, start_ms: int, seconds: int, *, odd: bool) -> list[Record]:
    """Draw a ticker's records; the third's are a walk with equal stamps and odd quotes."""
    if ticker == WALKED:
        return _walk(seed, start_ms, seconds, odd=odd)
    profile = Profile(100.0 + seed % 50, planting_gap_seconds=6.0)
    found: list[Record] = []
    for records, _ in simulate(ticker, seed, start_ms, seconds, profile):
        found += records
    return found


def _walk(seed: int, start_ms: int, seconds: int, *, odd: bool) -> list[Record]:
    rate = Random(seed).choice((0.2, 1.0))  # noqa: S311 - a test's, not a secret's
    share = 0.05 if odd else 0.0
    flavour = Flavour(seed, seconds * _RECORDS_A_SECOND * 3, 0.3, 0.8, share, 0.0, rate, 0.3)
    found: list[Record] = []
    for record in flavour.stream():
        stamp = record.stamp - START_MS + start_ms
        if stamp >= start_ms + seconds * 1000:
            break
        values = [_plain(record, field.name) for field in fields(record)[1:]]
        made = Quote(stamp, *values) if isinstance(record, Quote) else Trade(stamp, *values)
        found.append(made)
    return found


def _plain(record: Record, name: str) -> float:
    """Return a field; the walk's builders leave some sizes whole."""
    value: float = getattr(record, name)
    return float(value) if name.endswith("size") else value


def backlog_of(seed: int, end_ms: int, records: int, seconds: int) -> list[Record]:
    """Draw very many records, evenly over the seconds before `end_ms`."""
    draw = Random(seed)  # noqa: S311
    start_ms = end_ms - seconds * 1000
    found: list[Record] = []
    bid = 10_000
    for number in range(records):
        bid += draw.choice((-1, 0, 0, 0, 0, 1))
        stamp = start_ms + math.floor(number * seconds * 1e6 / records) / 1000
        sizes = draw.randrange(1, 9) * 100.0, draw.randrange(1, 9) * 100.0
        prices = bid * 1_000_000, (bid + 1) * 1_000_000
        found.append(Quote(stamp, number, prices[0], sizes[0], prices[1], sizes[1]))
    return found
