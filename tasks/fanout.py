"""Publish one tick for each active ticker of a shard, once an interval."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import msgspec
from celery.utils.imports import symbol_by_name
from kombu import Producer
from kombu.exceptions import BatchPublishError, OperationalError
from redis.exceptions import RedisError

from app.core.errors import ArgumentsRefused
from app.core.settings import settings
from tasks import app
from tasks.beat_clock import due_as_of_ms
from tasks.beat_shards import agreed_shards, served_queue, shards_of_beat
from tasks.odd_messages import refuse
from tasks.options import celery_options
from tasks.queues import SHARDS_HEADER, current_shard, tick_queue
from tasks.task_arguments import fan_out_arguments
from tasks.worker_context import (
    active_tickers,
    broker_outage,
    claim,
    counters,
    forget_moved,
    log,
    moved_shards,
    outage,
)

FAN_OUT_TASK = "tasks.fan_out"

publish_ticks = symbol_by_name(celery_options(settings()).publish_ticks)


class _Headers(msgspec.Struct):
    id: str


class _Message(msgspec.Struct):
    """The part of a waiting tick's message that is read here."""

    headers: _Headers


@app.task(name=FAN_OUT_TASK)
def fan_out(*args: Any, **named: Any) -> None:  # noqa: ANN401 - whatever a message holds
    """Publish the newest due tick of each active ticker of a shard.

    The arguments are `shard` and `beat_as_of_ms`, by default 0; a message with others is refused.
    `beat_as_of_ms` is the tick that was due when beat sent the message. A late message publishes a
    newer tick.
    """
    beat_shards = shards_of_beat(fan_out.request.get(SHARDS_HEADER))
    try:
        shard, beat_as_of_ms = fan_out_arguments(args, named, beat_shards)
    except ArgumentsRefused as error:
        refuse(FAN_OUT_TASK, error)
        return
    with outage.attempt(OperationalError, BatchPublishError):
        as_of_ms = due_as_of_ms(beat_as_of_ms, beat_shards)
        shards = agreed_shards(as_of_ms, beat_shards)
        if shards is not None and claim(as_of_ms, shard):
            _run(shard, as_of_ms, shards)
        counters.flush_when_due()


def _run(shard: int, as_of_ms: int, shards: int) -> None:
    active, moved = active_tickers().active(as_of_ms), moved_shards()
    tickers = [ticker for ticker in active if current_shard(ticker, shards, moved) == shard]
    gone = moved.keys() - set(active)
    if gone:
        forget_moved(gone)
    try:
        skipped = _publish(shard, active_tickers().newcomers.by_standing(tickers), as_of_ms)
    except (RedisError, OperationalError, BatchPublishError) as error:
        if broker_outage is outage:
            raise
        broker_outage.note_error(error)
        return
    if broker_outage is not outage:
        broker_outage.note_success()
    counters.count("fanouts")
    counters.count("ticks_published", len(tickers))
    counters.count("ticks_skipped", skipped)
    counters.heartbeat("fanout", as_of_ms)
    log.debug("fanned out", shard=shard, as_of=as_of_ms, tickers=len(tickers), skipped=skipped)


def _publish(shard: int, groups: Iterable[Iterable[str]], as_of_ms: int) -> int:
    """Publish ticks in place of those that still wait; return how many did.

    The groups of tickers come one after the other: new names must not hold up those before them.
    """
    with app.producer_or_acquire() as producer:
        skipped, next_ticker = _drop_waiting_ticks(producer, shard)
        ordered = [it for group in groups for it in starting_at(next_ticker, group)]
        publish_ticks(producer, served_queue(shard), ordered, as_of_ms)
    return skipped


def _drop_waiting_ticks(producer: Producer, shard: int) -> tuple[int, str]:
    """Empty the shard's queue: the new ticks cover the records of those that still wait.

    So the queue never holds more than one interval's ticks, and no worker spends time on expired
    ones. Returns how many were dropped, and the ticker that was next in the queue, "" for none.
    """
    queue = tick_queue(shard)
    oldest = producer.channel.client.lindex(queue, -1)
    skipped = int(producer.channel.queue_purge(queue))
    return skipped, _ticker_of(oldest) if oldest else ""


def _ticker_of(message: bytes) -> str:
    """Return the ticker of a waiting tick; "" for a message of another form."""
    try:
        task_id = msgspec.json.decode(message, type=_Message).headers.id
    except msgspec.DecodeError:
        return ""
    return task_id.rpartition("@")[0]


def starting_at(first: str, tickers: Iterable[str]) -> list[str]:
    """Sort tickers and start at `first`, so that under overload all are skipped equally often.

    >>> starting_at("B", ["C", "A", "B"]), starting_at("", ["C", "A", "B"])
    (['B', 'C', 'A'], ['A', 'B', 'C'])
    """
    ordered = sorted(tickers)
    place = bisect_left(ordered, first)
    return ordered[place:] + ordered[:place]
