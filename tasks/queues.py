"""The queues: one for fan-outs, one a shard for ticks, and which a worker serves."""

import os
import zlib
from collections.abc import Mapping

from app.core.settings import Settings

FAN_OUT_QUEUE = "fanout"


def tick_queue(shard: int) -> str:
    """Name the queue of a shard's ticks."""
    return f"ticks.{shard}"


def shard_of(ticker: str, shards: int) -> int:
    """Return the shard that a ticker belongs to, the same on every machine and in every run."""
    return zlib.crc32(ticker.encode()) % shards


def current_shard(ticker: str, shards: int, homes: Mapping[str, int]) -> int:
    """Return the shard whose worker is to tick a ticker now: whose it became, else its own."""
    home = homes.get(ticker, -1)
    return home if 0 <= home < shards else shard_of(ticker, shards)


def given_shard(settings: Settings) -> int | None:
    """Return the shard that this process is told to serve; None for a plain worker.

    ORDERFLOW_SHARD where given; else honcho's number of the process (`worker.2` is shard 1).
    """
    if settings.shard is not None:
        return settings.shard % settings.shards
    number = os.environ.get("HONCHO_PROCESS_NAME", "").rpartition(".")[2]
    return (int(number) - 1) % settings.shards if number.isdecimal() else None


def queue_names(settings: Settings) -> list[str]:
    """Name all queues in the order in which this process serves them, its own ticks first."""
    first = given_shard(settings) or 0
    shards = [(first + step) % settings.shards for step in range(settings.shards)]
    return [FAN_OUT_QUEUE, *(tick_queue(shard) for shard in shards)]
