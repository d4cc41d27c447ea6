"""Render an answer as compact text: the facts of its JSON in a third of the model tokens.

`a/b` always means bid/ask; sizes are in the feed's unit, other units are part of the labels.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from app.analysis.behavior_table import BEHAVIORS, DIRECTION_OF
from app.analysis.metric_table import BOOK_LINE, NOW_LINE, text_lines
from app.analysis.pattern_table import POINT_TYPES
from app.analysis.touch import SIDE_NAMES
from app.analysis.windows import WINDOWS
from app.answers.answer_model import Answer
from app.answers.durations import age, ago, before, lag
from app.answers.event_facts import EventFacts
from app.answers.headline import percent
from app.answers.rejected_records import rejected_text
from app.answers.schema import Flag, plain
from app.answers.ticker_facts import LevelFacts
from app.answers.utc_times import as_of_text, utc_clock
from app.storage.feed_lags import is_delayed

_CLASSES = {
    "A": "A (aggressors given)",
    "B": "B (aggressors inferred)",
    "C": "C (quotes only)",
}

_LINES = text_lines()
_THEN_LINE: Final = "then bid/ask"
"""What the line of the standing book is called in an answer of an earlier moment."""


class AnswerWriter:
    """Write answers as text: lines that those of several sizes have in common are made once."""

    def __init__(self) -> None:
        self._written: list[tuple[Answer, tuple[str, ...]]] = []

    def as_text(self, answer: Answer) -> str:
        """Return an answer as text."""
        return "\n".join(
            (
                _first_line(answer),
                *self._lines_before_lists(answer.model_copy(update=_NOTHING_LISTED)),
                *_lists(answer),
                f"quality: {', '.join(_quality(answer)) or _no_counts(answer)}",
                *id_line(answer.answer_id),
            )
        )

    def _lines_before_lists(self, answer: Answer) -> tuple[str, ...]:
        for known, lines in self._written:
            if known == answer:
                return lines
        lines = tuple(_before_lists(answer))
        self._written.append((answer, lines))
        return lines


def as_text(answer: Answer) -> str:
    """Return an answer as text."""
    return AnswerWriter().as_text(answer)


_NOTHING_LISTED: Final[Mapping[str, object]] = {
    "headline": "",
    "events": None,
    "open_patterns": None,
    "events_left_out": None,
    "other_events": {},
    "levels": [],
    "levels_left_out": None,
}
"""What differs between answers of several sizes, and is written in the first line or in lists."""


def _first_line(answer: Answer) -> str:
    flags = "".join(f"{flag.upper()}; " for flag in ANSWER_FLAGS if getattr(answer, flag))
    return f"{answer.ticker}: {flags}{answer.headline}"


def _before_lists(answer: Answer) -> Iterator[str]:
    yield ", ".join(_heading(answer))
    yield from _warnings(answer)
    yield from _surroundings(answer)
    yield from _metrics(answer)
    if answer.not_observable:
        yield f"not observable: {', '.join(answer.not_observable)}"
    yield from _behaviors(answer.behaviors)


def _lists(answer: Answer) -> Iterator[str]:
    yield from _events(answer)
    yield from _levels(answer)


def is_past(answer: Answer) -> bool:
    """Return whether an answer is of an earlier moment: then nothing in it is of now."""
    return answer.asked_at is not None


ANSWER_FLAGS = ("ahead", "stale", "quiet", "warming")


def id_line(answer_id: str | None) -> Iterator[str]:
    """Yield the line with the id that an answer is archived under, if it has one."""
    if answer_id is not None:
        yield f"answer {answer_id}"


def _no_counts(answer: Answer) -> str:
    if answer.as_of is None:
        return "known from the first tick on"
    flags: list[Flag] = ["rejected"] if answer.rejected else []
    return nothing_odd([*flags, "lagging"] if answer.feed_lag_seconds is not None else flags)


def nothing_odd(flags: Collection[Flag]) -> str:
    """Return that a history has no odd records, as far as the flags do not say otherwise.

    >>> nothing_odd(["quiet"]), nothing_odd(["delayed"]), nothing_odd(["lagging", "rejected"])
    ('nothing odd', 'nothing else odd', 'see the rejected records')
    """
    if "rejected" in flags:
        return "see the rejected records"
    return "nothing else odd" if {"lagging", "delayed"} & {*flags} else "nothing odd"


def _heading(answer: Answer) -> Iterator[str]:
    yield f"last {answer.history_seconds} s"
    if answer.covered_seconds is not None:
        yield f"covered {answer.covered_seconds} s"
    if answer.as_of is not None and answer.asked_at is not None:
        yield as_of_text(answer.as_of, answer.asked_at)
    elif answer.as_of is not None:
        yield f"as of {utc_clock(answer.as_of)} UTC ({ago(answer.as_of, answer.now)})"
    yield f"quote {age(answer.newest_quote_age_seconds)} {'before' if is_past(answer) else 'ago'}"
    yield f"evidence {_CLASSES[answer.evidence_class]}"
    if answer.engine is not None:
        yield f"engine {answer.engine}"


def _surroundings(answer: Answer) -> Iterator[str]:
    """Yield the lines about the feed and the session, which a brief answer has not."""
    if answer.feed is not None:
        yield f"feed: {', '.join(answer.feed.text_parts(answer.now))}"
    if answer.session is not None:
        yield f"session: {', '.join(answer.session.text_parts(answer.now))}"


def _warnings(answer: Answer) -> Iterator[str]:
    if answer.ahead:
        yield "AHEAD: the newest tick is ahead of the clock; see note"
    if answer.stale:
        yield "STALE: no tick for over 3 intervals"
    if answer.feed_lag_seconds is not None:
        yield feed_lag_text(answer.feed_lag_seconds, answer.age_seconds)
    if answer.quiet:
        yield f"QUIET: no quote of {answer.ticker} for unusually long"
    if answer.feed is not None and answer.feed.down and answer.feed.alive_at is not None:
        yield f"FEED DOWN: last sign of it {ago(answer.feed.alive_at, answer.now)}"
    if answer.rejected is not None:
        yield f"REJECTED: {rejected_text(answer.rejected, answer.now)}"
    if answer.warming:
        yield f"WARMING: younger than the history, ready in {answer.ready_in_seconds} s"
    if answer.note is not None:
        yield f"note: {answer.note}"
    failed = answer.failed_ticks
    if failed is not None:
        when = "" if failed.last_at is None else f", last {ago(failed.last_at, answer.now)}"
        yield f"failed ticks: {failed.count}{when}, {failed.error}"


def feed_lag_text(lag_seconds: int, age_seconds: float | None) -> str:
    """Return how far a feed is behind, and the age of what is known.

    >>> feed_lag_text(10, 10.4), feed_lag_text(903, None)
    ('FEED BEHIND: records come 10 s late; as of 10 s ago', 'DELAYED FEED: stamped 15 min behind')
    """
    if is_delayed(lag_seconds):
        said = f"DELAYED FEED: stamped {lag(lag_seconds)} behind"
    else:
        said = f"FEED BEHIND: records come {lag(lag_seconds)} late"
    return said if age_seconds is None else f"{said}; as of {age(age_seconds)} ago"


def _metrics(answer: Answer) -> Iterator[str]:
    known = answer.metrics.model_dump(exclude_none=True)
    book = answer.standing
    standing = (
        {}
        if book is None
        else {
            NOW_LINE: ("spread bp", book.spread_bps),
            BOOK_LINE: ("mid moved bp", book.mid_moved_bps),
        }
    )
    # Ranks of another time stand apart: they are not those of the numbers.
    is_own = WINDOWS.get(answer.ranks_window or "") == answer.history_seconds
    beside = answer.ranks if is_own else {}
    for label, parts in _LINES:
        said = [
            f"{name} {_joined(fields, known, beside)}"
            for name, fields in parts
            if not known.keys().isdisjoint(fields)
        ]
        name, value = standing.get(label, ("", None))
        if value is not None:
            said.append(f"{name} {plain(value)}")
        if said:
            yield f"{_line_label(label, answer)}: {', '.join(said)}"
    if answer.metrics_left_out is not None:
        yield f"metrics left out: {answer.metrics_left_out}; order_flow_series has them"
    if answer.warming_metrics:
        yield f"known only in part of the history: {', '.join(answer.warming_metrics)}"
    yield from _ranks(answer, is_own=is_own)
    if answer.half_hour is not None:
        found = [f"{name} {percent(rank)}" for name, rank in answer.half_hour.ranks.items()]
        yield f"vs this half hour of {answer.half_hour.sessions} sessions: {', '.join(found)}"


def _line_label(label: str, answer: Answer) -> str:
    return _THEN_LINE if label == NOW_LINE and is_past(answer) else label


def _ranks(answer: Answer, *, is_own: bool) -> Iterator[str]:
    """Yield what the ranks mean, and the ranks themselves where no number stands beside them."""
    if answer.ranks_window is None:
        return
    apart = (
        "" if answer.rank_windows is None else f", {answer.rank_windows} of them without overlap"
    )
    meaning = f"p91: 91 % of this ticker's past {answer.ranks_window} windows were below{apart}"
    if is_own:
        yield meaning
    else:
        ranked = [f"{name} {percent(rank)}" for name, rank in answer.ranks.items()]
        if answer.ranks_left_out is not None:
            ranked.append(f"{answer.ranks_left_out} nearer to usual left out")
        yield f"ranks of the last {answer.ranks_window} alone ({meaning}): {', '.join(ranked)}"


def _joined(fields: Sequence[str], known: Mapping[str, object], ranks: Mapping[str, float]) -> str:
    said = []
    for field in fields:
        number = plain(known.get(field, "-"))
        said.append(f"{number} {percent(ranks[field])}" if field in ranks else number)
    return "/".join(said)


def _behaviors(behaviors: Mapping[str, str]) -> Iterator[str]:
    by_state: dict[str, list[str]] = {}
    for name in BEHAVIORS:
        if name in behaviors:
            direction = behaviors.get(DIRECTION_OF.get(name, ""))
            by_state.setdefault(behaviors[name], []).append(
                f"{name} {direction}" if direction else name
            )
    if not by_state:
        return
    off = by_state.pop("off", [])
    is_whole = all(name in behaviors for name in BEHAVIORS)
    said = [
        f"{state.replace('unknown: ', 'unknown ')}: {', '.join(names)}"
        for state, names in sorted(by_state.items(), key=_on_first)
    ]
    if "on" not in by_state:
        said.insert(0, "none on")
    if off and (by_state or not is_whole):
        said.append(
            f"off: {f'the other {len(off)}' if is_whole and len(off) > 1 else ', '.join(off)}"
        )
    yield f"behaviors now, flows of the last 10 s: {'; '.join(said)}"


def _on_first(item: tuple[str, list[str]]) -> tuple[bool, str]:
    return item[0] != "on", item[0]


def _events(answer: Answer) -> Iterator[str]:
    if answer.events is None:
        # Without its list, a brief answer names what is open.
        is_brief = answer.open_patterns is not None
        yield f"open: {_open(answer)}" if is_brief else "events: not asked for"
    elif answer.events or answer.events_left_out:
        count = shown(len(answer.events), answer.events_left_out)
        yield f"events: {', '.join((count, *_order(answer.events)))} {EVENT_COLUMNS}"
        of_past = is_past(answer)
        yield from (f"- {event_line(it, answer.now, is_past=of_past)}" for it in answer.events)
    else:
        yield "events: none"
    if answer.other_events:
        yield f"left out: {', '.join(_others(answer))}"
    if answer.events is not None and answer.open_patterns:
        yield f"open of those left out: {_open(answer)}"


def _order(events: Sequence[EventFacts]) -> Iterator[str]:
    """Yield in which order several events stand: of a young ticker none is ranked yet."""
    ranked = sum(event.return_minutes is not None for event in events)
    if len(events) > 1:
        yield RAREST_FIRST if ranked == len(events) else PARTLY_RANKED if ranked else UNRANKED


def _open(answer: Answer) -> str:
    return ", ".join(answer.open_patterns or ()) or "none"


def _others(answer: Answer) -> Iterator[str]:
    left = answer.events_left_out or 0
    for kind, (count, *usual) in answer.other_events.items():
        left -= int(count)
        yield f"{count} {kind}" + (f" (usual {plain(usual[0])})" if usual else "")
    if left:
        yield f"{left} of other kinds"


RAREST_FIRST: Final = "rarest first"
PARTLY_RANKED: Final = "rarest first, then unranked"
UNRANKED: Final = "too few before to rank: greatest of each type first"
EVENT_COLUMNS = "(bid/ask: the resting side; UTC)"


def shown(count: int, left_out: int | None) -> str:
    """Return the number of items listed and, if any, of those left out."""
    return f"{count} shown, {left_out} left out" if left_out else str(count)


def event_line(event: EventFacts, now: int, *, is_past: bool = False) -> str:
    """Return an event as one line of text; with `is_past`, `now` is an earlier moment."""
    distance = before if is_past else ago
    is_point = event.type in POINT_TYPES
    end = event.noticed_at if is_point or event.closed_at is None else event.closed_at
    parts = [f"{event.words} ({distance(end, now)})"]
    reason = (event.close_reason or "").replace("_", " ")
    if reason not in event.words:
        parts.append(f"ended: {reason}")
    if event.opened_at is not None and event.opened_at < event.noticed_at:
        parts.append(f"opened {distance(event.opened_at, now)}")
    if event.followed is not None:
        parts.append(event.followed)
    if event.strength is not None:
        parts.append(f"strength {plain(event.strength)}")
    if event.statistic is not None:
        parts.append(f"statistic {plain(event.statistic)}/{plain(event.threshold)}")
    if event.evidence_class is not None:
        parts.append(f"class {event.evidence_class}")
    return "; ".join([*parts, event.id])


def _levels(answer: Answer) -> Iterator[str]:
    if answer.levels or answer.levels_left_out:
        count = shown(len(answer.levels), answer.levels_left_out)
        yield f"levels: {count} (price: mean size, visits, held/broke, s unseen, bp from mid)"
    for side in SIDE_NAMES:
        found = [_level(level) for level in answer.levels if level.side == side]
        if found:
            yield f"- {side} {'; '.join(found)}"


def _level(level: LevelFacts) -> str:
    bps = level.distance_bps
    distance = "" if bps is None else f", {'+' if bps > 0 else ''}{plain(bps)}"
    return (
        f"{plain(level.price)}: {plain(level.size)}, {level.appearances}, "
        f"{level.held}/{level.broke}, {plain(level.unseen_seconds)}{distance}"
    )


def _quality(answer: Answer) -> Iterator[str]:
    quality = answer.quality
    distance = before if is_past(answer) else ago
    yield from (f"{name} {count}" for name, count in quality.counts.items())
    if quality.gap_seconds is not None:
        yield f"gaps {quality.gap_seconds} s"
    if quality.rebuilt_at is not None:
        yield f"rebuilt {distance(quality.rebuilt_at, answer.now)}"
    if quality.clock_corrected_at is not None:
        yield f"clock corrected {distance(quality.clock_corrected_at, answer.now)}"
    if quality.failed_detectors:
        yield f"failed detectors {' '.join(quality.failed_detectors)}"
