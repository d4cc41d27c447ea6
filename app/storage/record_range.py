"""The raw records of a span of time, summarised."""

from dataclasses import dataclass
from typing import Any

import redis

from app.analysis.record_parser import parse_batch
from app.analysis.records import Batch, Quote, Trade
from app.storage.keys import Keys

# Each; a busy second has hundreds. What lies beyond them is said to be left out.
MAX_RECORDS = 5000


@dataclass(frozen=True, slots=True)
class RecordRange:
    """Records in stream order, and whether there were more."""

    records: tuple[Quote | Trade, ...]
    more: bool


def read_record_range(
    client: redis.Redis, names: Keys, ticker: str, from_ms: float, to_ms: float
) -> RecordRange:
    """Read the records stamped in (from, to], the oldest first, at most `MAX_RECORDS` a kind."""
    pipe: Any = client.pipeline(transaction=False)
    for key in (names.quotes(ticker), names.trades(ticker)):
        pipe.zrangebyscore(
            key, f"({from_ms!r}", repr(to_ms), start=0, num=MAX_RECORDS + 1, withscores=True
        )
    quotes, trades = pipe.execute()
    batch: Batch = parse_batch(quotes[:MAX_RECORDS], trades[:MAX_RECORDS])
    return RecordRange(tuple(batch.records), max(len(quotes), len(trades)) > MAX_RECORDS)
