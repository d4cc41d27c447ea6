"""When a ticker's ticks or quotes have been away for too long."""

from app.answers.durations import since
from app.storage.published import read_number

STALE_INTERVALS = 3
QUIET_SECONDS = 10.0
QUIET_GAPS = 20


def silence(newest_quote_ms: float, now_ms: float) -> str:
    """Say since when no quote came, and what to check."""
    return (
        f"the broker is silent: the newest quote came {since(newest_quote_ms, now_ms)}; "
        "check the broker or feed, and whether the market is open"
    )


def is_quiet(silence_ms: float, quote_count: bytes | None, covered_seconds: bytes | None) -> bool:
    """Compare the silence with the usual gap; a window's mean gap stands for the median.

    A mean gap is never below the median of gaps as skewed as quotes', so that this errs towards
    calling a ticker not quiet.
    """
    count, covered = read_number(quote_count), read_number(covered_seconds)
    gap_seconds = covered / count if count and covered else 0.0
    return silence_ms / 1000 > max(QUIET_SECONDS, QUIET_GAPS * gap_seconds)
