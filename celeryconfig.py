"""Celery's settings, each with its reason; figures are from measurements on two cores."""

from celery.beat import BeatLazyFunc
from kombu import Queue

from app.core.settings import settings
from tasks.queues import FAN_OUT_QUEUE, queue_names
from tasks.schedule import (
    DISCOVERY_INTERVAL_MS,
    ClockSchedule,
    discovery_phase_ms,
    newest_as_of_ms,
)

_settings = settings()

# --- broker

# The data's Redis too, unless ORDERFLOW_BROKER_URL says otherwise (a Redis Cluster can't be one).
broker_url = _settings.broker_url
# Redis may start after us, and may go away for long: keep trying, and for ever.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    # No copy of each message until it is done: 306 µs a task against 740. A tick that dies with
    # its worker is stale after a second; with acks on it would come back after an hour.
    "ack_emulation": False,
    # One list a queue, not one for each of four priorities that nothing here uses: 240 µs a task
    # against 255.
    "priority_steps": [0],
    # Queues in the order given, so that fan-outs go before ticks and own ticks before others'.
    "queue_order_strategy": "priority",
    # A Redis that froze, or a host that was cut off, must not hold a process for minutes; the
    # longest wait of a healthy one is BRPOP's second.
    "socket_timeout": 3.0,
    "socket_connect_timeout": 1.0,
    "health_check_interval": 2,
}

# --- messages

# JSON and nothing else: who can write to Redis must not be able to run code here.
accept_content = ["json"]
task_serializer = "json"
event_serializer = "json"
# Results are in the orderflow keys; a result backend would write once more a task.
task_ignore_result = True
result_backend = None
# The next fan-out covers what one that was not sent would have; waiting would make it late.
task_publish_retry = False

# --- queues

# A plain worker serves all of them: fan-outs first, which ticks can't starve so.
task_queues = [Queue(name, routing_key=name) for name in queue_names(_settings)]
task_default_queue = FAN_OUT_QUEUE
# `-Q tikcs.0` is an error, not a new queue.
task_create_missing_queues = False

# --- workers

# One message in hand, and a shard's worker three more ticks (`tasks/fast_path/transport.py`): what
# waits inside a busy worker can't be taken by an idle one.
worker_prefetch_multiplier = 1
# Celery's way of easing back in after a lost connection; with one message in hand it does nothing
# but say so.
worker_enable_prefetch_count_reduction = False
# No task has a rate limit, and looking for one costs 9 %.
worker_disable_rate_limits = True
# Task events, for Flower: ticks send none (`send_events=False`; they would cost 250 µs each),
# fan-outs and failed ticks do.
worker_send_task_events = True
# tasks/__init__.py sets logging up, in one form for all processes.
worker_hijack_root_logger = False
# stderr is the log itself; redirecting print into it would only reorder lines.
worker_redirect_stdouts = False
# A solo worker drops its one connection when Redis goes; nothing runs on that could be cancelled.
worker_cancel_long_running_tasks_on_connection_loss = True
# Epoch milliseconds everywhere; this only keeps the host's time zone out of `expires`.
timezone = "UTC"

# --- beat

# In memory, quiet in an outage; the default would keep a pickled file in the working directory.
beat_scheduler = "tasks.schedule:RetryingScheduler"
beat_schedule = {
    "discover": {
        "task": "tasks.discover",
        "schedule": ClockSchedule(DISCOVERY_INTERVAL_MS, discovery_phase_ms(_settings.settle_ms)),
        # A frozen worker finds one message when it thaws, not one for each second that it lost.
        "options": {"expires": 1.0},
    },
    # A fan-out for each shard, so that publishing is shared between workers.
    **{
        f"fan out {shard}": {
            "task": "tasks.fan_out",
            "schedule": ClockSchedule(_settings.interval_ms, _settings.settle_ms),
            "args": (
                shard,
                BeatLazyFunc(newest_as_of_ms, _settings.interval_ms, _settings.settle_ms),
            ),
            "options": {"expires": float(_settings.interval_seconds)},
        }
        for shard in range(_settings.shards)
    },
}
