"""Clocks, of processes and of the feed, that step by minutes to a day and are right again."""

import time
from collections.abc import Sequence
from contextlib import closing

from app.answers.reader import Reader
from app.core import clock
from app.core.errors import NoAnswer
from app.core.settings import Settings
from app.storage.active_tickers import ACTIVE_MS
from tests.faults.context import FaultContext, require
from tests.faults.system import pass_time
from tests.processes import wait_until

AHEAD_SECONDS = (120, 3600, 86_400)
BEHIND_SECONDS = (-120, -3600, -86_400)
STEPS_SECONDS = (*AHEAD_SECONDS, *BEHIND_SECONDS)
_LASTS_SECONDS = 5.0


def _is_ahead(context: FaultContext) -> bool:
    return max(context.newest().values()) > time.time() * 1000.0 + 2000.0


def _step(context: FaultContext, pids: Sequence[int], seconds: float) -> bool:
    """Set clocks for 5 s and right again; return whether ticks were ahead meanwhile."""
    requests = [context.system.request(f"clock-{p}", str(seconds * 1000.0)) for p in pids]
    pass_time(_LASTS_SECONDS)
    was_ahead = _is_ahead(context)
    for request in requests:
        request.unlink()
    context.note_end("a process's clock right again")
    wait_until(lambda: not _is_ahead(context), "ticks ahead are taken back")
    context.await_ticks_after(dict.fromkeys(context.tickers, 0))
    return was_ahead


def beat_clock(context: FaultContext) -> str:
    """Set beat's clock alone; Redis's clock decides, so nothing is published by it."""
    assert context.system.beat is not None
    seconds = context.random.choice(STEPS_SECONDS)
    was_ahead = _step(context, [context.system.beat.pid], seconds)
    require(not was_ahead, "a wrong beat's ticks were published")
    _require_went_on(context)
    return f"beat by {seconds} s"


def worker_clocks(context: FaultContext) -> str:
    """Set the clock of all workers alone; Redis's clock decides."""
    seconds = context.random.choice(STEPS_SECONDS)
    pids = [worker.pid for worker in context.system.workers.values()]
    require(not _step(context, pids, seconds), "ticks were ahead by wrong workers")
    _require_went_on(context)
    return f"workers by {seconds} s"


def _require_went_on(context: FaultContext) -> None:
    """Require that each ticker ticked while the clock was wrong: the others' clocks were right."""
    _, right_again_ms = context.ends_ms[-1]
    for ticker in context.tickers:
        # By when they were due: of a feed that is behind, `as_of` is earlier by its settle time.
        seen = [s.due_ms for s in context.sampler.samples if s.ticker == ticker]
        meanwhile = {it for it in seen if 0 < right_again_ms - it < _LASTS_SECONDS * 1000 - 1000}
        require(len(meanwhile) >= 2, f"{ticker} stood still by a wrong clock")


def all_clocks_ahead(context: FaultContext) -> str:
    """Set beat and workers ahead: their ticks are taken back once the clocks are right.

    Further ahead than a ticker stays active without a quote, none is active and nothing ticks.
    """
    seconds = context.random.choice(AHEAD_SECONDS)
    was_ahead = _step(context, all_pids(context), seconds)
    require(was_ahead == (seconds * 1000 < ACTIVE_MS), f"ahead: {was_ahead}")
    return f"all by {seconds} s"


def all_clocks_behind(context: FaultContext) -> str:
    """Set beat and workers behind: they have nothing to do until the clocks are right."""
    seconds = context.random.choice(BEHIND_SECONDS)
    require(not _step(context, all_pids(context), seconds), "ticks were ahead")
    return f"all by {seconds} s"


def all_pids(context: FaultContext) -> list[int]:
    """Return the processes that fan out and tick."""
    assert context.system.beat is not None
    return [one.pid for one in (context.system.beat, *context.system.workers.values())]


def feed_clock_ahead(context: FaultContext) -> str:
    """Let the feed stamp records by a clock that is ahead: their time has not come."""
    return _misdate(context, context.random.choice(AHEAD_SECONDS), "ahead")


def feed_clock_behind(context: FaultContext) -> str:
    """Let the feed stamp records by a clock that is behind: they are late, and only counted."""
    return _misdate(context, context.random.choice(BEHIND_SECONDS), "late")


def _misdate(context: FaultContext, seconds: int, shown_as: str) -> str:
    """Set the feed's clock for 5 s and right again; all tickers tick on meanwhile."""
    broker, before = context.broker, context.broker.misdated
    broker.clock_ms = seconds * 1000.0
    pass_time(_LASTS_SECONDS)
    broker.clock_ms = 0.0
    require(broker.misdated > before, "no record had a wrong stamp")
    context.note_end("a feed's clock right again")
    context.await_ticks_after(dict.fromkeys(context.tickers, 0))
    seen = [s for s in context.sampler.samples if s.ticker in context.tickers]
    require(any(shown_as in s.quality("5min") for s in seen), f"none is shown as {shown_as}")
    return f"{broker.misdated - before} records stamped by a clock {seconds} s ahead"


def reader_clock(context: FaultContext) -> str:
    """Set the reader's clock: what it answers is flagged, or refused, and never believed."""
    seconds = context.random.choice(STEPS_SECONDS)
    clock.shift(seconds * 1000.0)
    try:
        with closing(Reader.from_settings(Settings(redis_port=context.system.port))) as reader:
            for ticker in context.tickers:
                _require_flagged(reader, ticker)
    finally:
        clock.shift(0.0)
    return f"reader by {seconds} s"


def _require_flagged(reader: Reader, ticker: str) -> None:
    try:
        found = reader.snapshot(ticker, 60)
    except NoAnswer:
        return
    require(found.stale or found.ahead, f"{ticker} was believed by a wrong clock")
