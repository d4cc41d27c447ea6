"""Decide whether a ticker's ticks or quotes are too old."""

from app.answers.durations import since
from app.storage.published import read_number

STALE_INTERVALS = 3
QUIET_SECONDS = 10.0
QUIET_GAPS = 20


def describe_silence(newest_quote_ms: float, now_ms: float) -> str:
    """Return since when no quote came and what to check, as text."""
    return (
        f"the broker is silent: the newest quote came {since(newest_quote_ms, now_ms)}; "
        "check the broker or feed, and whether the market is open"
    )


def describe_rejection(usable_ms: float, now_ms: float) -> str:
    """Return since when no usable quote came while others arrive, and what to check, as text."""
    return (
        f"quotes arrive and are rejected; the newest usable one came {since(usable_ms, now_ms)}: "
        "check what the broker writes"
    )


def is_quiet(quote_age_ms: float, quote_count: bytes | None, covered_seconds: bytes | None) -> bool:
    """Return whether the newest quote is unusually old: over 10 s and over 20 mean gaps of quotes.

    The mean gap stands for the median, which a window does not hold. Gaps between quotes are
    skewed, so the mean is the greater one and a ticker is called quiet too rarely, not too often.
    """
    count, covered = read_number(quote_count), read_number(covered_seconds)
    gap_seconds = covered / count if count and covered else 0.0
    return quote_age_ms / 1000 > max(QUIET_SECONDS, QUIET_GAPS * gap_seconds)
