"""Encode state and results as bytes, and decode them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from app.analysis.bars import COUNT_FIELDS, Bar
from app.analysis.detectors import in_order
from app.analysis.gaps import Gap
from app.analysis.levels import PriceLevel, PublishedLevel
from app.analysis.metrics import Value
from app.analysis.outcome_table import outcome_rows
from app.analysis.outcomes import HORIZON_SECONDS, OutcomeTotals
from app.analysis.patterns.events import PUBLISHED_FIELDS, Candidates, Event
from app.analysis.price_units import DEFAULT_DIGITS, MAX_DIGITS
from app.analysis.ranks import WindowRanks, unpack_ranks
from app.analysis.records import Quote
from app.analysis.results import TickResult
from app.analysis.return_periods import unpack_past_events
from app.analysis.session import SessionFields
from app.analysis.state import ENGINE, State
from app.analysis.widening import set_digits
from app.core.errors import StateUnreadable
from app.storage.tick.journal import Journal
from app.storage.tick.state_packing import LAYOUT_NUMBER, ignoring_overflow, pack, unpack

Remembered = TypeVar("Remembered")

STATE_VERSION: Final = f"{ENGINE}.{LAYOUT_NUMBER}"
"""What a stored state was written by: the version of the definitions, and its layout's number."""

_encode = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode
_LEVEL_FIELDS = tuple(f.name for f in fields(PublishedLevel) if f.name != "significance")
_LevelMember = msgspec.defstruct("_LevelMember", _LEVEL_FIELDS)
_level_fields = attrgetter(*_LEVEL_FIELDS)

_AFTER_METRICS: Final = "behaviors", "quality", "engine"
_WHOLE: Final = 2.0**53
_MODULUS: Final = 2**64
_quote_fields = attrgetter(*(f.name for f in fields(Quote)))
_BAR_FIELDS = [f.name for f in fields(Bar)]
_BAR_NUMBERS = tuple(_BAR_FIELDS[: _BAR_FIELDS.index("first_quote")])
_bar_numbers = attrgetter(*_BAR_NUMBERS)
# They mostly follow from the standing quote, and are then stored as 0: one byte instead of nine.
_MID2, _SPREAD = _BAR_NUMBERS.index("mid2"), _BAR_NUMBERS.index("spread")
# Bars of another form can't be read: raise it with each change of what is packed, or how.
_FORM: Final = 2
# In place of the form, a bar in a finer unit than 1e-8 has the digits of its unit.
_FINER_FORMS: Final = tuple(range(DEFAULT_DIGITS + 1, MAX_DIGITS + 1))
_Count: Any = Annotated[int, msgspec.Meta(ge=0, le=10**8)]
_NUMBERS = [
    _Count if name in COUNT_FIELDS else type(number)
    for name, number in zip(_BAR_NUMBERS, _bar_numbers(Bar(0)), strict=True)
]
_Quoted: Any = tuple[float, int, int, float, int, float] | None
_Barred: Any = tuple.__class_getitem__(
    (Literal[(_FORM, *_FINER_FORMS)], *_NUMBERS, _Quoted, dict[str, int] | None)
)
_decode_bar = msgspec.msgpack.Decoder(_Barred).decode
_decode_bars = msgspec.msgpack.Decoder(list[_Barred]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PackedState(NamedTuple):
    """A state as bytes: what is large and changes little in a second stands apart.

    That is candidates and past events by type, levels by side and price, and what followed events.
    `gone` names levels that went. `ranks`, apart because they have a shorter form, are empty where
    there are none.
    """

    blob: bytes
    candidates: Mapping[str, bytes] = {}
    levels: Mapping[str, bytes] = {}
    gone: Sequence[str] = ()
    ranks: bytes = b""
    past_events: Mapping[str, bytes] = {}
    outcomes: bytes = b""


def encode_state(state: State, *, changed_only: bool = False) -> PackedState:
    """Pack a state; of what is apart all, or what changed since this was last asked."""
    with ignoring_overflow():
        return _packed_state(state, changed_only=changed_only)


def _packed_state(state: State, *, changed_only: bool) -> PackedState:
    candidates = {
        kind: found.packed()
        for kind, found in state.context.events.candidates.items()
        if found.is_changed or not changed_only
    }
    for found in state.context.events.candidates.values():
        found.is_changed = False
    levels: dict[str, bytes] = {}
    gone: list[str] = []
    for side in state.levels:
        unsaved, went = side.take_unsaved(whole=not changed_only)
        levels.update({f"{side.side}:{level.price}": pack(level) for level in unsaved})
        gone += [f"{side.side}:{price}" for price in went]
    past = {
        kind: found.packed()
        for kind, found in state.context.events.past.items()
        if found.is_changed or not changed_only
    }
    for changed in state.context.events.past.values():
        changed.is_changed = False
    totals = state.outcomes.totals
    is_unsaved = not changed_only or totals.stored_revision != totals.revision
    outcomes = pack(totals) if is_unsaved else b""
    totals.stored_revision = totals.revision
    return PackedState(
        pack(state), candidates, levels, gone, state.ranks.packed(), past, outcomes=outcomes
    )


def decode_state(stored: PackedState) -> State:
    """Unpack a whole state.

    Raises `StateUnreadable`.
    """
    state = _of(State, unpack(stored.blob))
    set_digits(state)
    state.detectors = in_order(state.detectors)
    state.context.baselines.update_thresholds()
    state.bar_builder.begin(state.bar_builder.end)
    if state.has_records and not state.is_asleep:
        state.context.events.observed.begin(float(state.as_of))  # it was not, in a former layout
    candidates = state.context.events.candidates
    try:
        for kind, found in stored.candidates.items():
            candidates[kind] = Candidates(found)
    except ValueError as error:
        raise StateUnreadable(f"candidates: {error}") from None
    try:
        if stored.ranks:
            state.ranks = unpack_ranks(stored.ranks)
        for kind, packed in stored.past_events.items():
            state.context.events.past[kind] = unpack_past_events(packed)
    except ValueError as error:
        raise StateUnreadable(str(error)) from None
    levels: tuple[list[PriceLevel], list[PriceLevel]] = [], []
    for name, found in stored.levels.items():
        levels[0 if name.startswith("0:") else 1].append(_of(PriceLevel, unpack(found)))
    for side, kept in zip(state.levels, levels, strict=True):
        side.restore(kept)
    if stored.outcomes:
        state.outcomes.totals = _of(OutcomeTotals, unpack(stored.outcomes))
        state.outcomes.totals.stored_revision = state.outcomes.totals.revision
    return state


def encode_journal(journal: Journal) -> bytes:
    """Pack a journal."""
    return pack(journal)


def decode_journal(blob: bytes) -> Journal | None:
    """Unpack a journal, None where there is none.

    Raises `StateUnreadable`.
    """
    return _of(Journal, unpack(blob)) if blob else None


def _of(kind: type[Remembered], value: object) -> Remembered:
    if not isinstance(value, kind):
        raise StateUnreadable(f"{type(value).__name__} where a {kind.__name__} is to be")
    return value


def encode_bar(bar: Bar) -> bytes:
    """Pack a bar."""
    quote = bar.first_quote
    values: list[object] = [_shortest(it) for it in _bar_numbers(bar)]
    values[_MID2] = _in_64_bits(bar.mid2 - bar.bid_price - bar.ask_price)
    values[_SPREAD] = bar.spread - bar.ask_price + bar.bid_price
    form = _FORM if bar.digits == DEFAULT_DIGITS else bar.digits
    return _encode((form, *values, quote and _quote_fields(quote), bar.quality))


def _in_64_bits(number: int) -> int:
    """Return a number modulo 2^64 where 64 bits with a sign can't hold it: very large prices."""
    return number if number >= -(2**63) else number + _MODULUS


def _shortest(number: object) -> object:
    """Return a whole number as int: one to five bytes packed, where a float takes nine."""
    if isinstance(number, float) and -_WHOLE <= number <= _WHOLE:
        whole = int(number)
        return whole if whole == number else number
    return number


def decode_bar(blob: bytes) -> Bar:
    """Unpack a bar.

    Raises `StateUnreadable`.
    """
    try:
        return _made_bar(_decode_bar(blob))
    except _UNREADABLE as error:
        raise StateUnreadable(str(error)) from None


def _made_bar(values: tuple[Any, ...]) -> Bar:
    form, *numbers, quote, quality = values
    bar = Bar(0).set_fields(zip(_BAR_NUMBERS, numbers, strict=True))
    if quote is not None:
        bar.first_quote = Quote(*quote)
    bar.quality = quality
    bar.digits = DEFAULT_DIGITS if form == _FORM else form
    bar.mid2 = (bar.mid2 + bar.bid_price + bar.ask_price) % _MODULUS
    bar.spread += bar.ask_price - bar.bid_price
    return bar


def join_bars(packed_bars: Iterable[bytes]) -> bytes:
    """Make one of what `encode_bar` packed."""
    return _encode([msgspec.Raw(it) for it in packed_bars])


def decode_bars(blob: bytes) -> list[Bar]:
    """Unpack what `join_bars` packed.

    Raises `StateUnreadable`.
    """
    try:
        return [_made_bar(values) for values in _decode_bars(blob)]
    except _UNREADABLE as error:
        raise StateUnreadable(str(error)) from None


def encode_gaps(gaps: Sequence[Gap]) -> bytes:
    """Pack the gaps by which readers cut stored bars."""
    return pack(list(gaps))


def decode_gaps(blob: bytes) -> list[Gap]:
    """Unpack gaps.

    Raises `StateUnreadable`.
    """
    return [_of(Gap, gap) for gap in _of(list, unpack(blob))]


def published_event(event: Event) -> dict[str, object]:
    """Return an event's fields as published (contract, sections 4 and 9)."""
    published = {name: getattr(event, name) for name in PUBLISHED_FIELDS}
    if event.return_minutes is not None:
        published["return_minutes"] = event.return_minutes
        if event.at_least:
            published["at_least"] = True
    return published


def event_json(event: Event) -> str:
    """Write an event as its member of the patterns key; its id comes first."""
    return json_text(published_event(event))


def level_json(level: PublishedLevel) -> str:
    """Write a level as its member of the levels key."""
    return level_member(level).decode()


def level_member(level: PublishedLevel) -> bytes:
    """Return the same as the bytes that are sent."""
    return _json(_LevelMember(*_level_fields(level)))


def significance_texts(levels: list[PublishedLevel]) -> list[str]:
    """Write the scores of levels, all at once."""
    return _texts([level.significance for level in levels])


def window_fields(analysis: TickResult, window: str) -> dict[str, str]:
    """Return all that is published of a window as text, words without quotes."""
    published = window_values(analysis, window, json_text(analysis.behaviors))
    every = [*range(len(published.names))]
    return dict(zip(published.names, texts_at(published, every), strict=True))


class WindowValues(NamedTuple):
    """What is published of a window: `values` by `names`, first `metric_count` metrics, then JSON.

    To write a float takes longer than to compare it, and half of them stay from second to second:
    texts are made of what is sent.
    """

    names: tuple[str, ...]
    values: list[Value]
    metric_count: int


def window_values(analysis: TickResult, window: str, behaviors: str) -> WindowValues:
    """Return what is published of a window; `behaviors` are those of all windows, as JSON."""
    metrics, sweep = analysis.metrics[window], analysis.last_sweep[window]
    ranks, quality = rank_fields(analysis.ranks[window]), analysis.quality[window]
    names = (*metrics, *ranks, *_AFTER_METRICS)
    values: list[Value] = [*metrics.values()]
    values += [it if isinstance(it, str) else json_text(it) for it in ranks.values()]
    values += [behaviors, json_text(quality) if quality else "{}", ENGINE]
    if sweep is not None:
        names = (*names, "last_sweep")
        values.append(event_json(sweep))
    return WindowValues(names, values, len(metrics))


def changed_places(values: list[Value], stored: list[Value]) -> list[int]:
    """Return the places of the values whose text differs from that of the stored ones."""
    places: list[int] = []
    for place, value in enumerate(values):
        if not _is_same(value, stored[place]):
            places.append(place)
    return places


def _is_same(value: Value, other: Value) -> bool:
    if value is other:
        return True
    if isinstance(value, float):
        if not isinstance(other, float) or value != other:
            return False
        return value != 0.0 or math.copysign(1.0, value) == math.copysign(1.0, other)
    return type(value) is type(other) and value == other


def texts_at(published: WindowValues, places: list[int]) -> list[str]:
    """Return the texts of the values at some places, in ascending order."""
    values, metric_count = published.values, published.metric_count
    metrics = [values[place] for place in places if place < metric_count]
    texts = _texts(metrics) if metrics else []
    for place in places[len(metrics) :]:
        texts.append(str(values[place]))
    return texts


def rank_fields(ranks: WindowRanks) -> dict[str, object]:
    """Return what is published of a window's ranks, by field name."""
    fields: dict[str, object] = {"ranks_status": ranks.status}
    if ranks.independent_windows:
        fields["rank_windows"] = ranks.independent_windows
    if ranks.shares:
        fields["ranks"] = ranks.shares
    return fields


def session_texts(state: State) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of what is published of a session, and the texts."""
    return texts_of_session(state.session.fields(state.as_of, state.digits))


def texts_of_session(fields: SessionFields) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of a session's fields, and their texts."""
    return (*fields,), _texts([*fields.values()])


def outcome_fields(totals: OutcomeTotals, horizon: int) -> dict[str, str]:
    """Return what is published of what followed events, at a place in `HORIZON_SECONDS`."""
    until = {f"until:{HORIZON_SECONDS[horizon]}": str(totals.until[horizon])}
    return until | {
        f"{it.type}:{it.side}:{it.horizon_seconds}": json_text(it.row)
        for it in outcome_rows(totals, horizon)
    }


def _texts(values: list[Value]) -> list[str]:
    """Write numbers and single words all at once: 5 µs for three windows, and 50 by `str`."""
    # No word needs a quote, and none holds a comma.
    return json_text(values)[1:-1].replace('"', "").split(",")


def json_text(value: object) -> str:
    """Write a value as JSON; floats in the fewest digits that give them back."""
    return _json(value).decode()
