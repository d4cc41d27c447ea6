"""Tell what followed events of a type and side in earlier kept sessions of a ticker."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from app.analysis.outcome_table import outcome_rows
from app.analysis.outcomes import HORIZON_SECONDS, OutcomeTotals
from app.answers.half_hour import MAX_SESSIONS, MIN_SESSIONS
from app.core.errors import HistoryFileUnreadable
from app.core.rare_events import OncePerMinute
from app.history.session_outcomes import add_up, event_key
from app.storage.published import FollowedRecord

if TYPE_CHECKING:
    from app.history.reader import HistoryReader

_log = structlog.get_logger()
_failures: Final = OncePerMinute()


class FollowedEarlier(NamedTuple):
    """In how many sessions, and what followed by horizon in seconds."""

    sessions: int
    by_horizon: Mapping[int, FollowedRecord]


def followed_earlier(
    files: "HistoryReader", ticker: str, before: date, pattern: str, side: str
) -> FollowedEarlier | None:
    """Return what followed such events in the sessions before a date, None with too few of them.

    The baseline is of the same half hours of the same sessions. A session whose files can't be
    read is left out, and logged. Raises `HistoryUnavailable`.
    """
    days = [day for day in files.dates(ticker) if day < before]
    if len(days) < MIN_SESSIONS:
        return None
    sessions: list[OutcomeTotals] = []
    for day in reversed(days):
        totals = _totals_of(files, ticker, day)
        if any(len(one.sums) for one in totals.baseline):
            sessions.append(totals)
        if len(sessions) == MAX_SESSIONS:
            break
    if len(sessions) < MIN_SESSIONS:
        return None
    return FollowedEarlier(len(sessions), _rows(add_up(sessions, event_key(pattern, side))))


def _totals_of(files: "HistoryReader", ticker: str, day: date) -> OutcomeTotals:
    try:
        return files.outcomes(ticker, day)
    except HistoryFileUnreadable as error:
        if _failures.left_out(type(error)) is not None:
            _log.warning("earlier sessions: one is left out", error=str(error))
        return OutcomeTotals()


def _rows(totals: OutcomeTotals) -> dict[int, FollowedRecord]:
    return {
        seconds: msgspec.convert(found.row, FollowedRecord)
        for place, seconds in enumerate(HORIZON_SECONDS)
        for found in outcome_rows(totals, place)
    }
