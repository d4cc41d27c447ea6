"""One ticker's tick."""

import functools
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.signals import worker_shutdown
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.core import clock
from app.core.outage_log import AWAY
from app.core.settings import settings
from app.storage.counters import LAG_SUM_COUNTER, lag_counter
from tasks import app
from tasks.fast_path.messages import TICK_TASK
from tasks.worker_context import log, outage, tally

_GRACE_MS = 500
_GARBAGE_THRESHOLDS = 50_000, 20, 20

if TYPE_CHECKING:
    from app.storage.tick.fold import TickReport
    from app.storage.tick_store import Store


@functools.cache
def store() -> "Store":
    """Return this process's store, made at its first tick."""
    # Imported late: beat and Flower load this module too, and need no analysis (60 MB).
    from app.storage.tick_store import Store  # noqa: PLC0415

    # Records by the thousand die young, engines live: looking through both for cycles, as often as
    # Python does by itself, is 8 % of a ticker's first tick.
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    return Store(settings())


@app.task(
    name=TICK_TASK,
    Strategy="tasks.fast_path.direct_strategy:straight",
    typing=False,
    send_events=False,
)
def tick(ticker: str, as_of_ms: int) -> bool:
    """Fold what `ticker` recorded up to `as_of_ms` and publish the result.

    What fails concerns this ticker and tick alone, and is not repeated: the next tick covers it.
    Tells whether this process holds the ticker's state now.
    """
    if clock.now_ms() > stale_at_ms(as_of_ms):
        tally.count("ticks_expired")
        tally.flush_when_due()
        return False
    sent, is_held = Sent(ticker, as_of_ms), False
    try:
        store().start(ticker, as_of_ms, sent.told)
    except AWAY as error:
        outage.met(error)
    except Exception as error:  # noqa: BLE001 - any fault of one ticker must leave the others alone
        _note_failure(ticker, as_of_ms, error)
    else:
        is_held = True
    sent.at_ms = clock.now_ms()
    tally.flush_when_due()
    return is_held


@dataclass(slots=True)
class Sent:
    """A tick whose write was sent, until it is told what became of it: by the next tick's read."""

    ticker: str
    as_of_ms: int
    at_ms: float = 0.0

    def told(self, report: "TickReport", error: Exception | None) -> None:
        """Count what became of it."""
        if isinstance(error, AWAY):
            outage.met(error)
            return
        if error is not None:
            _note_failure(self.ticker, self.as_of_ms, error)
            return
        outage.over()
        for name, fault in report.failed_detectors.items():
            where = {"ticker": self.ticker, "as_of": self.as_of_ms}
            log.error("detector failed", name=name, exc_info=fault, **where)
        _count(report, self.as_of_ms, self.at_ms)


def stale_at_ms(as_of_ms: int) -> int:
    """Return when a tick is stale: half a second after the next one's start."""
    return as_of_ms + settings().settle_ms + settings().interval_ms + _GRACE_MS


def _count(report: "TickReport", as_of_ms: int, at_ms: float) -> None:
    if report.outcome == "written":
        tally.count("ticks_done")
        tally.beat("tick", as_of_ms)
        tally.count("records_folded", report.folded_records)
        for name, number in report.oddities.items():
            tally.count(f"records_{name}", number)
        for kind in report.opened_events:
            tally.count(f"events_{kind}")
        _count_lag(at_ms - as_of_ms)
    else:
        tally.count(f"ticks_{report.outcome}")


def _count_lag(lag_ms: float) -> None:
    tally.count(lag_counter(lag_ms))
    tally.count(LAG_SUM_COUNTER, round(lag_ms))
    if lag_ms > settings().settle_ms + settings().interval_ms:
        tally.count("ticks_late")


def _note_failure(ticker: str, as_of_ms: int, error: Exception) -> None:
    log.error("tick failed", ticker=ticker, as_of=as_of_ms, exc_info=error)
    tally.count("ticks_failed")
    try:
        store().note_failure(ticker, as_of_ms, error)
        tally.flush()
    except RedisError as away:
        outage.met(away)
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
        outage.met(away)


@worker_shutdown.connect
def _end(**_: object) -> None:
    try:
        store().settle()
        tally.flush()
    except RedisError as error:
        outage.met(error)
