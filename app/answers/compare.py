"""Compare several tickers over the same history, and with the same time of earlier sessions."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, create_model

from app.analysis.metric_table import COMPARED
from app.answers.durations import age, lag
from app.answers.earlier_sessions import same_time_earlier
from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.kept_past import list_days
from app.answers.reader import Reader
from app.answers.rejected_records import flag_texts
from app.answers.schema import (
    AnswerModel,
    EpochMs,
    FeedLag,
    Feeds,
    Flags,
    Known,
    RejectedFacts,
    Reply,
    flags_of,
    metric_fields,
    plain,
)
from app.answers.session_facts import count_feeds, feed_lines
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_answer import build_brief
from app.answers.ticker_text import id_line
from app.answers.utc_times import utc_clock
from app.core import clock
from app.core.arguments import check_count, check_range
from app.core.errors import BadQuestion, BadTicker, HistoryFileUnreadable, NoAnswer
from app.core.tickers import distinct_names
from app.storage.published import EvidenceClass, FeedRecord

MAX_TICKERS = 10
MAX_ERROR = 200
MAX_SESSIONS = 5
MAX_EARLIER_ROWS = 10
MAX_DATES_SOUGHT = 60
"""How many earlier sessions are looked through for kept ones."""
EARLIER_NOTE = "earlier sessions: the same time after their open, from the history"
MEASURES = tuple(row.name for row in COMPARED)


class _Row(AnswerModel):
    """What is said of a ticker before its metrics."""

    ticker: str
    session_date: Annotated[
        str | None, Field(description="of an earlier session, at the same time")
    ] = None
    error: str | None = None
    as_of: EpochMs = None
    age_seconds: Known = None
    newest_quote_age_seconds: Known = None
    feed_lag_seconds: FeedLag = None
    covered_seconds: Known = None
    evidence_class: EvidenceClass | None = None
    flags: Flags = []
    rejected: RejectedFacts | None = None
    note: str | None = None


if TYPE_CHECKING:
    _MeasuredRow = _Row
else:
    _MeasuredRow = create_model(
        "_MeasuredRow", __base__=_Row, **metric_fields(COMPARED, compared=True)
    )


class ComparisonRow(_MeasuredRow):
    """One ticker; `error` says why nothing is known of it."""

    open_patterns: list[str] = []
    quality: Annotated[dict[str, int], Field(description="odd records by name")] = {}

    @property
    def label(self) -> str:
        """Return the ticker, with the date of an earlier session."""
        return self.ticker if self.session_date is None else f"{self.ticker} {self.session_date}"

    def text_parts(self, now_ms: float) -> Iterator[str]:
        """Yield the parts of the row's line of text."""
        if self.error is not None:
            yield self.error
            return
        if self.session_date is not None and self.as_of is not None:
            yield f"as of {utc_clock(self.as_of)} UTC"
        elif self.age_seconds is not None:
            yield f"as of {age(self.age_seconds)} ago"
        yield f"quote {age(self.newest_quote_age_seconds or 0)} ago"
        if self.covered_seconds is not None:
            yield f"covered {self.covered_seconds} s"
        if self.feed_lag_seconds is not None:
            yield f"records {lag(self.feed_lag_seconds)} late"
        yield f"class {self.evidence_class}"
        yield from flag_texts(self.flags, self.rejected, now_ms)
        for name in MEASURES:
            value = getattr(self, name)
            if value is not None:
                yield f"{name} {plain(value)}"
        yield f"open {', '.join(self.open_patterns) or 'none'}"
        if self.quality:
            yield "odd " + " ".join(f"{name} {count}" for name, count in self.quality.items())
        if self.note is not None:
            yield f"note: {self.note}"


class Comparison(Reply):
    """Several tickers over the same history, in the order asked for."""

    now: Annotated[int, Field(description="epoch ms")]
    note: str | None = None
    history_seconds: int
    feeds: Feeds = {}
    tickers: list[ComparisonRow]

    def as_text(self) -> str:
        """Return one line for each ticker."""
        rows = (f"{row.label}: {'; '.join(row.text_parts(self.now))}" for row in self.tickers)
        names = {row.ticker for row in self.tickers}
        head = f"last {self.history_seconds} s of {len(names)} tickers"
        if len(names) < len(self.tickers):
            head += ", and the same time of earlier sessions"
        notes = [f"note: {self.note}"] if self.note else []
        return "\n".join([head, *notes, *feed_lines(self.feeds), *rows, *id_line(self.answer_id)])


def compare(
    reader: Reader, tickers: list[str], history: str = DEFAULT_HISTORY, sessions: int = 0
) -> Comparison:
    """Compare tickers over exactly the last `history`, and with as many earlier kept sessions.

    Raises `BadQuestion`, `BadHistory`, `StoreUnavailable`, `HistoryUnavailable`; `NoAnswer` if no
    ticker can be answered.
    """
    names = distinct_names(tickers)
    check_count("tickers", names, MAX_TICKERS)
    check_range("sessions", sessions, 0, MAX_SESSIONS)
    if len(names) * sessions > MAX_EARLIER_ROWS:
        most = MAX_EARLIER_ROWS // sessions
        raise BadQuestion(f"tickers: with {sessions} earlier sessions, 1 to {most} accepted")
    seconds = reader.past.parse_history(history)
    # By ticker: two typed names may mean the same one.
    rows: dict[str, list[ComparisonRow]] = {}
    feeds: dict[str, FeedRecord | None] = {}
    errors = []
    for name in names:
        try:
            snapshot = reader.snapshot(name, seconds)
            row = comparison_row(snapshot)
            feeds[row.ticker] = snapshot.feed
        except (NoAnswer, BadTicker) as error:
            errors.append(error)
            row = ComparisonRow(ticker=name[:40], error=str(error)[:MAX_ERROR])
            snapshot = None
        if row.ticker not in rows:
            rows[row.ticker] = [row]
            if sessions and snapshot is not None:
                rows[row.ticker] += _earlier_rows(reader, snapshot, sessions)
    if len(errors) == len(names):
        raise NoAnswer("; ".join(str(error) for error in errors[:3]))
    now_ms = clock.now_ms()
    return Comparison(
        now=round(now_ms),
        note=EARLIER_NOTE if sessions else None,
        history_seconds=seconds,
        feeds=count_feeds(feeds.values(), now_ms),
        tickers=[row for found in rows.values() for row in found],
    )


def _earlier_rows(
    reader: Reader, snapshot: TickerSnapshot, sessions: int
) -> Iterator[ComparisonRow]:
    """Yield a row for each of the newest earlier sessions that are kept."""
    files, ticker = reader.past.files, snapshot.ticker
    kept = files.dates(ticker)
    as_of_ms = snapshot.as_of_ms or round(snapshot.now_ms)
    today = files.date_at(ticker, as_of_ms)
    found = 0
    for at_ms in same_time_earlier(files.hours(ticker), as_of_ms, MAX_DATES_SOUGHT):
        day = files.date_at(ticker, at_ms)
        if day not in kept or day == today:
            continue
        yield _row_at(reader, ticker, snapshot.history_seconds, at_ms, day.isoformat())
        found += 1
        if found == sessions:
            return
    if not found:
        days = list_days([day for day in kept if day != today])
        yield ComparisonRow(ticker=ticker, error=f"no earlier session is kept; {days}")


def _row_at(reader: Reader, ticker: str, seconds: int, at_ms: int, day: str) -> ComparisonRow:
    try:
        row = comparison_row(reader.snapshot(ticker, seconds, at_ms=at_ms))
    except (NoAnswer, HistoryFileUnreadable) as error:
        return ComparisonRow(ticker=ticker, session_date=day, error=str(error)[:MAX_ERROR])
    return row.model_copy(update={"session_date": day, "note": None})


def comparison_row(snapshot: TickerSnapshot) -> ComparisonRow:
    """Return a snapshot as a row of the comparison."""
    answer = build_brief(snapshot, MEASURES)
    return ComparisonRow.model_validate(
        {
            "ticker": answer.ticker,
            "as_of": answer.as_of,
            "age_seconds": answer.age_seconds,
            "newest_quote_age_seconds": answer.newest_quote_age_seconds,
            "feed_lag_seconds": answer.feed_lag_seconds,
            "covered_seconds": answer.covered_seconds,
            "evidence_class": answer.evidence_class,
            "flags": flags_of(answer),
            "rejected": answer.rejected,
            "note": snapshot.cause,
            "open_patterns": answer.open_patterns or [],
            "quality": answer.quality.counts,
            **{name: getattr(answer.metrics, name) for name in MEASURES},
        }
    )
