"""Make an answer about a ticker of what is known, as large as it may be.

Numbers are rounded here, once, so that text and JSON carry the same facts.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.analysis.behavior_table import BEHAVIORS, DIRECTION_OF
from app.analysis.metric_table import BRIEF, BRIEF_DIGITS, DETAILS, RANKED
from app.analysis.windows import WEAK_EVENT_SECONDS, WINDOW_SECONDS
from app.answers.answer_model import Answer, HalfHourFacts, Metrics
from app.answers.answer_parts import (
    BRIEF_SIZES,
    FULL_FROM_EVENTS,
    MAX_FOLLOWED,
    AnswerParts,
    BriefSize,
)
from app.answers.event_facts import EventFacts, followed_words, shown_facts
from app.answers.event_selection import (
    MAX_EVENTS,
    MIN_RETURN_MINUTES,
    Selection,
    by_rarity,
    count_by_kind,
    first_of,
    is_routine,
    rank_events,
    rarest_current,
)
from app.answers.event_words import how_rare
from app.answers.headline import farthest_first, headline, is_far
from app.answers.level_selection import near_levels
from app.answers.rejected_records import rejected_facts
from app.answers.schema import Number, rounded, seconds_of, short, whole
from app.answers.session_facts import feed_facts, session_facts
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_facts import (
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
from app.storage.feeds import is_down
from app.storage.published import EventRecord, FeedRecord, FollowedRecord, Value

_BRIEF_NEEDS: Final = ("covered_seconds", "buy_volume", "sell_volume", *RANKED)
"""Metrics that a brief answer's other parts are made of."""


def build_answer(
    snapshot: TickerSnapshot,
    min_return_minutes: float = MIN_RETURN_MINUTES,
    parts: AnswerParts = AnswerParts(),  # noqa: B008 - immutable
) -> Answer:
    """Return a snapshot as an answer: rounded, with the rarest events and nearest levels only."""
    return _AnswerMaker(snapshot, min_return_minutes).answer(parts)


def fit_to_budget(
    snapshot: TickerSnapshot,
    excess: Callable[[Answer], int],
    min_return_minutes: float = MIN_RETURN_MINUTES,
) -> Answer:
    """Return an answer that fits, else the smallest; see `AnswerParts.less`.

    `excess` returns by how many tokens an answer is too large.
    """
    rare = sum(not is_routine(event, min_return_minutes) for event in snapshot.events or ())
    # With ranks, a session and two events there never was room for details.
    is_full = bool(snapshot.ranks) and bool(snapshot.session) and rare >= FULL_FROM_EVENTS
    parts = AnswerParts(
        has_details=not is_full,
        has_usual_ranks=bool(snapshot.ranked_metrics) and not is_full,
        events_first=snapshot.history_seconds > max(WINDOW_SECONDS),
    )
    maker = _AnswerMaker(snapshot, min_return_minutes)
    while True:
        answer = maker.answer(parts)
        tokens = excess(answer)
        # Of fewer events than there may be, those that are not there save nothing.
        less = parts._replace(events=len(answer.events or ())).less(tokens)
        if tokens <= 0 or less is None:
            return answer
        parts = less


def _brief_feed(snapshot: TickerSnapshot) -> FeedRecord | None:
    """Return source, scope and delay of a feed, and its last sign of life if it is down."""
    feed = snapshot.feed
    if feed is None:
        return None
    alive_at = feed.alive_at if is_down(feed, snapshot.now_ms) else None
    return dataclasses.replace(feed, stamps=None, market_share=None, alive_at=alive_at)


def build_brief(
    snapshot: TickerSnapshot,
    names: Iterable[str] = BRIEF,
    min_return_minutes: float = MIN_RETURN_MINUTES,
    size: BriefSize = BRIEF_SIZES[0],
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
        feed=_brief_feed(snapshot),
        session={},
        cause=None if is_said else snapshot.cause,
    )
    answer = _AnswerMaker(shortened, min_return_minutes).answer(size.parts())
    metrics = {n: rounded(n, _brief(n, v)) for n, v in snapshot.metrics.items() if n in names}
    named = (
        None
        if snapshot.events is None
        else open_patterns(snapshot.events, size.open, min_return_minutes)
    )
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
            "standing": _move_alone(answer.standing),
            "warming_metrics": [],
            "ranks": {},
            "other_events": {},
            "open_patterns": named,
            **left_out,
        }
    )


def _move_alone(standing: StandingFacts | None) -> StandingFacts | None:
    """Return how far the mid moved, without the standing spread, which the two prices tell."""
    if standing is None or standing.mid_moved_bps is None:
        return None
    return StandingFacts(mid_moved_bps=standing.mid_moved_bps)


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
    *larger, smallest = BRIEF_SIZES
    for size in larger:
        answer = _sized_brief(snapshot, min_return_minutes, size)
        if excess(answer) <= 0:
            return answer
    return _sized_brief(snapshot, min_return_minutes, smallest)


def _sized_brief(snapshot: TickerSnapshot, min_return_minutes: float, size: BriefSize) -> Answer:
    answer = build_brief(snapshot, size.metrics, min_return_minutes, size)
    is_whole = answer.covered_seconds == answer.history_seconds
    return answer.model_copy(update={"covered_seconds": None}) if is_whole else answer


def _brief(name: str, value: Value) -> Value:
    digits = BRIEF_DIGITS.get(name)
    return value if digits is None or isinstance(value, str) else short(value, digits)


def open_patterns(
    events: Iterable[EventRecord],
    most: int = MAX_EVENTS,
    min_return_minutes: float = MIN_RETURN_MINUTES,
) -> list[str]:
    """List the rarest open events as type, side and, if known, how rare; and how many more."""
    found = [event for event in events if event.status == "open"]
    ranked = by_rarity(found, 0.0, min_return_minutes)
    named = [_named(event) for event in ranked[:most]]
    more = len(ranked) - len(named)
    if not more:
        return named
    return [*named, f"{more} more" if named else f"{more} open, not named"]


def _named(event: EventRecord) -> str:
    rare = "" if event.return_minutes is None else f" {how_rare(event)}"
    return f"{event.type} {event.side}{rare}"


class _AnswerMaker:
    """Make answers of several sizes from a snapshot; what none of them changes is made once."""

    def __init__(self, snapshot: TickerSnapshot, min_return_minutes: float) -> None:
        self._snapshot = snapshot
        self._min_return_minutes = min_return_minutes
        self._past_seconds = max(
            (it.baseline_n or 0 for it in snapshot.followed.values()), default=0
        )
        self._metrics = _rounded_metrics(snapshot)
        self._ranks = _rounded_ranks(snapshot, self._metrics)
        self._same = {
            "ticker": snapshot.ticker,
            # Said by `answer`; given, since pydantic would copy their defaults deeply.
            "headline": "",
            "other_events": {},
            "open_patterns": None,
            "levels": [],
            **_moment(snapshot),
            **_state(snapshot),
            **_numbers(snapshot, self._ranks),
        }
        self._ranked_events = functools.cache(
            lambda has_old: rank_events(
                snapshot.events or (), snapshot.bounds, min_return_minutes, has_old=has_old
            )
        )
        self._current = rarest_current(
            snapshot.events or (), snapshot.bounds.end_ms, min_return_minutes
        )
        self._without_lists = functools.cache(self._make_without_lists)
        self._levels = functools.cache(
            lambda a_side, has_far: _levels(snapshot, a_side, has_far=has_far)
        )
        self._headline = functools.cache(self._make_headline)
        self._shown: dict[int, EventFacts] = {}

    def answer(self, parts: AnswerParts) -> Answer:
        """Return the answer with some parts."""
        snapshot = self._snapshot
        ranked = self._ranked_events(parts.has_old_and_far)
        selected = first_of(ranked, snapshot.events or (), parts.events)
        # All that is listed is made of checked parts: only the rest has to be checked.
        return self._without_lists(
            parts.has_details, parts.has_usual_ranks, parts.most_ranks
        ).model_copy(
            update={
                "headline": self._headline(
                    bool(selected.shown),
                    parts.has_old_and_far,
                    parts.headline_numbers,
                    parts.headline_parts,
                ),
                "events": None if snapshot.events is None else self._events(selected, parts),
                "open_patterns": self._open_others(selected, parts) or None,
                **self._other_events(selected, parts),
                **self._levels(parts.levels_a_side, parts.has_old_and_far),
            }
        )

    def _make_without_lists(
        self,
        has_details: bool,  # noqa: FBT001 - cached by place
        has_usual_ranks: bool,  # noqa: FBT001 - as before
        most_ranks: int,
    ) -> Answer:
        """Return the answer without its headline, events and levels."""
        snapshot = self._snapshot
        if not snapshot.ranked_metrics:
            has_usual_ranks, most_ranks = True, len(self._ranks)
        left_out = frozenset[str]() if has_details else DETAILS
        return Answer.model_validate(
            {
                **self._same,
                "session": session_facts(snapshot.session, snapshot.now_ms, in_detail=has_details),
                "metrics": {n: v for n, v in self._metrics.items() if n not in left_out},
                "metrics_left_out": sum(n in left_out for n in self._metrics) or None,
                **_ranks_said(self._ranks, most_ranks, has_usual=has_usual_ranks),
            }
        )

    def _make_headline(
        self,
        has_event: bool,  # noqa: FBT001 - cached by place
        has_old: bool,  # noqa: FBT001 - as before
        most_numbers: int,
        most_parts: int,
    ) -> str:
        snapshot = self._snapshot
        named = self._named_first(has_old=has_old) if has_event else ()
        return headline(
            snapshot.ranked_metrics or self._metrics,
            self._ranks,
            None if snapshot.events is None else named,
            is_past=snapshot.past,
            most_numbers=most_numbers,
            most_parts=most_parts,
            window=snapshot.ranks_window if snapshot.ranked_metrics else None,
        )

    def _named_first(self, *, has_old: bool) -> list[EventRecord]:
        """Return the rarest current event, then the rarest of the history where it is another."""
        rarest = self._ranked_events(has_old)[:1]
        if self._current is None:
            return rarest
        current = self._current.event
        return [current, *(event for event in rarest if event.id != current.id)]

    def _events(self, selected: Selection, parts: AnswerParts) -> list[EventFacts]:
        most_followed = MAX_FOLLOWED if parts.has_followed else 0
        followed, rest = selected.shown[:most_followed], selected.shown[most_followed:]
        return [
            *map(self._with_followed, followed),
            *map(self._shown_facts, rest),
        ]

    def _other_events(self, selected: Selection, parts: AnswerParts) -> dict[str, object]:
        """Return how many events there are besides those shown."""
        others = [*count_by_kind(selected.others).items()]
        return {
            "events_left_out": len(selected.others) or None,
            "other_events": {
                f"{kind} {side}": [count, *_usual(self._snapshot, (kind, side), self._past_seconds)]
                for (kind, side), count in others[: parts.other_kinds]
            },
        }

    def _open_others(self, selected: Selection, parts: AnswerParts) -> list[str]:
        return open_patterns(selected.others, parts.open_others, self._min_return_minutes)

    def _with_followed(self, event: EventRecord) -> EventFacts:
        followed = followed_words(self._snapshot.followed.get((event.type, event.side)))
        facts = self._shown_facts(event)
        return facts if followed is None else facts.model_copy(update={"followed": followed})

    def _shown_facts(self, event: EventRecord) -> EventFacts:
        key = id(event)
        if key not in self._shown:
            self._shown[key] = shown_facts(event, self._snapshot.evidence_class)
        return self._shown[key]


def _moment(snapshot: TickerSnapshot) -> dict[str, object]:
    """Return of when an answer is, and how old what it tells."""
    now_ms, as_of_ms = snapshot.now_ms, snapshot.as_of_ms
    covered = snapshot.metrics.get("covered_seconds")
    return {
        "now": round(now_ms),
        "asked_at": None if snapshot.asked_at_ms is None else round(snapshot.asked_at_ms),
        "as_of": as_of_ms,
        "as_of_utc": None if as_of_ms is None else iso_utc(as_of_ms),
        "age_seconds": None if as_of_ms is None else seconds_of(now_ms - as_of_ms),
        "history_seconds": snapshot.history_seconds,
        "covered_seconds": whole(round(covered, 1)) if isinstance(covered, (int, float)) else None,
        "newest_quote_at": round(snapshot.newest_quote_ms),
        "newest_quote_age_seconds": seconds_of(now_ms - snapshot.newest_quote_ms),
    }


def _state(snapshot: TickerSnapshot) -> dict[str, object]:
    """Return what an answer rests on, and what is wrong with it."""
    ready = snapshot.ready_in_seconds
    return {
        "stale": snapshot.stale,
        "ahead": snapshot.ahead,
        "feed_lag_seconds": snapshot.feed_lag_seconds or None,
        "quiet": snapshot.quiet,
        "warming": snapshot.warming,
        "ready_in_seconds": None if ready is None else math.ceil(ready),
        "note": snapshot.cause,
        "feed": feed_facts(snapshot.feed, snapshot.now_ms),
        "evidence_class": snapshot.evidence_class,
        "not_observable": ["trades"] if snapshot.evidence_class == "C" else [],
        "quality": quality_facts(snapshot.quality),
        "rejected": rejected_facts(snapshot.rejected),
        "failed_ticks": failure_facts(snapshot.failures),
        "engine": snapshot.engine,
    }


def _rounded_metrics(snapshot: TickerSnapshot) -> dict[str, Value]:
    return {
        name: rounded(name, value)
        for name, value in snapshot.metrics.items()
        if name not in ("as_of", "covered_seconds")
    }


def _rounded_ranks(snapshot: TickerSnapshot, metrics: Mapping[str, Value]) -> dict[str, float]:
    return {name: round(rank, 2) for name, rank in snapshot.ranks.items() if name in metrics}


def _numbers(snapshot: TickerSnapshot, ranks: Mapping[str, float]) -> dict[str, object]:
    """Return the book, the behaviours, and of how many windows the ranks are."""
    windows = snapshot.rank_windows if ranks else None
    return {
        "standing": standing_facts(snapshot.metrics, mid_of(snapshot.metrics)),
        "warming_metrics": warming_metrics(snapshot.metrics),
        "ranks_window": snapshot.ranks_window if ranks else None,
        "rank_windows": round(windows) if windows else None,
        "half_hour": _half_hour(snapshot),
        "behaviors": {name: behavior_state(state) for name, state in snapshot.behaviors.items()},
    }


def _half_hour(snapshot: TickerSnapshot) -> HalfHourFacts | None:
    found = snapshot.half_hour
    if found is None or not found.ranks:
        return None
    ranks = {name: round(rank, 2) for name, rank in found.ranks.items()}
    return HalfHourFacts(sessions=found.sessions, ranks=ranks)


def _ranks_said(ranks: Mapping[str, float], most: int, *, has_usual: bool) -> dict[str, object]:
    """Return the ranks, at most so many, all or those far from usual, and how many others."""
    farthest = farthest_first(ranks)[:most]
    said = {n: r for n, r in ranks.items() if n in farthest and (has_usual or is_far(r))}
    return {"ranks": said, "ranks_left_out": len(ranks) - len(said) or None}


def _levels(snapshot: TickerSnapshot, most_a_side: int, *, has_far: bool) -> dict[str, object]:
    """Return the levels shown, and how many others there are."""
    mid, end_ms = mid_of(snapshot.metrics), snapshot.bounds.end_ms
    levels = near_levels(snapshot.levels, mid, end_ms, most_a_side, has_far=has_far)
    return {
        "levels": [level_facts(level, mid, end_ms) for level in levels],
        "levels_left_out": len(snapshot.levels) - len(levels) or None,
    }


def _usual(snapshot: TickerSnapshot, kind: tuple[str, str], past_seconds: int) -> list[Number]:
    """Return the usual number of events of a kind in the covered seconds, if the past tells it.

    Of a kind with too few earlier events the seconds of its own half hours are not told: its events
    are those of all `past_seconds`, also where there was none. Weak events are kept for 10 min
    only: of a longer history their number is not known.
    """
    if not past_seconds or snapshot.history_seconds > WEAK_EVENT_SECONDS:
        return []
    past = snapshot.followed.get(kind, FollowedRecord(n=0))
    seconds = snapshot.metrics.get("covered_seconds")
    covered = seconds if isinstance(seconds, (int, float)) else snapshot.history_seconds
    return [short(past.n * covered / (past.baseline_n or past_seconds), 2)]
