"""Records of the real tapes, read plainly; tests that need them skip where they are absent."""

import csv
import gzip
from functools import lru_cache
from pathlib import Path

from app.analysis.records import Quote, Trade

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "tapes"
AGGRESSORS = {"buy": 1, "sell": -1}


def _units(price: str) -> int:
    return round(float(price) * 100_000_000)


def records_of(tape: str, until_ms: float = float("inf")) -> list[Quote | Trade]:
    """Read a tape's records up to an instant, in stream order."""
    return [record for record in _whole(tape) if record.stamp <= until_ms]


@lru_cache(maxsize=2)
def _whole(tape: str) -> tuple[Quote | Trade, ...]:
    records: list[Quote | Trade] = []
    with gzip.open(FOLDER / f"{tape}.quotes.csv.gz", "rt") as rows:
        for row in csv.DictReader(rows):
            bid, ask = _units(row["bid_price"]), _units(row["ask_price"])
            sizes = float(row["bid_size"]), float(row["ask_size"])
            stamp, seq = float(row["ts_ms"]), int(row["seq"])
            records.append(Quote(stamp, seq, bid, sizes[0], ask, sizes[1]))
    with gzip.open(FOLDER / f"{tape}.trades.csv.gz", "rt") as rows:
        for row in csv.DictReader(rows):
            price, size = _units(row["price"]), float(row["size"])
            stamp, seq = float(row["ts_ms"]), int(row["seq"])
            aggressor = AGGRESSORS.get(row["aggressor"], 0)
            records.append(Trade(stamp, seq, price, size, aggressor))
    records.sort(key=lambda record: (record.stamp, record.seq))
    return tuple(records)
