"""One ticker's tick."""

import functools
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.signals import worker_shutdown
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.core import clock
from app.core.outage_log import UNAVAILABLE
from app.core.settings import settings
from app.storage.counters import LAG_SUM_COUNTER, lag_counter
from tasks import app
from tasks.fast_path.messages import TICK_TASK
from tasks.worker_context import counters, log, outage

_GRACE_MS = 500
_GARBAGE_THRESHOLDS = 50_000, 20, 20

if TYPE_CHECKING:
    from app.storage.tick.fold import TickReport
    from app.storage.tick_store import TickStore


@functools.cache
def store() -> "TickStore":
    """Return this process's store, made at its first tick."""
    # Imported late: beat and Flower load this module too, and need no analysis (60 MB).
    from app.storage.tick_store import TickStore  # noqa: PLC0415

    # Records by the thousand die young, engines live: looking through both for cycles, as often as
    # Python does by itself, is 8 % of a ticker's first tick.
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    return TickStore(settings())


@app.task(
    name=TICK_TASK,
    Strategy="tasks.fast_path.direct_strategy:run_directly",
    typing=False,
    send_events=False,
)
def tick(ticker: str, as_of_ms: int) -> bool:
    """Fold what `ticker` recorded up to `as_of_ms` and publish the result.

    What fails concerns this ticker and tick alone, and is not repeated: the next tick covers it.
    Tells whether this process holds the ticker's state now.
    """
    if clock.now_ms() > stale_at_ms(as_of_ms):
        counters.count("ticks_expired")
        counters.flush_when_due()
        return False
    sent, is_held = PendingTick(ticker, as_of_ms), False
    try:
        store().begin_tick(ticker, as_of_ms, sent.report)
    except UNAVAILABLE as error:
        outage.note_error(error)
    except Exception as error:  # noqa: BLE001 - any fault of one ticker must leave the others alone
        _note_failure(ticker, as_of_ms, error)
    else:
        is_held = True
    sent.at_ms = clock.now_ms()
    counters.flush_when_due()
    return is_held


@dataclass(slots=True)
class PendingTick:
    """A tick whose write was sent, until it is told what became of it: by the next tick's read."""

    ticker: str
    as_of_ms: int
    at_ms: float = 0.0

    def report(self, report: "TickReport", error: Exception | None) -> None:
        """Count what became of it."""
        if isinstance(error, UNAVAILABLE):
            outage.note_error(error)
            return
        if error is not None:
            _note_failure(self.ticker, self.as_of_ms, error)
            return
        outage.note_success()
        for name, fault in report.failed_detectors.items():
            where = {"ticker": self.ticker, "as_of": self.as_of_ms}
            log.error("detector failed", name=name, exc_info=fault, **where)
        _count(report, self.as_of_ms, self.at_ms)


def stale_at_ms(as_of_ms: int) -> int:
    """Return when a tick is stale: half a second after the next one's start."""
    return as_of_ms + settings().settle_ms + settings().interval_ms + _GRACE_MS


def _count(report: "TickReport", as_of_ms: int, at_ms: float) -> None:
    if report.outcome == "written":
        counters.count("ticks_done")
        counters.heartbeat("tick", as_of_ms)
        counters.count("records_folded", report.folded_records)
        for name, number in report.oddities.items():
            counters.count(f"records_{name}", number)
        for kind in report.opened_events:
            counters.count(f"events_{kind}")
        _count_lag(at_ms - as_of_ms)
    else:
        counters.count(f"ticks_{report.outcome}")


def _count_lag(lag_ms: float) -> None:
    counters.count(lag_counter(lag_ms))
    counters.count(LAG_SUM_COUNTER, round(lag_ms))
    if lag_ms > settings().settle_ms + settings().interval_ms:
        counters.count("ticks_late")


def _note_failure(ticker: str, as_of_ms: int, error: Exception) -> None:
    log.error("tick failed", ticker=ticker, as_of=as_of_ms, exc_info=error)
    counters.count("ticks_failed")
    try:
        store().note_failure(ticker, as_of_ms, error)
        counters.flush()
    except RedisError as away:
        outage.note_error(away)
    _show_failure(ticker, as_of_ms, error)


def _show_failure(ticker: str, as_of_ms: int, error: Exception) -> None:
    """Let Flower show the failed tick; ticks send no events otherwise."""
    fields: dict[str, Any] = {
        "uuid": f"{ticker}@{as_of_ms}",
        "name": TICK_TASK,
        "args": f"('{ticker}', {as_of_ms})",
    }
    try:
        with app.events.default_dispatcher() as dispatcher:
            dispatcher.send("task-received", **fields)
            dispatcher.send("task-failed", exception=repr(error), traceback="", **fields)
    except (RedisError, OperationalError) as away:
        outage.note_error(away)


@worker_shutdown.connect
def _finish(**_: object) -> None:
    try:
        store().await_pending()
        counters.flush()
    except RedisError as error:
        outage.note_error(error)
