"""State and results to bytes and back."""

from collections.abc import Iterable, Mapping
from operator import attrgetter

import msgspec

from app.analysis import Analysis
from app.bars import Bar
from app.errors import StateUnreadable
from app.levels import PublishedLevel
from app.metrics import Value
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


def event_json(event: Event) -> str:
    """Write an event as its member of the patterns key; its id comes first."""
    return json_text(published_event(event))


def level_json(level: PublishedLevel) -> str:
    """Write a level as its member of the levels key."""
    return json_text(_LevelMember(*_level_fields(level)))


def window_fields(analysis: Analysis, window: str) -> dict[str, str]:
    """Return all that is published of a window as text, words without quotes."""
    metrics = analysis.metrics[window]
    fields = dict(zip(metrics, _texts(metrics.values()), strict=True))
    fields["behaviors"] = json_text(analysis.behaviors)
    sweep = analysis.last_sweep[window]
    if sweep is not None:
        fields["last_sweep"] = event_json(sweep)
    fields["quality"] = json_text(analysis.quality[window])
    fields["engine"] = ENGINE
    return fields


def _texts(values: Iterable[Value]) -> list[str]:
    """Write numbers and single words all at once: 5 µs for three windows, and 50 by `str`."""
    # No word needs a quote, and none holds a comma.
    return json_text([*values])[1:-1].replace('"', "").split(",")


def json_text(value: object) -> str:
    """Write a value as JSON; floats in the fewest digits that give them back."""
    return _json(value).decode()
