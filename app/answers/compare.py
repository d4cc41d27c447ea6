"""Compare several tickers over the same history."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, create_model

from app.analysis.metric_table import COMPARED
from app.answers.durations import age, lag
from app.answers.history_argument import DEFAULT_HISTORY, parse_history
from app.answers.reader import Reader, TickerSnapshot
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
from app.answers.ticker_answer import build_brief
from app.answers.ticker_text import id_line
from app.core import clock
from app.core.arguments import check_count
from app.core.errors import BadTicker, NoAnswer
from app.core.tickers import distinct_names
from app.storage.published import EvidenceClass, FeedRecord

MAX_TICKERS = 10
MAX_ERROR = 200
MEASURES = tuple(row.name for row in COMPARED)


class _Row(AnswerModel):
    """What is said of a ticker before its metrics."""

    ticker: str
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

    def text_parts(self, now_ms: float) -> Iterator[str]:
        """Yield the parts of the row's line of text."""
        if self.error is not None:
            yield self.error
            return
        if self.age_seconds is not None:
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
    history_seconds: int
    feeds: Feeds = {}
    tickers: list[ComparisonRow]

    def as_text(self) -> str:
        """Return one line for each ticker."""
        rows = (f"{row.ticker}: {'; '.join(row.text_parts(self.now))}" for row in self.tickers)
        head = f"last {self.history_seconds} s of {len(self.tickers)} tickers"
        return "\n".join([head, *feed_lines(self.feeds), *rows, *id_line(self.answer_id)])


def compare(reader: Reader, tickers: list[str], history: str = DEFAULT_HISTORY) -> Comparison:
    """Compare tickers over exactly the last `history`.

    Raises `BadQuestion`, `BadHistory`, `StoreUnavailable`; `NoAnswer` if no ticker can be answered.
    """
    names = distinct_names(tickers)
    check_count("tickers", names, MAX_TICKERS)
    seconds = parse_history(history)
    # By ticker: two typed names may mean the same one.
    rows: dict[str, ComparisonRow] = {}
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
        rows.setdefault(row.ticker, row)
    if len(errors) == len(names):
        raise NoAnswer("; ".join(str(error) for error in errors[:3]))
    now_ms = clock.now_ms()
    return Comparison(
        now=round(now_ms),
        history_seconds=seconds,
        feeds=count_feeds(feeds.values(), now_ms),
        tickers=list(rows.values()),
    )


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
