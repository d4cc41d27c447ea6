"""What one tick writes: the arguments of write.lua."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app import codec, keys
from app.analysis import Analysis
from app.bars import SECOND_MS
from app.levels import PublishedLevel
from app.patterns.events import Event
from app.settings import Settings
from app.state import ENGINE, State

HOUSEKEEPING_SECONDS = 10

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

    `behind` counts the records in Redis that are folded. Each part is led by the number of its
    arguments: flat text costs Redis less than anything that it would have to unpack.
    """
    keeps_house = _keeps_house(state.ticker, analysis.as_of)
    events, levels = [*_events(analysis)], analysis.levels
    if keeps_house:
        # Whole now and then: what others did to the keys meanwhile is mended so.
        events += map(_event, _older_than_kept(state, analysis.as_of))
        shown, levels = (None, None), [side.top() for side in state.levels]
    args: list[Any] = [version_read, analysis.as_of, behind, keys.TICKED_CHANNEL + state.ticker]
    args += (
        settings.max_records,
        keys.BAD_LIFETIME_SECONDS,
        keys.PATTERNS_LIFETIME_SECONDS,
        keys.LEVELS_LIFETIME_SECONDS,
        keys.BARS_LIFETIME_SECONDS,
        keys.STATE_LIFETIME_SECONDS,
    )
    args += _oldest(analysis.as_of, settings) if keeps_house else ("", "", "")
    for name, lifetime in keys.METRICS_LIFETIME_SECONDS.items():
        fields = codec.window_fields(analysis, name)
        args += (lifetime, 2 * len(fields), *_flat(fields))
    args.append(len(events))
    for event in events:
        args += event
    for side, now in enumerate(levels):
        args += _level_changes(shown[side], now)
    args.append(len(analysis.sealed))
    for bar in analysis.sealed:
        args += (bar.end, codec.encode_bar(bar))
    for pair in _state_fields(state, version, whole=not version_read).items():
        args += pair
    return args


def _keeps_house(ticker: str, as_of: int) -> bool:
    """Tell whether it is the ticker's turn, every ten seconds; not all tickers' at once."""
    return (as_of // SECOND_MS + zlib.crc32(ticker.encode())) % HOUSEKEEPING_SECONDS == 0


def _oldest(as_of: int, settings: Settings) -> tuple[int, int, str]:
    """Return the oldest event, bar and record to keep."""
    return (
        as_of - keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS,
        as_of - keys.BARS_LIFETIME_SECONDS * SECOND_MS,
        f"({as_of - settings.retention_seconds * SECOND_MS}",
    )


def _older_than_kept(state: State, as_of: int) -> list[Event]:
    """Return the live events that housekeeping removes by their age, to be written again."""
    oldest = as_of - keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS
    return [event for event in state.scene.events.live.values() if event.opened_at <= oldest]


def _state_fields(state: State, version: str, *, whole: bool) -> dict[str, Any]:
    candidates = codec.encode_candidates(state, changed_only=not whole)
    for packed in state.scene.events.candidates.values():
        packed.is_changed = False
    return {
        "version": version,
        "as_of": state.as_of,
        "engine": ENGINE,
        "recent": codec.encode_bars(state.recent),
        "recent_count": sum(bar.stored for bar in state.recent),
        "blob": codec.encode_state(state),
        **{f"c:{kind}": packed for kind, packed in candidates.items()},
    }


def _flat(fields: dict[str, Any]) -> list[Any]:
    """Return names and values in turn, numbers as text; without a step of Python's a field."""
    flat: list[Any] = [None] * (2 * len(fields))
    flat[::2] = fields
    flat[1::2] = map(str, fields.values())
    return flat


def _event(event: Event) -> tuple[str, str, bytes]:
    return repr(event.opened_at), f'{{"id":"{event.id}"', codec.event_json(event)


def _events(analysis: Analysis) -> Iterator[tuple[str, str, bytes]]:
    """Return score, begin and whole of the members to write; the whole is empty for one to drop."""
    yield from map(_event, analysis.changed)
    for opened_at, name in analysis.forgotten:
        yield repr(opened_at), f'{{"id":"{name}"', b""


def _level_changes(
    shown: list[PublishedLevel] | None, now: list[PublishedLevel] | None
) -> Iterable[Any]:
    """Return what is to become of one side's members: "same", or "new" or "some", and which.

    A tick changes one or two of forty; writing all of them costs as much as all else (CPU of
    both sides), and a form that did not change is the very same object.
    """
    if now is None:
        return ("same",)
    before = {id(level): level for level in shown or ()}
    after = {id(level): level for level in now}
    gone = [codec.level_json(level) for key, level in before.items() if key not in after]
    new: list[str | bytes] = []
    for key, level in after.items():
        if key not in before:
            new += (repr(level.significance), codec.level_json(level))
    return "new" if shown is None else "some", len(gone), *gone, len(new), *new
