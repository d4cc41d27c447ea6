"""What one tick writes: the arguments of write.lua."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from app import codec, keys
from app.analysis import Analysis
from app.bars import SECOND_MS
from app.levels import PublishedLevel
from app.patterns.events import Event
from app.settings import Settings
from app.state import ENGINE, State

HOUSEKEEPING_SECONDS = 10
CANDIDATES, LEVELS = "c:", "l:"

Shown = Sequence[list[PublishedLevel] | None]
"""The levels that a ticker's keys show by side, None where that is not known."""


def arguments(  # noqa: PLR0913 - what is written, over what, and what of it is there
    state: State,
    analysis: Analysis,
    settings: Settings,
    *,
    version_read: str,
    version: str,
    behind: int,
    shown: Shown,
) -> list[Any]:
    """Return what write.lua is to write over the state of `version_read` ("" for none).

    `behind` counts the records in Redis that are folded.
    """
    args: list[Any] = [version_read, _parcel(state, analysis, settings, behind, shown)]
    args.append(len(analysis.sealed))
    for bar in analysis.sealed:
        args += (bar.end, codec.encode_bar(bar))
    packed = codec.encode_state(state, changed_only=bool(version_read))
    args += (len(packed.gone), *(LEVELS + name for name in packed.gone))
    for pair in _state_fields(state, version, packed).items():
        args += pair
    return args


def _parcel(
    state: State, analysis: Analysis, settings: Settings, behind: int, shown: Shown
) -> bytes:
    """Pack what is text, as cmsgpack there knows no binary; 300 arguments would cost 20 µs."""
    as_of = analysis.as_of
    parcel: dict[str, Any] = {
        "as_of": as_of,
        "metrics": [
            {"fields": _flat(codec.window_fields(analysis, name)), "lifetime": lifetime}
            for name, lifetime in keys.METRICS_LIFETIME_SECONDS.items()
        ],
        "events": [*_events(analysis)],
        "levels": [*map(_level_changes, shown, analysis.levels)],
        "behind": behind,
        "most_records": settings.max_records,
        "bad_lifetime": keys.BAD_LIFETIME_SECONDS,
        "patterns_lifetime": keys.PATTERNS_LIFETIME_SECONDS,
        "levels_lifetime": keys.LEVELS_LIFETIME_SECONDS,
        "bars_lifetime": keys.BARS_LIFETIME_SECONDS,
        "state_lifetime": keys.STATE_LIFETIME_SECONDS,
        "channel": keys.TICKED_CHANNEL + state.ticker,
    }
    if _keeps_house(state.ticker, as_of):
        # Whole now and then: what others did to the keys meanwhile is mended so.
        parcel["levels"] = [_level_changes(None, side.top()) for side in state.levels]
        oldest_event = as_of - keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS
        live = state.scene.events.live.values()
        parcel["events"] += [_event(e) for e in live if e.opened_at <= oldest_event]
        parcel["oldest_event"] = oldest_event
        parcel["oldest_bar"] = as_of - keys.BARS_LIFETIME_SECONDS * SECOND_MS
        parcel["oldest_record"] = f"({as_of - settings.retention_seconds * SECOND_MS}"
    return msgspec.msgpack.encode(parcel)


def _keeps_house(ticker: str, as_of: int) -> bool:
    """Tell whether it is the ticker's turn, every ten seconds; not all tickers' at once."""
    return (as_of // SECOND_MS + zlib.crc32(ticker.encode())) % HOUSEKEEPING_SECONDS == 0


def _state_fields(state: State, version: str, packed: codec.Packed) -> dict[str, Any]:
    return {
        "version": version,
        "as_of": state.as_of,
        "engine": ENGINE,
        "recent": codec.encode_bars(state.recent),
        "recent_count": sum(bar.stored for bar in state.recent),
        "blob": packed.blob,
        **{CANDIDATES + kind: part for kind, part in packed.candidates.items()},
        **{LEVELS + name: part for name, part in packed.levels.items()},
    }


def _flat(fields: dict[str, str]) -> list[str]:
    """Return names and values in turn, without a step of Python's a field."""
    flat = [""] * (2 * len(fields))
    flat[::2] = fields
    flat[1::2] = fields.values()
    return flat


def _event(event: Event) -> tuple[str, str, str]:
    return repr(event.opened_at), f'{{"id":"{event.id}"', codec.event_json(event)


def _events(analysis: Analysis) -> Iterator[tuple[str, str, str]]:
    """Return score, begin and whole of the members to write; the whole is empty for one to drop."""
    yield from map(_event, analysis.changed)
    for opened_at, name in analysis.forgotten:
        yield repr(opened_at), f'{{"id":"{name}"', ""


def _level_changes(
    shown: list[PublishedLevel] | None, now: list[PublishedLevel] | None
) -> dict[str, Any] | bool:
    """Return what is to become of one side's levels; all of them anew where it can't be known.

    A tick changes one or two of forty; writing all of them costs as much as all else (CPU of
    both sides), and a form that did not change is the very same object.
    """
    if now is None:
        return False
    before = {id(level): level for level in shown or ()}
    after = {id(level): level for level in now}
    new: list[str] = []
    for key, level in after.items():
        if key not in before:
            new += (repr(level.significance), codec.level_json(level))
    gone = [codec.level_json(level) for key, level in before.items() if key not in after]
    return {"anew": shown is None, "gone": gone, "new": new}
