"""Read the broker's records by the script that bounds what is read in bytes as in number."""

from collections.abc import Callable, Sequence
from typing import Any

from app.storage.scripts import READ_RECORDS
from app.storage.tick.read import BYTES_A_READ, CUT_MORE, MAX_RECORDS_READ, WRONG_TYPE, read_pairs

MAX_BYTES = 32_000_000
"""Bytes of one key that are read at most in one go, whatever the number of records."""
_MAX_CALLS = 1_000

Run = Callable[[tuple[Any, ...]], Any]
"""Runs one command and returns its reply."""


def read_all(
    run: Run, name: str, scores: tuple[object, object], limit: int, leave_out: int = 0
) -> list[tuple[bytes, float]]:
    """Return the records from one score to another, in several calls if they are many or long.

    The first `leave_out` of them are left out. No more than `limit` records, and little more than
    `MAX_BYTES`; none of a key of the wrong type.
    """
    found: list[tuple[bytes, float]] = []
    size = 0
    for _ in range(_MAX_CALLS):
        place, most = leave_out + len(found), min(limit - len(found), MAX_RECORDS_READ)
        words = (*scores, place, most, BYTES_A_READ)
        reply: Sequence[Any] = run(("EVAL", READ_RECORDS, 1, name, *words))
        pairs, status = read_pairs(reply[0]), reply[1]
        if status != CUT_MORE:
            found += pairs
            size += sum([len(record) for record, _ in pairs])
        is_over = status in {0, WRONG_TYPE} or len(found) >= limit or size >= MAX_BYTES
        if is_over:
            break
    return found
