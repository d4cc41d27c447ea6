"""Queues for fan-outs and for each shard's ticks, and the order in which a worker serves them."""

import os
import zlib
from collections.abc import Mapping

from app.core.settings import Settings

FAN_OUT_QUEUE = "fanout"
SHARDS_HEADER = "shards"
"""The header of a fan-out's message with beat's number of shards; former versions know none."""
WAIT_SECONDS = 0.1
"""How long a worker waits for a message before it chooses its queues again."""


def tick_queue(shard: int) -> str:
    """Return the queue of a shard's ticks."""
    return f"ticks.{shard}"


def tick_id(ticker: str, as_of_ms: int) -> str:
    """Return the id of a tick's task.

    >>> tick_id("SPY", 1000)
    'SPY@1000'
    """
    return f"{ticker}@{as_of_ms}"


def shard_of(ticker: str, shards: int) -> int:
    """Return the shard that a ticker belongs to, the same on every machine and in every run."""
    return zlib.crc32(ticker.encode()) % shards


def current_shard(ticker: str, shards: int, moved: Mapping[str, int]) -> int:
    """Return the shard that a ticker was moved to, else the one that it belongs to by its name."""
    shard = moved.get(ticker, -1)
    return shard if 0 <= shard < shards else shard_of(ticker, shards)


def given_shard(settings: Settings) -> int | None:
    """Return the shard whose ticks this process serves first; None for a plain worker.

    It is ORDERFLOW_SHARD if set, else honcho's number of the process (`worker.2` is shard 1).
    """
    if settings.shard is not None:
        return settings.shard % settings.shards
    number = os.environ.get("HONCHO_PROCESS_NAME", "").rpartition(".")[2]
    return (int(number) - 1) % settings.shards if number.isdecimal() else None


def queue_names(settings: Settings) -> list[str]:
    """Return all queues in the order in which this process serves them, its own ticks first."""
    first = given_shard(settings) or 0
    shards = [(first + step) % settings.shards for step in range(settings.shards)]
    return [FAN_OUT_QUEUE, *(tick_queue(shard) for shard in shards)]
