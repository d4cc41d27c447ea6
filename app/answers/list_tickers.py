"""List the active tickers and the age of each one's data."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field

from app.answers.durations import age, ago, lag
from app.answers.overview import MAX_TICKERS_READ, Overview, TickerSummary
from app.answers.reader import Reader
from app.answers.rejected_records import flag_texts, rejected_facts
from app.answers.schema import (
    AnswerModel,
    EpochMs,
    FeedLag,
    Feeds,
    Flags,
    Known,
    RejectedFacts,
    Reply,
    seconds_of,
    significant,
)
from app.answers.session_facts import count_feeds, feed_lines
from app.answers.ticker_answer import open_patterns
from app.answers.ticker_text import id_line
from app.core.arguments import check_range
from app.storage.published import EvidenceClass

DEFAULT_ROWS = 40
# As many as are read at once.
MAX_ROWS = MAX_TICKERS_READ
MAX_PATTERNS = 3


class ReplyHeader(Reply):
    """An answer about all active tickers; ages in seconds."""

    now: Annotated[int, Field(description="epoch ms")]
    as_of: EpochMs = None
    age_seconds: Known = None
    note: str | None = None
    feeds: Feeds = {}
    active: Annotated[
        int, Field(description="tickers with a quote or arriving records in the last 300 s")
    ]
    left_out: Annotated[
        int | None, Field(description="active tickers not told of; to reach by limit")
    ] = None

    def heading(self) -> Iterator[str]:
        """Yield the lines that state the age of the data and any problem."""
        tick = (
            "no tick yet"
            if self.age_seconds is None
            else f"as of {ago(0, self.age_seconds * 1000)}"
        )
        yield f"{self.active} active, {tick}" + (
            f", {self.left_out} of them left out" if self.left_out else ""
        )
        if self.note is not None:
            yield f"note: {self.note}"
        yield from feed_lines(self.feeds)


class ListedTicker(AnswerModel):
    """An active ticker over its last minute."""

    ticker: str
    newest_quote_age_seconds: Annotated[
        Known, Field(description="of the newest usable quote; absent: none")
    ] = None
    feed_lag_seconds: FeedLag = None
    quotes_per_second: Known = None
    evidence_class: EvidenceClass
    covered_seconds: Annotated[Known, Field(description="of 60")] = None
    open_patterns: list[str] = []
    flags: Flags = []
    rejected: RejectedFacts | None = None
    quality: Annotated[dict[str, int], Field(description="odd records by name")] = {}

    @classmethod
    def from_summary(cls, summary: TickerSummary, now_ms: float) -> Self:
        """Return a ticker's summary in the published form."""
        return cls(
            ticker=summary.ticker,
            newest_quote_age_seconds=None
            if summary.newest_quote_ms is None
            else seconds_of(now_ms - summary.newest_quote_ms),
            feed_lag_seconds=summary.feed_lag_seconds or None,
            quotes_per_second=significant(summary.quotes_per_second, 3),
            evidence_class=summary.evidence_class,
            covered_seconds=significant(summary.covered_seconds, 3),
            open_patterns=open_patterns(summary.events, MAX_PATTERNS),
            flags=list(summary.flags),
            rejected=rejected_facts(summary.rejected),
            quality=dict(summary.counts),
        )

    def text_parts(self, now_ms: float) -> Iterator[str]:
        """Yield the parts of the ticker's line of text."""
        if self.newest_quote_age_seconds is None:
            yield "no usable quote"
        else:
            yield f"quote {age(self.newest_quote_age_seconds)} ago"
        if self.feed_lag_seconds is not None:
            yield f"records {lag(self.feed_lag_seconds)} late"
        if self.quotes_per_second is not None:
            yield f"{self.quotes_per_second}/s"
        yield self.evidence_class
        if self.covered_seconds is not None:
            yield f"covered {self.covered_seconds} s"
        yield from flag_texts(self.flags, self.rejected, now_ms)
        if self.open_patterns:
            yield f"open {', '.join(self.open_patterns)}"
        if self.quality:
            yield "odd " + " ".join(f"{name} {count}" for name, count in self.quality.items())


class Listing(ReplyHeader):
    """The active tickers, most quotes first; classes: A aggressors given, B inferred, C none."""

    tickers: list[ListedTicker]

    def as_text(self) -> str:
        """Return one line for each ticker."""
        rows = (f"{row.ticker}: {'; '.join(row.text_parts(self.now))}" for row in self.tickers)
        return "\n".join([*self.heading(), *rows, *id_line(self.answer_id)])


def reply_header(overview: Overview, left_out: int) -> dict[str, object]:
    """Return the fields of `ReplyHeader`."""
    as_of_ms = overview.as_of_ms
    return {
        "now": round(overview.now_ms),
        "as_of": as_of_ms,
        "age_seconds": None if as_of_ms is None else seconds_of(overview.now_ms - as_of_ms),
        "note": overview.cause,
        "feeds": count_feeds((it.feed for it in overview.tickers), overview.now_ms),
        "active": len(overview.tickers) + overview.not_read,
        "left_out": left_out or None,
    }


def list_tickers(reader: Reader, limit: int = DEFAULT_ROWS) -> Listing:
    """Return the active tickers, those with most quotes first.

    Raises `NoAnswer` if none is active; `BadQuestion` or `StoreUnavailable`.
    """
    check_range("limit", limit, 1, MAX_ROWS)
    overview = reader.overview()
    ranked = sorted(overview.tickers, key=_by_rate)
    rows = [ListedTicker.from_summary(summary, overview.now_ms) for summary in ranked[:limit]]
    left_out = len(overview.tickers) - len(rows) + overview.not_read
    return Listing.model_validate({**reply_header(overview, left_out), "tickers": rows})


def _by_rate(summary: TickerSummary) -> tuple[float, str]:
    return -(summary.quotes_per_second or 0), summary.ticker
