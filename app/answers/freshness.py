"""Decide whether a ticker's ticks or quotes are too old."""

from app.answers.durations import ago, since
from app.core.clock import BELIEVED_AHEAD_INTERVALS
from app.storage.active_tickers import ACTIVE_MS
from app.storage.published import read_number

STALE_INTERVALS = 3
QUIET_SECONDS = 10.0
QUIET_GAPS = 20
# Discovery looks at each of 50,000 old keys once in 25 s.
ARRIVAL_NOTED_MS = 30_000


def is_ahead(stamp_ms: float | None, now_ms: float, interval_ms: int) -> bool:
    """Return whether a tick or fan-out is further ahead of the reader's clock than is believed.

    >>> is_ahead(12_000, 10_000, 1000), is_ahead(12_001, 10_000, 1000), is_ahead(None, 0, 1000)
    (False, True, False)
    """
    return stamp_ms is not None and stamp_ms - now_ms > BELIEVED_AHEAD_INTERVALS * interval_ms


def describe_ahead(as_of_ms: float, now_ms: float) -> str:
    """Return that ticks are ahead of the reader's clock and what to check, as text."""
    return (
        f"the newest tick is {ago(as_of_ms, now_ms)} of this clock, and not to be believed; "
        "check the clocks of the hosts of beat, workers and this reader"
    )


def describe_silence(
    newest_quote_ms: float,
    now_ms: float,
    *,
    records_arrive: bool = False,
    ticker: str | None = None,
    to_check: str | None = None,
) -> str:
    """Return since when no quote came and what to check, as text.

    `ticker` is given where quotes of other tickers arrive; `to_check` where the cause is known.
    """
    if records_arrive:
        return (
            "records arrive, but none with a newer stamp: the newest quote is stamped "
            f"{since(newest_quote_ms, now_ms)}; check the stamps that the broker or feed writes"
        )
    seen = since(newest_quote_ms, now_ms)
    if ticker is not None:
        return f"quotes of other tickers arrive, the newest of {ticker} came {seen}; " + (
            to_check or "check whether the feed still sends it and its market is open"
        )
    return f"the broker is silent: the newest quote came {seen}; " + (
        to_check or "check the broker or feed, and whether the market is open"
    )


def describe_quiet(  # noqa: PLR0913 - what is known of the silence
    usable_ms: float | None,
    newest_ms: float,
    now_ms: float,
    *,
    is_rejected: bool,
    records_arrive: bool = False,
    ticker: str | None = None,
) -> str:
    """Return why the newest quote of the numbers is old, or absent, and what to check, as text.

    `newest_ms` is the stamp of the newest quote that came, in the numbers or not; `records_arrive`
    tells of records with older stamps, `ticker` is given where quotes of other tickers arrive.
    """
    if now_ms - newest_ms > QUIET_SECONDS * 1000:
        return describe_silence(newest_ms, now_ms, records_arrive=records_arrive, ticker=ticker)
    what = "are rejected" if is_rejected else "come too late for the numbers"
    usable = "" if usable_ms is None else f"; the newest usable one came {since(usable_ms, now_ms)}"
    return f"quotes arrive and {what}{usable}: check what the broker writes"


def have_records_arrived(active_ms: float, newest_ms: float, now_ms: float) -> bool:
    """Return whether discovery noted arriving records lately, though no newer quote.

    `active_ms` is when a ticker was last known to be active: the stamp of its newest quote or,
    where that is over 300 s old, when records arrived.
    """
    is_noted = active_ms > newest_ms and now_ms - newest_ms > ACTIVE_MS
    return is_noted and now_ms - active_ms <= ARRIVAL_NOTED_MS


def is_quiet(quote_age_ms: float, quote_count: bytes | None, covered_seconds: bytes | None) -> bool:
    """Return whether the newest quote is unusually old: over 10 s and over 20 mean gaps of quotes.

    The mean gap stands for the median, which a window does not hold. Gaps between quotes are
    skewed, so the mean is the greater one and a ticker is called quiet too rarely, not too often.
    """
    count, covered = read_number(quote_count), read_number(covered_seconds)
    gap_seconds = covered / count if count and covered else 0.0
    return quote_age_ms / 1000 > max(QUIET_SECONDS, QUIET_GAPS * gap_seconds)
