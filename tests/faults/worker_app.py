"""The Celery app that fault plans run: it records who did what, holds ticks and shifts its clock.

`-A tests.faults.worker_app`. Requests are files in ORDERFLOW_FAULTS_DIR, so that they also reach a
process whose Redis is away; the hash `faults:by` records which process did what.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import celery.app.base
import celery.worker.request
from redis.exceptions import RedisError

from app.analysis.state import ENGINE
from app.core import clock
from app.core.settings import settings
from app.storage.redis_client import connect
from app.storage.tick import codec
from app.storage.tick.resp import Command
from app.storage.tick_connection import OutcomeCallback
from app.storage.tick_job import TickJob
from app.storage.tick_store import TickStore
from tasks import app, fanout, ticks
from tests.faults import process_clock
from tests.faults.shared_names import BY, REFUSED_FAN_OUTS, REFUSED_WRITES, UP

__all__ = ["app"]

STATE_VERSION = codec.STATE_VERSION
REQUESTS = Path(os.environ["ORDERFLOW_FAULTS_DIR"])
LONGEST_HOLD_SECONDS = 12.0
_LOOK_SECONDS = 0.02


def _note(field: str, *, count: bool = False) -> None:
    client: Any = connect(settings())
    if count:
        client.hincrby(BY, field, 1)
    else:
        client.hset(BY, field, os.getpid())
    client.close()


class ObservedStore(TickStore):
    """A store that records which process ticked, and can hold a tick before its write."""

    engine = ENGINE

    def _write(self, tick: TickJob, commands: list[Command], callback: OutcomeCallback) -> None:
        if self._is_to_hold(tick.ticker):
            (REQUESTS / "held").write_text(str(os.getpid()))
            deadline = time.monotonic() + LONGEST_HOLD_SECONDS
            while (REQUESTS / "held").exists() and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)

        def noted(is_written: bool, error: Exception | None) -> None:  # noqa: FBT001 - as in `OutcomeCallback`
            if is_written:
                self._redis.hset(BY, tick.ticker, os.getpid())
            elif error is None:
                self._redis.hincrby(BY, REFUSED_WRITES, 1)
            callback(is_written, error)

        tick.connection.write([_by(self.engine, command) for command in commands], noted)
        tick.connection.await_pending()

    @staticmethod
    def _is_to_hold(ticker: str) -> bool:
        """Tell whether to hold this tick; of several workers one takes the request."""
        hold = REQUESTS / "hold"
        try:
            if hold.read_text() != ticker:
                return False
            hold.rename(REQUESTS / "held")
        except FileNotFoundError:
            return False
        return True


def _noting(run: Callable[[int, int, int], None]) -> Callable[[int, int, int], None]:
    def noted(shard: int, as_of_ms: int, shards: int) -> None:
        run(shard, as_of_ms, shards)
        _note(f"fanout {shard}")

    return noted


def _counting(won: Callable[[int, int], bool]) -> Callable[[int, int], bool]:
    def counted(as_of_ms: int, shard: int) -> bool:
        is_first = won(as_of_ms, shard)
        if not is_first:
            _note(REFUSED_FAN_OUTS, count=True)
        return is_first

    return counted


class _ProcessTime(datetime):
    """The time as Celery reads it, by a clock that a request may set."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the time by this process's clock."""
        return datetime.now(tz) + timedelta(milliseconds=clock.now_ms() - time.time() * 1000.0)


def _by(engine: str, command: Command) -> Command:
    """Let a command write another version of the definitions than this process has."""
    if isinstance(command, bytes):
        return command.replace(_field(ENGINE), _field(engine)).replace(
            _field(STATE_VERSION), _field(engine)
        )
    if "engine" not in command:
        return command
    place = command.index("engine") + 1
    return (*command[:place], engine, *command[place + 1 :])


def _field(engine: str) -> bytes:
    return f"$6\r\nengine\r\n${len(engine)}\r\n{engine}\r\n".encode()


def _pretend(engine: str) -> None:
    """Publish as another version of the definitions."""
    codec.STATE_VERSION = engine
    ObservedStore.engine = engine


_store = ObservedStore(settings())
ticks.store = lambda: _store  # type: ignore[assignment]
fanout._run = _noting(fanout._run)  # noqa: SLF001
fanout.claim = _counting(fanout.claim)
if "ORDERFLOW_FAULTS_ENGINE" in os.environ:
    _pretend(os.environ["ORDERFLOW_FAULTS_ENGINE"])
for module in (celery.app.base, celery.worker.request):
    module.datetime = _ProcessTime  # type: ignore[attr-defined]
process_clock.follow(REQUESTS, process_clock.own_request(), "clock")
with suppress(RedisError):  # it may start while Redis is away
    _note(f"{UP}{os.getpid()}")
