"""Choose a fan-out's tick where the clocks of beat and of this host differ, and note it."""

from app.core.settings import settings
from app.storage import keys
from tasks import app
from tasks.queues import FAN_OUT_QUEUE
from tasks.schedule import MAX_AHEAD_INTERVALS, newest_as_of_ms, newest_beat_ms
from tasks.worker_context import counters, server_clock

_LATE_INTERVALS = 10
"""A message that is later waited for a worker, or beat's clock is behind."""
_BACKLOG_INTERVALS = 5
"""Where it waited, so did the messages of more intervals than these."""


def due_as_of_ms(beat_as_of_ms: int, beat_shards: int) -> int:
    """Return the newest tick that is due by this host's clock or by beat's, whichever leads.

    Clocks that differ by more than an interval can't both be right: that one counts then which
    Redis's bears out. A message that waited only seems to be one of a clock that is behind.
    """
    interval_ms, settle_ms = settings().interval_ms, settings().settle_ms
    here_ms = newest_as_of_ms(interval_ms, settle_ms)
    if abs(here_ms - beat_as_of_ms) <= MAX_AHEAD_INTERVALS * interval_ms:
        return max(here_ms, beat_as_of_ms)
    if not beat_as_of_ms:
        return here_ms
    server_ms = newest_beat_ms(server_clock().now_ms(), interval_ms, settle_ms)
    if abs(beat_as_of_ms - server_ms) < abs(here_ms - server_ms):
        counters.count("fanouts_by_beat")
        counters.heartbeat(keys.WRONG_CLOCKS["worker"], server_ms)
        return beat_as_of_ms
    is_ahead = beat_as_of_ms > here_ms
    is_long_past = here_ms - beat_as_of_ms > _LATE_INTERVALS * interval_ms
    if is_ahead:
        counters.count("fanouts_ahead")
    if is_ahead or (is_long_past and not _drop_backlog(beat_shards)):
        counters.heartbeat(keys.WRONG_CLOCKS["beat"], here_ms)
    return here_ms


def _drop_backlog(beat_shards: int) -> bool:
    """Drop what beat sent while no worker was there; return whether there was anything to drop.

    Each message would publish the newest ticks again; they carry no time at which they expire,
    since that would be one of beat's clock.
    """
    most = _BACKLOG_INTERVALS * (beat_shards + 1)
    with app.producer_or_acquire() as producer:
        channel = producer.channel
        if channel.client.llen(FAN_OUT_QUEUE) <= most:
            return False
        counters.count("fanouts_dropped", int(channel.queue_purge(FAN_OUT_QUEUE)))
    return True
