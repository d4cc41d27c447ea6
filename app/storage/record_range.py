"""Read the raw records of a time range."""

from dataclasses import dataclass
from typing import Any

import redis

from app.analysis.record_parser import parse_batch
from app.analysis.records import Batch, Quote, Trade
from app.storage.keys import Keys

# Of quotes and of trades each; a busy second has hundreds. `RecordRange.more` tells of the rest.
MAX_RECORDS = 5000


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
    pipe: Any = client.pipeline(transaction=False)
    for key in (names.quotes(ticker), names.trades(ticker)):
        pipe.zrangebyscore(
            key, f"({from_ms!r}", repr(to_ms), start=0, num=MAX_RECORDS + 1, withscores=True
        )
    quotes, trades = pipe.execute()
    batch: Batch = parse_batch(quotes[:MAX_RECORDS], trades[:MAX_RECORDS])
    more = max(len(quotes), len(trades)) > MAX_RECORDS
    return RecordRange(tuple(batch.records), more, batch.digits)
