"""The tick of one ticker."""

import functools
import gc
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.signals import task_failure, worker_process_shutdown, worker_shutdown
from redis.exceptions import RedisClusterException, RedisError

from app.core import clock
from app.core.errors import ArgumentsRefused
from app.core.refusals import is_unavailable
from app.core.settings import settings
from app.storage.counters import LAG_SUM_COUNTER, lag_counter
from tasks import TICK_TASK, app
from tasks.failures import report_failure
from tasks.odd_messages import refuse
from tasks.options import celery_options
from tasks.schedule import MAX_AHEAD_INTERVALS, newest_beat_ms
from tasks.task_arguments import tick_arguments
from tasks.worker_context import claim_ticker, counters, log, outage, server_clock

if TYPE_CHECKING:
    from app.storage.tick.fold import TickReport
    from app.storage.tick_store import TickStore

_GRACE_MS = 500
_GARBAGE_THRESHOLDS = 50_000, 20, 20

EXPIRED = "expired"
AHEAD = "ahead"
OUTDATED = "outdated"
REFUSED = "refused"
WRITTEN = "written"
UNREACHABLE = "unreachable"


@functools.cache
def store() -> "TickStore":
    """Return this process's store, created at its first tick."""
    # Imported late: beat and Flower import this module too, and don't need the analysis (60 MB).
    from app.storage.tick_store import TickStore  # noqa: PLC0415

    # Thousands of records are short-lived and engines are long-lived: at Python's own rate,
    # searching both for cycles is 8 % of a ticker's first tick.
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    return TickStore(settings())


@app.task(
    name=TICK_TASK,
    bind=True,
    Strategy=celery_options(settings()).tick_strategy,
    Request="tasks.tick_request:TickRequest",
    typing=False,
    send_events=False,  # `TickRequest` sends those of a sample
)
def tick(self: Any, *args: Any, **named: Any) -> str:  # noqa: ANN401 - whatever a message holds
    """Fold the records of `ticker` up to `as_of_ms`, publish the result, and return the outcome.

    These two are the arguments; a message with others is refused. Raises what the tick failed
    with. A failure concerns this ticker and tick alone, and is not retried: the next tick covers
    the same records.
    """
    try:
        ticker, as_of_ms = tick_arguments(args, named)
    except ArgumentsRefused as error:
        refuse(TICK_TASK, error)
        return REFUSED
    pending = PendingTick(ticker, as_of_ms, is_awaited=True)
    if start(pending):
        store().await_pending()
    if pending.error is not None:
        raise pending.error
    if pending.is_held and self.request.delivery_info:
        claim_ticker(ticker, self.request.delivery_info["routing_key"])
    return pending.outcome


def run_unwatched(ticker: str, as_of_ms: int) -> bool:
    """Run a tick without waiting for the outcome of its write, and report a failure.

    Returns whether this process holds the ticker's state now.
    """
    pending = PendingTick(ticker, as_of_ms)
    try:
        start(pending)
    except Exception as error:  # noqa: BLE001 - a fault of one ticker must not affect the others
        report_failure(ticker, as_of_ms, error)
    return pending.is_held


@dataclass(slots=True)
class PendingTick:
    """A tick, until the outcome of its write is known: with the replies to the next read."""

    ticker: str
    as_of_ms: int
    is_awaited: bool = False
    """Whether its task waits for the outcome, and raises the error itself."""
    is_held: bool = False
    """Whether this process holds the ticker's state."""
    sent_at_ms: float = 0.0
    outcome: str = ""
    error: Exception | None = None

    def report(self, report: "TickReport", error: Exception | None) -> None:
        """Count the outcome."""
        self.outcome = report.outcome
        if error is not None and is_unavailable(error):
            self.outcome = UNREACHABLE
            outage.note_error(error)
        elif error is None:
            if report.outcome == WRITTEN:  # a Redis that refuses writes may still answer reads
                outage.note_success(sent_at_ms=self.sent_at_ms)
            self._log_failed_detectors(report)
            _count(report, self.as_of_ms, self.sent_at_ms)
        elif self.is_awaited:
            self.error = error
        else:
            report_failure(self.ticker, self.as_of_ms, error)

    def _log_failed_detectors(self, report: "TickReport") -> None:
        for name, fault in report.failed_detectors.items():
            log.error(
                "detector failed",
                name=name,
                exc_info=fault,
                ticker=self.ticker,
                as_of=self.as_of_ms,
            )


def start(pending: PendingTick) -> bool:
    """Fold a tick's records and send its write; return whether there is an outcome to wait for."""
    found = store()  # made at the first tick, which may be stale by then
    pending.outcome = untimely_outcome(pending.as_of_ms)
    if pending.outcome:
        counters.count(f"ticks_{pending.outcome}")
        counters.flush_when_due()
        return False
    try:
        found.begin_tick(pending.ticker, pending.as_of_ms, pending.report)
        # A ticker whose state is a newer worker's stays with that worker's shard.
        pending.is_held = pending.outcome != OUTDATED
    except (RedisError, RedisClusterException) as error:
        if not is_unavailable(error):
            raise
        pending.outcome = UNREACHABLE
        outage.note_error(error)
    finally:
        pending.sent_at_ms = clock.now_ms()
        counters.flush_when_due()
    return pending.is_held


def untimely_outcome(as_of_ms: int) -> str:
    """Return the outcome of a tick that is not to run now, "" for one in time.

    Where this host's clock and Redis's are far apart, Redis's counts: the fan-out chose the tick by
    two clocks, so one that is in time by Redis's shows that this host's is the wrong one.
    """
    now_ms = clock.now_ms()
    outcome = _untimely_at(as_of_ms, now_ms)
    if outcome:
        with suppress(RedisError):  # that Redis is away is noted where a tick reads
            server_ms = server_clock().now_ms()
            if abs(server_ms - now_ms) > clock.BELIEVED_AHEAD_INTERVALS * settings().interval_ms:
                return _untimely_at(as_of_ms, server_ms)
    return outcome


def _untimely_at(as_of_ms: int, now_ms: float) -> str:
    if now_ms > stale_at_ms(as_of_ms):
        return EXPIRED
    interval_ms = settings().interval_ms
    newest_ms = newest_beat_ms(now_ms, interval_ms, settings().settle_ms)
    return AHEAD if as_of_ms > newest_ms + MAX_AHEAD_INTERVALS * interval_ms else ""


def stale_at_ms(as_of_ms: int) -> int:
    """Return when a tick is stale: half a second after the start of the next one."""
    return as_of_ms + settings().settle_ms + settings().interval_ms + _GRACE_MS


def _count(report: "TickReport", as_of_ms: int, sent_at_ms: float) -> None:
    if report.outcome == WRITTEN:
        counters.count("ticks_done")
        counters.heartbeat("tick", as_of_ms)
        counters.count("records_folded", report.folded_records)
        for name, number in report.oddities.items():
            counters.count(f"records_{name}", number)
        for kind in report.opened_events:
            counters.count(f"events_{kind}")
        _count_lag(sent_at_ms - as_of_ms)
    else:
        counters.count(f"ticks_{report.outcome}")
        if report.outcome == "waiting":
            counters.heartbeat("tick", as_of_ms)
        elif report.outcome == OUTDATED:
            counters.heartbeat(OUTDATED, as_of_ms)


def _count_lag(lag_ms: float) -> None:
    lag_ms = max(0.0, lag_ms)  # below 0 by a clock that is behind
    counters.count(lag_counter(lag_ms))
    counters.count(LAG_SUM_COUNTER, round(lag_ms))
    if lag_ms > settings().settle_ms + settings().interval_ms:
        counters.count("ticks_late")


@task_failure.connect
def _record_failure(sender: Any, args: Any, exception: Exception, **_: object) -> None:  # noqa: ANN401 - Celery's
    """Log and count a failed tick; it counts for the answers about its ticker too."""
    if sender.name != TICK_TASK:
        return
    ticker, as_of_ms = args
    log.error("tick failed", ticker=ticker, as_of=as_of_ms, exc_info=exception)
    counters.count("ticks_failed")
    try:
        store().note_failure(ticker, as_of_ms, exception)
        counters.flush()
    except RedisError as away:
        outage.note_error(away)


@worker_shutdown.connect
@worker_process_shutdown.connect
def _finish(**_: object) -> None:
    """Wait for the outcome of the last writes, and write the counts: in solo and in prefork."""
    try:
        store().await_pending()
        counters.flush()
    except RedisError as error:
        outage.note_error(error)
