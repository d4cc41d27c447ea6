"""The running system that a fault is done to, and the checks that the fault had an effect."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import redis

from tests.faults.broker import Broker
from tests.faults.samples import Sampler
from tests.faults.system import System
from tests.processes import BOUND_SECONDS, Running

SETTLE_MS = 200.0


class NoEffect(AssertionError):
    """Raised when a fault changed nothing, so that its plan proves nothing."""


@dataclass
class FaultContext:
    """A running system under a plan; `notes` say what each fault did."""

    system: System
    broker: Broker
    sampler: Sampler
    random: Random
    tickers: Sequence[str]
    notes: list[str] = field(default_factory=list)
    ends_ms: list[tuple[str, float]] = field(default_factory=list)

    def note_end(self, name: str) -> None:
        """Note that a fault ended now: from here on ticks have to come back."""
        self.ends_ms.append((name, time.time() * 1000.0))

    def newest(self) -> dict[str, int]:
        """Return each ticker's newest published tick."""
        return {ticker: self.sampler.newest(ticker) for ticker in self.tickers}

    def await_ticks_after(self, as_of: dict[str, int], seconds: float = BOUND_SECONDS) -> None:
        """Wait until every ticker has a newer tick than given, which began after this moment."""
        due_ms = time.time() * 1000.0 - SETTLE_MS
        self.system.await_true(
            lambda: all(self.sampler.newest(t) > max(as_of[t], due_ms) for t in self.tickers),
            "every ticker ticks on",
            seconds,
        )

    def last_tick_processes(self) -> dict[str, int]:
        """Return the id of the process that ticked each ticker last."""
        processes = self.system.last_actions()
        return {ticker: processes[ticker] for ticker in self.tickers if ticker in processes}


def require(condition: bool, what: str) -> None:  # noqa: FBT001
    """Fail the plan where its fault had no effect."""
    if not condition:
        raise NoEffect(what)


def kill(running: Running, number: int) -> None:
    """Send a signal to a process that must be alive, and wait for its end."""
    require(running.process.poll() is None, "the process was not alive")
    os.kill(running.pid, number)
    require(running.wait() != 0 or number == 15, "the process outlived the signal")


def count_error(client: redis.Redis, name: str) -> int:
    """Return how often the server refused a command so."""
    stats = client.info("errorstats")
    found = stats.get(f"errorstat_{name}", {})
    return int(found.get("count", 0)) if isinstance(found, dict) else 0


def count_refused(client: redis.Redis, kind: type[Exception]) -> int:
    """Return 1 where the server refuses a command by an error of this kind."""
    try:
        client.get("faults:any")
    except kind:
        return 1
    except redis.RedisError:
        return 0
    return 0


def ignore_redis_errors(action: Callable[[], object]) -> None:
    """Run an action that may fail while Redis is away."""
    with suppress(redis.RedisError):
        action()
