"""Repair and read a ticker's keys when a worker takes it over."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.analysis.windows import WINDOWS
from app.storage import keys
from app.storage.tick.read import KeyCheck, is_integer
from app.storage.tick.score_bounds import NEWEST_MS, OLDEST_MS
from app.storage.tick_connection import TickConnection

_KEY_TYPES = (
    *(b"hash", None, None, b"stream", b"zset", b"zset", b"zset", *[b"hash"] * 3, None),
    *[b"hash"] * len(WINDOWS),
)
"""Types of the keys in the order of `Keys.of_tick`; the broker's keys are not checked."""


class RepairResult(NamedTuple):
    """The result of a repair: up to which `as_of` (ms) the state is folded, 0 without a state.

    `had_unreadable_state`: there was a state hash, but without a state's fields.
    """

    folded_to: int
    had_unreadable_state: bool
    key_check: KeyCheck


def repair_keys(connection: TickConnection, names: Sequence[str], max_records: int) -> RepairResult:
    """Quarantine keys of the wrong type and unreadable states, and make the rare checks."""
    state, quotes, trades = names[:3]
    too_old = ("-inf", f"({OLDEST_MS}")
    replies = connection.first_read(
        [
            *(("TYPE", name) for name in names),
            ("ZCOUNT", quotes, *too_old),
            ("ZCOUNT", trades, *too_old),
            ("ZCOUNT", quotes, OLDEST_MS, NEWEST_MS),
            ("ZCOUNT", trades, OLDEST_MS, NEWEST_MS),
            ("HMGET", state, "version", "as_of", "behind", "recent_count"),
        ]
    )
    key_types, counts, state_fields = replies[: len(names)], replies[len(names) : -1], replies[-1]
    old_quotes, old_trades, *record_counts = [0 if isinstance(n, Exception) else n for n in counts]
    wrong = [
        name
        for name, key_type, expected in zip(names, key_types, _KEY_TYPES, strict=True)
        if expected is not None and key_type not in {expected, b"none"}
    ]
    is_state = isinstance(state_fields, list) and _is_state(state_fields)
    had_unreadable_state = key_types[0] == b"hash" and not is_state
    quarantine(connection, [*wrong, state] if had_unreadable_state else wrong)
    return RepairResult(
        int(state_fields[1]) if is_state else 0,
        had_unreadable_state,
        KeyCheck(
            old_quotes + old_trades, sum(number > 2 * max_records for number in record_counts)
        ),
    )


def _is_state(state_fields: Sequence[bytes | None]) -> bool:
    version, *numbers = state_fields
    return bool(version) and all(is_integer(number) for number in numbers)


def quarantine(connection: TickConnection, names: Sequence[str]) -> None:
    """Rename keys to quarantine names, where they expire after a day."""
    commands = [
        command
        for name in names
        for command in (
            ("RENAME", name, keys.quarantined(name)),
            ("EXPIRE", keys.quarantined(name), keys.QUARANTINE_LIFETIME_SECONDS),
        )
    ]
    if commands:
        connection.read(commands)


class StoredTicker(NamedTuple):
    """What an earlier worker stored: the state's fields, each window's `as_of`, and other data."""

    fields: Mapping[str, bytes]
    published_as_of: list[int]
    has_published_data: bool


def read_stored_ticker(connection: TickConnection, names: Sequence[str]) -> StoredTicker:
    """Read what a worker without the ticker's engine needs."""
    state, _, _, bars, patterns = names[:5]
    stored, data_keys, *published_as_of = connection.read(
        [
            ("HGETALL", state),
            ("EXISTS", bars, patterns),
            *(("HGET", name, "as_of") for name in names[-len(WINDOWS) :]),
        ]
    )
    fields = {name.decode(errors="replace"): value for name, value in _field_pairs(stored)}
    return StoredTicker(
        fields,
        [int(text) if text and text.isdigit() else 0 for text in published_as_of],
        data_keys > 0,
    )


def _field_pairs(stored: Any) -> Any:  # noqa: ANN401 - a reply of RESP2 or RESP3
    return (
        stored.items() if isinstance(stored, dict) else zip(stored[::2], stored[1::2], strict=True)
    )
