"""Clocks of single processes that step by minutes, an hour or a day, and are right again."""

import time
from collections.abc import Sequence
from contextlib import closing

from app.answers.reader import Reader
from app.core import clock
from app.core.errors import NoAnswer
from app.core.settings import Settings
from tests.faults.context import FaultContext, require
from tests.faults.system import pass_time
from tests.processes import wait_until

STEPS_SECONDS = (-86_400, -3600, -120, 120, 3600, 86_400)
_AHEAD_SECONDS = 120
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
    return f"beat by {seconds} s"


def worker_clocks(context: FaultContext) -> str:
    """Set the clock of all workers alone; Redis's clock decides."""
    seconds = context.random.choice(STEPS_SECONDS)
    pids = [worker.pid for worker in context.system.workers.values()]
    require(not _step(context, pids, seconds), "ticks were ahead by wrong workers")
    return f"workers by {seconds} s"


def all_clocks_ahead(context: FaultContext) -> str:
    """Set beat and workers 120 s ahead: their ticks are taken back once the clocks are right."""
    assert context.system.beat is not None
    pids = [one.pid for one in (context.system.beat, *context.system.workers.values())]
    require(_step(context, pids, _AHEAD_SECONDS), "no tick was ahead")
    return f"all by {_AHEAD_SECONDS} s"


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
