"""What is known of a ticker at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from app.analysis.bars import SECOND_MS
from app.answers.diagnosis import TickFailures
from app.answers.event_selection import HistoryBounds
from app.answers.half_hour import HalfHourRanks
from app.answers.ticker_read import SecondTable
from app.storage.feed_lags import is_delayed
from app.storage.feeds import is_down
from app.storage.published import (
    EventRecord,
    EvidenceClass,
    FeedRecord,
    FollowedRecord,
    LevelRecord,
    QualityRecord,
    RejectedRecords,
    Value,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerSnapshot:
    """All that is known of a ticker at `now_ms`; `as_of_ms` is None before its first tick.

    `newest_quote_ms` is the stamp of the newest usable quote; `rejected` are records that are newer
    than the newest usable one. `ready_in_seconds` is the time until the history is covered, None if
    it is; `feed_lag_seconds` is by how much the feed is behind, 0 for one in time; `cause` states
    why the snapshot is stale or quiet; `events` is None if they were not requested. `ahead`: the
    newest tick lies ahead of the clock that reads it.

    `ranked_metrics` are those of `ranks_window`, where the history is another one.

    `ranks`, 0 to 1 by metric, are those of the published window `ranks_window`, the nearest to the
    history; `rank_windows` is from how many independent windows they come. `followed` is what
    followed earlier events within a minute, by type and side. `half_hour` are ranks among the same
    half hour of earlier sessions, in full answers. `asked_at_ms` is set for an earlier
    moment, where `now_ms` is that moment.
    """

    ticker: str
    now_ms: float
    history_seconds: int
    newest_quote_ms: float
    evidence_class: EvidenceClass
    as_of_ms: int | None = None
    metrics: Mapping[str, Value] = field(default_factory=dict)
    behaviors: Mapping[str, str] = field(default_factory=dict)
    quality: QualityRecord = field(default_factory=QualityRecord)
    events: tuple[EventRecord, ...] | None = ()
    levels: tuple[LevelRecord, ...] = ()
    stale: bool = False
    quiet: bool = False
    ready_in_seconds: float | None = None
    cause: str | None = None
    failures: TickFailures = field(default_factory=TickFailures)
    engine: str | None = None
    asked_at_ms: float | None = None
    rejected: RejectedRecords = field(default_factory=RejectedRecords)
    feed_lag_seconds: int = 0
    ranks: Mapping[str, float] = field(default_factory=dict)
    ranks_window: str | None = None
    rank_windows: float | None = None
    ranked_metrics: Mapping[str, Value] = field(default_factory=dict)
    ahead: bool = False
    session: Mapping[str, Value] = field(default_factory=dict)
    followed: Mapping[tuple[str, str], FollowedRecord] = field(default_factory=dict)
    feed: FeedRecord | None = None
    half_hour: HalfHourRanks | None = None

    @property
    def past(self) -> bool:
        """Return whether the snapshot is of an earlier moment."""
        return self.asked_at_ms is not None

    @property
    def bounds(self) -> HistoryBounds:
        """Return the start and end of the history."""
        end_ms = self.now_ms if self.as_of_ms is None else self.as_of_ms
        return HistoryBounds(end_ms - self.history_seconds * SECOND_MS, end_ms)

    @property
    def warming(self) -> bool:
        """Return whether the ticker is younger than the history requested."""
        return self.ready_in_seconds is not None

    @property
    def feed_down(self) -> bool:
        """Return whether the feed gives no sign of life."""
        return not self.past and is_down(self.feed, self.now_ms)

    @property
    def lagging(self) -> bool:
        """Return whether the ticker's records keep coming late."""
        return self.feed_lag_seconds > 0 and not self.delayed

    @property
    def delayed(self) -> bool:
        """Return whether the ticker's feed is a delayed one."""
        return is_delayed(self.feed_lag_seconds)


class WatchedTicker(NamedTuple):
    """A snapshot with what a picture of the time from `from_ms` to its `as_of` is drawn from.

    `seconds` is None before the first tick, and where no second is new. `events` are those that
    are open or closed after `from_ms`.
    """

    snapshot: TickerSnapshot
    seconds: SecondTable | None
    events: tuple[EventRecord, ...]
    from_ms: int | None = None


def still_warming(unseen_seconds: float) -> float | None:
    """Return when a history is covered; less than a second is the part before the first quote."""
    return unseen_seconds if unseen_seconds >= 1 else None
