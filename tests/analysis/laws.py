"""An engine's answers, in a form that can be compared with those for changed records."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from app.analysis.engine import WINDOW_SECONDS, Engine
from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.records import Batch, Quote, Record, Span, Trade
from app.analysis.results import TickResult
from app.analysis.rolling_bars import RollingBars
from app.storage.tick.codec import (
    decode_bar,
    decode_bars,
    decode_state,
    encode_bar,
    encode_state,
    event_json,
    join_bars,
)
from tests.reference.past import ceil_second

Records = list[Quote | Trade]
Named = dict[str, object]

SIZES = frozenset(
    [
        "bid_size",
        "ask_size",
        "net_bid_size_change",
        "net_ask_size_change",
        "avg_bid_size",
        "avg_ask_size",
        "large_bid_size",
        "large_ask_size",
        "ofi",
        "size_turnover",
        "buy_volume",
        "sell_volume",
        "unsigned_volume",
        "signed_volume",
        "inside_volume",
    ]
)
PRICES = frozenset(["bid_price", "ask_price", "weighted_mid", "vwap", "price_low", "price_high"])
STAMPS = frozenset(["as_of", "opened_at", "noticed_at", "updated_at", "closed_at"])
RELATIVE_TO_PRICE = frozenset(["spread_bps", "effective_spread_bps", "realized_volatility_bps"])
NEGATED = frozenset(["ofi", "log_ofi", "signed_volume", "trade_imbalance", "queue_imbalance"])


@dataclass
class Said:
    """An engine's answers: each event's newest form, and the windows at chosen ends."""

    events: list[Named] = field(default_factory=list)
    windows: dict[int, dict[str, Named]] = field(default_factory=dict)
    behaviors: dict[int, Named] = field(default_factory=dict)


def ends_of(records: Sequence[Record], step_seconds: int = 1) -> list[int]:
    """Whole seconds from the first record on, to 12 s after the last."""
    first, last = ceil_second(records[0].stamp), ceil_second(records[-1].stamp) + 12_000
    return [*range(first, last, step_seconds * 1000), last]


def pieces(
    records: Sequence[Record],
    ends: Iterable[int],
    digits: int = DEFAULT_DIGITS,
    gaps: Sequence[Span] = (),
) -> Iterable[tuple[Batch, int]]:
    """Cut records, their prices in units of 10^-digits, and declared gaps at the ends."""
    place = last_end = 0
    for end in ends:
        start = place
        while place < len(records) and records[place].stamp <= end:
            place += 1
        declared = [gap for gap in gaps if last_end < gap[1] <= end]
        yield Batch(list(records[start:place]), [], digits, gaps=declared), end
        last_end = end


def said_of(
    records: Sequence[Record],
    ends: Iterable[int],
    asked: Iterable[int] = (),
    digits: int = DEFAULT_DIGITS,
) -> Said:
    """Fold records and keep the answers; windows at every end, or only at chosen ones."""
    engine, wanted = Engine.new("LAW"), set(asked)
    heard = Hearing()
    for batch, end in pieces(records, ends, digits):
        analysis = engine.advance(batch, end)
        heard.hear(analysis, keeps=not wanted or end in wanted)
    return heard.said()


class Hearing:
    """Collects what analyses say."""

    def __init__(self) -> None:
        self._events: dict[str, Named] = {}
        self._said = Said()

    def hear(self, analysis: TickResult, *, keeps: bool = True) -> None:
        """Take in one analysis."""
        assert analysis.failed_detectors == {}
        for event in analysis.changed_events:
            self._events[event.id] = msgspec.json.decode(event_json(event))
        if keeps:
            self._said.windows[analysis.as_of] = {n: dict(f) for n, f in analysis.metrics.items()}
            self._said.behaviors[analysis.as_of] = dict(analysis.behaviors)

    def said(self) -> Said:
        """Return all answers, in a fixed order."""
        self._said.events = sorted(self._events.values(), key=_by_time)
        return self._said


def _by_time(event: Named) -> tuple[object, ...]:
    return event["opened_at"], event["type"], event["side"], event["price_low"] or 0


def restarted(
    records: Sequence[Record], ends: Sequence[int], at: set[int], gaps: Sequence[Span] = ()
) -> Said:
    """Fold records, the engine built anew from saved bytes after each end in `at`."""
    engine, heard = Engine.new("LAW"), Hearing()
    bars: list[bytes] = []
    for batch, end in pieces(records, ends, gaps=gaps):
        analysis = engine.advance(batch, end)
        heard.hear(analysis)
        bars += [encode_bar(bar) for bar in analysis.final_bars]
        if end in at:
            engine = thawed(engine, bars)
    return heard.said()


def thawed(engine: Engine, bars: list[bytes]) -> Engine:
    """Build an engine anew from the bytes that one would store, and from its packed final bars."""
    state = decode_state(encode_state(engine.state))
    state.recent = decode_bars(join_bars(map(encode_bar, engine.state.recent)))
    table = RollingBars.from_bars(
        [*map(decode_bar, bars[-400:]), *state.recent], max(WINDOW_SECONDS), gaps=state.gaps
    )
    table.first_quote = state.first_quote
    if table.end:
        table.fill_to(state.as_of)
    return Engine(state, table)


def changed(said: Said, change: Callable[[Named], Named], shift_ms: int = 0) -> Said:
    """Change every answer."""
    events = sorted((change(_flat(event)) for event in said.events), key=_flat_by_time)
    windows = {
        end + shift_ms: {name: change(fields) for name, fields in by_window.items()}
        for end, by_window in said.windows.items()
    }
    behaviors = {end + shift_ms: change(words) for end, words in said.behaviors.items()}
    return Said(events, windows, behaviors)


def _flat(event: Named) -> Named:
    """Evidence among the fields, and no id, which tells price and time."""
    evidence = event.get("evidence", {})
    assert isinstance(evidence, dict)
    return {k: v for k, v in event.items() if k not in {"id", "evidence"}} | {
        f"evidence.{name}": value for name, value in evidence.items()
    }


def _flat_by_time(event: Named) -> tuple[object, ...]:
    return event["opened_at"], event["type"], event["side"], event["price_low"] or 0


def same(said: Said) -> Said:
    """Bring into the form of `changed`."""
    return changed(said, lambda fields: fields)


def without(said: Said, names: frozenset[str]) -> Said:
    """Leave fields out."""
    return changed(
        Said(said.events, said.windows, said.behaviors),
        lambda fields: {k: v for k, v in fields.items() if k not in names},
    )


def is_size(name: str) -> bool:
    """Tell whether a field counts shares."""
    return name in SIZES or name.endswith("_shares")


def scaled(fields: Named, k: float) -> Named:
    """Multiply what counts shares."""
    return {n: v * k if is_size(n) else v for n, v in fields.items()}  # type: ignore[operator]


def differences(one: Said, other: Said, rel: float = 0.0, slack: float = 0.0) -> list[str]:
    """Name what differs by more than `rel`, or by more than `slack` where terms cancel."""
    found = _compared("events", one.events, other.events, rel, slack)
    for end, by_window in one.windows.items():
        for name, fields in by_window.items():
            theirs = other.windows.get(end, {}).get(name, {})
            found += _compared(f"{end} {name}", fields, theirs, rel, slack)
    for end, words in one.behaviors.items():
        found += _compared(f"{end} behaviors", words, other.behaviors.get(end, {}), rel, slack)
    return found[:12]


LEARNED = frozenset(["large_bid_size", "large_ask_size", "log_ofi"])
"""Metrics of a scale's quantile, and `large_..._appeared`."""
MOST_OTHER_EVENTS = 0.02


def differences_but_for_bins(one: Said, other: Said, rel: float, slack: float) -> list[str]:
    """Name what differs, where samples fell into other bins of their scales.

    Quantiles may then be another sample that occurred, and so few events be others.
    """
    mine, theirs = _identities(one.events), _identities(other.events)
    others = len(mine ^ theirs)
    found = []
    if others > max(3, MOST_OTHER_EVENTS * max(len(mine), len(theirs))):
        found.append(f"{others} of {len(mine)} events are others")
    for end, by_window in one.windows.items():
        for name, fields in by_window.items():
            ours = {n: value for n, value in fields.items() if not _is_learned(n)}
            shown = other.windows.get(end, {}).get(name, {})
            rest = {n: value for n, value in shown.items() if not _is_learned(n)}
            found += _compared(f"{end} {name}", ours, rest, rel, slack)
    return found[:12]


def _identities(events: list[Named]) -> set[tuple[object, ...]]:
    return {(event["type"], event["side"], event["opened_at"]) for event in events}


def _is_learned(name: str) -> bool:
    return name in LEARNED or name.endswith("_appeared")


def _compared(where: str, one: object, other: object, rel: float, slack: float) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(one.keys() | other.keys())
        return [
            line
            for name in names
            for line in _compared(f"{where}.{name}", one.get(name), other.get(name), rel, slack)
        ]
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return [f"{where}: {len(one)} against {len(other)}: {_only(one, other)}"]
        both = zip(one, other, strict=True)
        return [
            line
            for a, b in both
            for line in _compared(f"{where} {a.get('type')} {a.get('side')}", a, b, rel, slack)
        ]
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    close = numbers and math.isclose(one, other, rel_tol=rel, abs_tol=slack)  # type: ignore[arg-type]
    return [] if close or one == other else [f"{where}: {one!r} against {other!r}"]


def _only(one: list[Named], other: list[Named]) -> object:
    def key(e: Named) -> tuple[object, ...]:
        return e["type"], e["side"], e["opened_at"], e["price_low"]

    mine, theirs = {key(e) for e in one}, {key(e) for e in other}
    return sorted(mine - theirs, key=str)[:3], sorted(theirs - mine, key=str)[:3]
