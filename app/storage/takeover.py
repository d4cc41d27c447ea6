"""What a worker looks at that comes to a ticker, and puts right before it goes on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.analysis.windows import WINDOWS
from app.storage import keys
from app.storage.tick.read import OLDEST_MS, KeyCheck, is_whole
from app.storage.tick_connection import TickConnection

_KINDS = (b"hash", None, None, b"stream", *[b"zset"] * 3, *[b"hash"] * len(WINDOWS))
"""Types of the keys in the order of `Keys.of_tick`; the broker's are its own affair."""


class RepairResult(NamedTuple):
    """A ticker's keys without any of the wrong type: up to where was folded, 0 without a state.

    `residue` tells that a state was there which was none.
    """

    folded_to: int
    had_unreadable_state: bool
    key_check: KeyCheck


def repair_keys(line: TickConnection, names: Sequence[str], most_kept: int) -> RepairResult:
    """Set aside what has the wrong type or is no state, and look at what is rare."""
    state, quotes, trades = names[:3]
    too_old = ("-inf", f"({OLDEST_MS}")
    replies = line.first_read(
        [
            *(("TYPE", name) for name in names),
            ("ZCOUNT", quotes, *too_old),
            ("ZCOUNT", trades, *too_old),
            ("ZCARD", quotes),
            ("ZCARD", trades),
            ("HMGET", state, "version", "as_of", "behind", "recent_count"),
        ]
    )
    kinds, counts, known = replies[: len(names)], replies[len(names) : -1], replies[-1]
    old_quotes, old_trades, *held = [0 if isinstance(n, Exception) else n for n in counts]
    wrong = [
        name
        for name, kind, ours in zip(names, kinds, _KINDS, strict=True)
        if ours is not None and kind not in {ours, b"none"}
    ]
    is_state = isinstance(known, list) and _is_state(known)
    residue = kinds[0] == b"hash" and not is_state
    quarantine(line, [*wrong, state] if residue else wrong)
    return RepairResult(
        int(known[1]) if is_state else 0,
        residue,
        KeyCheck(old_quotes + old_trades, sum(number > 2 * most_kept for number in held)),
    )


def _is_state(known: Sequence[bytes | None]) -> bool:
    version, *numbers = known
    return bool(version) and all(is_whole(number) for number in numbers)


def quarantine(line: TickConnection, names: Sequence[str]) -> None:
    """Move keys out of the way for a day."""
    commands = [
        command
        for name in names
        for command in (
            ("RENAME", name, keys.quarantined(name)),
            ("EXPIRE", keys.quarantined(name), keys.QUARANTINE_LIFETIME_SECONDS),
        )
    ]
    if commands:
        line.read(commands)


class StoredTicker(NamedTuple):
    """What an earlier worker left: its state, `as_of` of each window, and whether anything else."""

    fields: Mapping[str, bytes]
    published_as_of: list[int]
    has_published_data: bool


def read_stored_ticker(line: TickConnection, names: Sequence[str]) -> StoredTicker:
    """Read all that a worker needs who does not hold the ticker's engine."""
    state, _, _, bars, patterns = names[:5]
    stored, anything, *shown = line.read(
        [
            ("HGETALL", state),
            ("EXISTS", bars, patterns),
            *(("HGET", name, "as_of") for name in names[7:]),
        ]
    )
    fields = {name.decode(errors="replace"): value for name, value in _pairs_of(stored)}
    return StoredTicker(
        fields, [int(text) if text and text.isdigit() else 0 for text in shown], anything > 0
    )


def _pairs_of(stored: Any) -> Any:  # noqa: ANN401 - a reply of either protocol
    return (
        stored.items() if isinstance(stored, dict) else zip(stored[::2], stored[1::2], strict=True)
    )
