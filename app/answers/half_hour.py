"""Tell how usual numbers are for the time of the day: their ranks among earlier sessions."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from app.analysis.trading_hours import HALF_HOUR_MS, OPEN_PHASES, TradingHours
from app.storage.published import Value

MIN_SESSIONS: Final = 5
MAX_SESSIONS: Final = 20
"""The newest so many earlier sessions are compared with."""
WINDOWS_A_SESSION: Final = 12
VOLUME: Final = "volume"
MEASURES: Final = (VOLUME, "quotes_per_second", "spread_bps", "realized_volatility_bps")
_VOLUMES: Final = ("buy_volume", "sell_volume", "unsigned_volume")


class HalfHour(NamedTuple):
    """A half hour of a session, counted from its open; epoch ms."""

    start_ms: int
    end_ms: int


class HalfHourPast(NamedTuple):
    """Values of the same half hour of earlier sessions by measure, in ascending order."""

    sessions: int
    values: Mapping[str, Sequence[float]]


class HalfHourRanks(NamedTuple):
    """Of how many earlier sessions, and the share of their values below, 0 to 1, by measure."""

    sessions: int
    ranks: Mapping[str, float]


def half_hour_of(hours: TradingHours, instant_ms: float) -> HalfHour | None:
    """Return the half hour of an instant, None outside of a session.

    >>> from app.analysis.trading_hours import UTC_DAYS
    >>> half_hour_of(UTC_DAYS, 1_700_000_000_000)
    HalfHour(start_ms=1699999200000, end_ms=1700001000000)
    """
    phase = hours.at(instant_ms)
    if phase.phase not in OPEN_PHASES:
        return None
    number = int(instant_ms - phase.opened_at) // HALF_HOUR_MS
    start_ms = phase.opened_at + number * HALF_HOUR_MS
    return HalfHour(start_ms, start_ms + HALF_HOUR_MS)


def window_ends(half_hour: HalfHour, seconds: int) -> Iterator[int]:
    """Yield the ends of the windows that stand for a half hour: evenly apart, none twice."""
    step_ms = max(seconds * 1000, HALF_HOUR_MS // WINDOWS_A_SESSION)
    yield from range(half_hour.start_ms + step_ms, half_hour.end_ms + 1, step_ms)


def measures_of(metrics: Mapping[str, Value]) -> dict[str, float]:
    """Return the known measures of a window; without trades no volume is known."""
    known = dict(metrics)
    if all(name in metrics for name in _VOLUMES):
        known[VOLUME] = sum(float(metrics[name]) for name in _VOLUMES)
    return {name: float(known[name]) for name in MEASURES if name in known}


def past_of(sessions: Sequence[Sequence[Mapping[str, float]]]) -> HalfHourPast | None:
    """Return the measures of some sessions' windows, None of fewer than `MIN_SESSIONS`."""
    seen = [windows for windows in sessions if windows]
    if len(seen) < MIN_SESSIONS:
        return None
    values: dict[str, list[float]] = {}
    for window in (window for windows in seen for window in windows):
        for name, value in window.items():
            values.setdefault(name, []).append(value)
    return HalfHourPast(len(seen), {name: sorted(found) for name, found in values.items()})


def rank_among(past: HalfHourPast, metrics: Mapping[str, Value]) -> HalfHourRanks:
    """Return the share of earlier values below each measure; equal ones count half.

    >>> past = HalfHourPast(5, {"spread_bps": [1.0, 2.0, 2.0, 4.0]})
    >>> rank_among(past, {"spread_bps": 2.0}).ranks
    {'spread_bps': 0.5}
    """
    ranks = {}
    for name, value in measures_of(metrics).items():
        values = past.values.get(name)
        if values:
            below, upto = bisect_left(values, value), bisect_right(values, value)
            ranks[name] = (below + upto) / 2 / len(values)
    return HalfHourRanks(past.sessions, ranks)
