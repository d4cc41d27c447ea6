"""What is known of a ticker over more time than Redis holds: from the files of the history."""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import structlog

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.analysis.metrics import compute_metrics
from app.analysis.price_units import DEFAULT_DIGITS, UNITS_PER_ONE
from app.analysis.trading_hours import HALF_HOUR_MS, TradingHours
from app.answers.as_of_argument import PAST_MS, parse_moment
from app.answers.durations import age, since
from app.answers.earlier_outcomes import FollowedEarlier, followed_earlier
from app.answers.earlier_sessions import same_time_earlier
from app.answers.half_hour import (
    MAX_SESSIONS,
    MIN_SESSIONS,
    HalfHour,
    HalfHourPast,
    HalfHourRanks,
    half_hour_of,
    measures_of,
    past_of,
    rank_among,
    window_ends,
)
from app.answers.history_argument import DAY_SECONDS, MAX_SECONDS, NOT_KEPT, parse_history
from app.answers.ticker_read import SecondTable, WindowSums, gap_times
from app.core import clock
from app.core.errors import BadQuestion, HistoryFileUnreadable, HistoryUnavailable, NotKept
from app.core.rare_events import OncePerMinute
from app.core.settings import Settings
from app.core.tickers import is_ticker, match_ticker
from app.history.answer_files import AnswerFiles
from app.history.paths import dates_of_ticker
from app.history.window_table import StoredSeconds, WindowTable
from app.storage.active_tickers import ACTIVE_MS
from app.storage.answer_archive import is_answer_id
from app.storage.keys import BARS_LIFETIME_SECONDS
from app.storage.published import EventRecord, EvidenceClass, Value, read_counts, read_engine
from app.storage.session_calendars import hours_of

if TYPE_CHECKING:
    from app.history.reader import HistoryReader, KeptSeconds

_log = structlog.get_logger()

KEPT_NOTE: Final = (
    "an earlier moment, as asked, from the history; not kept of it: ranks, levels, behaviors, "
    "session, spread in ticks, sizes of events that changed since, records, what feeds said"
)
NO_CLASS_NOTE: Final = "whether aggressors were given is not kept"
_SHOWN_DAYS: Final = 5
# The bars of a ticker end when it had no quote for so long; seconds that end earlier are missing.
_HALF_HOURS_HELD: Final = 512
# An hour and a step of a series.
_SECONDS_OF_REDIS: Final = MAX_SECONDS + MAX_SECONDS // 2
_UNCOVERED_MS: Final = 1000
_AWAKE_MS: Final = ACTIVE_MS - 10 * SECOND_MS

BarsInRedis = Callable[[str, int, int], tuple[Sequence[Bar], Sequence[Gap]]]
"""Returns the bars and gaps that Redis has of a ticker's seconds, up to an instant in ms."""


_Read = TypeVar("_Read")


class PastMoment(NamedTuple):
    """What is known of a ticker as of a kept moment."""

    sums: WindowSums
    newest_quote_ms: float
    evidence_class: EvidenceClass
    events: tuple[EventRecord, ...]
    engine: str | None
    note: str


class KeptPast:
    """Answers from the history where one is kept, and from Redis what is not written there yet."""

    def __init__(self, settings: Settings, bars_in_redis: BarsInRedis) -> None:
        self._settings = settings
        self._bars_in_redis = bars_in_redis
        self._failures = OncePerMinute()
        self._half_hour_past = functools.lru_cache(_HALF_HOURS_HELD)(self._read_half_hour)

    @property
    def is_kept(self) -> bool:
        """Return whether the settings name a history."""
        return self._settings.history is not None

    def hours(self, ticker: str) -> TradingHours:
        """Return the sessions of a ticker's market."""
        return hours_of(ticker, self._settings.calendars)

    def session(self, ticker: str, at_ms: int) -> dict[str, Value]:
        """Return what is kept of the session of a moment: as of its end, or as last written."""
        if not self.is_kept:
            return {}
        return self.files.session(ticker, self.files.date_at(ticker, at_ms))

    def check_kept(self, ticker: str, at_ms: float) -> None:
        """Raise `NotKept` of a moment before all that Redis, or the history, may hold."""
        days, now_ms = self._settings.history_days, clock.now_ms()
        seconds = days * DAY_SECONDS if self.is_kept else BARS_LIFETIME_SECONDS
        if at_ms < now_ms - seconds * SECOND_MS:
            kept = f"{days} days" if self.is_kept else age(seconds)
            hint = "" if self.is_kept else f"; {NOT_KEPT}"
            raise NotKept(f"{ticker}: the last {kept} are kept, not {since(at_ms, now_ms)}{hint}")

    def parse_history(self, text: str) -> int:
        """Return the seconds of a typed history: to a day, or to an hour where none is kept.

        Raises `BadHistory`.
        """
        if self.is_kept:
            return parse_history(text, DAY_SECONDS)
        return parse_history(text, hint=NOT_KEPT)

    def parse_moment(self, text: str) -> int | None:
        """Return a typed moment of the days that are kept, or of the last hour; None for now.

        Raises `BadMoment`.
        """
        if not self.is_kept:
            return parse_moment(text, clock.now_ms(), hint=NOT_KEPT)
        past_ms = self._settings.history_days * DAY_SECONDS * SECOND_MS
        return parse_moment(text, clock.now_ms(), past_ms=past_ms)

    @functools.cached_property
    def files(self) -> "HistoryReader":
        """Return the reader of the files.

        Raises `HistoryUnavailable`, `BadQuestion` where no history is kept.
        """
        folder = self._settings.history
        if folder is None:
            raise BadQuestion(f"no earlier day is kept: {NOT_KEPT}")
        try:
            # Loading pyarrow takes longer than an answer.
            from app.history.reader import HistoryReader  # noqa: PLC0415
        except ImportError as error:
            raise HistoryUnavailable(
                "ORDERFLOW_HISTORY can't be read: pyarrow is not installed; "
                "pip install orderflow[history]"
            ) from error
        return HistoryReader(folder, self._settings.calendars)

    def preload(self) -> None:
        """Import what reads the files, where a history is kept."""
        # Who asks is told what is wrong.
        with suppress(HistoryUnavailable):
            if self.is_kept:
                _ = self.files

    @staticmethod
    def may_be_in_redis(at_ms: float) -> bool:
        """Return whether Redis may hold what belongs to a moment, and files do not yet."""
        return at_ms > clock.now_ms() - BARS_LIFETIME_SECONDS * SECOND_MS

    def is_beyond_redis(self, as_of_ms: float, seconds: int) -> bool:
        """Return whether a history reaches beyond what Redis surely holds, and files go on."""
        oldest_ms = clock.now_ms() - BARS_LIFETIME_SECONDS * SECOND_MS
        return self.is_kept and (
            seconds > _SECONDS_OF_REDIS
            or as_of_ms < clock.now_ms() - PAST_MS
            or as_of_ms - seconds * SECOND_MS < oldest_ms
        )

    def meant(self, typed: str) -> str:
        """Return the kept ticker that a typed name means.

        Raises `BadTicker` where it may mean several, `NotKept` where it means none.
        """
        found = self.find_ticker(typed)
        if found is None:
            days = list_days(self.files.all_dates())
            raise NotKept(f"{typed.strip()[:40]}: nothing is kept of it; {days}")
        return found

    def find_ticker(self, typed: str) -> str | None:
        """Return the kept ticker that a typed name means, None where it means none."""
        ticker = typed.strip()
        if is_ticker(ticker) and self.files.dates(ticker):
            return ticker
        return match_ticker(ticker, self.files.tickers(self.files.all_dates()))

    def moment(
        self, ticker: str, at_ms: int, seconds: int, *, has_events: bool = True
    ) -> PastMoment:
        """Return what is known of a ticker as of a moment.

        Raises `NotKept`, `HistoryFileUnreadable` or `HistoryUnavailable`.
        """
        kept = self._seconds(ticker, at_ms - max(seconds * SECOND_MS, ACTIVE_MS), at_ms)
        stored = kept.stored
        quote_ms = stored.newest_quote_ms()
        if quote_ms is None or at_ms - quote_ms > ACTIVE_MS:
            raise NotKept(self._why_nothing(ticker, at_ms))
        start_ms = at_ms - seconds * SECOND_MS
        known = self.files.events_between(ticker, start_ms, at_ms) if has_events else []
        told = self.files.evidence_class_at(ticker, at_ms) if stored.has_trades() else "C"
        return PastMoment(
            sum_window(kept, at_ms, seconds),
            quote_ms,
            # Without an event made of trades, they count as those whose aggressor is inferred.
            told or "B",
            tuple(known),
            read_engine((kept.engine or "").encode()),
            KEPT_NOTE if told else f"{KEPT_NOTE}; {NO_CLASS_NOTE}",
        )

    def sums(
        self, ticker: str, as_of_ms: int, seconds: int, tick_size: int = 0, digits: int = 0
    ) -> WindowSums:
        """Return the numbers of a history; `tick_size` is in units of 10^-`digits`."""
        kept = self._seconds(ticker, as_of_ms - seconds * SECOND_MS, as_of_ms)
        return sum_window(kept, as_of_ms, seconds, tick_size, digits)

    def table(self, ticker: str, as_of_ms: int, seconds: int) -> SecondTable:
        """Return the seconds of a history one by one."""
        kept = self._seconds(ticker, as_of_ms - seconds * SECOND_MS, as_of_ms)
        return SecondTable(WindowTable(kept.stored, as_of_ms, kept.gaps), 0)

    def events(
        self, ticker: str, after_ms: float, until_ms: float, newer: Sequence[EventRecord]
    ) -> tuple[EventRecord, ...]:
        """Return the events of a time; those that Redis has, `newer`, in the form that it has."""
        known = {event.id for event in newer}
        kept = self.files.events_between(ticker, after_ms, until_ms)
        return (*(event for event in kept if event.id not in known), *newer)

    def half_hour_ranks(
        self, ticker: str, as_of_ms: int, seconds: int, metrics: Mapping[str, Value]
    ) -> HalfHourRanks | None:
        """Return how usual numbers are for the half hour of the session; None where it is unknown.

        The half hour of earlier sessions is read once. What can't be read is logged: an answer
        about now does not depend on it.
        """
        if not self.is_kept or seconds * SECOND_MS > HALF_HOUR_MS:
            return None
        half_hour = half_hour_of(hours_of(ticker, self._settings.calendars), as_of_ms)
        past = half_hour and self._if_readable(
            lambda: self._half_hour_past(ticker, half_hour, seconds)
        )
        return rank_among(past, metrics) if past else None

    def followed_earlier(
        self, ticker: str, at_ms: float, pattern: str, side: str
    ) -> FollowedEarlier | None:
        """Return what followed events in the sessions before that of a moment, None if unknown."""

        def read() -> FollowedEarlier | None:
            if not self._has_sessions(ticker):
                return None
            day = self.files.date_at(ticker, at_ms)
            return followed_earlier(self.files, ticker, day, pattern, side)

        return self._if_readable(read)

    def _if_readable(self, read: Callable[[], _Read | None]) -> _Read | None:
        """Return what is read of earlier sessions; log that it can't be, and return None then."""
        try:
            return read()
        except (HistoryUnavailable, HistoryFileUnreadable, OSError) as error:
            if self._failures.left_out(type(error)) is not None:
                _log.warning("earlier sessions: the history can't be read", error=str(error))
            return None

    def _has_sessions(self, ticker: str) -> bool:
        """Return whether enough sessions are kept; asked first, since pyarrow takes long to load.

        Raises `OSError`.
        """
        folder = self._settings.history
        return (
            folder is not None and len(dates_of_ticker(folder, "seconds", ticker)) >= MIN_SESSIONS
        )

    def _read_half_hour(
        self, ticker: str, half_hour: HalfHour, seconds: int
    ) -> HalfHourPast | None:
        if not self._has_sessions(ticker):
            return None
        hours, kept = self.files.hours(ticker), self.files.dates(ticker)
        sessions: list[list[dict[str, float]]] = []
        for start_ms in same_time_earlier(hours, half_hour.start_ms, 2 * MAX_SESSIONS):
            day = self.files.date_at(ticker, start_ms)
            is_in_session = half_hour_of(hours, start_ms) is not None  # a half day ends earlier
            if is_in_session and day in kept and len(sessions) < MAX_SESSIONS:
                measures = functools.partial(
                    measures_of_half_hour, self.files, ticker, start_ms, seconds
                )
                sessions.append(self._if_readable(measures) or [])
        return past_of(sessions)

    def answer(self, answer_id: str) -> dict[str, bytes]:
        """Return the renderings of an answer that was told earlier, empty if it is not kept.

        Raises `HistoryUnavailable`.
        """
        folder = self._settings.history
        if folder is None or not is_answer_id(answer_id):
            return {}
        try:
            return AnswerFiles(folder).find(answer_id)
        except OSError as error:
            raise HistoryUnavailable(
                f"ORDERFLOW_HISTORY={str(folder)!r} can't be read: {type(error).__name__}"
            ) from error

    def _seconds(self, ticker: str, after_ms: int, until_ms: int) -> "KeptSeconds":
        kept = self.files.seconds(ticker, after_ms, until_ms)
        if not self.may_be_in_redis(until_ms):
            return kept
        bars, gaps = self._bars_in_redis(ticker, after_ms, until_ms)
        newer = kept._replace(
            stored=StoredSeconds.from_bars(bars), gaps=(*gaps, *_missing(kept.stored, bars))
        )
        return kept.followed_by(newer)

    def _why_nothing(self, ticker: str, at_ms: int) -> str:
        now_ms = clock.now_ms()
        days = self.files.dates(ticker)
        day = self.files.date_at(ticker, at_ms)
        start = f"{ticker}: no quote is kept of the 5 min before {since(at_ms, now_ms)}"
        if day not in days:
            return f"{start}: nothing is kept of {day.isoformat()}; {list_days(days)}"
        newest_ms = self.files.newest_second(ticker, at_ms)
        if newest_ms is None:
            return f"{start}, nor of any earlier time; {list_days(days)}"
        earlier = age((at_ms - newest_ms) / SECOND_MS)
        return f"{start}; the newest kept second before it ends {earlier} earlier"


def measures_of_half_hour(
    files: "HistoryReader", ticker: str, start_ms: int, seconds: int
) -> list[dict[str, float]]:
    """Return the measures of the windows of a kept half hour, of those wholly covered.

    Raises `HistoryFileUnreadable` or `HistoryUnavailable`.
    """
    half_hour = HalfHour(start_ms, start_ms + HALF_HOUR_MS)
    kept = files.seconds(ticker, start_ms - seconds * SECOND_MS, half_hour.end_ms)
    if not len(kept.stored.ends) or kept.stored.newest_quote_ms() is None:
        return []
    table = WindowTable(kept.stored, half_hour.end_ms, kept.gaps)
    found = []
    for end_ms in window_ends(half_hour, seconds):
        [window] = table.windows(end_ms, (seconds,))
        if window.sums.covered_ms >= seconds * SECOND_MS - _UNCOVERED_MS:
            found.append(measures_of(compute_metrics(window, 0)))
    return found


def sum_window(
    kept: "KeptSeconds", as_of_ms: int, seconds: int, tick_size: int = 0, digits: int = 0
) -> WindowSums:
    """Return the metrics of a window of kept seconds, by the analysis' own code."""
    table = WindowTable(kept.stored, as_of_ms, kept.gaps, digits or DEFAULT_DIGITS)
    [window] = table.windows(as_of_ms, (seconds,))
    size = tick_size * UNITS_PER_ONE[table.digits - digits] if tick_size else 0
    start_ms = as_of_ms - seconds * SECOND_MS
    gaps = [gap for gap in kept.gaps if gap.end <= as_of_ms]
    return WindowSums(
        compute_metrics(window, size),
        read_counts(table.quality(as_of_ms, seconds)),
        table.unseen_seconds(as_of_ms, seconds),
        gap_times(gaps, start_ms),
    )


def _missing(kept: StoredSeconds, bars: Sequence[Bar]) -> list[Gap]:
    """Return the time between kept seconds and those in Redis, if it was not silent."""
    quote_ms = kept.newest_quote_ms()
    if not bars or quote_ms is None:
        return []
    end, next_start = int(kept.ends[-1]), bars[0].end - SECOND_MS
    was_awake = end - quote_ms < _AWAKE_MS
    return [Gap(end, next_start, cut_to=next_start)] if was_awake and end < next_start else []


def list_days(days: Sequence[date]) -> str:
    """Return which session dates are kept, the newest of many."""
    if not days:
        return "no day is kept yet"
    newest = ", ".join(day.isoformat() for day in days[-_SHOWN_DAYS:])
    return f"kept days: {len(days)}, the newest {newest}" if len(days) > 1 else f"kept: {newest}"
