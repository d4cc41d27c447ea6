"""Once an interval and shard: one tick for each active ticker."""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec
from kombu import Producer
from kombu.exceptions import OperationalError

from app.core.outage_log import UNAVAILABLE
from app.core.settings import settings
from tasks import app
from tasks.fast_path.messages import publish_ticks
from tasks.queues import current_shard, tick_queue
from tasks.schedule import newest_as_of_ms
from tasks.worker_context import (
    active_tickers,
    claim,
    counters,
    forget_moved,
    log,
    moved_shards,
    outage,
)

_AHEAD_INTERVALS = 1


class _Headers(msgspec.Struct):
    id: str


class _Message(msgspec.Struct):
    """What is read of a tick's message that waits in the broker."""

    headers: _Headers


@app.task(name="tasks.fan_out")
def fan_out(shard: int, beat_as_of_ms: int = 0) -> None:
    """Publish the newest due tick of each active ticker of a shard.

    `beat_as_of_ms` is the tick that beat meant. A message that comes late takes a newer one; a
    host whose clock lags behind beat's takes beat's.
    """
    as_of_ms = due_as_of_ms(beat_as_of_ms)
    try:
        if claim(as_of_ms, shard):
            _run(shard, as_of_ms)
        counters.flush_when_due()
    except (*UNAVAILABLE, OperationalError) as error:
        outage.note_error(error)
    else:
        outage.note_success()


def due_as_of_ms(beat_as_of_ms: int) -> int:
    """Return the newest tick that is due by this host's clock or by beat's."""
    here_ms = newest_as_of_ms(settings().interval_ms, settings().settle_ms)
    furthest_ms = here_ms + _AHEAD_INTERVALS * settings().interval_ms
    return max(here_ms, min(beat_as_of_ms, furthest_ms))


def _run(shard: int, as_of_ms: int) -> None:
    active, moved, shards = active_tickers().active(as_of_ms), moved_shards(), settings().shards
    tickers = [ticker for ticker in active if current_shard(ticker, shards, moved) == shard]
    gone = moved.keys() - set(active)
    if gone:
        forget_moved(gone)
    with app.producer_or_acquire() as producer:
        skipped, longest_waiting = _drop_leftovers(producer, shard)
        ordered = beginning_with(longest_waiting, tickers)
        publish_ticks(producer, tick_queue(shard), ordered, as_of_ms)
    counters.count("fanouts")
    counters.count("ticks_published", len(tickers))
    counters.count("ticks_skipped", skipped)
    counters.heartbeat("fanout", as_of_ms)
    log.debug("fanned out", shard=shard, as_of=as_of_ms, tickers=len(tickers), skipped=skipped)


def _drop_leftovers(producer: Producer, shard: int) -> tuple[int, str]:
    """Empty the shard's queue: the new ticks cover the records of those that found no worker.

    So the queue holds an interval's ticks at most, whatever the load, and no worker spends its
    time on reading messages only to find them expired. Returns how many there were, and the
    ticker that would have been next, "" for none.
    """
    queue = tick_queue(shard)
    oldest = producer.channel.client.lindex(queue, -1)
    skipped = int(producer.channel.queue_purge(queue))
    return skipped, _ticker_of(oldest) if oldest else ""


def _ticker_of(message: bytes) -> str:
    """Return the ticker of a waiting tick; "" where somebody else wrote the message."""
    try:
        task_id = msgspec.json.decode(message, type=_Message).headers.id
    except msgspec.DecodeError:
        return ""
    return task_id.rpartition("@")[0]


def beginning_with(first: str, tickers: Iterable[str]) -> list[str]:
    """Order tickers so that those which overload skipped go on where it did, and all wait alike.

    >>> beginning_with("B", ["C", "A", "B"]), beginning_with("", ["C", "A", "B"])
    (['B', 'C', 'A'], ['A', 'B', 'C'])
    """
    ordered = sorted(tickers)
    place = bisect_left(ordered, first)
    return ordered[place:] + ordered[:place]
