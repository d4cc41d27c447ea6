"""The answer about a ticker: its fields and their annotations are the published schema."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, WithJsonSchema, create_model

from app.analysis.metric_table import SHOWN
from app.answers.event_facts import EventFacts
from app.answers.schema import (
    AnswerModel,
    FeedLag,
    Known,
    Number,
    RejectedFacts,
    Reply,
    metric_fields,
)
from app.answers.session_facts import FeedFacts, SessionFacts
from app.answers.ticker_facts import FailureFacts, LevelFacts, QualityFacts, StandingFacts
from app.storage.feed_lags import is_delayed
from app.storage.published import EvidenceClass

if TYPE_CHECKING:
    _MetricFields = AnswerModel
else:
    _MetricFields = create_model("_MetricFields", __base__=AnswerModel, **metric_fields(SHOWN))


class Metrics(_MetricFields):
    """Measures over the history; bid_/ask_ price and size stand at as_of."""


def _object(description: str) -> dict[str, str]:
    return {"type": "object", "description": description}


class HalfHourFacts(AnswerModel):
    """How usual numbers are for this half hour of the session."""

    sessions: int
    ranks: dict[str, Number]


class Answer(Reply):
    """Order flow of a ticker over a history that ends at as_of. Times: epoch ms."""

    ticker: str
    headline: Annotated[str, Field(description="what is farthest from usual")]
    now: int
    asked_at: Annotated[int | None, Field(description="now is an earlier moment")] = None
    as_of: int | None = None
    as_of_utc: str | None = None
    age_seconds: Annotated[Known, Field(description="now - as_of")] = None
    history_seconds: int
    covered_seconds: Annotated[Known, Field(description="seconds with data")] = None
    newest_quote_at: int | None = None
    newest_quote_age_seconds: Number
    stale: Annotated[bool, Field(description="no tick for over 3 intervals; see note")]
    feed_lag_seconds: FeedLag = None
    ahead: Annotated[bool, Field(description="as_of is ahead of now; see note")] = False
    quiet: Annotated[bool, Field(description="no quote for unusually long")]
    warming: Annotated[bool, Field(description="younger than the history")]
    ready_in_seconds: Known = None
    note: str | None = None
    feed: Annotated[
        FeedFacts | None, WithJsonSchema(_object("of itself: source, scope, delay …"))
    ] = None
    session: Annotated[
        SessionFacts | None, WithJsonSchema(_object("so far: phase, local time, prices, volume"))
    ] = None
    evidence_class: Annotated[
        EvidenceClass,
        Field(description="A trades with aggressor, B aggressor inferred, C quotes only"),
    ]
    not_observable: list[Literal["trades"]] = []
    standing: StandingFacts | None = None
    metrics: Metrics
    metrics_left_out: Annotated[int | None, Field(description="order_flow_series has them")] = None
    warming_metrics: Annotated[
        list[str], Field(description="not known yet in part of the history")
    ] = []
    ranks: Annotated[dict[str, Number], Field(description="share of its past below, 0..1")] = {}
    ranks_left_out: Annotated[int | None, Field(description="nearer to usual")] = None
    ranks_window: Annotated[str | None, Field(description="the window that is ranked")] = None
    rank_windows: Annotated[int | None, Field(description="independent ones in the past")] = None
    half_hour: Annotated[
        HalfHourFacts | None, WithJsonSchema(_object("ranks by half hour of the day"))
    ] = None
    behaviors: Annotated[dict[str, str], Field(description="on, off, or unknown: reason")] = {}
    events: Annotated[
        list[EventFacts] | None,
        Field(description="rarest first, unranked last; absent: not asked for"),
    ] = None
    open_patterns: Annotated[list[str] | None, Field(description="open ones not in events")] = None
    events_left_out: Annotated[
        int | None, Field(description="to reach by limit, min_return_minutes")
    ] = None
    other_events: Annotated[
        dict[str, list[Number]],
        Field(description="by type and side: how many, usual number"),
    ] = {}
    levels: list[LevelFacts] = []
    levels_left_out: int | None = None
    quality: QualityFacts
    rejected: RejectedFacts | None = None
    failed_ticks: FailureFacts | None = None
    engine: str | None = None

    @property
    def feed_down(self) -> bool:
        """Return whether the feed gives no sign of life."""
        return self.feed is not None and self.feed.down

    @property
    def lagging(self) -> bool:
        """Return whether records keep coming late."""
        return bool(self.feed_lag_seconds) and not self.delayed

    @property
    def delayed(self) -> bool:
        """Return whether the feed is a delayed one."""
        return is_delayed(self.feed_lag_seconds or 0)
