"""Render an answer as compact text: the facts of its JSON in a third of the model tokens.

`a/b` always means bid/ask; sizes are in the feed's unit, other units are part of the labels.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from app.analysis.behavior_table import BEHAVIORS, DIRECTION_OF
from app.analysis.metric_table import text_lines
from app.analysis.touch import SIDE_NAMES
from app.answers.durations import age, ago, lag
from app.answers.rejected_records import rejected_text
from app.answers.schema import Flag, seconds_of
from app.answers.ticker_answer import Answer, EventFacts, LevelFacts, Metrics
from app.storage.feed_lags import is_delayed

_CLASSES = {
    "A": "A (aggressors given)",
    "B": "B (aggressors inferred)",
    "C": "C (quotes only)",
}

_LINES = text_lines()


def as_text(answer: Answer) -> str:
    """Return an answer as text."""
    return "\n".join(_lines(answer))


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.ticker}: {', '.join(_heading(answer))}"
    yield from _warnings(answer)
    yield from _metrics(answer.metrics)
    if answer.not_observable:
        yield f"not observable: {', '.join(answer.not_observable)}"
    yield from _behaviors(answer.behaviors)
    yield from _events(answer)
    yield from _levels(answer)
    yield f"quality: {', '.join(_quality(answer)) or _no_counts(answer)}"
    yield from id_line(answer.answer_id)


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
    if answer.age_seconds is not None:
        yield f"as of {ago(0, answer.age_seconds * 1000)}"
    yield f"quote {age(answer.newest_quote_age_seconds)} ago"
    yield f"evidence {_CLASSES[answer.evidence_class]}"
    if answer.engine is not None:
        yield f"engine {answer.engine}"


def _warnings(answer: Answer) -> Iterator[str]:
    if answer.ahead:
        yield "AHEAD: the newest tick is ahead of the clock; see note"
    if answer.stale:
        yield "STALE: no tick for over 3 intervals"
    if answer.feed_lag_seconds is not None:
        yield feed_lag_text(answer.feed_lag_seconds, answer.age_seconds)
    if answer.quiet:
        yield "QUIET: no quote for unusually long"
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


def _metrics(metrics: Metrics) -> Iterator[str]:
    known = metrics.model_dump(exclude_none=True)
    for label, parts in _LINES:
        said = [
            f"{name} {_joined(fields, known)}"
            for name, fields in parts
            if any(f in known for f in fields)
        ]
        if said:
            yield f"{label}: {', '.join(said)}"


def _joined(fields: Sequence[str], known: Mapping[str, object]) -> str:
    return "/".join(plain(known.get(field, "-")) for field in fields)


def plain(value: object) -> str:
    """Write a number without an exponent, which people read badly and tokenizers split.

    >>> plain(0.00000123), plain(12), plain(-0.5), plain("STABLE")
    ('0.00000123', '12', '-0.5', 'STABLE')
    """
    said = str(value)
    return format(Decimal(said), "f") if isinstance(value, float) and "e" in said else said


def _behaviors(behaviors: Mapping[str, str]) -> Iterator[str]:
    by_state: dict[str, list[str]] = {}
    for name in BEHAVIORS:
        if name in behaviors:
            direction = behaviors.get(DIRECTION_OF.get(name, ""))
            by_state.setdefault(behaviors[name], []).append(
                f"{name} {direction}" if direction else name
            )
    if all(name in behaviors for name in BEHAVIORS) and len(by_state.get("off", ())) > 1:
        by_state["off"] = [f"the other {len(by_state['off'])}"]
    said = [
        f"{state.replace('unknown: ', 'unknown ')}: {', '.join(names)}"
        for state, names in sorted(by_state.items(), key=_on_first_off_last)
    ]
    if said:
        yield f"behaviors {'; '.join(said)}"


def _on_first_off_last(item: tuple[str, list[str]]) -> tuple[bool, bool, str]:
    return item[0] != "on", item[0] == "off", item[0]


def _events(answer: Answer) -> Iterator[str]:
    if answer.open_patterns is not None:
        yield f"open: {', '.join(answer.open_patterns) or 'none'}"
    elif answer.events is None:
        yield "events: not asked for"
    elif answer.events or answer.events_left_out:
        yield f"events: {shown(len(answer.events), answer.events_left_out)} {EVENT_COLUMNS}"
        yield from (f"- {event_line(event, answer.now)}" for event in answer.events)
    else:
        yield "events: none"
    if answer.last_sweep is not None:
        yield f"last sweep: {event_line(answer.last_sweep, answer.now)}"


EVENT_COLUMNS = "(strength, statistic/threshold, class, id)"


def shown(count: int, left_out: int | None) -> str:
    """Return the number of items listed and, if any, of those left out."""
    return f"{count} shown, {left_out} left out" if left_out else str(count)


def event_line(event: EventFacts, now: int) -> str:
    """Return an event as one line of text."""
    return ", ".join(_event_parts(event, now))


def _event_parts(event: EventFacts, now: int) -> Iterator[str]:
    where = "" if event.price_low is None else f" {prices(event.price_low, event.price_high)}"
    yield f"{event.type} {event.side}{where}"
    yield _life(event, now)
    yield "?" if event.strength is None else plain(event.strength)
    if event.statistic is not None:
        yield f"{plain(event.statistic)}/{plain(event.threshold)}"
    yield event.evidence_class
    yield event.id


def _life(event: EventFacts, now: int) -> str:
    if event.closed_at is None:
        return f"{event.status} {age((now - event.opened_at) / 1000)}"
    reason = event.close_reason or "closed"
    return f"{age((now - event.opened_at) / 1000)} to {ago(event.closed_at, now)} ({reason})"


def prices(low: object, high: object) -> str:
    """Write one price, or the two ends of a price range."""
    return plain(low) if high in (None, low) else f"{plain(low)}..{plain(high)}"


def _levels(answer: Answer) -> Iterator[str]:
    if answer.levels or answer.levels_left_out:
        count = shown(len(answer.levels), answer.levels_left_out)
        yield f"levels: {count} (price: mean size, visits, held/broke, s unseen, bp off mid)"
    for side in SIDE_NAMES:
        found = [_level(level, answer.now) for level in answer.levels if level.side == side]
        if found:
            yield f"- {side} {'; '.join(found)}"


def _level(level: LevelFacts, now: int) -> str:
    distance = "" if level.distance_bps is None else f", {plain(level.distance_bps)}"
    return (
        f"{plain(level.price)}: {plain(level.size)}, {level.appearances}, "
        f"{level.held}/{level.broke}, {plain(seconds_of(now - level.last_seen))}{distance}"
    )


def _quality(answer: Answer) -> Iterator[str]:
    quality = answer.quality
    yield from (f"{name} {count}" for name, count in quality.counts.items())
    if quality.gap_seconds is not None:
        yield f"gaps {quality.gap_seconds} s"
    if quality.rebuilt_at is not None:
        yield f"rebuilt {ago(quality.rebuilt_at, answer.now)}"
    if quality.clock_corrected_at is not None:
        yield f"clock corrected {ago(quality.clock_corrected_at, answer.now)}"
    if quality.failed_detectors:
        yield f"failed detectors {' '.join(quality.failed_detectors)}"
