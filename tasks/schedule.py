"""Beat's schedule, by the clock and not by elapsed time."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.schedules import BaseSchedule, schedstate
from kombu import Producer

from app.core import clock
from tasks.worker_context import broker_outage

_log = structlog.stdlib.get_logger("tasks.schedule")

# Beat wakes 10 ms before a task is due and then spins; a due time 10 ms later makes it wake on
# time.
_BEAT_WAKES_EARLY_SECONDS = 0.010

DISCOVERY_INTERVAL_MS = 1000
MAX_AHEAD_INTERVALS = 1
"""How far ahead of a host's clock a fan-out or a tick of another one's may be."""
# Less is no clock that was set: two reads of one clock that is slowed down differ so.
_STEP_BACK_MS = 100
_DISCOVERY_LEAD_MS = 250


def discovery_phase_ms(settle_ms: int) -> int:
    """Return when in each second discovery runs: just before the fan-out that uses its result.

    A scan of 50,000 keys takes 0.15 s.
    """
    return (settle_ms - _DISCOVERY_LEAD_MS) % DISCOVERY_INTERVAL_MS


def newest_beat_ms(now_ms: float, interval_ms: int, phase_ms: int) -> int:
    """Return the newest whole multiple of the interval that lies at least `phase_ms` back.

    >>> newest_beat_ms(10_199, 1000, 200), newest_beat_ms(10_200, 1000, 200)
    (9000, 10000)
    """
    return int((now_ms - phase_ms) // interval_ms) * interval_ms


def ms_until_next_ticks(now_ms: float, interval_ms: int, settle_ms: int) -> float:
    """Return the time until the next ticks are due.

    >>> ms_until_next_ticks(10_300.0, 1000, 200)
    900.0
    """
    return interval_ms - (now_ms - settle_ms) % interval_ms


def newest_as_of_ms(interval_ms: int, settle_ms: int) -> int:
    """Return the `as_of` of the newest tick that may run now."""
    return newest_beat_ms(clock.now_ms(), interval_ms, settle_ms)


class ClockSchedule(BaseSchedule):
    """Due once in each interval of the clock, `phase_ms` after its start.

    A beat that comes late finds it due once: missed intervals are not repeated.
    """

    def __init__(self, interval_ms: int, phase_ms: int) -> None:
        super().__init__()
        self.interval_ms = interval_ms
        self.phase_ms = phase_ms

    def now(self) -> datetime:
        """Return the time of this project's one clock."""
        return datetime.fromtimestamp(clock.now_ms() / 1000.0, tz=self.tz)

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Return whether it is due since `last_run_at`, and the time until the next call."""
        now_ms = clock.now_ms()
        beat_ms = newest_beat_ms(now_ms, self.interval_ms, self.phase_ms)
        ran_ms = newest_beat_ms(last_run_at.timestamp() * 1000.0, self.interval_ms, self.phase_ms)
        next_ms = beat_ms + self.interval_ms + self.phase_ms
        wait_seconds = (next_ms - now_ms) / 1000.0 + _BEAT_WAKES_EARLY_SECONDS
        return schedstate(is_due=beat_ms > ran_ms, next=wait_seconds)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Raise: Celery calls this for its own schedules only."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClockSchedule):
            return NotImplemented
        return (self.interval_ms, self.phase_ms) == (other.interval_ms, other.phase_ms)

    def __hash__(self) -> int:
        return hash((self.interval_ms, self.phase_ms))

    def __repr__(self) -> str:
        return f"<each {self.interval_ms} ms at +{self.phase_ms} ms>"


class RetryingScheduler(Scheduler):
    """Celery's in-memory scheduler, which logs an outage of the broker once.

    In memory because the clock alone decides what is due; the default scheduler writes a pickle.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(*args, **options)
        self._ticked_at_ms = 0.0

    def tick(self, *args: Any, **options: Any) -> float:  # noqa: ANN401 - Celery's own
        """Do as Celery does; begin anew from now where the clock was set back.

        Celery keeps when each entry ran and is due next, and would wait until that time comes.
        """
        now_ms = clock.now_ms()
        if now_ms < self._ticked_at_ms - _STEP_BACK_MS:
            _log.warning("clock set back", seconds=round((self._ticked_at_ms - now_ms) / 1000, 1))
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self._heap = None
        self._ticked_at_ms = now_ms
        return float(super().tick(*args, **options))

    def apply_entry(self, entry: ScheduleEntry, producer: Producer | None = None) -> None:
        """Send a task that is due; if that fails, the next beat sends a newer one."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            broker_outage.note_error(error)
        else:
            broker_outage.note_success()
