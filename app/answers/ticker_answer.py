"""Answer about a ticker: typed models whose fields are the published schema.

Numbers are rounded here, once, so that text and JSON carry the same facts.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

from pydantic import Field, WithJsonSchema, create_model

from app.analysis.behavior_table import BEHAVIORS, DIRECTION_OF
from app.analysis.metric_table import BRIEF, BRIEF_DIGITS, DETAILS, RANKED, SHOWN
from app.answers.event_facts import EventFacts, shown_facts
from app.answers.event_selection import (
    MAX_EVENTS,
    MIN_RETURN_MINUTES,
    by_rarity,
    count_by_kind,
    is_routine,
    select_events,
)
from app.answers.event_words import how_rare
from app.answers.headline import MOST_NUMBERS, MOST_PARTS, headline
from app.answers.level_selection import MAX_LEVELS_A_SIDE, near_levels
from app.answers.reader import TickerSnapshot
from app.answers.rejected_records import rejected_facts
from app.answers.schema import (
    AnswerModel,
    FeedLag,
    Known,
    Number,
    RejectedFacts,
    Reply,
    metric_fields,
    rounded,
    seconds_of,
    short,
)
from app.answers.session_facts import FeedFacts, SessionFacts, feed_facts, session_facts
from app.answers.ticker_facts import (
    FailureFacts,
    LevelFacts,
    QualityFacts,
    StandingFacts,
    behavior_state,
    failure_facts,
    level_facts,
    mid_of,
    quality_facts,
    standing_facts,
    warming_metrics,
)
from app.answers.utc_times import iso_utc
from app.storage.feed_lags import is_delayed
from app.storage.published import (
    EventRecord,
    EvidenceClass,
    Value,
)

MAX_FOLLOWED: Final = 1
"""The first events of which an answer says what followed earlier ones."""
MIN_EVENTS: Final = 3
"""Where an answer is too large, events beyond these give way before levels."""
FULL_FROM_EVENTS: Final = 2
MAX_OTHER_KINDS: Final = 6
MIN_OTHER_KINDS: Final = 3
if TYPE_CHECKING:
    _MetricFields = AnswerModel
else:
    _MetricFields = create_model("_MetricFields", __base__=AnswerModel, **metric_fields(SHOWN))


class Metrics(_MetricFields):
    """Measures over the history; bid_/ask_ price and size stand at as_of."""


def _object(description: str) -> dict[str, str]:
    return {"type": "object", "description": description}


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
    covered_seconds: Annotated[Known, Field(description="seconds of the history with data")] = None
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
        FeedFacts | None, WithJsonSchema(_object("the feed of itself: source, scope, delay …"))
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
    ranks_window: Annotated[str | None, Field(description="the window that is ranked")] = None
    rank_windows: Annotated[int | None, Field(description="independent ones in the past")] = None
    behaviors: Annotated[dict[str, str], Field(description="on, off, or unknown: reason")] = {}
    events: Annotated[
        list[EventFacts] | None, Field(description="rarest first; absent: not asked for")
    ] = None
    open_patterns: Annotated[
        list[str] | None, Field(description="brief: open events, rarest first")
    ] = None
    events_left_out: int | None = None
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
    def lagging(self) -> bool:
        """Return whether records keep coming late."""
        return bool(self.feed_lag_seconds) and not self.delayed

    @property
    def delayed(self) -> bool:
        """Return whether the feed is a delayed one."""
        return is_delayed(self.feed_lag_seconds or 0)


class _BriefSize(NamedTuple):
    """How many open events a brief answer names, what its first line says, and which metrics."""

    open: int = MAX_EVENTS
    numbers: int = MOST_NUMBERS
    event_parts: int = 1
    metrics: tuple[str, ...] = BRIEF


_BRIEF_SIZES: Final = (
    _BriefSize(),
    _BriefSize(open=3, numbers=1),
    _BriefSize(open=2, numbers=1, event_parts=0),
    _BriefSize(open=2, numbers=0, event_parts=0),
    _BriefSize(open=1, numbers=0, event_parts=0),
    _BriefSize(open=1, numbers=0, event_parts=0, metrics=("bid_price", "ask_price", "ofi")),
    _BriefSize(open=0, numbers=0, event_parts=0, metrics=("bid_price", "ask_price")),
)
_BRIEF_NEEDS: Final = ("covered_seconds", "buy_volume", "sell_volume", *RANKED)
"""Metrics that a brief answer's other parts are made of."""


class _Parts(NamedTuple):
    """How much of what may be left out an answer shows."""

    events: int = MAX_EVENTS
    levels_a_side: int = MAX_LEVELS_A_SIDE
    other_kinds: int = MAX_OTHER_KINDS
    has_details: bool = True
    has_followed: bool = True

    def less(self, excess: int) -> "_Parts | None":
        """Return parts that cost about `excess` tokens less; None if nothing is left to leave out.

        Details of the session and of metrics go first, then kinds of others, then what followed;
        then the least rare events, down to three, before levels, and levels before the rest.
        """
        parts, saved = self, 0
        while saved <= excess:
            step = parts.next_step()
            if step is None:
                return None if parts == self else parts
            parts, tokens = step
            saved += tokens
        return parts

    def next_step(self) -> "tuple[_Parts, int] | None":
        """Return the parts with the next piece left out, and about what that saves."""
        if self.has_details:
            return self._replace(has_details=False), 120
        if self.other_kinds > MIN_OTHER_KINDS:
            return self._replace(other_kinds=MIN_OTHER_KINDS), 30
        if self.has_followed:
            return self._replace(has_followed=False), 30
        if self.events > MIN_EVENTS or (self.events and not self.levels_a_side):
            return self._replace(events=self.events - 1), 55
        if self.levels_a_side:
            return self._replace(levels_a_side=self.levels_a_side - 1), 50
        return (self._replace(other_kinds=0), 30) if self.other_kinds else None


def build_answer(
    snapshot: TickerSnapshot, min_return_minutes: float = MIN_RETURN_MINUTES
) -> Answer:
    """Return a snapshot as an answer: rounded, with the rarest events and nearest levels only."""
    return _answer(snapshot, _Parts(), min_return_minutes)


def fit_to_budget(
    snapshot: TickerSnapshot,
    excess: Callable[[Answer], int],
    min_return_minutes: float = MIN_RETURN_MINUTES,
) -> Answer:
    """Return an answer that fits, else the smallest; see `_Parts.less`.

    `excess` returns by how many tokens an answer is too large.
    """
    rare = sum(not is_routine(event, min_return_minutes) for event in snapshot.events or ())
    # With ranks, a session and two events there never was room for details.
    is_full = bool(snapshot.ranks) and bool(snapshot.session) and rare >= FULL_FROM_EVENTS
    parts = _Parts(has_details=not is_full)
    while True:
        answer = _answer(snapshot, parts, min_return_minutes)
        tokens = excess(answer)
        # Of fewer events than there may be, those that are not there save nothing.
        less = parts._replace(events=len(answer.events or ())).less(tokens)
        if tokens <= 0 or less is None:
            return answer
        parts = less


def build_brief(
    snapshot: TickerSnapshot,
    names: Iterable[str] = BRIEF,
    min_return_minutes: float = MIN_RETURN_MINUTES,
    size: _BriefSize = _BRIEF_SIZES[0],
) -> Answer:
    """Put a snapshot into its shortest form: some metrics, and what is open or on."""
    # What was rejected says why the ticker is quiet.
    is_said = snapshot.rejected.quotes.count > 0 and not snapshot.stale
    shortened = dataclasses.replace(
        snapshot,
        metrics={n: v for n, v in snapshot.metrics.items() if n in {*names, *_BRIEF_NEEDS}},
        behaviors=_on(snapshot.behaviors),
        engine=None,
        levels=(),
        feed=None,
        session={},
        cause=None if is_said else snapshot.cause,
    )
    answer = _answer(shortened, _Parts(), min_return_minutes, size.numbers, size.event_parts)
    metrics = {n: rounded(n, _brief(n, v)) for n, v in snapshot.metrics.items() if n in names}
    named = None if snapshot.events is None else open_patterns(snapshot.events, size.open)
    left_out = dict.fromkeys(
        (
            "newest_quote_at",
            "events",
            "events_left_out",
            "as_of_utc",
            "ranks_window",
            "rank_windows",
        )
    )
    return answer.model_copy(
        update={
            "metrics": Metrics.model_validate(metrics),
            "standing": None,
            "warming_metrics": [],
            "ranks": {},
            "other_events": {},
            "open_patterns": named,
            **left_out,
        }
    )


def _on(behaviors: Mapping[str, str]) -> dict[str, str]:
    """Return the behaviours that are on, with their directions."""
    on = {name: "on" for name in BEHAVIORS if behaviors.get(name) == "on"}
    directions = {DIRECTION_OF[name] for name in on if name in DIRECTION_OF}
    return {**on, **{name: behaviors[name] for name in directions if name in behaviors}}


def fit_brief_to_budget(
    snapshot: TickerSnapshot,
    excess: Callable[[Answer], int],
    min_return_minutes: float = MIN_RETURN_MINUTES,
) -> Answer:
    """Return a brief answer with as many open events and far numbers as fit."""
    *larger, smallest = _BRIEF_SIZES
    for size in larger:
        answer = _sized_brief(snapshot, min_return_minutes, size)
        if excess(answer) <= 0:
            return answer
    return _sized_brief(snapshot, min_return_minutes, smallest)


def _sized_brief(snapshot: TickerSnapshot, min_return_minutes: float, size: _BriefSize) -> Answer:
    answer = build_brief(snapshot, size.metrics, min_return_minutes, size)
    is_whole = answer.covered_seconds == answer.history_seconds
    return answer.model_copy(update={"covered_seconds": None}) if is_whole else answer


def _brief(name: str, value: Value) -> Value:
    digits = BRIEF_DIGITS.get(name)
    return value if digits is None or isinstance(value, str) else short(value, digits)


def open_patterns(events: Iterable[EventRecord], most: int = MAX_EVENTS) -> list[str]:
    """List the rarest open events as type, side and, if known, how rare; and how many more."""
    found = [event for event in events if event.status == "open"]
    ranked = by_rarity(found, 0.0)
    named = [_named(event) for event in ranked[:most]]
    more = len(ranked) - len(named)
    if not more:
        return named
    return [*named, f"{more} more" if named else f"{more} open, not named"]


def _named(event: EventRecord) -> str:
    rare = "" if event.return_minutes is None else f" {how_rare(event)}"
    return f"{event.type} {event.side}{rare}"


def _answer(
    snapshot: TickerSnapshot,
    parts: _Parts,
    min_return_minutes: float,
    numbers: int = MOST_NUMBERS,
    most_parts: int = MOST_PARTS,
) -> Answer:
    metrics = {name: rounded(name, value) for name, value in snapshot.metrics.items()}
    metrics.pop("as_of", None)
    metrics.pop("covered_seconds", None)
    ranks = {name: round(rank, 2) for name, rank in snapshot.ranks.items() if name in metrics}
    mid = mid_of(snapshot.metrics)
    selected = select_events(
        snapshot.events or (), snapshot.bounds, min_return_minutes, parts.events
    )
    left_out = frozenset[str]() if parts.has_details else DETAILS
    levels = near_levels(snapshot.levels, mid, snapshot.bounds.end_ms, parts.levels_a_side)
    others = count_by_kind(selected.others)
    as_of_ms = snapshot.as_of_ms
    return Answer(
        ticker=snapshot.ticker,
        headline=headline(
            metrics,
            ranks,
            selected.shown,
            is_past=snapshot.past,
            most_numbers=numbers,
            most_parts=most_parts,
        ),
        now=round(snapshot.now_ms),
        asked_at=None if snapshot.asked_at_ms is None else round(snapshot.asked_at_ms),
        as_of=as_of_ms,
        as_of_utc=None if as_of_ms is None else iso_utc(as_of_ms),
        age_seconds=None if as_of_ms is None else seconds_of(snapshot.now_ms - as_of_ms),
        history_seconds=snapshot.history_seconds,
        covered_seconds=_covered(snapshot.metrics),
        newest_quote_at=round(snapshot.newest_quote_ms),
        newest_quote_age_seconds=seconds_of(snapshot.now_ms - snapshot.newest_quote_ms),
        stale=snapshot.stale,
        ahead=snapshot.ahead,
        feed_lag_seconds=snapshot.feed_lag_seconds or None,
        quiet=snapshot.quiet,
        warming=snapshot.warming,
        ready_in_seconds=None
        if snapshot.ready_in_seconds is None
        else math.ceil(snapshot.ready_in_seconds),
        note=snapshot.cause,
        feed=feed_facts(snapshot.feed, snapshot.now_ms),
        session=session_facts(snapshot.session, snapshot.now_ms, in_detail=parts.has_details),
        evidence_class=snapshot.evidence_class,
        not_observable=["trades"] if snapshot.evidence_class == "C" else [],
        standing=standing_facts(snapshot.metrics, mid),
        metrics=Metrics.model_validate(
            {name: value for name, value in metrics.items() if name not in left_out}
        ),
        metrics_left_out=sum(name in left_out for name in metrics) or None,
        warming_metrics=warming_metrics(snapshot.metrics),
        ranks={name: rank for name, rank in ranks.items() if name not in left_out},
        ranks_window=snapshot.ranks_window if snapshot.ranks else None,
        rank_windows=round(snapshot.rank_windows)
        if snapshot.ranks and snapshot.rank_windows
        else None,
        behaviors={name: behavior_state(state) for name, state in snapshot.behaviors.items()},
        events=None
        if snapshot.events is None
        else [
            shown_facts(
                event,
                snapshot.evidence_class,
                snapshot.followed.get((event.type, event.side))
                if parts.has_followed and place < MAX_FOLLOWED
                else None,
            )
            for place, event in enumerate(selected.shown)
        ],
        events_left_out=len(selected.others) or None,
        other_events={
            f"{kind} {side}": [count, *_usual(snapshot, (kind, side))]
            for (kind, side), count in [*others.items()][: parts.other_kinds]
        },
        levels=[level_facts(level, mid, snapshot.bounds.end_ms) for level in levels],
        levels_left_out=len(snapshot.levels) - len(levels) or None,
        quality=quality_facts(snapshot.quality),
        rejected=rejected_facts(snapshot.rejected),
        failed_ticks=failure_facts(snapshot.failures),
        engine=snapshot.engine,
    )


def _covered(metrics: Mapping[str, Value]) -> Number | None:
    covered = metrics.get("covered_seconds")
    return short(covered, 6) if isinstance(covered, (int, float)) else None


def _usual(snapshot: TickerSnapshot, kind: tuple[str, str]) -> list[Number]:
    """Return the usual number of events of a kind in such a history, if the past tells it."""
    past = snapshot.followed.get(kind)
    if past is None or not past.baseline_n:
        return []
    return [short(past.n * snapshot.history_seconds / past.baseline_n, 2)]
