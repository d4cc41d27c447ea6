"""The kinds of faults that fire an alert, as faults that begin and last."""

import signal
import time
from collections.abc import Callable, Sequence

from tests.faults.broker import LEAD_MS
from tests.faults.clock_kinds import AHEAD_SECONDS, BEHIND_SECONDS, all_pids
from tests.faults.context import FaultContext, kill
from tests.faults.feed_kinds import LATE_FEED_MS, reorder, spread, waiting_postings
from tests.faults.kinds import LATE_SHARE, fail_to_save, hold_a_tick, load_slowly
from tests.processes import Running

FLOOD_LASTS_SECONDS = 90.0
LOADED_KEYS = 8_000
"""With so many more, Redis loads for over a minute."""
STEP_MS = 5_000.0
"""By how much the clocks are set in the kind `clock-ahead`."""
NO_SERVER = 1
"""A port that no server listens on."""

Begin = Callable[[FaultContext], object]


def _ticking_worker(context: FaultContext) -> Running:
    return context.system.workers[context.system.worker_of(context.tickers[0])]


def _signal_worker(number: int) -> Begin:
    return lambda context: _ticking_worker(context).process.send_signal(number)


def _kill_fan_out_worker(context: FaultContext) -> None:
    kill(context.system.workers[context.system.worker_of("fanout 0")], signal.SIGKILL)


def _signal_holder(number: int) -> Begin:
    return lambda context: hold_a_tick(context)[1].process.send_signal(number)


def _signal_beat(number: int) -> Begin:
    def begin(context: FaultContext) -> None:
        assert context.system.beat is not None
        context.system.beat.process.send_signal(number)

    return begin


def _signal_server(number: int) -> Begin:
    def begin(context: FaultContext) -> None:
        assert context.system.server is not None
        context.system.server.process.send_signal(number)

    return begin


def _configure(**options: object) -> Begin:
    def begin(context: FaultContext) -> None:
        for name, value in options.items():
            context.system.client.config_set(name.replace("_", "-"), value)

    return begin


def _be_newer(context: FaultContext) -> None:
    """Let the tickers' states be those that workers of a newer version wrote."""
    for ticker in context.tickers:
        newer = {"version": "newer", "engine": "999"}
        context.system.client.hset(f"orderflow:state:{ticker}", mapping=newer)


def _flood(context: FaultContext) -> None:
    start_ms = time.time() * 1000.0 + LEAD_MS
    end_ms = start_ms + FLOOD_LASTS_SECONDS * 1000.0
    spread(waiting_postings(context, ""), context.tickers[0], start_ms, end_ms)
    reorder(context)


def _be_silent(context: FaultContext) -> None:
    context.broker.is_silent = True


def _be_late(context: FaultContext) -> None:
    context.broker.lateness_ms, context.broker.late_share = LATE_FEED_MS, 1.0


def _be_late_in_part(context: FaultContext) -> None:
    context.broker.late_share = LATE_SHARE


def _set_feed_clock(seconds: float) -> Begin:
    def begin(context: FaultContext) -> None:
        context.broker.clock_ms = seconds * 1000.0

    return begin


def _set_clocks(pids: Callable[[FaultContext], Sequence[int]], seconds: float) -> Begin:
    def begin(context: FaultContext) -> None:
        for pid in pids(context):
            context.system.request(f"clock-{pid}", str(seconds * 1000.0))

    return begin


def _web(context: FaultContext) -> Sequence[int]:
    assert context.system.web is not None
    return [context.system.web.pid]


def reader_clock(seconds: float) -> Begin:
    """Return the fault of a server whose clock alone is wrong."""
    return _set_clocks(_web, seconds)


LASTING: tuple[tuple[str, Begin], ...] = (
    ("kill-worker", _signal_worker(signal.SIGKILL)),
    ("term-worker", _signal_worker(signal.SIGTERM)),
    ("freeze-worker", _signal_worker(signal.SIGSTOP)),
    ("kill-fan-out-worker", _kill_fan_out_worker),
    ("kill-holder", _signal_holder(signal.SIGKILL)),
    ("overtake-holder", _signal_holder(signal.SIGSTOP)),
    ("kill-beat", _signal_beat(signal.SIGKILL)),
    ("term-beat", _signal_beat(signal.SIGTERM)),
    ("restart-redis", _signal_server(signal.SIGTERM)),
    ("restart-empty", _signal_server(signal.SIGKILL)),
    ("freeze-redis", _signal_server(signal.SIGSTOP)),
    ("slow-loading", lambda context: load_slowly(context, LOADED_KEYS)),
    ("out-of-memory", _configure(maxmemory_policy="noeviction", maxmemory="1mb")),
    ("read-only", lambda context: context.system.client.replicaof("127.0.0.1", NO_SERVER)),
    ("failed-save", fail_to_save),
    ("too-few-replicas", _configure(min_replicas_to_write=1)),
    ("newer-engine", _be_newer),
    ("refused-flood", _flood),
    ("silence", _be_silent),
    ("late-feed", _be_late),
    ("late-records", _be_late_in_part),
    *(("feed-clock-ahead", _set_feed_clock(seconds)) for seconds in AHEAD_SECONDS),
    *(("feed-clock-behind", _set_feed_clock(seconds)) for seconds in BEHIND_SECONDS),
    ("clock-ahead", lambda context: context.system.request("clock", str(STEP_MS))),
    *(("all-clocks-ahead", _set_clocks(all_pids, seconds)) for seconds in AHEAD_SECONDS),
    *(("all-clocks-behind", _set_clocks(all_pids, seconds)) for seconds in BEHIND_SECONDS),
    *(("reader-clock", reader_clock(seconds)) for seconds in BEHIND_SECONDS),
)
"""What a plan ends after some seconds, by the plan's name of it; a clock's by each of its steps."""
