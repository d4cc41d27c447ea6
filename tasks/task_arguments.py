"""Check the arguments of a task's message before anything is done with them.

Whoever can write to a queue can send any JSON.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import ArgumentsRefused
from app.core.rare_events import shown
from app.core.settings import settings
from app.core.tickers import ALLOWED, is_ticker
from app.storage.tick.score_bounds import NEWEST_MS, OLDEST_MS

_MOST_SHOWN_BITS = 128
_MOST_SHOWN_PARTS = 3


def tick_arguments(args: Sequence[Any], named: Mapping[str, Any]) -> tuple[str, int]:
    """Return ticker and `as_of` of a tick.

    Raises `ArgumentsRefused`.
    """
    ticker, as_of_ms = _listed(("ticker", "as_of_ms"), args, named)
    if not (isinstance(ticker, str) and is_ticker(ticker)):
        raise ArgumentsRefused(f"ticker={_shown(ticker)} is not allowed; a ticker is {ALLOWED}")
    return ticker, _as_of("as_of_ms", as_of_ms)


def fan_out_arguments(
    args: Sequence[Any], named: Mapping[str, Any], shards: int
) -> tuple[int, int]:
    """Return shard, one of `shards`, and `as_of` of a fan-out; the latter is 0 where none is given.

    Raises `ArgumentsRefused`.
    """
    shard, beat_as_of_ms = _listed(("shard", "beat_as_of_ms"), args, named, defaults=(0,))
    if type(shard) is not int or not 0 <= shard < shards:
        raise ArgumentsRefused(
            f"shard={_shown(shard)} is not allowed; allowed: whole numbers from 0 to {shards - 1}, "
            "by ORDERFLOW_SHARDS of beat"
        )
    is_default = type(beat_as_of_ms) is int and beat_as_of_ms == 0
    return shard, 0 if is_default else _as_of("beat_as_of_ms", beat_as_of_ms)


def no_arguments(args: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise `ArgumentsRefused` if there are any arguments."""
    _listed((), args, named)


def is_tick(ticker: str, as_of_ms: int) -> bool:
    """Return whether the arguments of a tick, of the right types, have allowed values."""
    return (
        OLDEST_MS <= as_of_ms <= NEWEST_MS
        and not as_of_ms % settings().interval_ms
        and is_ticker(ticker)
    )


def _as_of(name: str, value: object) -> int:
    interval_ms = settings().interval_ms
    is_allowed = type(value) is int and OLDEST_MS <= value <= NEWEST_MS and not value % interval_ms
    if type(value) is not int or not is_allowed:
        raise ArgumentsRefused(
            f"{name}={_shown(value)} is not allowed; allowed: epoch milliseconds, a whole multiple "
            f"of {interval_ms}"
        )
    return value


def _listed(
    names: Sequence[str],
    args: Sequence[Any],
    named: Mapping[str, Any],
    defaults: Sequence[Any] = (),
) -> list[Any]:
    """Return the arguments with the defaults of those that are missing; all are given by place."""
    missing = len(names) - len(args)
    if named or not 0 <= missing <= len(defaults):
        given = ", ".join([_shown(list(args)), *([_shown(named)] if named else [])])
        raise ArgumentsRefused(
            f"arguments {given} are not allowed; allowed: [{', '.join(names)}]"
            + (f", of which {len(defaults)} may be missing" if defaults else "")
        )
    return [*args, *defaults[len(defaults) - missing :]]


def _shown(value: object) -> str:
    """Return a value from JSON cut and escaped, of a list or an object the first parts only."""
    if isinstance(value, Mapping):
        return f"an object with {len(value)} names" if value else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [_shown_part(part) for part in value[:_MOST_SHOWN_PARTS]]
        more = len(value) - _MOST_SHOWN_PARTS
        return f"[{', '.join(parts)}{f' and {more} more' if more > 0 else ''}]"
    if type(value) is int and value.bit_length() > _MOST_SHOWN_BITS:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        return f'"{shown(value)}"'
    return shown(json.dumps(value))


def _shown_part(part: object) -> str:
    if isinstance(part, list | dict):
        return type(part).__name__
    return _shown(part)
