"""Find the same time of earlier sessions of a market."""

from collections.abc import Iterator

from app.analysis.trading_hours import CONTINUOUS, PRE_MS, TradingHours


def same_time_earlier(hours: TradingHours, instant_ms: int, most: int) -> Iterator[int]:
    """Yield the instants that lie as long after the opens of earlier sessions, newest first.

    So half days and changes of the clock make no difference.

    >>> from app.analysis.trading_hours import UTC_DAYS
    >>> [at // 1000 for at in same_time_earlier(UTC_DAYS, 1_700_000_000_000, 2)]
    [1699913600, 1699827200]
    """
    phase = hours.at(instant_ms)
    after_ms = instant_ms - phase.opened_at
    for _ in range(most):
        before_ms = 1 if phase.phase == CONTINUOUS else PRE_MS + 1
        phase = hours.at(phase.opened_at - before_ms)
        if not phase.opened_at:
            return
        yield phase.opened_at + after_ms
