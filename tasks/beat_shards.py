"""Agree on the number of shards where processes were given different ones.

All fan-outs of an `as_of` must divide the tickers alike, or some would get no tick and others two.
So beat's number counts, which comes with its message, and of two beats' the one that came first.
"""

from typing import Any

from app.core.settings import settings
from app.storage import keys
from tasks.queues import FAN_OUT_QUEUE, tick_queue
from tasks.worker_context import client, counters, log

_MOST = 64
_logged: set[tuple[int, int]] = set()


def shards_of_beat(header: object) -> int:
    """Return the number that a header of beat's message gives, or else this process's own."""
    return _number_in(header) or settings().shards


def agreed_shards(as_of_ms: int, shards: int) -> int | None:
    """Return into how many shards the tickers are divided at `as_of`; beat says `shards`.

    None if another beat's message with another number came first: its fan-outs cover all tickers.
    """
    own = settings().shards
    if shards != own:
        _note(as_of_ms, shards, own)
    first = _first_number(as_of_ms, shards)
    if first == shards:
        return shards
    _note(as_of_ms, shards, first)
    return None


def _number_in(header: object) -> int:
    """Return the number in a header, 0 where it is none that settings allow."""
    if not isinstance(header, int) or isinstance(header, bool):
        return 0
    return header if 1 <= header <= _MOST else 0


def _first_number(as_of_ms: int, shards: int) -> int:
    """Return the number with which the first fan-out of an `as_of` came."""
    pipe: Any = client().pipeline(transaction=False)
    name = keys.guard_of_shards(as_of_ms)
    pipe.set(name, shards, nx=True, px=keys.GUARD_LIFETIME_SECONDS * 1000)
    pipe.get(name)
    written, first = pipe.execute(raise_on_error=False)
    if isinstance(written, Exception):
        raise written
    return int(first) if isinstance(first, bytes) and first.isdigit() else shards


def _note(as_of_ms: int, one: int, other: int) -> None:
    """Log once, and tell `status`, that two processes have different numbers."""
    less, more = sorted((one, other))
    counters.heartbeat(keys.differing_shards(less, more), as_of_ms)
    if (less, more) not in _logged:
        _logged.add((less, more))
        log.warning(
            "ORDERFLOW_SHARDS differs between processes: set the same in all",
            numbers=f"{less} and {more}",
        )


def served_queue(shard: int) -> str:
    """Return the queue for a shard's ticks: one that this worker and its like serve.

    The ticks of a shard that these workers do not have go where every worker takes from.
    """
    return tick_queue(shard) if shard < settings().shards else FAN_OUT_QUEUE
