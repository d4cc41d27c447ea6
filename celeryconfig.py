"""Celery's settings, each with its reason; the figures were measured on two cores."""

from celery.beat import BeatLazyFunc
from kombu import Queue

from app.core.settings import settings
from tasks.options import celery_options
from tasks.queues import FAN_OUT_QUEUE, SHARDS_HEADER, queue_names
from tasks.schedule import (
    DISCOVERY_INTERVAL_MS,
    ClockSchedule,
    discovery_phase_ms,
    newest_as_of_ms,
)

_settings = settings()
_options = celery_options(_settings)

# --- broker

# The Redis of the data, unless ORDERFLOW_BROKER_URL is set (a Redis Cluster can't be a broker).
broker_url = _settings.broker_url
# Redis may start later than these processes, and may be away for long: retry without end.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    # No copy of each message until its task is done: 306 µs a task instead of 740. A tick that is
    # lost with its worker is stale after a second; with acks it would be redelivered in an hour.
    "ack_emulation": False,
    # One list per queue, not one for each of four priorities that nothing here uses: 240 µs a task
    # instead of 255.
    "priority_steps": [0],
    # Fan-outs before ticks, and the own shard's ticks before others'.
    "queue_order_strategy": _options.queue_order,
    **_options.transport_options,
    # A frozen Redis, or a host that lost its network, must not block a process for minutes; the
    # longest wait for a healthy Redis is the second of BRPOP.
    "socket_timeout": 3.0,
    "socket_connect_timeout": 1.0,
    "health_check_interval": 2,
}

# --- messages

# JSON only: write access to Redis must not allow to run code here.
accept_content = ["json"]
task_serializer = "json"
event_serializer = "json"
# Results are in the orderflow keys; a result backend would cost another write per task.
task_ignore_result = True
result_backend = None
# The next fan-out covers the records of one that was not sent; a retry would make it late.
task_publish_retry = False

# --- queues

# A plain worker serves all of them, fan-outs first, so that ticks can't starve them.
task_queues = [Queue(name, routing_key=name) for name in queue_names(_settings)]
task_default_queue = FAN_OUT_QUEUE
# `-Q tikcs.0` is an error, not a new queue.
task_create_missing_queues = False

# --- workers

# One message at a time (and three more ticks in `tasks/fast_path/transport.py`): an idle worker
# can't take a message that waits inside a busy one.
worker_prefetch_multiplier = 1
# Fewer messages at a time after a lost connection: with one at a time, only a line in the log.
worker_enable_prefetch_count_reduction = False
# No task has a rate limit, and checking for one costs 9 %.
worker_disable_rate_limits = True
# Events for Flower and exporters: of fan-outs, of failed ticks, and of ORDERFLOW_TRACED_TICKS ticks
# a second and worker (`tasks/tick_request.py`); a task's events cost 250 µs.
worker_send_task_events = True
# `tasks/__init__.py` configures logging, in one form for all processes.
worker_hijack_root_logger = False
# The log goes to stderr; redirecting stdout into it would only reorder lines.
worker_redirect_stdouts = False
# A solo worker runs nothing while its connection is lost; there is nothing to cancel.
worker_cancel_long_running_tasks_on_connection_loss = True
# All times are epoch milliseconds: the host's time zone takes no part.
timezone = "UTC"

# --- beat

# In memory, and one line per outage; the default writes a pickle in the working directory.
beat_scheduler = "tasks.schedule:RetryingScheduler"
# No message has an `expires`, a time by the clock of beat's host: a worker with another clock would
# take none. Of messages that waited, one is let through (`tasks/beat_clock.py`).
beat_schedule = {
    "discover": {
        "task": "tasks.discover",
        "schedule": ClockSchedule(DISCOVERY_INTERVAL_MS, discovery_phase_ms(_settings.settle_ms)),
    },
    # A fan-out for each shard, so that workers share the publishing.
    **{
        f"fan out {shard}": {
            "task": "tasks.fan_out",
            "schedule": ClockSchedule(_settings.interval_ms, _settings.settle_ms),
            "args": (
                shard,
                BeatLazyFunc(newest_as_of_ms, _settings.interval_ms, _settings.settle_ms),
            ),
            "options": {"headers": {SHARDS_HEADER: _settings.shards}},
        }
        for shard in range(_settings.shards)
    },
}
