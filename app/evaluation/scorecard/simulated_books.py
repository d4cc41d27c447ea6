"""Simulated books for plantings and for null tapes."""

from dataclasses import replace
from functools import cache

from app.analysis.records import Quote, Record
from app.feeds.simulation import PROFILES, Profile, simulate

START_MS = 1_704_205_800_000
BOOKS = {"wide spread": "AAPL", "several ticks": "TSLA", "one tick": "SPY"}
MIN_VOLATILITY_TICKS = 0.2
"""Enough for 20 distinct prices, which the tick size needs, before the first planting."""


def book_profile(name: str) -> Profile:
    """Return a ticker's profile without sweeps, hidden orders or planted patterns."""
    profile = PROFILES[BOOKS[name]]
    return replace(
        profile,
        planted_patterns=(),
        hidden_share=0.0,
        second_price_share=0.0,
        volatility_ticks=max(profile.volatility_ticks, MIN_VOLATILITY_TICKS),
    )


@cache
def simulated_book(name: str, seed: int, seconds: int) -> list[Record]:
    """Return a simulated book's records."""
    seconds_of_records = simulate(BOOKS[name], seed, START_MS, seconds, book_profile(name))
    return [record for records, _ in seconds_of_records for record in records]


def simulated_day(ticker: str, seed: int, seconds: int) -> list[Record]:
    """Return the records of a simulated ticker as it is, with its planted patterns."""
    seconds_of_records = simulate(ticker, seed, START_MS, seconds, PROFILES[ticker])
    return [record for records, _ in seconds_of_records for record in records]


def quotes_only(records: list[Record]) -> list[Record]:
    """Return the quotes, as from a feed without trades."""
    return [record for record in records if isinstance(record, Quote)]
