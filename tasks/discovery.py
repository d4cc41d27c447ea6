"""Discover the active tickers, and trim records that no tick trims, once a second."""

from typing import Any

from app.core.errors import ArgumentsRefused
from app.core.settings import settings
from tasks import app
from tasks.odd_messages import refuse
from tasks.schedule import DISCOVERY_INTERVAL_MS, discovery_phase_ms, newest_beat_ms
from tasks.task_arguments import no_arguments
from tasks.worker_context import (
    active_tickers,
    agreed_now_ms,
    claim,
    counters,
    feeds,
    outage,
    record_trimmer,
)

DISCOVER_TASK = "tasks.discover"
_NO_SHARD = -1  # in place of a fan-out's shard in the name of its guard


@app.task(name=DISCOVER_TASK, send_events=False)
def discover(*args: Any, **named: Any) -> None:  # noqa: ANN401 - whatever a message holds
    """Scan the next slice of the keys, and trim; do nothing if another beat's task did."""
    try:
        no_arguments(args, named)
    except ArgumentsRefused as error:
        refuse(DISCOVER_TASK, error)
    else:
        _discover()


def _discover() -> None:
    with outage.attempt():
        # By a clock that is wrong by an hour, every live feed would be learned to be delayed.
        now_ms = agreed_now_ms()
        phase_ms = discovery_phase_ms(settings().settle_ms)
        if claim(newest_beat_ms(now_ms, DISCOVERY_INTERVAL_MS, phase_ms), _NO_SHARD):
            active_tickers().scan_slice(now_ms)
            counters.count("tickers_waited", active_tickers().newcomers.newly_waiting)
            counters.count("feed_fields_ignored", feeds().note_when_due(now_ms))
            for name, number in record_trimmer().trim_slice(now_ms).items():
                counters.count(f"records_{name}", number)
        counters.flush_when_due()
