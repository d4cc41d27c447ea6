"""Read the raw records of a time range."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from app.analysis.record_parser import MAX_RECORD_BYTES, ScoredMembers, parse_batch
from app.analysis.records import Batch, Quote, Trade
from app.storage.keys import Keys

# Of quotes and of trades each; a busy second has hundreds. `RecordRange.more` tells of the rest.
MAX_RECORDS = 5000
_MAX_BYTES = 8_000_000
_FIRST_STEP = 16


@dataclass(frozen=True, slots=True)
class RecordRange:
    """Records in stream order, and whether there are more than were read.

    Prices are in units of 10^-`digits`.
    """

    records: tuple[Quote | Trade, ...]
    more: bool
    digits: int


def read_record_range(
    client: redis.Redis, names: Keys, ticker: str, from_ms: float, to_ms: float
) -> RecordRange:
    """Read the records stamped in (from, to], oldest first, at most `MAX_RECORDS` of a kind."""
    quotes, trades = (
        _read(client, name, from_ms, to_ms) for name in (names.quotes(ticker), names.trades(ticker))
    )
    batch: Batch = parse_batch(quotes.members, trades.members)
    return RecordRange(tuple(batch.records), quotes.more or trades.more, batch.digits)


class _Members(NamedTuple):
    members: ScoredMembers
    more: bool


def _read(client: redis.Redis, name: str, from_ms: float, to_ms: float) -> _Members:
    """Read the members of one key in growing steps, until their bytes or number reach a bound.

    A tick cuts long records where it reads them; those that it never read are as they were written.
    """
    store: Any = client
    found: ScoredMembers = []
    step = _FIRST_STEP
    while sum([len(member) for member, _ in found]) < _MAX_BYTES:
        step = min(step, MAX_RECORDS + 1 - len(found))
        part = store.zrangebyscore(
            name, f"({from_ms!r}", repr(to_ms), start=len(found), num=step, withscores=True
        )
        found += part
        if len(part) < step or len(found) > MAX_RECORDS:
            return _Members(found[:MAX_RECORDS], len(found) > MAX_RECORDS)
        is_long = max(len(member) for member, _ in part) > MAX_RECORD_BYTES
        step = _FIRST_STEP if is_long else 8 * step
    return _Members(found, more=True)
