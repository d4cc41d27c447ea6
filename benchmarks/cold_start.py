"""Measure a cold start: many tickers, each with five minutes of quotes that wait for a tick."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.harness import Server, private_redis, process, table
from benchmarks.noop import WORKER
from benchmarks.redis_socket import RedisSocket, as_of_command
from benchmarks.system import REAL, WORKERS

PAST_SECONDS = 300
_RATE = 10
_LONGEST_SECONDS = 120
_FRESH_MS = 2_200  # the newest whole second's tick, a second after its start


@dataclass(frozen=True, slots=True)
class Started:
    """Seconds from the start of the processes to the first tick, and to current ticks."""

    tickers: int
    first_tick: float
    half_fresh: float
    all_fresh: float


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    found = [_started(tickers) for tickers in ((200,) if quick else (200, 1000))]
    head = ("tickers", "first tick, s", "half of them up to date, s", "all of them, s")
    rows = [
        (f"{one.tickers}", f"{one.first_tick:.1f}", f"{one.half_fresh:.1f}", f"{one.all_fresh:.1f}")
        for one in found
    ]
    return "\n\n".join(
        [
            (
                f"{PAST_SECONDS} s of {_RATE} quotes/s wait for each ticker; then {WORKERS} "
                "workers and beat start, and the feed goes on. From the start of the processes, "
                "imports included, to when a reader finds the newest tick of each. Target: ≤ 15 s "
                "for 1,000."
            ),
            table(head, rows),
        ]
    )


def _started(tickers: int) -> Started:
    with private_redis() as server, _feed(server, tickers), contextlib.ExitStack() as stack:
        start = time.monotonic()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        for number in range(WORKERS):
            celery = (sys.executable, "-m", "celery", "-A", REAL, *WORKER, "-n", f"w{number}@%h")
            shard = {**server.environment, "ORDERFLOW_SHARD": str(number)}
            stack.enter_context(process(*celery, env=shard, **quiet))
        beat = (sys.executable, "-m", "celery", "-A", REAL, "beat", "-l", "WARNING")
        stack.enter_context(process(*beat, env=server.environment, **quiet))
        return _watched(RedisSocket(int(server.environment["REDIS_PORT"])), tickers, start)


@contextlib.contextmanager
def _feed(server: Server, tickers: int) -> Iterator[None]:
    """Run a feed; continue once it has written the past records."""
    words = [server.environment["REDIS_PORT"], str(tickers), str(_RATE), str(PAST_SECONDS)]
    command = (sys.executable, "-m", "benchmarks.feeder", *words)
    with process(*command, env=server.environment, stdout=subprocess.PIPE) as feed:
        feed.stdout.readline()
        yield


def _watched(connection: RedisSocket, tickers: int, start: float) -> Started:
    """Count the current tickers four times a second; more often would slow them down."""
    commands = [as_of_command(f"T{number}") for number in range(tickers)]
    first = half = 0.0
    while (passed := time.monotonic() - start) < _LONGEST_SECONDS:
        as_ofs = [int(reply or 0) for reply in connection.round_trip(commands, tickers)]
        now_ms = time.time() * 1000
        fresh = sum(now_ms - as_of <= _FRESH_MS for as_of in as_ofs)
        first = first or passed * any(as_ofs)
        half = half or passed * (2 * fresh >= tickers)
        if fresh == tickers:
            return Started(tickers, first, half, passed)
        time.sleep(0.25)
    return Started(tickers, first, half, float("inf"))
