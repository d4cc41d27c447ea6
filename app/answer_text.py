"""An answer as compact text: the same facts as its JSON, a third of the tokens.

`a/b` is bid/ask throughout; units stand once beside their names.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from app.ages import age, ago
from app.answers import Answer, EventFacts, LevelFacts, Metrics
from app.published import BEHAVIORS

_CLASSES = {
    "A": "A (trades with aggressor)",
    "B": "B (trades, aggressor inferred)",
    "C": "C (quotes only, no trades)",
}

# Label of a line, and what stands in it: name and field, or name and the fields of bid and ask.
_LINES: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = (
    (
        "book bid/ask",
        (
            ("price", ("bid_price", "ask_price")),
            ("shares", ("bid_size", "ask_size")),
            ("moved", ("bid_price_movement", "ask_price_movement")),
            ("shares change", ("net_bid_size_change", "net_ask_size_change")),
            ("lifts", ("bid_lift_count", "ask_lift_count")),
            ("drops", ("bid_drop_count", "ask_drop_count")),
            ("avg shares", ("avg_bid_size", "avg_ask_size")),
            ("size", ("bid_size_acceleration", "ask_size_acceleration")),
            ("large shares", ("large_bid_size", "large_ask_size")),
            ("large appeared", ("large_bids_appeared", "large_asks_appeared")),
        ),
    ),
    (
        "spread",
        (
            ("avg", ("avg_spread",)),
            ("min", ("min_spread",)),
            ("max", ("max_spread",)),
            ("bp", ("spread_bps",)),
            ("trend", ("spread_trend",)),
            ("weighted mid", ("weighted_mid",)),
        ),
    ),
    (
        "flow",
        (
            ("quotes", ("quote_count",)),
            ("quotes/s", ("quotes_per_second",)),
            ("queue imbalance", ("queue_imbalance",)),
            ("ofi shares", ("ofi",)),
            ("log ofi", ("log_ofi",)),
            ("volatility bp", ("realized_volatility_bps",)),
            ("velocity price/s", ("price_velocity",)),
            ("turnover shares/s", ("size_turnover",)),
        ),
    ),
    (
        "trades",
        (
            ("count", ("trade_count",)),
            ("by buyers shares", ("buy_volume",)),
            ("by sellers", ("sell_volume",)),
            ("unsigned", ("unsigned_volume",)),
            ("net", ("signed_volume",)),
            ("imbalance", ("trade_imbalance",)),
            ("vwap", ("vwap",)),
            ("effective spread bp", ("effective_spread_bps",)),
            ("inside shares", ("inside_volume",)),
        ),
    ),
)


def as_text(answer: Answer) -> str:
    """Return an answer for people and for models that are shown text."""
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
    yield f"quality: {', '.join(_quality(answer)) or 'nothing odd'}"


def _heading(answer: Answer) -> Iterator[str]:
    yield f"last {answer.history_seconds} s"
    if answer.covered_seconds is not None:
        yield f"covered {answer.covered_seconds} s"
    if answer.age_seconds is not None:
        yield f"as of {age(answer.age_seconds)} ago"
    yield f"newest quote {age(answer.newest_quote_age_seconds)} ago"
    yield f"evidence {_CLASSES[answer.evidence_class]}"
    if answer.engine is not None:
        yield f"engine {answer.engine}"


def _warnings(answer: Answer) -> Iterator[str]:
    if answer.stale:
        yield "STALE: no tick for over 3 intervals"
    if answer.quiet:
        yield "QUIET: no quote for unusually long"
    if answer.warming:
        yield f"WARMING: younger than the history, ready in {answer.ready_in_seconds} s"
    if answer.note is not None:
        yield f"note: {answer.note}"
    failed = answer.failed_ticks
    if failed is not None:
        when = "" if failed.last_at is None else f", last {ago(failed.last_at, answer.now)}"
        yield f"failed ticks: {failed.count}{when}, {failed.error}"


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


def _joined(fields: tuple[str, ...], known: Mapping[str, object]) -> str:
    return "/".join(_plain(known.get(field, "-")) for field in fields)


def _plain(value: object) -> str:
    """Write a number without exponent, for eyes and tokenizers.

    >>> _plain(0.00000123), _plain(12), _plain(-0.5), _plain("STABLE")
    ('0.00000123', '12', '-0.5', 'STABLE')
    """
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def _behaviors(behaviors: Mapping[str, str]) -> Iterator[str]:
    by_state: dict[str, list[str]] = {}
    for name in BEHAVIORS:
        if name in behaviors:
            direction = behaviors.get(f"{name.removesuffix('_building')}_direction")
            by_state.setdefault(behaviors[name], []).append(
                f"{name} {direction}" if direction else name
            )
    said = [
        f"{state.replace('unknown: ', 'unknown ')}: {', '.join(names)}"
        for state, names in sorted(by_state.items(), key=_on_first)
    ]
    if said:
        yield f"behaviors {'; '.join(said)}"


def _on_first(item: tuple[str, list[str]]) -> tuple[bool, str]:
    return item[0] != "on", item[0]


def _events(answer: Answer) -> Iterator[str]:
    if answer.events is None:
        yield "events: not asked for"
    elif not answer.events:
        yield "events: none"
    else:
        yield f"events: {_shown(len(answer.events), answer.events_left_out)}"
        yield from (f"- {_event(event, answer.now)}" for event in answer.events)
    if answer.last_sweep is not None:
        yield f"last sweep: {_event(answer.last_sweep, answer.now)}"


def _shown(count: int, left_out: int | None) -> str:
    return f"{count} shown, {left_out} left out" if left_out else str(count)


def _event(event: EventFacts, now: int) -> str:
    return ", ".join(_event_parts(event, now))


def _event_parts(event: EventFacts, now: int) -> Iterator[str]:
    where = "" if event.price_low is None else f" at {_prices(event)}"
    yield f"{event.type} {event.side}{where}"
    yield f"{event.status}, opened {ago(event.opened_at, now)}"
    if event.closed_at is not None:
        reason = "" if event.close_reason is None else f" {event.close_reason}"
        yield f"closed{reason} {ago(event.closed_at, now)}"
    yield f"strength {'unknown' if event.strength is None else event.strength}"
    if event.statistic is not None:
        yield f"statistic {_plain(event.statistic)} of {_plain(event.threshold)}"
    yield f"class {event.evidence_class}"
    yield from (f"{name} {_plain(value)}" for name, value in event.evidence.items())
    yield event.id


def _prices(event: EventFacts) -> str:
    low, high = _plain(event.price_low), _plain(event.price_high)
    return low if event.price_high in (None, event.price_low) else f"{low}..{high}"


def _levels(answer: Answer) -> Iterator[str]:
    if answer.levels:
        yield f"levels: {_shown(len(answer.levels), answer.levels_left_out)}"
        yield from (f"- {_level(level, answer.now)}" for level in answer.levels)


def _level(level: LevelFacts, now: int) -> str:
    distance = "" if level.distance_bps is None else f", {_plain(level.distance_bps)} bp off mid"
    return (
        f"{level.side} {_plain(level.price)}: {_plain(level.size)} shares, "
        f"best {level.appearances} times, held {level.held}, broke {level.broke}, "
        f"last {ago(level.last_seen, now)}{distance}"
    )


def _quality(answer: Answer) -> Iterator[str]:
    quality = answer.quality
    yield from (f"{name} {count}" for name, count in quality.counts.items())
    if quality.gap_seconds is not None:
        yield f"gaps {quality.gap_seconds} s"
    if quality.rebuilt_at is not None:
        yield f"rebuilt {ago(quality.rebuilt_at, answer.now)}"
    if quality.failed_detectors:
        yield f"failed detectors {' '.join(quality.failed_detectors)}"
