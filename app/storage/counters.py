"""Name the counters of tick lags, which workers increment and the metrics endpoint reads."""

from bisect import bisect_left

LAG_BOUNDS_SECONDS = (0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
LAG_COUNTERS = (*(f"lag<={bound}" for bound in LAG_BOUNDS_SECONDS), "lag>")
"""Counters of ticks by the time from `as_of` to their write; not cumulative."""
LAG_SUM_COUNTER = "lag_ms"


def lag_counter(lag_ms: float) -> str:
    """Return the name of the counter for a tick written `lag_ms` after its `as_of`.

    >>> lag_counter(250), lag_counter(251), lag_counter(99_000)
    ('lag<=0.25', 'lag<=0.3', 'lag>')
    """
    return LAG_COUNTERS[bisect_left(LAG_BOUNDS_SECONDS, lag_ms / 1000)]
