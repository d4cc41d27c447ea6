"""State and results to bytes and back."""

from collections.abc import Mapping
from operator import attrgetter

import msgspec

from app.analysis import Analysis
from app.bars import Bar
from app.errors import StateUnreadable
from app.levels import PublishedLevel
from app.metrics import Fields
from app.patterns.events import PUBLISHED, Candidates, Event
from app.state import ENGINE, State

_encode = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(State).decode
_decode_bar = msgspec.msgpack.Decoder(Bar).decode
_decode_bars = msgspec.msgpack.Decoder(list[Bar]).decode
_json = msgspec.json.Encoder().encode
_LEVEL_FIELDS = tuple(f for f in PublishedLevel.__struct_fields__ if f != "significance")
_LevelMember = msgspec.defstruct("_LevelMember", _LEVEL_FIELDS)
_level_fields = attrgetter(*_LEVEL_FIELDS)


def encode_state(state: State) -> bytes:
    """Pack a state, its candidates left out."""
    events = state.scene.events
    candidates, events.candidates = events.candidates, {}
    try:
        return _encode(state)
    finally:
        events.candidates = candidates


def encode_candidates(state: State, *, changed_only: bool) -> dict[str, bytes]:
    """Pack the candidates by the type that they are of."""
    kinds = state.scene.events.candidates.items()
    return {kind: c.packed() for kind, c in kinds if c.is_changed or not changed_only}


def decode_state(blob: bytes, candidates: Mapping[str, bytes]) -> State:
    """Unpack a state and its candidates.

    Raises `StateUnreadable`.
    """
    try:
        state = _decode_state(blob)
        state.scene.events.candidates = {
            kind: Candidates(packed) for kind, packed in candidates.items()
        }
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise StateUnreadable(str(error)) from None
    return state


def encode_bar(bar: Bar) -> bytes:
    """Pack a bar."""
    return _encode(bar)


def decode_bar(blob: bytes) -> Bar:
    """Unpack a bar.

    Raises `StateUnreadable`.
    """
    try:
        return _decode_bar(blob)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateUnreadable(str(error)) from None


def encode_bars(bars: list[Bar]) -> bytes:
    """Pack the bars that a late record may still change."""
    return _encode(bars)


def decode_bars(blob: bytes) -> list[Bar]:
    """Unpack what `encode_bars` packed.

    Raises `StateUnreadable`.
    """
    try:
        return _decode_bars(blob)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateUnreadable(str(error)) from None


def published_event(event: Event) -> dict[str, object]:
    """Return an event's fields as published (contract, section 4)."""
    return {name: getattr(event, name) for name in PUBLISHED}


def event_json(event: Event) -> bytes:
    """Write an event as its member of the patterns key; its id comes first."""
    return _json(published_event(event))


def level_json(level: PublishedLevel) -> bytes:
    """Write a level as its member of the levels key."""
    return _json(_LevelMember(*_level_fields(level)))


def window_fields(analysis: Analysis, window: str) -> Fields:
    """Return all of a window's fields, those of the contract that hold JSON as JSON text."""
    fields = dict(analysis.metrics[window])
    fields["behaviors"] = _json(analysis.behaviors).decode()
    sweep = analysis.last_sweep[window]
    if sweep is not None:
        fields["last_sweep"] = event_json(sweep).decode()
    fields["quality"] = _json(analysis.quality[window]).decode()
    fields["engine"] = ENGINE
    return fields
