"""The queues: one for fan-outs, one a shard for ticks, and who takes which first."""

import os
import zlib

from app.settings import Settings

FAN_OUT_QUEUE = "fanout"


def tick_queue(shard: int) -> str:
    """Name the queue of a shard's ticks."""
    return f"ticks.{shard}"


def shard_of(ticker: str, shards: int) -> int:
    """Return the shard that a ticker belongs to, the same on every machine and in every run."""
    return zlib.crc32(ticker.encode()) % shards


def own_shard(settings: Settings) -> int:
    """Return the shard whose ticks this process takes first.

    ORDERFLOW_SHARD where given; else honcho's number of the process (`worker.2` is shard 1).
    """
    if settings.shard is not None:
        return settings.shard % settings.shards
    number = os.environ.get("HONCHO_PROCESS_NAME", "").rpartition(".")[2]
    return (int(number) - 1) % settings.shards if number.isdecimal() else 0


def queue_names(settings: Settings) -> list[str]:
    """Name all queues in the order in which this process serves them.

    Own ticks come before others', so that a ticker's state stays warm in one process; others'
    come after, so that an idle process helps out and a dead one's tickers go on.
    """
    first = own_shard(settings)
    shards = [(first + step) % settings.shards for step in range(settings.shards)]
    return [FAN_OUT_QUEUE, *(tick_queue(shard) for shard in shards)]
